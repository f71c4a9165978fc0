"""``python -m tests.soak.load [--seconds 600] [--clients 50] [--sessions N]``: many threads at once.

So many clients, each with a thread of its own, let code run one run after the other, for that long: some
answers at once, some compute, print much, write a file. Every run says whether the variable of the one
before is still there, and whether the file is; what it says is checked. Then nothing may be left.

What is claimed does not depend on the machine's speed: every run completes with the right result; while a
run waits, no other client is given a session more than twice; the server's memory does not grow; descriptors, kernels, processes, files of theirs are back where they were when all is over.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.conformance.server import LiveServer

from .client import Client, Refused
from .home import Claims, home, kernels
from .run import REMEMBER, Outcome, Wrong, ask, new_assistant, new_thread
from .watch import MB, Held, Sampler, Watched, eventually, slope

TURNS = 8
"""Runs of one thread; then it is deleted, and the client begins another."""
OVERTAKEN = 2
"""How often one other client may be given a session while a run waits: it was there before, and again
while the run's own kernel starts."""
GROWTH = 10 * MB
"""Private memory that the server may have more in the last quarter of the time than in the one before."""
LOOK_SECONDS = 0.25

_NOTE = """
import pathlib
note = pathlib.Path("/mnt/data/note.txt")
print("noted", note.read_text() if note.exists() else "nothing")
"""

_WORK = {
    "quick": "print(6 * 7 + {turn})",
    "computing": "print(sum(n * n for n in range(2_000_000)) + {turn})",
    "printing": "for n in range(300):\n    print('line', n, 'of', {turn})",
    "writing": "print(note.write_text('turn {turn} ' * 500)); note.write_text('{turn}')\n"
    "pathlib.Path('result.csv').write_text('a,b\\n' * 100 + '{turn}\\n')",
}

_RESULT: dict[str, Callable[[int], str]] = {
    "quick": lambda turn: f"{42 + turn}",
    "computing": lambda turn: f"{sum(n * n for n in range(2_000_000)) + turn}",
    "printing": lambda turn: f"line 0 of {turn}\n",
    "writing": lambda turn: "",
}


@dataclass
class Talker:
    """One client: a thread of this process, and threads of the API, one after the other."""

    number: int
    url: str
    assistant: str
    until: float
    outcomes: list[Outcome] = field(default_factory=list)
    fresh: int = 0
    error: str = ""
    turns: int = TURNS

    def talk(self) -> None:
        """Until the time is over, then to the end of the run; at least one thread's runs."""
        client, chance = Client(self.url), random.Random(self.number)
        try:
            while time.monotonic() < self.until:
                self._converse(client, chance)
        except (Wrong, Refused, OSError) as error:
            self.error = f"client {self.number}, run {len(self.outcomes)}: {error!r}"
        finally:
            client.close()

    def _converse(self, client: Client, chance: random.Random) -> None:
        thread = new_thread(client)
        noted = "nothing"
        for turn in range(1, self.turns + 1):
            kind = chance.choice(list(_WORK))
            code = (REMEMBER + _NOTE + _WORK[kind]).format(turn=turn)
            found = ask(client, thread, self.assistant, code)
            self.outcomes.append(found)
            self._check(found, kind, turn, noted)
            if kind == "writing":
                noted = f"{turn}"
                self._check_file(client, found, turn)
            if time.monotonic() > self.until and len(self.outcomes) >= self.turns:
                break
        client("DELETE", f"/openai/v1/threads/{thread}")

    def _check(self, found: Outcome, kind: str, turn: int, noted: str) -> None:
        kept = f"kept {turn - 1}\n" in found.printed
        if turn > 1 and kept == found.fresh:
            raise Wrong(f"variables kept: {kept}, told that they are gone: {found.fresh}")
        if turn == 1 and (kept or "nothing kept" not in found.printed):
            raise Wrong(f"a new thread has variables: {found.printed!r}")
        self.fresh += found.fresh
        if f"\nnoted {noted}\n" not in found.printed:
            raise Wrong(f"the file had {noted!r}: {found.printed!r}")
        if _RESULT[kind](turn) not in found.printed:
            raise Wrong(f"{kind}: {found.printed!r}")
        if kind == "printing" and f"line 299 of {turn}\n" not in found.printed:
            raise Wrong(f"lines are missing: {found.printed!r}")

    def _check_file(self, client: Client, found: Outcome, turn: int) -> None:
        contents = [client.content(f"/openai/v1/files/{id}/content") for id in found.files]
        if (b"a,b\n" * 100 + b"%d\n" % turn) not in contents:
            raise Wrong(f"the file is not among {contents!r}")


class Prober:
    """Asks Jupyter Server for its status all the while; how long each answer took, in seconds."""

    def __init__(self, url: str) -> None:
        self.seconds: list[float] = []
        self.errors: list[str] = []
        self._client = Client(url)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._probe)

    def __enter__(self) -> Prober:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._client.close()

    def _probe(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            asked = time.monotonic()
            try:
                self._client("GET", "/api/status")
            except Refused as error:
                self.errors.append(str(error))
            self.seconds.append(time.monotonic() - asked)


def overtaken(runs: dict[int, list[Outcome]]) -> int:
    """The most often that one other client was given a session while a run waited for its own."""
    begins = {
        number: sorted(run.began for run in those if run.started) for number, those in runs.items()
    }
    most = 0
    for number, those in runs.items():
        for run in those:
            for other, moments in begins.items():
                if other != number:
                    between = bisect_left(moments, run.began) - bisect_right(moments, run.asked)
                    most = max(most, between)
    return most


def quiet(client: Client, watched: Watched, assistant: str) -> Held:
    """A look at the server once it has nothing to do: no session, no kernel but a spare."""
    thread = new_thread(client)
    ask(client, thread, assistant, "print('quiet')")
    client("DELETE", f"/openai/v1/threads/{thread}")
    eventually(lambda: kernels(client) == 1 and watched.zombies == 0)
    return watched.held()


def settled(client: Client, watched: Watched, assistant: str, before: Held) -> Held:
    """The same after all the work, given time until there is no more than *before*."""
    found = [quiet(client, watched, assistant)]

    def back() -> bool:
        found.append(watched.held())
        return (
            found[-1].descriptors <= before.descriptors and found[-1].processes <= before.processes
        )

    eventually(back)
    return found[-1]


def measure(
    live: LiveServer, watched: Watched, options: argparse.Namespace, claims: Claims
) -> list[tuple[str, object]]:
    """Load the server; the figures."""
    client = Client(live.url)
    assistant = new_assistant(client)
    before = quiet(client, watched, assistant)

    until = time.monotonic() + options.seconds
    talkers = [
        Talker(number, live.url, assistant, until, turns=options.turns)
        for number in range(options.clients)
    ]
    workers = [threading.Thread(target=talker.talk) for talker in talkers]
    began = time.monotonic()
    with Sampler(watched, max(0.5, options.seconds / 120)) as sampler, Prober(live.url) as prober:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    lasted = time.monotonic() - began
    after = settled(client, watched, assistant, before)

    runs = {talker.number: talker.outcomes for talker in talkers}
    every = [run for those in runs.values() for run in those]
    for talker in talkers:
        claims.hold(not talker.error, "every run completes with the right result", talker.error)
        claims.hold(bool(talker.outcomes), "every client has its turn", talker.number)
    if not every:
        return []
    claims.hold(not prober.errors, "Jupyter Server itself answers", prober.errors[:3])
    worst = overtaken(runs)
    claims.hold(worst <= OVERTAKEN, f"nobody is overtaken more than {OVERTAKEN} times", worst)
    claims.hold(kernels(client) <= 1, "no kernel but the spare is left", kernels(client))
    claims.hold(not client("GET", "/openai/v1/threads")["data"], "no thread is left")
    claims.hold(
        after.descriptors <= before.descriptors,
        "descriptors are as before",
        (before.descriptors, after.descriptors),
    )
    claims.hold(
        after.processes <= before.processes,
        "processes are as before",
        (before.processes, after.processes),
    )
    claims.hold(after.zombies == 0, "no zombie is left", after.zombies)
    samples = [each for each in sampler.samples if each.at < until]
    third, fourth = (_middle(_quarter(samples, n)) for n in (2, 3))
    claims.hold(
        fourth - third <= GROWTH,
        "memory does not grow",
        f"{third / MB:.1f} MB, then {fourth / MB:.1f} MB",
    )
    half = samples[len(samples) // 2 :]
    hourly = slope([(each.at, each.private) for each in half]) * 3600 / MB
    waits = sorted(run.waited for run in every)
    counts = [len(those) for those in runs.values()]
    answers = sorted(prober.seconds)
    client.close()
    return [
        ("clients, sessions at a time", f"{options.clients}, {options.sessions or 'default'}"),
        ("runs, all completed with the right result", len(every)),
        ("seconds until the last was over", f"{lasted:.0f}"),
        ("runs by client, fewest and most", f"{min(counts)}, {max(counts)}"),
        ("of them in a new session, and told so", sum(talker.fresh for talker in talkers)),
        (
            "from asking for the run to its code, median and longest",
            f"{statistics.median(waits):.1f} s, {waits[-1]:.1f} s",
        ),
        ("most sessions that one client was given while another waited", worst),
        ("GET /api/status meanwhile, p50", f"{_share(answers, 0.5) * 1000:.0f} ms"),
        ("GET /api/status meanwhile, p99", f"{_share(answers, 0.99) * 1000:.0f} ms"),
        (
            "server's private memory: before, third and fourth quarter, after",
            ", ".join(f"{each / MB:.0f}" for each in (before.private, third, fourth, after.private))
            + " MB",
        ),
        ("its slope in the second half", f"{hourly:+.1f} MB an hour"),
        (
            "descriptors: before, at most, after",
            f"{before.descriptors}, {max(e.descriptors for e in samples)}, {after.descriptors}",
        ),
        (
            "threads of the process: before, at most, after",
            f"{before.threads}, {max(e.threads for e in samples)}, {after.threads}",
        ),
        (
            "processes below it: before, at most, after",
            f"{before.processes}, {max(e.processes for e in samples)}, {after.processes}",
        ),
    ]


def _quarter(samples: list[Held], number: int) -> list[float]:
    size = max(1, len(samples) // 4)
    return [float(each.private) for each in samples[number * size :][:size]]


def _middle(values: list[float]) -> float:
    return statistics.median(values) if values else 0.0


def _share(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def main() -> int:
    """As the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.soak.load")
    parser.add_argument("--seconds", type=float, default=600.0, help="how long, 600")
    parser.add_argument("--clients", type=int, default=50, help="how many at once, 50")
    parser.add_argument("--turns", type=int, default=TURNS, help=f"runs of a thread, {TURNS}")
    parser.add_argument("--sessions", type=int, default=0, help="c.SessionPool.max_sessions")
    options = parser.parse_args()
    flags = [f"--SessionPool.max_sessions={options.sessions}"] if options.sessions else []
    claims = Claims()
    rows: list[tuple[str, object]] = []
    with home() as place:
        with place.server(*flags) as live:
            rows = measure(live, place.watch(live), options, claims)
        left = place.leavings.after_a_while()
        claims.hold(not left, "nothing is left of the server", left)
        rows.append(("left after the server's end", len(left)))
        complaints = place.complaints()
        rows.append(("warnings and errors in its log", len(complaints)))
    return claims.report(("load", "found"), rows)


if __name__ == "__main__":
    sys.exit(main())
