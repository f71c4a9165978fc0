"""From the url table to handlers, with a limit on every body that is read into memory.

tornado itself cuts the connection where a body is too long, or answers 400 without a word; behind a
proxy the client then sees a 502 or 503 and tries again. So what is too long is read to its end and
thrown away, and the handler answers in the API's shape.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any, Final

from jupyter_server.utils import url_path_join
from tornado.http1connection import HTTP1Connection
from tornado.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.iostream import SSLIOStream
from tornado.routing import RuleRouter
from tornado.web import Application, RequestHandler

API_ROOT: Final = "openai"
EXTENSION_ROOT: Final = "code-interpreter"

MOST_BODY_BYTES = 1 << 40
"""Above this tornado hangs up after all."""

PIECE_BYTES = 256 * 1024
"""As much as tornado takes before it gives others their turn."""


def address_pattern(base_url: str) -> str:
    """The pattern of every address that is ours."""
    return re.escape(url_path_join(base_url, "/")) + f"(?:{API_ROOT}|{EXTENSION_ROOT})(?:/.*)?"


class BodyMeter:
    """Counts a body; ``exceeded`` once it is longer than *limit* bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.seen = 0

    @property
    def exceeded(self) -> bool:
        """Whether the body is too long; then what was kept of it must not be used."""
        return self.seen > self.limit

    def add(self, chunk: bytes) -> None:
        """Count one more piece of the body."""
        self.seen += len(chunk)


def allow_long_body(request: HTTPServerRequest) -> None:
    """Leave it to the handler to refuse a long body; called before the first byte is read."""
    if isinstance(request.connection, HTTP1Connection):
        request.connection.set_max_body_size(MOST_BODY_BYTES)


@contextmanager
def large_pieces(request: HTTPServerRequest) -> Iterator[None]:
    """Have the body come in pieces of up to `PIECE_BYTES`, not of tornado's 64 KiB.

    Entered before the first byte is read. Each piece costs the same again, whatever its length.
    """
    connection = request.connection
    if not isinstance(connection, HTTP1Connection):
        yield
        return
    stream = connection.stream
    if isinstance(stream, SSLIOStream):
        yield  # TLS gives 16 KiB at a time, however much is asked for
        return
    usual = stream.read_chunk_size
    connection.params = copy(connection.params)  # all connections share them
    connection.params.chunk_size = stream.read_chunk_size = PIECE_BYTES
    try:
        yield
    finally:
        stream.read_chunk_size = usual


class HandlerRouter(RuleRouter):
    """Rules whose targets are handler classes of *application*, though not registered with it."""

    def __init__(self, application: Application, rules: list[Any], json_bytes: int) -> None:
        self._application = application
        self._json_bytes = json_bytes
        super().__init__(rules)

    def get_target_delegate(
        self, target: Any, request: HTTPServerRequest, **target_params: Any
    ) -> HTTPMessageDelegate | None:
        """Called by tornado for the rule that matched."""
        if not (isinstance(target, type) and issubclass(target, RequestHandler)):
            return super().get_target_delegate(target, request, **target_params)
        meter = BodyMeter(self._json_bytes)
        kwargs = {**target_params.pop("target_kwargs", {}), "body": meter}
        delegate = self._application.get_handler_delegate(
            request, target, target_kwargs=kwargs, **target_params
        )
        if getattr(target, "_stream_request_body", False):
            return delegate
        return _LimitedBody(delegate, request, meter)


class _LimitedBody(HTTPMessageDelegate):
    """Passes a body on to a handler as far as it may be long."""

    def __init__(
        self, delegate: HTTPMessageDelegate, request: HTTPServerRequest, meter: BodyMeter
    ) -> None:
        self._delegate = delegate
        self._request = request
        self._meter = meter

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        allow_long_body(self._request)
        return self._delegate.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self._meter.add(chunk)
        return None if self._meter.exceeded else self._delegate.data_received(chunk)

    def finish(self) -> None:
        self._delegate.finish()

    def on_connection_close(self) -> None:
        self._delegate.on_connection_close()
