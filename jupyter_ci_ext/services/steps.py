"""Steps of runs."""

from __future__ import annotations

from ..store.database import Store
from ..store.transaction import Tables
from ..wire.include import may_be_left_out, only_included
from ..wire.run_params import RunQuery, StepListQuery
from ..wire.run_step import RunStep
from ..wire.stored import StoredPage
from .lookup import require_run, require_step


class Steps:
    """The rules about steps; they are only read."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, thread_id: str, run_id: str, id: str, query: RunQuery) -> RunStep:
        """The step; raises `NotFound`."""
        step = await self._store.reading(lambda tables: require_step(tables, thread_id, run_id, id))
        return only_included(step, query.include)

    async def list(self, thread_id: str, run_id: str, query: StepListQuery) -> StoredPage[RunStep]:
        """One page of the run's steps."""

        async def page(tables: Tables) -> StoredPage[RunStep]:
            await require_run(tables, thread_id, run_id)
            return await tables.steps.page(
                query.limit, query.order, query.after, query.before, run_id=run_id
            )

        found = await self._store.reading(page)
        return found.changed(may_be_left_out, lambda step: only_included(step, query.include))
