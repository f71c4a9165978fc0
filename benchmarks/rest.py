"""Plain requests, against Jupyter Server's own; and whether a long thread makes them dearer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from jupyter_ci_ext.store.database import Store
from jupyter_ci_ext.wire.content import Text, TextContent
from jupyter_ci_ext.wire.message import Message
from jupyter_ci_ext.wire.thread import Thread

from .measure import Measure, Result, at_least, at_most, interleaved
from .server import jupyter

ROUNDS = 9
REQUESTS = 20
"""Requests in a row that are timed together."""

SHORT, LONG = "thread_short", "thread_long"
MESSAGES = {SHORT: 100, LONG: 10_000}
STORE = Path("data/code-interpreter/default")
"""Below a server's directory."""


def measure() -> Iterator[Result]:
    """Requests a second, one after the other on one connection."""
    with jupyter(before=_seed) as server:
        ours, own = server.client(), server.client("/api")

        def rate(method: str, path: str, body: dict[str, str] | None = None) -> Measure:
            return _rate(lambda: ours.open(method, path, body).read())

        status = _rate(lambda: own.open("GET", "/status").read())
        contents = _rate(lambda: own.open("GET", "/contents").read())
        message = {"role": "user", "content": "What is in the file?"}
        of_100 = "/threads/{}/messages?limit=100"
        measures = (
            status,
            contents,
            rate("GET", f"/threads/{LONG}"),
            rate("POST", f"/threads/{LONG}/messages", message),
            rate("GET", of_100.format(LONG)),
            rate("GET", of_100.format(SHORT)),
            rate("GET", of_100.format(LONG) + "&after=msg_long_5000"),
        )
        status_rate, contents_rate, get, post, listed, short, middle = interleaved(
            ROUNDS, *measures
        )
    half = at_least(0.5)
    for name, base in (("`GET /api/status`", status_rate), ("`GET /api/contents`", contents_rate)):
        yield Result("`GET` thread of 10 000 messages", "requests/s", get, base, name, half)
        yield Result("`POST` message to it", "requests/s", post, base, name, half)
        yield Result("list of its 100 newest messages", "requests/s", listed, base, name, half)
    flat = "in a thread of 100"
    yield Result(
        "time of a list of 100 messages in a thread of 10 000, newest",
        "ms",
        [1000 / each for each in listed],
        [1000 / each for each in short],
        flat,
        at_most(1.2),
    )
    yield Result(
        "the same from its middle",
        "ms",
        [1000 / each for each in middle],
        [1000 / each for each in short],
        flat,
        at_most(1.2),
    )


def _rate(work: Callable[[], object]) -> Measure:
    def measure() -> float:
        began = time.perf_counter()
        for _ in range(REQUESTS):
            work()
        return REQUESTS / (time.perf_counter() - began)

    return measure


def _seed(directory: Path) -> None:
    asyncio.run(_fill(directory / STORE))


async def _fill(data_dir: Path) -> None:
    store = await Store.open(data_dir)
    for thread, count in MESSAGES.items():
        async with store.transaction() as tx:
            await tx.threads.insert(Thread(id=thread, created_at=1))
            for number in range(count):
                text = TextContent(text=Text(value=f"Message {number}: " + "some words " * 12))
                await tx.messages.insert(
                    Message(
                        id=f"{thread.replace('thread', 'msg')}_{number}",
                        created_at=1 + number,
                        thread_id=thread,
                        role="user",
                        content=[text],
                    )
                )
    await store.close()
