"""The events of a run, from wherever they are: its live log, or what the store kept.

A run that another server on the same data directory works on has its events in the store alone;
that is looked at again and again until the run is over.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final

import anyio

from ..events import Event, RunLog
from ..store.database import Store
from ..wire.common import dump
from ..wire.run import ACTIVE, Run
from .collaborators import RunSupervisor
from .lookup import require_run

_BATCH: Final = 500

_LOOK_SECONDS: Final = 0.5
"""How long between two looks at a run that another server works on."""


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
        seq, now = 0, run
        while True:
            log = self._supervisor.log(run.id)
            over = log is None and now.status not in ACTIVE
            if log is None or not _whole(log):
                while rows := await self._store.events.since(run.id, seq, _BATCH):
                    seq = rows[-1][0]
                    yield [Event(*row) for row in rows]
            if log is not None:
                async for batch in log.follow(seq):
                    yield batch
                return
            if over:
                break
            await anyio.sleep(_LOOK_SECONDS)
            now = await self._supervisor.look_after(
                await require_run(self._store, run.thread_id, run.id)
            )
        if seq == 0:
            yield [Event(1, f"thread.run.{now.status}", dump(now))]


def _whole(log: RunLog) -> bool:
    """Whether the log goes back to the run's first event; after a restart it may not."""
    events = log.since(0)
    return not events or events[0].seq == 1
