"""The events of a run, from wherever they are: its live log, or what the store kept."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from ..events import Event, RunLog
from ..store.database import Store
from ..wire.common import dump
from ..wire.run import Run
from .collaborators import RunSupervisor

_BATCH = 500


class RunEvents:
    """What streams are made of."""

    def __init__(self, store: Store, supervisor: RunSupervisor) -> None:
        self._store = store
        self._supervisor = supervisor

    async def last(self, run_id: str) -> int:
        """The number of the run's newest event; 0 when there is none."""
        log = self._supervisor.log(run_id)
        return log.last_seq if log is not None else await self._store.events.last_seq(run_id)

    async def follow(self, run: Run) -> AsyncGenerator[Sequence[Event], None]:
        """All events of *run* in batches, from the first one on until the run is over.

        Of a run whose events have been deleted for their age there is one: what became of it.
        """
        log, seq = self._supervisor.log(run.id), 0
        if log is None or not _whole(log):
            while rows := await self._store.events.since(run.id, seq, _BATCH):
                seq = rows[-1][0]
                yield [Event(*row) for row in rows]
        if log is not None:
            async for batch in log.follow(seq):
                yield batch
        elif seq == 0:
            yield [Event(1, f"thread.run.{run.status}", dump(run))]


def _whole(log: RunLog) -> bool:
    """Whether the log goes back to the run's first event; after a restart it may not."""
    events = log.since(0)
    return not events or events[0].seq == 1
