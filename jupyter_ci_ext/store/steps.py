"""The table of run steps."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence

from ..errors import NotFound
from ..wire.run_step import RunStep
from .access import SQLValue
from .paging import Condition, Order, Page
from .table import Table, lacks_parent

_LONG = 64 * 1024


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

    async def of_runs(self, run_ids: Sequence[str]) -> dict[str, list[RunStep]]:
        """The steps of each of the runs, oldest first, asked for at once."""
        steps: dict[str, list[RunStep]] = {id: [] for id in run_ids}
        marks = ", ".join("?" * len(steps))
        rows = await self._access.fetch(
            f"SELECT body FROM steps WHERE run_id IN ({marks}) ORDER BY +seq", tuple(steps)
        )
        for (body,) in rows:
            step = self._read(body)
            steps[step.run_id].append(step)
            if isinstance(body, str) and len(body) > _LONG:
                await asyncio.sleep(0)  # many of them would hold up everybody
        return steps

    async def page(
        self,
        limit: int = 20,
        order: Order = "desc",
        after: str | None = None,
        before: str | None = None,
        *,
        run_id: str,
    ) -> Page[RunStep]:
        """One page of a run's steps."""
        return await self._page(_of(run_id), [], limit, order, after, before)


def _of(run_id: str) -> list[Condition]:
    return [("run_id = ?", (run_id,))]
