"""The table of runs; it holds the thread lock and says which server works on what."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from ..errors import InvalidRequest, NotFound
from ..wire.run import ACTIVE, Run
from ..wire.stored import StoredPage
from .access import SQLValue
from .paging import Condition, Order
from .table import Table, lacks_parent, on_thread


class Runs(Table[Run]):
    """Runs of assistants on threads; a thread has at most one that is not over."""

    name = "runs"
    model = Run

    def columns(self, obj: Run) -> dict[str, SQLValue]:
        return {
            **super().columns(obj),
            "thread_id": obj.thread_id,
            "assistant_id": obj.assistant_id,
            "status": obj.status,
            "active": int(obj.status in ACTIVE),
        }

    async def get(self, id: str, *, thread_id: str | None = None) -> Run | None:
        """The run, or None; also None when it belongs to another thread than *thread_id*."""
        return await self._get(id, *on_thread(thread_id))

    async def insert(self, run: Run, *, owner: str | None = None) -> None:
        """Store a new run; *owner* is the server instance that will do it, or else this one.

        Raises `InvalidRequest` when the thread has a run that is not over, `NotFound` when the
        thread is gone.
        """
        try:
            await self._insert(run, owner=owner or self._access.instance)
        except sqlite3.IntegrityError as error:
            if lacks_parent(error):
                raise NotFound(f"No thread found with id '{run.thread_id}'.") from error
            active = await self.get_active(run.thread_id)
            if active is None or "runs.thread_id" not in str(error):
                raise
            raise InvalidRequest(
                f"Thread {run.thread_id} already has an active run {active.id}."
            ) from error

    async def require_idle(self, thread_id: str) -> None:
        """Raise `InvalidRequest` while a run is active; to be called before a message is added.

        Within the transaction that adds it: then no run can start in between.
        """
        active = await self.get_active(thread_id)
        if active is not None:
            raise InvalidRequest(
                f"Can't add messages to {thread_id} while a run {active.id} is active."
            )

    async def get_active(self, thread_id: str) -> Run | None:
        """The thread's run that is not over, or None."""
        found = await self._select([*on_thread(thread_id), ("active = 1", ())])
        return found[0] if found else None

    async def unfinished(self, owner: str | None = None) -> list[Run]:
        """Runs that are not over, oldest first; all, or those of one server instance."""
        conditions: list[Condition] = [("active = 1", ())]
        if owner is not None:
            conditions.append(("owner = ?", (owner,)))
        return await self._select(conditions)

    async def get_owner(self, id: str) -> str | None:
        """The server instance that works on the run, or worked on it; None: no such run."""
        rows = await self._access.fetch("SELECT owner FROM runs WHERE id = ?", (id,))
        return str(rows[0][0]) if rows else None

    async def take_over(self, id: str) -> bool:
        """Make this server instance the owner of the run; False when the run is gone."""
        changed = await self._access.execute(
            "UPDATE runs SET owner = ? WHERE id = ?", (self._access.instance, id)
        )
        return changed > 0

    async def page(
        self,
        limit: int = 20,
        order: Order = "desc",
        after: str | None = None,
        before: str | None = None,
        *,
        thread_id: str,
    ) -> StoredPage[Run]:
        """One page of a thread's runs."""
        return await self._page(on_thread(thread_id), [], limit, order, after, before)

    async def latest_status(self, thread_ids: Sequence[str]) -> dict[str, str]:
        """The status of the newest run of each thread that has one."""
        marks = ", ".join("?" * len(thread_ids))
        rows = await self._access.fetch(
            "SELECT id, (SELECT status FROM runs WHERE thread_id = threads.id "
            f"ORDER BY seq DESC LIMIT 1) FROM threads WHERE id IN ({marks})",
            thread_ids,
        )
        return {str(id): str(status) for id, status in rows if status is not None}
