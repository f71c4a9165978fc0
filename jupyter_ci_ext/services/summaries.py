"""Threads as a list shows them: title, newest run, state of the session."""

from __future__ import annotations

from ..store.database import Store
from ..wire.common import ListPage
from ..wire.extension import RunSummary, SummaryQuery, ThreadSummary
from ..wire.run import Run
from ..wire.thread import Thread
from .sessions import SessionPool

TITLE = "title"
"""The key of a thread's metadata that holds its name."""


class Summaries:
    """What a list of threads is made of."""

    def __init__(self, store: Store, sessions: SessionPool) -> None:
        self._store = store
        self._sessions = sessions

    async def list(self, query: SummaryQuery) -> ListPage[ThreadSummary]:
        """One page of all threads, or of those in which the words of the query occur."""
        page = await self._store.threads.page(
            query.limit, query.order, query.after, query.before, search=query.query
        )
        untitled = [thread.id for thread in page.data if not thread.metadata.get(TITLE)]
        beginnings = await self._store.messages.excerpts(untitled)
        rows = [await self._summary(thread, beginnings) for thread in page.data]
        return ListPage.of(rows, page.has_more)

    async def _summary(self, thread: Thread, beginnings: dict[str, str]) -> ThreadSummary:
        newest = (await self._store.runs.page(1, thread_id=thread.id)).data
        live = self._sessions.get(thread.id)
        title = thread.metadata.get(TITLE) or beginnings.get(thread.id, "")
        return ThreadSummary(
            id=thread.id,
            created_at=thread.created_at,
            updated_at=max([thread.created_at, *(at for run in newest for at in _moments(run))]),
            title=" ".join(title.split())[:80],
            metadata=thread.metadata,
            run=_brief(newest[0]) if newest else None,
            session="none" if live is None else live.state,
        )


def _brief(run: Run) -> RunSummary:
    return RunSummary(
        id=run.id, status=run.status, created_at=run.created_at, last_error=run.last_error
    )


def _moments(run: Run) -> list[int]:
    ends = (run.completed_at, run.failed_at, run.cancelled_at)
    return [run.created_at, *(at for at in ends if at is not None)]
