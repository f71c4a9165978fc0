"""Stopping what is under way, at whatever stage it is.

Two kinds of waiting can be stopped: asking the model, which is simply broken off (that frees the slot
at its server), and running code, which is interrupted and then read to its end, so that what it
printed is kept and its variables live on. `attend` is both.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Generic, Literal, TypeVar

T = TypeVar("T")

StopReason = Literal[
    "cancelled",  # somebody asked
    "expired",  # the run's time is over
    "shutdown",  # the server goes down
]

_BUFFER = 64
"""Items read ahead of whoever reads; then the source waits."""


class Stop:
    """The wish that a run ends. The first reason counts."""

    def __init__(self) -> None:
        self.reason: StopReason | None = None
        self._asked = asyncio.Event()

    def request(self, reason: StopReason) -> None:
        """Ask; does not wait."""
        if self.reason is None:
            self.reason = reason
            self._asked.set()

    @property
    def asked(self) -> bool:
        """Whether anybody did."""
        return self.reason is not None

    async def wait(self) -> None:
        """Until somebody asks."""
        await self._asked.wait()


_AGAIN = 2.0
"""Seconds after which an interrupt is repeated."""


class _End:
    """Put behind the last item; *error* is what the source raised."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class _Attended(Generic[T]):
    def __init__(self, items: AsyncIterator[T]) -> None:
        self.items = items
        self.queue: asyncio.Queue[T | _End] = asyncio.Queue(_BUFFER)

    async def read(self) -> None:
        """In one task from beginning to end, as async generators need it."""
        end = _End()
        try:
            if hasattr(self.items, "aclose"):
                async with aclosing(self.items):  # type: ignore[type-var]
                    await self._pass_on()
            else:
                await self._pass_on()
        except Exception as error:
            end = _End(error)
        await self.queue.put(end)

    async def _pass_on(self) -> None:
        async for item in self.items:
            await self.queue.put(item)


async def attend(
    items: AsyncIterator[T], stop: Stop, interrupt: Callable[[], Awaitable[Any]] | None = None
) -> AsyncGenerator[T, None]:
    """The items of *items* as they come, under the eyes of *stop*.

    Without *interrupt*, *items* is closed when somebody asks to stop, and no more comes than what has
    come by then. With it, it is awaited, and *items* go on to their own end; should it raise, they are closed as well.
    """
    attended = _Attended(items)
    reader = asyncio.ensure_future(attended.read())

    async def watch() -> None:
        await stop.wait()
        end = _End()
        try:
            # Again and again: the first may come a moment before there is something to interrupt.
            while interrupt is not None and not reader.done():
                await interrupt()
                await asyncio.wait({reader}, timeout=_AGAIN)
        except Exception as error:
            end = _End(error)
        if reader.done():
            return
        reader.cancel()
        await asyncio.wait({reader})
        await attended.queue.put(end)

    watcher = asyncio.ensure_future(watch())
    try:
        while True:
            item = await attended.queue.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        reader.cancel()
        watcher.cancel()
        await asyncio.gather(reader, watcher, return_exceptions=True)


async def either(wish: Awaitable[T], stop: Stop) -> T | None:
    """What *wish* gives, or None when somebody asked to stop before; *wish* is cancelled then."""
    asked = asyncio.ensure_future(stop.wait())
    wished = asyncio.ensure_future(wish)
    try:
        await asyncio.wait({asked, wished}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        asked.cancel()
        wished.cancel()
        await asyncio.gather(asked, wished, return_exceptions=True)
    # What came at the last moment is not lost: it may have to be given back.
    return None if wished.cancelled() else wished.result()
