"""Threads as a list shows them: title, newest run, state of the session."""

from __future__ import annotations

from ..store.database import Store
from ..store.transaction import Tables
from ..wire.common import ListPage
from ..wire.extension import RunSummary, SummaryQuery, ThreadSummary
from ..wire.run import Run
from ..wire.stored import StoredPage
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

        async def look(tables: Tables) -> tuple[StoredPage[Thread], dict[str, str], list[Run]]:
            page = await tables.threads.page(
                query.limit, query.order, query.after, query.before, search=query.query
            )
            untitled = [thread.id for thread in page.data if not thread.metadata.get(TITLE)]
            beginnings = await tables.messages.excerpts(untitled)
            runs = [await tables.runs.page(1, thread_id=thread.id) for thread in page.data]
            return page, beginnings, [run for each in runs for run in each.data]

        page, beginnings, runs = await self._store.reading(look)
        newest = {run.thread_id: run for run in runs}
        rows = [self._summary(each, newest.get(each.id), beginnings) for each in page.data]
        return ListPage.of(rows, page.has_more)

    def _summary(
        self, thread: Thread, newest: Run | None, beginnings: dict[str, str]
    ) -> ThreadSummary:
        live = self._sessions.get(thread.id)
        title = thread.metadata.get(TITLE) or beginnings.get(thread.id, "")
        return ThreadSummary(
            id=thread.id,
            created_at=thread.created_at,
            updated_at=max([thread.created_at, *(_moments(newest) if newest else ())]),
            title=" ".join(title.split())[:80],
            metadata=thread.metadata,
            run=_brief(newest) if newest else None,
            session="none" if live is None else live.state,
        )


def _brief(run: Run) -> RunSummary:
    return RunSummary(
        id=run.id, status=run.status, created_at=run.created_at, last_error=run.last_error
    )


def _moments(run: Run) -> list[int]:
    ends = (run.completed_at, run.failed_at, run.cancelled_at)
    return [run.created_at, *(at for at in ends if at is not None)]
