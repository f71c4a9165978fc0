"""The table of messages."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from ..errors import NotFound
from ..wire.message import Message
from ..wire.stored import StoredPage
from .access import SQLValue
from .paging import Condition, Order
from .table import Table, folded, lacks_parent, on_thread

_EXCERPT = 200
_WORDS = 20_000


class Messages(Table[Message]):
    """Messages of threads."""

    name = "messages"
    model = Message

    def columns(self, obj: Message) -> dict[str, SQLValue]:
        text = "\n".join(part.text.value for part in obj.content if part.type == "text")
        return {
            **super().columns(obj),
            "thread_id": obj.thread_id,
            "run_id": obj.run_id,
            "role": obj.role,
            "excerpt": text.strip()[:_EXCERPT],
            "words": folded(text[:_WORDS]),
        }

    async def get(self, id: str, *, thread_id: str | None = None) -> Message | None:
        """The message, or None; also None when it stands in another thread than *thread_id*."""
        return await self._get(id, *on_thread(thread_id))

    async def insert(self, message: Message) -> None:
        """Store a new message; raises `NotFound` when its thread is gone."""
        try:
            await self._insert(message)
        except sqlite3.IntegrityError as error:
            if lacks_parent(error):
                raise NotFound(f"No thread found with id '{message.thread_id}'.") from error
            raise

    async def page(
        self,
        limit: int = 20,
        order: Order = "desc",
        after: str | None = None,
        before: str | None = None,
        *,
        thread_id: str,
        run_id: str | None = None,
    ) -> StoredPage[Message]:
        """One page of a thread's messages, or of those that one run wrote."""
        filters: list[Condition] = [] if run_id is None else [("run_id = ?", (run_id,))]
        return await self._page(on_thread(thread_id), filters, limit, order, after, before)

    async def excerpts(self, thread_ids: Sequence[str]) -> dict[str, str]:
        """The beginning of the first user message of each thread that has one."""
        marks = ", ".join("?" * len(thread_ids))
        rows = await self._access.fetch(
            "SELECT id, (SELECT excerpt FROM messages WHERE thread_id = threads.id "
            f"AND role = 'user' ORDER BY seq LIMIT 1) FROM threads WHERE id IN ({marks})",
            thread_ids,
        )
        return {str(id): str(excerpt) for id, excerpt in rows if excerpt is not None}
