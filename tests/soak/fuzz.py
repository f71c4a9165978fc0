"""Fuzzing: a real server, a real model server and real kernel sockets are sent what nobody should send.

    python -m tests.soak.fuzz [--cases 20000] [--seconds 420] [--seed 1] [--only forms …]

Claimed, and looked at: no answer is a server error, every refusal is the API's error object, every
request is answered, every stream adds up, whatever a kernel says each execution ends. Afterwards the
server still runs code, has let go of memory and descriptors, has logged no traceback, lists all that
it has taken, and its database is sound. Prints the counts as a table; ends with 1 if anything is wrong.
The same seed makes the same cases.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

from tests.conformance.server import LiveServer
from tests.soak.fuzzing import forms, kernels, requests, streams
from tests.soak.fuzzing.aftermath import Aftermath, left_behind
from tests.soak.fuzzing.upstream import GarbageUpstream, garbage
from tests.soak.fuzzing.world import Tally, World

Make = Callable[[Random, int], Tally]
"""Makes that many cases of a kind."""

OPTIONS = (
    "--ModelProvider.local_discovery=False",
    "--ModelProvider.retries=0",
    "--SessionPool.preload=[]",
    "--SessionPool.warm_spares=0",
)
PORTIONS = 20
"""Of each kind; between two of them one looks at the clock."""

KINDS: dict[str, tuple[float, float]] = {
    "bodies": (0.32, 0.26),
    "queries": (0.17, 0.10),
    "headers": (0.13, 0.08),
    "lines": (0.08, 0.07),
    "forms": (0.15, 0.13),
    "resumes": (0.04, 0.04),
    "cuts": (0.01, 0.06),
    "garbage": (0.03, 0.10),
    "kernels": (0.07, 0.16),
}
"""The kinds of cases, their share of all cases and, where that runs short, of the time."""


@dataclass
class Outcome:
    """What came of everything: the cases by kind, and what was found afterwards."""

    tallies: list[Tally] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    memory: tuple[int, int] = (0, 0)
    descriptors: tuple[int, int] = (0, 0)
    seconds: float = 0.0

    @property
    def findings(self) -> list[str]:
        """Everything that is not as claimed."""
        return [f"{t.kind}: {fault}" for t in self.tallies for fault in t.wrong] + self.after

    def table(self) -> str:
        """The counts as Markdown."""
        rows = [(t.cases, t.taken, t.refused, t.hung_up, len(t.wrong)) for t in self.tallies]
        names = [*(tally.kind for tally in self.tallies), "together"]
        rows.append(tuple(map(sum, zip(*rows, strict=True))))  # type: ignore[arg-type]
        lines = ["| what is fuzzed | cases | taken | refused | closed | wrong |"]
        lines.append("| --- " + "| ---: " * 5 + "|")
        for name, figures in zip(names, rows, strict=True):
            lines.append(f"| {name} | " + " | ".join(map(str, figures)) + " |")
        return "\n".join(lines)

    def words(self) -> str:
        """What the server held before and after."""
        before, after = (f"{size / 2**20:.0f}" for size in self.memory)
        return (
            f"{self.seconds:.0f} s. The server's memory: {before} MiB before, {after} MiB after; its "
            f"descriptors: {self.descriptors[0]} before, {self.descriptors[1]} after."
        )


def fuzz(cases: int, seconds: float, seed: int, only: Sequence[str] = tuple(KINDS)) -> Outcome:
    """Make about *cases* cases of the kinds *only*, or as many as *seconds* allow."""
    outcome, began = Outcome(), time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        with GarbageUpstream() as model, LiveServer(Path(folder), model.url, *OPTIONS) as server:
            world = World(server)
            world.begin()
            patient = Aftermath(world, server)
            kinds = _kinds(world, model)
            left = sum(KINDS[kind][1] for kind in only)
            for kind in only:
                of_cases, of_time = KINDS[kind]
                share = (began + seconds - time.monotonic()) * of_time / left
                left -= of_time
                count = max(1, round(cases * of_cases))
                outcome.tallies.append(portions(kinds[kind], f"{seed} {kind}", count, share))
            model.queue.clear()
            outcome.after += patient.look()
            outcome.memory, outcome.descriptors = patient.memory, patient.descriptors
        outcome.after += left_behind(server)
    outcome.seconds = time.monotonic() - began
    return outcome


def _kinds(world: World, model: GarbageUpstream) -> dict[str, Make]:
    return {
        "bodies": partial(requests.bodies, world),
        "queries": partial(requests.queries, world),
        "headers": partial(requests.headers, world),
        "lines": partial(requests.lines, world),
        "forms": partial(forms.forms, world),
        "resumes": partial(streams.resumes, world),
        "cuts": partial(streams.cuts, world, model),
        "garbage": partial(garbage, world, model),
        "kernels": kernels.kernels,
    }


def portions(make: Make, seed: str, count: int, seconds: float) -> Tally:
    """*count* cases a portion after the other, as many as there is time for, one portion at least."""
    until, size = time.monotonic() + seconds, max(1, count // PORTIONS)
    tally = make(Random(f"{seed} 0"), min(size, count))
    for n in range(1, -(-count // size)):
        if time.monotonic() > until:
            break
        tally += make(Random(f"{seed} {n}"), min(size, count - n * size))
    return tally


def main(argv: Sequence[str] | None = None) -> int:
    """Fuzz as the options say; 1 where something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.fuzz")
    parser.add_argument("--cases", type=int, default=20_000, help="how many, all kinds together")
    parser.add_argument("--seconds", type=float, default=420, help="and for how long at most")
    parser.add_argument("--seed", type=int, default=1, help="the same one makes the same cases")
    parser.add_argument("--only", nargs="+", choices=tuple(KINDS), default=tuple(KINDS))
    given = parser.parse_args(argv)
    outcome = fuzz(given.cases, given.seconds, given.seed, given.only)
    print(f"Fuzzing, seed {given.seed}\n\n{outcome.table()}\n\n{outcome.words()}")
    for finding in outcome.findings:
        print(f"\nWRONG: {finding}")
    return 1 if outcome.findings else 0


if __name__ == "__main__":
    sys.exit(main())
