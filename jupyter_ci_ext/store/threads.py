"""The table of threads."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ..wire.stored import StoredPage
from ..wire.thread import Thread
from .access import SQLValue
from .paging import Condition, Order
from .table import Table, folded

_MOST_TERMS = 8
_BATCH = 500


class Threads(Table[Thread]):
    """Conversations."""

    name = "threads"
    model = Thread

    def columns(self, obj: Thread) -> dict[str, SQLValue]:
        return {
            **super().columns(obj),
            "title": folded(obj.metadata.get("title", "")),
            "touched_at": int(time.time()),
        }

    async def get(self, id: str) -> Thread | None:
        """The thread, or None."""
        return await self._get(id)

    async def insert(self, thread: Thread) -> None:
        """Store a new thread."""
        await self._insert(thread)

    async def page(
        self,
        limit: int = 20,
        order: Order = "desc",
        after: str | None = None,
        before: str | None = None,
        *,
        search: str | None = None,
    ) -> StoredPage[Thread]:
        """One page of all threads, or of those *search* finds.

        Every word of *search* must occur in the title or in a message, in any case and also as
        part of a longer word.
        """
        filters: list[Condition] = [
            (
                "instr(title, ?) OR EXISTS (SELECT 1 FROM messages "
                "WHERE messages.thread_id = threads.id AND instr(messages.words, ?))",
                (term, term),
            )
            for term in folded(search or "").split()[:_MOST_TERMS]
        ]
        return await self._page([], filters, limit, order, after, before)

    async def created(self, ids: Sequence[str]) -> dict[str, int]:
        """When the threads were made, in Unix seconds; of those that are there, by id."""
        found: dict[str, int] = {}
        for at in range(0, len(ids), _BATCH):
            some = tuple(ids[at : at + _BATCH])
            marks = ", ".join("?" * len(some))
            rows = await self._access.fetch(
                f"SELECT id, created_at FROM threads WHERE id IN ({marks})", some
            )
            found |= {str(id): int(stamp or 0) for id, stamp in rows}
        return found

    async def mentioning(self, file_id: str) -> list[Thread]:
        """Threads in whose tool resources, or elsewhere, the file's id occurs."""
        return await self._select([("instr(body, ?)", (file_id,))])
