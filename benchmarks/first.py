"""The first result of code on a new thread, against starting a bare kernel and executing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from .kernel import bare_kernel
from .measure import Measure, Result, Target, at_most, interleaved
from .server import Server, asking, is_code_result, jupyter
from .upstream import Upstream

ROUNDS = 3
PLAIN = "print(6 * 7)"
IMPORTS = "import pandas, matplotlib.pyplot\nprint(pandas.__name__)"


def measure() -> Iterator[Result]:
    """With a warm spare and cold, plain and with the usual imports."""
    with (
        Upstream() as upstream,
        jupyter(upstream.url) as warm,
        jupyter(upstream.url, "--SessionPool.warm_spares=0") as cold,
    ):
        for code, what, spare, started in (
            (PLAIN, "first code result on a new thread", at_most(0.10), at_most(1.15)),
            (IMPORTS, "the same with `import pandas, matplotlib.pyplot`", at_most(0.35), None),
        ):
            yield from _compare(warm, cold, code, what, spare, started)


def _compare(
    warm: Server, cold: Server, code: str, what: str, spare: Target, started: Target | None
) -> Iterator[Result]:
    with_spare, without, bare = interleaved(
        ROUNDS, _first(warm, code, spares=1), _first(cold, code, spares=0), _bare(code)
    )
    against = "starting a bare ipykernel"
    yield Result(f"{what}, warm spare", "ms", with_spare, bare, against, spare)
    yield Result(f"{what}, cold and sandboxed", "ms", without, bare, against, started)


def _bare(code: str) -> Measure:
    def measure() -> float:
        began = time.perf_counter()
        with bare_kernel() as kernel:
            kernel.execute(code)
            return (time.perf_counter() - began) * 1000

    return measure


def _first(server: Server, code: str, *, spares: int) -> Measure:
    client, assistant = server.client(), server.assistant()
    body = {"assistant_id": assistant, "thread": {"messages": [asking(code=code)]}}

    def measure() -> float:
        if spares and client("GET", "/threads")["data"]:
            server.wait_quiet(spares)
        result, thread = 0.0, ""
        began = time.perf_counter()
        for name, data in client.events("/threads/runs", body):
            if name == "thread.created":
                thread = json.loads(data)["id"]
            if is_code_result(name, data):
                result = time.perf_counter() - began
        client("DELETE", f"/threads/{thread}")
        if spares:
            server.wait_quiet(spares)
        return result * 1000

    return measure
