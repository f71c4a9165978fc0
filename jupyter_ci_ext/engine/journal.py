"""Store first, then publish: the one place where a run's events are made.

`commit` is for changes of state: it returns when rows and events are stored and published. `say` is
for pieces of messages and steps: it returns at once, and what was said is stored and published
together a moment later, in one transaction. Whoever reads the log therefore never hears of anything
that a crash could take back, and a flood costs the store half of its time at most.

Half-written messages and steps are stored as they are from time to time, so that a crash keeps what
had been written, and clients that poll see it grow.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final

from jupyter_ci_ext.errors import NotFound, StoreError
from jupyter_ci_ext.events import RunLog
from jupyter_ci_ext.store.database import Store
from jupyter_ci_ext.store.transaction import Transaction
from jupyter_ci_ext.store.uninterrupted import uninterrupted

Write = Callable[[Transaction], Awaitable[object]]
"""Writes rows in a transaction; on the store's thread, so it waits for nothing else."""

Event = tuple[str, str]
"""Name and one line of JSON."""

_REST: Final = 1.0

_BEHIND: Final = 32
"""Pieces that wait to be stored from which on the store is slower than who says them."""

_MOST_PENDING: Final = 2000
"""Pieces that may wait to be stored; then whoever says more waits."""


@dataclass
class _Piece:
    name: str
    key: Hashable
    texts: list[str]
    render: Callable[[str], str]

    @property
    def event(self) -> Event:
        return self.name, self.render("".join(self.texts))


class Journal:
    """The journal of one run. `write` must be running for pieces to get anywhere by themselves.

    After a batch of pieces the next one waits for `_REST` times as long as that took, at most *beat*:
    a piece that comes alone is on its way at once, a flood leaves the store to others most of the
    time. *snapshot* is the time after which a half-written object is stored. Both are in seconds.
    """

    def __init__(
        self, store: Store, log: RunLog, *, beat: float = 0.01, snapshot: float = 0.5
    ) -> None:
        self._store = store
        self._log = log
        self._beat = beat
        self._snapshot = snapshot
        self._pending: list[_Piece] = []
        self._halves: dict[str, Callable[[], Write]] = {}
        self._snapshot_at = time.monotonic()
        self._said = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None
        self._writing = asyncio.Lock()

    @property
    def behind(self) -> bool:
        """Whether pieces come faster than they are stored; to join them then saves everybody work."""
        return len(self._pending) >= _BEHIND

    async def say(
        self,
        name: str,
        text: str,
        render: Callable[[str], str],
        *,
        join: Hashable = None,
        half: tuple[str, Callable[[], Write]] | None = None,
    ) -> None:
        """A piece of something: an event whose data is ``render(text)``.

        Pieces with the same *join* that follow one another and have not been stored yet become one.
        *half* is the id of the object this is a piece of, and how to write that as it is by then.
        """
        last = self._pending[-1] if self._pending else None
        if join is not None and last is not None and last.key == join:
            last.texts.append(text)
        else:
            self._pending.append(_Piece(name, join, [text], render))
        if half is not None:
            self._halves[half[0]] = half[1]
        self._said.set()
        if len(self._pending) > _MOST_PENDING:
            await self.flush()

    async def commit(self, events: Sequence[Event], *writes: Write) -> None:
        """Store *writes* and *events*, with all that was said before, then publish them.

        Raises `StoreError`, and `NotFound` when the run itself is gone; then nothing of it is
        stored or published, and what was said before waits for the next time.
        """
        async with self._writing:
            # Half-written objects are written whole by commits, or said more of soon.
            self._halves.clear()
            await uninterrupted(self._store_and_publish(list(events), list(writes)))

    async def flush(self) -> None:
        """Store and publish what was said."""
        async with self._writing:
            if self._pending:
                await uninterrupted(self._store_and_publish([], self._due()))

    async def write(self) -> None:
        """Store and publish pieces as they come, until cancelled; halves when it is time.

        Cancelling it breaks off no transaction.
        """
        while True:
            if self._halves and self._alarm is None:
                after = self._snapshot_at + self._snapshot - time.monotonic()
                self._alarm = asyncio.get_running_loop().call_later(max(0.0, after), self._ring)
            await self._said.wait()
            self._said.clear()
            began = time.monotonic()
            try:
                async with self._writing:
                    writes = self._due()
                    if self._pending or writes:
                        await uninterrupted(self._store_and_publish([], writes))
            except NotFound:
                return
            except StoreError:
                # The next commit meets the same trouble and reports it to who can end the run.
                await asyncio.sleep(self._snapshot)
            await asyncio.sleep(min(self._beat, _REST * (time.monotonic() - began)))

    def _ring(self) -> None:
        """It is time for the halves."""
        self._alarm = None
        self._said.set()

    def _due(self) -> list[Write]:
        """How to write the halves, if it is time."""
        if not self._halves or time.monotonic() - self._snapshot_at < self._snapshot:
            return []
        halves, self._halves = self._halves, {}
        self._snapshot_at = time.monotonic()
        return [write() for write in halves.values()]

    async def _store_and_publish(self, events: list[Event], writes: list[Write]) -> None:
        pieces, self._pending = self._pending, []
        batch = [piece.event for piece in pieces] + events
        first = self._log.last_seq + 1
        try:
            numbered = [(first + n, *event) for n, event in enumerate(batch)]

            async def store(tx: Transaction) -> None:
                for write in writes:
                    await write(tx)
                if batch:
                    await tx.events.append(self._log.run_id, numbered)

            if batch and not writes:
                await self._store.append_events(self._log.run_id, numbered)
            else:
                await self._store.writing(store)
        except BaseException:
            self._pending = pieces + self._pending
            raise
        self._log.extend(batch)
