"""The same code inside the sandbox and outside: it times itself.

Each piece takes about a second, so that what the server does in the moment of its start, on the same processors, does
not count as slowness of the sandbox.
"""

from __future__ import annotations

from collections.abc import Iterator

from .kernel import BareKernel, bare_kernel
from .measure import Measure, Result, at_most, interleaved
from .server import Client, jupyter, new_thread
from .upstream import Upstream

ROUNDS = 7

TIMED = """
import time as _time
{prepare}
_began = _time.perf_counter()
{work}
print("took", _time.perf_counter() - _began, "seconds")
"""

WORK = {
    "numpy matmul": (
        "import numpy; a = numpy.ones((1200, 1200))",
        "for _ in range(30): a @ a",
    ),
    "pandas group-by": (
        "import numpy, pandas\n"
        "k = numpy.arange(2_000_000) * 7919 % 1000\n"
        "d = pandas.DataFrame({'k': k, 'v': k * 0.5})",
        "for _ in range(35): d.groupby('k').v.mean()",
    ),
    "pure Python loop": ("", "n = 0\nfor i in range(16_000_000): n += i % 7"),
}


def measure() -> Iterator[Result]:
    """One row per kind of work."""
    with (
        Upstream() as upstream,
        jupyter(upstream.url, "--SessionPool.warm_spares=0") as server,
        bare_kernel() as kernel,
    ):
        client, assistant = server.client(), server.assistant()
        for name, (prepare, work) in WORK.items():
            code = TIMED.format(prepare=prepare, work=work)
            inside, outside = interleaved(
                ROUNDS, _inside(client, assistant, code), _outside(kernel, code)
            )
            yield Result(f"{name} in the sandbox", "ms", inside, outside, "outside", at_most(1.03))


def _inside(client: Client, assistant: str, code: str) -> Measure:
    thread = new_thread(client)

    def measure() -> float:
        client.ask(thread, code=code)
        said = ""
        for name, data in client.events(f"/threads/{thread}/runs", {"assistant_id": assistant}):
            if name == "thread.run.step.completed" and b"took " in data:
                said = data.rpartition(b"took ")[2].decode()
        return float(said.split()[0]) * 1000

    return measure


def _outside(kernel: BareKernel, code: str) -> Measure:
    return lambda: float(kernel.execute(code).split()[1]) * 1000
