"""The log of a run's events, and whoever follows it.

Each live run has one append-only `RunLog`. Readers hold a cursor into it, never a queue of their
own: a slow reader costs nothing, and a reader that comes back with the number of the last event it
saw gets all that it missed. This module knows neither the API's objects nor HTTP; an event is a
name and a line of JSON, numbered from 1.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import NamedTuple


class Event(NamedTuple):
    """One event of a run: ``seq`` counts from 1, ``data`` is a single line of JSON."""

    seq: int
    name: str
    data: str


class RunLog:
    """All events of one run since it was created, in order; closed when the run is over."""

    def __init__(self, run_id: str, events: Sequence[Event] = ()) -> None:
        self.run_id = run_id
        self.closed = False
        self._events: list[Event] = list(events)
        self._changed = asyncio.Event()

    @property
    def last_seq(self) -> int:
        """The number of the newest event; 0 when there is none."""
        return self._events[-1].seq if self._events else 0

    def append(self, name: str, data: str) -> None:
        """Add one event; see `extend`."""
        self.extend([(name, data)])

    def extend(self, events: Iterable[tuple[str, str]]) -> None:
        """Add events, each a name and data, and wake the readers; for the journal alone, after storing."""
        first = self.last_seq + 1
        self._events += [Event(first + n, name, data) for n, (name, data) in enumerate(events)]
        self._wake()

    def close(self) -> None:
        """No more events will come; readers finish after the last one."""
        self.closed = True
        self._wake()

    def since(self, seq: int) -> list[Event]:
        """The events after *seq* that are there now."""
        first = self._events[0].seq if self._events else 1
        return self._events[max(0, seq - first + 1) :]

    async def follow(self, after: int = 0) -> AsyncIterator[list[Event]]:
        """Batches of events after *after*, as they come, until the log is closed."""
        seq = after
        while True:
            changed = self._changed
            batch = self.since(seq)
            if batch:
                seq = batch[-1].seq
                yield batch
            elif self.closed:
                return
            else:
                await changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class EventBus:
    """The logs of the runs that are live in this process, by run id."""

    def __init__(self) -> None:
        self._logs: dict[str, RunLog] = {}
        self._some = asyncio.Event()

    async def wait_live(self) -> None:
        """Return as soon as any run is live."""
        await self._some.wait()

    def open(self, run_id: str, events: Sequence[Event] = ()) -> RunLog:
        """The log of *run_id*, new or as it stands; *events* are what a store kept of it."""
        log = self._logs.get(run_id)
        if log is None:
            log = self._logs[run_id] = RunLog(run_id, events)
            self._some.set()
        return log

    def get(self, run_id: str) -> RunLog | None:
        """The log of a live run, or None: then the store has what there was."""
        return self._logs.get(run_id)

    def drop(self, run_id: str) -> None:
        """Close and forget a log; readers that hold it still reach its end."""
        log = self._logs.pop(run_id, None)
        if not self._logs:
            self._some.clear()
        if log is not None:
            log.close()
