"""Bodies that come in large pieces, on connections that are used for more than one request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler, stream_request_body

from jupyter_ci_ext.api.routing import PIECE_BYTES, large_pieces

BODY = bytes(range(256)) * 8192


@stream_request_body
class Pieces(RequestHandler):
    """Answers with what it was read in, and how large the pieces were at most."""

    async def prepare(self) -> None:
        self.seen = bytearray()
        self.longest = 0
        self.reading = large_pieces(self.request)
        self.reading.__enter__()
        self.asked = self.limits()

    def limits(self) -> tuple[int, int]:
        connection = self.request.connection
        return connection.params.chunk_size, connection.stream.read_chunk_size

    def data_received(self, chunk: bytes) -> None:
        self.seen += chunk
        self.longest = max(self.longest, len(chunk))

    def post(self) -> None:
        self.reading.__exit__(None, None, None)
        right = self.seen == BODY and self.longest <= PIECE_BYTES
        self.write({"right": right, "asked": self.asked, "after": self.limits()[1]})


class Usual(RequestHandler):
    def get(self) -> None:
        connection = self.request.connection
        self.write({"usual": [connection.params.chunk_size, connection.stream.read_chunk_size]})


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    listening, port = bind_unused_port()
    server = HTTPServer(Application([("/pieces", Pieces), ("/usual", Usual)]))
    server.add_socket(listening)
    try:
        yield port
    finally:
        server.stop()
        await server.close_all_connections()


async def test_large_pieces_are_for_one_request_only() -> None:
    with anyio.fail_after(60):
        async with serving() as port:
            await pieces_and_usual(port)


async def pieces_and_usual(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    other_reader, other_writer = await asyncio.open_connection("127.0.0.1", port)

    async def ask(head: str, body: bytes = b"", *, other: bool = False) -> Any:
        to, answer = (other_writer, other_reader) if other else (writer, reader)
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        to.write(f"{head} HTTP/1.1\r\nHost: localhost\r\n{length}\r\n".encode() + body)
        await to.drain()
        header = await answer.readuntil(b"\r\n\r\n")
        size = int(header.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return json.loads(await answer.readexactly(size))

    usual = await ask("GET /usual")
    for _ in range(2):
        taken = await ask("POST /pieces", BODY)
        assert taken == {"right": True, "asked": [PIECE_BYTES] * 2, "after": usual["usual"][1]}
        assert await ask("GET /usual") == await ask("GET /usual", other=True) == usual
    writer.close()
    other_writer.close()
