"""Requests as bytes, over a socket: nothing is escaped, checked or mended on the way out.

Every request has an end: one that is not answered within `SECONDS` is a finding, not a wait.
"""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.conformance.server import TOKEN

SECONDS = 90.0
"""How long an answer may take. Most take milliseconds; others use this machine, too."""

Header = tuple[str, str | bytes]


class Unanswered(Exception):
    """No answer came, or not to its end, within `SECONDS`."""


class HungUp(Exception):
    """The server closed the connection without an answer."""


@dataclass(frozen=True)
class Request:
    """One request; *headers* come after the standard ones, and replace those of the same name.

    *body* None sends no length. *chunks* sends the body in so many chunks instead.
    """

    method: str
    path: str
    body: bytes | None = None
    headers: Sequence[Header] = ()
    chunks: int = 0

    def spelled(self, host: str, root: str) -> bytes:
        """The request on the wire, to *host*, whose paths begin with *root*."""
        standard: dict[str, str | bytes] = {"Host": host, "Authorization": f"Bearer {TOKEN}"}
        if self.body is not None:
            standard["Content-Type"] = "application/json"
        given = {name.lower() for name, _ in self.headers}
        headers = [(n, v) for n, v in standard.items() if n.lower() not in given]
        body = self.body or b""
        if self.chunks:
            headers.append(("Transfer-Encoding", "chunked"))
            body = chunked(body, self.chunks)
        elif self.body is not None and "content-length" not in given:
            headers.append(("Content-Length", str(len(body))))
        lines = [f"{self.method} {root}{self.path} HTTP/1.1".encode("utf-8", "surrogateescape")]
        for name, value in [*headers, *self.headers]:
            encoded = value if isinstance(value, bytes) else value.encode("utf-8", "replace")
            lines.append(name.encode() + b": " + encoded)
        return b"\r\n".join(lines) + b"\r\n\r\n" + body


@dataclass(frozen=True)
class Reply:
    """What was answered; *headers* have names in lower case."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Line:
    """Asks one server, over one connection as long as that lasts."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._address = (parts.hostname, parts.port)
        self._root = parts.path
        self._socket: socket.socket | None = None

    def ask(self, request: Request) -> Reply:
        """The answer; raises `Unanswered` and `HungUp`."""
        return self.send(self.spelled(request))

    def spelled(self, request: Request) -> bytes:
        """*request* as it is sent to this server."""
        return request.spelled(f"{self._address[0]}:{self._address[1]}", self._root)

    def send(self, data: bytes, *, end: bool = False) -> Reply:
        """The answer to *data*; with *end* nothing more will be sent. Raises as `ask`."""
        reused = self._socket is not None
        try:
            return self._exchange(data, end)
        except HungUp:
            if not reused:
                raise
        return self._exchange(data, end)  # the server may close a connection between two requests

    def open(self, request: Request) -> socket.socket:
        """A connection of its own on which *request* was sent; the caller reads and closes it."""
        connection = socket.create_connection(self._address, SECONDS)
        connection.sendall(self.spelled(request))
        return connection

    def close(self) -> None:
        """Hang up; the next request opens another connection."""
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()

    def _exchange(self, data: bytes, end: bool) -> Reply:
        if self._socket is None:
            self._socket = socket.create_connection(self._address, SECONDS)
        connection = self._socket
        connection.settimeout(SECONDS)
        until = time.monotonic() + SECONDS
        try:
            try:
                connection.sendall(data)
                if end:
                    connection.shutdown(socket.SHUT_WR)
            except TimeoutError:
                raise
            except OSError:
                pass  # it may have answered, and closed, before it has read all
            reply = http.client.HTTPResponse(connection)
            reply.begin()
            body = reply.read()
        except TimeoutError:
            self.close()
            raise Unanswered from None
        except (http.client.HTTPException, ConnectionError) as error:
            self.close()
            raise HungUp(repr(error)) from None
        if time.monotonic() > until:
            self.close()
            raise Unanswered
        if reply.will_close or end:
            self.close()
        headers = {name.lower(): value for name, value in reply.getheaders()}
        return Reply(reply.status, headers, body)


def chunked(body: bytes, count: int) -> bytes:
    """*body* in about *count* chunks."""
    size = max(1, len(body) // max(1, count))
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
