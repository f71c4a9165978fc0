"""A router that is filled at the first request.

Bringing up the rooms behind the API costs imports (pydantic, aiosqlite, openai), a database and a
look at the host; `jupyter server` must not pay for that at its start. So one route is registered
for all of the API, and whoever comes first waits until the real router is there. Others that come
meanwhile wait for the same attempt; a failed attempt is told to all who waited for it, and the next
request makes a new one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tornado.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.routing import Router


class LazyRouter(Router):
    """Asks *build* for the real router once, and *fallback* for one that tells of a failure."""

    def __init__(
        self, build: Callable[[], Awaitable[Router]], fallback: Callable[[Exception], Router]
    ) -> None:
        self._build = build
        self._fallback = fallback
        self._router: Router | None = None
        self._attempt: asyncio.Task[Router] | None = None

    def find_handler(
        self, request: HTTPServerRequest, **_kwargs: Any
    ) -> HTTPMessageDelegate | None:
        """Called by tornado once the headers of a request are there."""
        if self._router is not None:
            return self._router.find_handler(request)
        return _Waiting(self, request)

    async def ready(self) -> Router:
        """The real router, or the one that tells why there is none."""
        if self._router is None:
            if self._attempt is None:
                self._attempt = asyncio.ensure_future(self._make())
            return await asyncio.shield(self._attempt)
        return self._router

    async def _make(self) -> Router:
        try:
            self._router = await self._build()
        except Exception as error:
            return self._fallback(error)
        else:
            return self._router
        finally:
            self._attempt = None

    async def close(self) -> None:
        """Give up an attempt that is under way; called when the server stops."""
        attempt = self._attempt
        if attempt is not None:
            attempt.cancel()
            await asyncio.wait([attempt])


class _Waiting(HTTPMessageDelegate):
    """Holds a request's body back until the real handler is known."""

    def __init__(self, lazy: LazyRouter, request: HTTPServerRequest) -> None:
        self._lazy = lazy
        self._request = request
        self._delegate: HTTPMessageDelegate | None = None

    async def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> None:
        router = await self._lazy.ready()
        self._delegate = router.find_handler(self._request)
        if self._delegate is not None:
            waiting = self._delegate.headers_received(start_line, headers)
            if waiting is not None:
                await waiting

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self._delegate.data_received(chunk) if self._delegate is not None else None

    def finish(self) -> None:
        if self._delegate is not None:
            self._delegate.finish()

    def on_connection_close(self) -> None:
        if self._delegate is not None:
            self._delegate.on_connection_close()
