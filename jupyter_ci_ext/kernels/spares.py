"""Kernels that are started, connected and pre-imported before anybody asks for them."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import anyio

from jupyter_ci_ext import to_thread
from jupyter_ci_ext.errors import CodeInterpreterError, SessionLost
from jupyter_ci_ext.kernels.connection import Connection
from jupyter_ci_ext.kernels.jobs import Jobs
from jupyter_ci_ext.kernels.launcher import Kernel
from jupyter_ci_ext.kernels.slots import Slot, Slots

_PRELOAD = """
def _preload():
    import importlib
    for name in {modules!r}:
        try:
            importlib.import_module(name)
        except Exception:
            pass
_preload()
del _preload
"""


@dataclass(frozen=True)
class Spare:
    """A kernel that has run no code of anybody, in a workspace that is nobody's yet."""

    slot: Slot
    kernel: Kernel
    connection: Connection

    async def end(self) -> None:
        """End the kernel; what is in the slot stays."""
        self.connection.close()
        await self.kernel.stop()


class Spares:
    """A few spares, made in the background; *changed* is called whenever one is ready."""

    def __init__(
        self,
        slots: Slots,
        start: Callable[[Slot], Awaitable[Kernel]],
        jobs: Jobs,
        *,
        changed: Callable[[], None],
        count: int,
        preload: Sequence[str],
        start_timeout: float,
    ) -> None:
        self._slots = slots
        self._start = start
        self._jobs = jobs
        self._changed = changed
        self._count = count
        self._preload = list(preload)
        self._start_timeout = start_timeout
        self._ready: deque[Spare] = deque()
        self._filling = False
        self._log = logging.getLogger(__name__)

    @property
    def ready(self) -> int:
        """How many could be claimed now."""
        return len(self._ready)

    async def claim(self) -> Spare | None:
        """A spare, if one is ready; it is the caller's from now on."""
        while self._ready:
            spare = self._ready.popleft()
            if await spare.connection.lost() is None:
                return spare
            await self.discard(spare)
        return None

    def refill(self) -> None:
        """Make the spares that are missing, in the background; one at a time."""
        if not self._filling and self._jobs.running and len(self._ready) < self._count:
            self._filling = True
            self._jobs.spawn(self._fill)

    async def drain(self) -> None:
        """End the spares there are."""
        while self._ready:
            await self.discard(self._ready.popleft())

    async def _fill(self) -> None:
        try:
            while len(self._ready) < self._count:
                self._ready.append(await self._make())
                self._changed()
        except CodeInterpreterError as error:
            # The next session starts cold, and says what is wrong to somebody who reads it.
            self._log.warning("No warm kernel was made: %s", error)
        except Exception:
            self._log.exception("No warm kernel was made")
        finally:
            self._filling = False

    async def _make(self) -> Spare:
        slot = await to_thread.run_sync(self._slots.create)
        kernel: Kernel | None = None
        connection: Connection | None = None
        try:
            kernel = await self._start(slot)
            connection = kernel.connect()
            await connection.wait_ready(self._start_timeout)
            await kernel.prepare(connection)
            await self._import(connection)
            return Spare(slot, kernel, connection)
        except BaseException:
            with anyio.CancelScope(shield=True):
                if connection is not None:
                    connection.close()
                if kernel is not None:
                    await kernel.stop()
                await to_thread.run_sync(self._slots.discard, slot)
            raise

    async def _import(self, connection: Connection) -> None:
        if not self._preload:
            return
        code = _PRELOAD.format(modules=self._preload)
        request = connection.execute(code, lambda _: None, silent=True)
        deadline = time.monotonic() + self._start_timeout
        while not await connection.wait(request, deadline - time.monotonic()):
            if time.monotonic() >= deadline:
                raise SessionLost("the modules of c.SessionPool.preload took too long to import")

    async def discard(self, spare: Spare) -> None:
        """End a spare, claimed or not, and delete its workspace."""
        with anyio.CancelScope(shield=True):
            await spare.end()
            await to_thread.run_sync(self._slots.discard, spare.slot)
