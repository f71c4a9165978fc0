"""From the model's token to the client's event: what we add, and how much goes through."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .measure import Measure, Result, adds_at_most, at_least, interleaved, percentile
from .server import STAMPED, Client, Server, asking, jupyter, new_thread
from .upstream import Upstream

ROUNDS = 3


@dataclass
class Heard:
    """One stream as its client saw it: seconds, and the age of each token in milliseconds."""

    seconds: float
    ages: list[float]


Listen = Callable[[int, float], Heard]


def measure() -> Iterator[Result]:
    """Latency of streams at a model's pace, throughput of streams without pause."""
    against = "directly on the upstream"
    with Upstream() as upstream, jupyter(upstream.url) as server:
        assistant = server.assistant()

        def through(tokens: int, delay: float) -> Heard:
            return _through(server, assistant, tokens, delay)

        def direct(tokens: int, delay: float) -> Heard:
            return _direct(upstream.url, tokens, delay)

        for streams, tokens, delay in ((1, 200, 0.01), (20, 60, 0.05)):
            ours, bare = _ages(streams, tokens, delay, through, direct)
            what = f"{streams} stream{'s' * (streams > 1)}, a token every {delay * 1000:g} ms each"
            for name, share, limit in (("p50", 0.5, 1.0), ("p99", 0.99, 10.0)):
                yield Result(
                    f"model token → client event, {name}, {what}",
                    "ms",
                    [percentile(each, share) for each in ours],
                    [percentile(each, share) for each in bare],
                    against,
                    adds_at_most(limit),
                )
        for streams, tokens, least in ((1, 6000, 0.8), (20, 2000, 0.5)):
            rates = interleaved(
                ROUNDS, *(_rate(streams, tokens, listen) for listen in (through, direct))
            )
            yield Result(
                f"tokens through {streams} stream{'s' * (streams > 1)}, the model without pause",
                "tokens/s",
                rates[0],
                rates[1],
                against,
                at_least(least),
            )
        rates = interleaved(1, *(_paced_rate(listen) for listen in (through, direct)), warm_up=0)
        yield Result(
            "tokens through 20 streams, the model at 100 tokens/s each",
            "tokens/s",
            rates[0],
            rates[1],
            against,
            at_least(0.8),
        )


def _ages(streams: int, tokens: int, delay: float, *listens: Listen) -> list[list[list[float]]]:
    """Of each of *listens*, the ages of all tokens, round by round."""
    ages: list[list[list[float]]] = [[] for _ in listens]

    def taking(listen: Listen, into: list[list[float]]) -> Measure:
        def measure() -> float:
            all_heard = _at_once(streams, tokens, delay, listen)
            into.append([age for heard in all_heard for age in heard.ages])
            return percentile(into[-1], 0.5)

        return measure

    interleaved(ROUNDS, *(taking(*each) for each in zip(listens, ages, strict=True)))
    return [each[1:] for each in ages]  # without the warm-up


def _rate(streams: int, tokens: int, listen: Listen) -> Measure:
    def measure() -> float:
        heard = _at_once(streams, tokens, 0, listen)
        return streams * tokens / max(each.seconds for each in heard)

    return measure


def _paced_rate(listen: Listen) -> Measure:
    def measure() -> float:
        heard = _at_once(20, 300, 0.01, listen)
        return 20 * 300 / max(each.seconds for each in heard)

    return measure


def _at_once(streams: int, tokens: int, delay: float, listen: Listen) -> list[Heard]:
    heard: list[Heard] = []
    threads = [
        threading.Thread(target=lambda: heard.append(listen(tokens, delay))) for _ in range(streams)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(heard) != streams:
        raise RuntimeError("a stream broke off")
    return heard


def _through(server: Server, assistant: str, tokens: int, delay: float) -> Heard:
    client = server.client()
    thread = new_thread(client)
    client.ask(thread, tokens=tokens, delay=delay)
    return _listen(client, f"/threads/{thread}/runs", {"assistant_id": assistant}, tokens)


def _direct(url: str, tokens: int, delay: float) -> Heard:
    body = {"model": "scripted", "messages": [asking(tokens=tokens, delay=delay)]}
    return _listen(Client(url), "/chat/completions", body, tokens)


def _listen(client: Client, path: str, body: dict[str, Any], tokens: int) -> Heard:
    """Read what comes, as it comes; the answer is repeated whole at the end, which is not read."""
    began = time.perf_counter()
    response = client.open("POST", path, json.dumps({**body, "stream": True}).encode())
    ages: list[float] = []
    rest = b""
    while len(ages) < tokens and (piece := response.read1(1 << 18)):
        now = time.monotonic_ns()
        text = rest + piece
        end = 0
        for found in STAMPED.finditer(text):
            ages.append((now - int(found[0])) / 1e6)
            end = found.end()
        rest = text[max(end, len(text) - 18) :]
    seconds = time.perf_counter() - began
    response.read()
    client.close()
    if len(ages) < tokens:
        raise RuntimeError(f"{len(ages)} of {tokens} tokens came")
    return Heard(seconds, ages[:tokens])
