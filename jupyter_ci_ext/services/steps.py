"""Steps of runs."""

from __future__ import annotations

from ..store.database import Store
from ..wire.common import ListPage
from ..wire.include import only_included
from ..wire.run_params import RunQuery, StepListQuery
from ..wire.run_step import RunStep
from .lookup import require_run, require_step


class Steps:
    """The rules about steps; they are only read."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, thread_id: str, run_id: str, id: str, query: RunQuery) -> RunStep:
        """The step; raises `NotFound`."""
        step = await require_step(self._store, thread_id, run_id, id)
        return only_included(step, query.include)

    async def list(self, thread_id: str, run_id: str, query: StepListQuery) -> ListPage[RunStep]:
        """One page of the run's steps."""
        await require_run(self._store, thread_id, run_id)
        page = await self._store.steps.page(
            query.limit, query.order, query.after, query.before, run_id=run_id
        )
        steps = [only_included(step, query.include) for step in page.data]
        return ListPage.of(steps, page.has_more)
