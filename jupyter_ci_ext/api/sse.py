"""The one emitter of server-sent events.

A reader holds a cursor into the run's log, nothing else: each turn it takes what has come since,
writes it with one flush and waits until the socket has taken it. A reader that is slow holds
neither the run nor memory, one that goes away is forgotten, and the run goes on.

The framing is what the strictest client can parse (azure-ai-agents): LF only, one ``event:`` and
one ``data:`` line per record, no comments. ``id:`` lines are sent only where resuming is possible,
comments only to those who ask for them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

import anyio
import anyio.lowlevel
from tornado.http1connection import HTTP1Connection
from tornado.iostream import StreamClosedError

from ..errors import CodeInterpreterError
from ..events import Event
from ..quiet import trace
from .base import BaseHandler
from .errors import error_reply

CONTENT_TYPE = "text/event-stream; charset=utf-8"
KEEP_ALIVE = ": keep-alive\n\n"

# A reader far behind gets its backlog in pieces of about this size.
_PIECE_CHARS = 256 * 1024

Render = Callable[[Event], tuple[str, str] | None]
"""Name and data of an event as this client is to get it; None: nothing for this client."""


def record(name: str, data: str, seq: int | None = None) -> str:
    """One event on the wire; *seq* is sent as its id."""
    head = f"id: {seq}\n" if seq is not None else ""
    return f"{head}event: {name}\ndata: {data}\n\n"


class EventStream:
    """Answers one request with the events of a run that come after number *after*.

    *render* is shown those before, too. The stream ends where the run is over, or waits for the
    caller. A *resumable* one carries numbers, and goes on if the run has gone on meanwhile.
    """

    def __init__(
        self,
        handler: BaseHandler,
        render: Render,
        *,
        after: int = 0,
        resumable: bool = False,
        keep_alive: float | None = None,
    ) -> None:
        self._handler = handler
        self._render = render
        self._after = after
        self._resumable = resumable
        self._keep_alive = keep_alive
        self._writing = asyncio.Lock()
        self._last_write = anyio.current_time()
        self._scope = anyio.CancelScope()

    def disconnected(self) -> None:
        """The client is gone: stop waiting for events on its behalf."""
        self._scope.cancel()

    async def send(self, batches: AsyncGenerator[Sequence[Event], None], first: str) -> None:
        """Send *first* as it is, then the events of *batches*, then ``done``.

        Ends early when the client goes away, or takes nothing for longer than it may.
        """
        handler = self._handler
        handler.set_header("Content-Type", CONTENT_TYPE)
        handler.set_header("Cache-Control", "no-cache")
        handler.set_header("X-Accel-Buffering", "no")
        handler.stamp()
        connection = handler.request.connection
        if isinstance(connection, HTTP1Connection):
            # Else a piece waits until the client has confirmed the one before, up to 40 ms.
            connection.stream.set_nodelay(True)
        with self._scope:
            async with aclosing(batches), anyio.create_task_group() as group:
                if self._keep_alive is not None:
                    group.start_soon(self._comment, self._keep_alive)
                await self._write(first)
                await self._follow(batches)
                group.cancel_scope.cancel()
            handler.finish(set_content_type=CONTENT_TYPE)

    async def _follow(self, batches: AsyncGenerator[Sequence[Event], None]) -> None:
        try:
            async for batch in batches:
                if await self._batch(batch):
                    break
        except CodeInterpreterError as error:
            await self._error(error)
        except Exception as error:
            self._handler.log.error(
                "%s: stream broke off: %s", self._handler.request_id, trace(error)
            )
            await self._error(error)
        else:
            await self._write(record("done", "[DONE]"))

    async def _batch(self, batch: Sequence[Event]) -> bool:
        """Write *batch*; true when the stream ends here."""
        text, size, ended = [], 0, False
        for event in batch:
            rendered = self._render(event)
            if rendered is not None and event.seq > self._after:
                text.append(record(*rendered, event.seq if self._resumable else None))
                size += len(rendered[1])
            ended = event.seq > self._after and event.name == "thread.run.requires_action"
            if ended and not self._resumable:
                break
            if size > _PIECE_CHARS:
                await self._write("".join(text))
                text, size = [], 0
        await self._write("".join(text))
        return ended

    async def _error(self, error: Exception) -> None:
        body = error_reply(error, self._handler.request_id).body()
        await self._write(record("error", json.dumps(body)))

    async def _write(self, text: str) -> None:
        async with self._writing:
            try:
                if text:
                    self._handler.write(text)
                flushed = self._handler.flush()
                if not flushed.done():
                    with anyio.fail_after(self._handler.api.stall):
                        await flushed
                flushed.result()
            except (StreamClosedError, TimeoutError):
                self._handler.hang_up()
                self._scope.cancel()
                await anyio.lowlevel.checkpoint()
            self._last_write = anyio.current_time()

    async def _comment(self, seconds: float) -> None:
        while True:
            idle = anyio.current_time() - self._last_write
            if idle >= seconds:
                await self._write(KEEP_ALIVE)
                idle = 0.0
            await anyio.sleep(seconds - idle)
