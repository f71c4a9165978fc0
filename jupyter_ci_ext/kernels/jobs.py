"""Work that must be brought to its end even if whoever asked for it goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import anyio.abc

T = TypeVar("T")

STOP_SECONDS = 10.0
"""How long work that must not be broken off may hold up a stop."""


class Jobs:
    """A task group that may be started and stopped from different tasks."""

    def __init__(self) -> None:
        self._group: anyio.abc.TaskGroup | None = None
        self._owner: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    @property
    def running(self) -> bool:
        """Whether jobs can be spawned."""
        return self._group is not None

    async def start(self) -> None:
        """Open the group; nothing happens if it is open."""
        if self._owner is not None:
            return
        opened = asyncio.Event()
        self._closing = asyncio.Event()
        self._owner = asyncio.create_task(self._own(opened))
        await opened.wait()

    async def stop(self) -> None:
        """Cancel what runs and wait for it, at most `STOP_SECONDS`; may be called twice."""
        owner, self._owner, self._group = self._owner, None, None
        self._closing.set()
        if owner is not None:
            await asyncio.wait({owner}, timeout=STOP_SECONDS)

    def spawn(self, work: Callable[[], Awaitable[T]]) -> asyncio.Future[T]:
        """Run *work*; the result is its future, which need not be waited for."""
        if self._group is None:
            raise RuntimeError("the jobs are stopped")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        # Mark an exception as seen: who does not wait has it logged by the work itself.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._group.start_soon(self._work, work, future)
        return future

    async def _own(self, opened: asyncio.Event) -> None:
        async with anyio.create_task_group() as group:
            self._group = group
            opened.set()
            await self._closing.wait()
            group.cancel_scope.cancel()

    async def _work(self, work: Callable[[], Awaitable[T]], future: asyncio.Future[T]) -> None:
        try:
            result = await work()
        except asyncio.CancelledError:
            future.cancel()
            raise
        except Exception as error:
            if not future.done():
                future.set_exception(error)
        else:
            if not future.done():
                future.set_result(result)
