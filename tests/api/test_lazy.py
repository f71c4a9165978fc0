from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.routing import Router
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler, stream_request_body

from jupyter_ci_ext.api.lazy import LazyRouter
from jupyter_ci_ext.api.routing import HandlerRouter


class Told(RequestHandler):
    """Answers with what it was told at its construction."""

    def initialize(self, text: str, body: object) -> None:
        self.text = text

    def get(self) -> None:
        self.write(self.text)


class Length(RequestHandler):
    """Answers with the length of the body it was given, and whether that was all of it."""

    def initialize(self, body: object) -> None:
        self.meter = body

    def post(self) -> None:
        self.write(f"{len(self.request.body)} {self.meter.exceeded}")


@stream_request_body
class Counted(RequestHandler):
    """Counts a streamed body."""

    seen = 0

    def initialize(self, body: object) -> None:
        pass

    async def data_received(self, chunk: bytes) -> None:
        await asyncio.sleep(0)
        self.seen += len(chunk)

    def post(self) -> None:
        self.write(str(self.seen))


Fetch = Callable[..., Awaitable[HTTPResponse]]


@asynccontextmanager
async def serving(build: Callable[[Application], Awaitable[Router]]) -> AsyncIterator[Fetch]:
    application = Application()

    def failed(error: Exception) -> Router:
        return HandlerRouter(application, [(".*", Told, {"text": f"failed: {error}"})], 100)

    lazy = LazyRouter(lambda: build(application), failed)
    application.add_handlers(".*$", [("/lazy/.*", lazy)])
    socket, port = bind_unused_port()
    server = HTTPServer(application)
    server.add_socket(socket)

    async def fetch(path: str, **kwargs: object) -> HTTPResponse:
        client = AsyncHTTPClient(force_instance=True)
        try:
            return await client.fetch(f"http://127.0.0.1:{port}{path}", **kwargs)
        finally:
            client.close()

    try:
        yield fetch
    finally:
        await lazy.close()
        server.stop()
        await server.close_all_connections()


async def test_many_first_requests_make_one_attempt() -> None:
    attempts = 0

    async def slowly(application: Application) -> Router:
        nonlocal attempts
        attempts += 1
        await asyncio.sleep(0.05)
        return HandlerRouter(application, [(".*", Told, {"text": "there"})], 100)

    async with serving(slowly) as fetch:
        replies = await asyncio.gather(*[fetch("/lazy/x") for _ in range(5)])
        assert [reply.body for reply in replies] == [b"there"] * 5
        assert (await fetch("/lazy/y")).body == b"there"
    assert attempts == 1


async def test_a_failure_is_told_and_tried_again() -> None:
    attempts = 0

    async def at_the_second_time(application: Application) -> Router:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise RuntimeError("disk full")
        return HandlerRouter(application, [(".*", Told, {"text": "there"})], 100)

    async with serving(at_the_second_time) as fetch:
        assert (await fetch("/lazy/x")).body == b"failed: disk full"
        assert (await fetch("/lazy/x")).body == b"there"


async def test_a_streamed_body_waits_for_its_handler() -> None:
    async def slowly(application: Application) -> Router:
        await asyncio.sleep(0.05)
        return HandlerRouter(application, [(".*", Counted)], 100)

    async with serving(slowly) as fetch:
        reply = await fetch("/lazy/x", method="POST", body=b"x" * 300_000)
        assert reply.body == b"300000"


async def test_bodies_that_are_too_long_are_thrown_away_but_answered() -> None:
    async def at_once(application: Application) -> Router:
        return HandlerRouter(application, [(".*", Length)], 100)

    async with serving(at_once) as fetch:
        for size, answer in ((100, b"100 False"), (101, b"0 True"), (5_000_000, b"0 True")):
            assert (await fetch("/lazy/x", method="POST", body=b"x" * size)).body == answer


async def test_closing_gives_up_an_attempt() -> None:
    given_up = asyncio.Event()

    async def never(application: Application) -> Router:
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()
        raise AssertionError

    lazy = LazyRouter(
        lambda: never(Application()), lambda error: HandlerRouter(Application(), [], 1)
    )
    waiting = asyncio.ensure_future(lazy.ready())
    await asyncio.sleep(0.01)
    await lazy.close()
    assert given_up.is_set()
    assert (await asyncio.gather(waiting, return_exceptions=True))[
        0
    ].__class__ is asyncio.CancelledError
