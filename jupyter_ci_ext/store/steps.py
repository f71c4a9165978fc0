"""The table of run steps."""

from __future__ import annotations

import sqlite3

from ..errors import NotFound
from ..wire.run_step import RunStep
from ..wire.stored import StoredPage
from .access import SQLValue
from .paging import Condition, Order
from .table import Table, lacks_parent


class Steps(Table[RunStep]):
    """Steps of runs."""

    name = "steps"
    model = RunStep

    def columns(self, obj: RunStep) -> dict[str, SQLValue]:
        return {**super().columns(obj), "run_id": obj.run_id, "status": obj.status}

    async def get(self, id: str, *, run_id: str | None = None) -> RunStep | None:
        """The step, or None; also None when it belongs to another run than *run_id*."""
        return await self._get(id, *([] if run_id is None else _of(run_id)))

    async def insert(self, step: RunStep) -> None:
        """Store a new step; raises `NotFound` when its run is gone."""
        try:
            await self._insert(step)
        except sqlite3.IntegrityError as error:
            if lacks_parent(error):
                raise NotFound(f"No run found with id '{step.run_id}'.") from error
            raise

    async def in_progress(self, run_id: str) -> list[RunStep]:
        """The steps of the run that are not over, oldest first."""
        return await self._select([*_of(run_id), ("status = 'in_progress'", ())])

    async def of_run(self, run_id: str) -> list[RunStep]:
        """All steps of the run, oldest first."""
        return await self._select(_of(run_id))

    async def page(
        self,
        limit: int = 20,
        order: Order = "desc",
        after: str | None = None,
        before: str | None = None,
        *,
        run_id: str,
    ) -> StoredPage[RunStep]:
        """One page of a run's steps."""
        return await self._page(_of(run_id), [], limit, order, after, before)


def _of(run_id: str) -> list[Condition]:
    return [("run_id = ?", (run_id,))]
