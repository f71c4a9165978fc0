"""A cell through the whole API, the session warm, against the same cell on a bare kernel."""

from __future__ import annotations

import time
from collections.abc import Iterator

from .kernel import bare_kernel
from .measure import Result, adds_at_most, clocked, interleaved
from .server import STAMPED, is_code_result, jupyter, new_thread
from .upstream import Upstream

ROUNDS = 25
WARM_UP = 3


def measure() -> Iterator[Result]:
    """The whole run, and its code step alone."""
    with (
        Upstream() as upstream,
        jupyter(upstream.url, "--SessionPool.warm_spares=0") as server,
        bare_kernel() as kernel,
    ):
        client, assistant = server.client(), server.assistant()
        thread = new_thread(client)
        steps: list[float] = []

        def run() -> float:
            client.ask(thread, code="1+1")
            began, sent, stepped = time.perf_counter(), 0, len(steps)
            for name, data in client.events(f"/threads/{thread}/runs", {"assistant_id": assistant}):
                if not sent and name == "thread.run.step.delta" and (found := STAMPED.search(data)):
                    sent = int(found[0])
                if is_code_result(name, data):
                    steps.append((time.monotonic_ns() - sent) / 1e6)
            took = time.perf_counter() - began
            if len(steps) != stepped + 1:
                raise RuntimeError("the run did not execute its code")
            return took * 1000

        run()  # starts the session
        whole, bare = interleaved(
            ROUNDS, run, clocked(lambda: kernel.execute("1+1")), warm_up=WARM_UP
        )
    against = "bare ipykernel"
    yield Result(
        "cell `1+1`, run created → completed", "ms", whole, bare, against, adds_at_most(25)
    )
    yield Result(
        "code step alone, tool call sent by the model → step completed at the client",
        "ms",
        steps[-ROUNDS:],
        bare,
        against,
        adds_at_most(5),
    )
