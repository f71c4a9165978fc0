"""The start and the end of every little HTTP server of the tests."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseRequestHandler
from types import TracebackType
from typing import Any, TypeVar

L = TypeVar("L", bound="Loopback")


class Handler(BaseHTTPRequestHandler):
    """Answers one request; ``server.owner`` is the `Loopback` it belongs to."""

    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


class Server(ThreadingHTTPServer):
    """Has a thread for each connection, none of which is waited for."""

    daemon_threads = True
    block_on_close = False
    owner: Any

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class Loopback:
    """A server on a free port of this machine, on threads of its own; a context manager.

    So it serves any test: with or without an event loop, or clients in other processes.
    """

    def __init__(self, handler: type[BaseRequestHandler]) -> None:
        self._server = Server(("127.0.0.1", 0), handler)
        self._server.owner = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    @property
    def root(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self: L) -> L:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
