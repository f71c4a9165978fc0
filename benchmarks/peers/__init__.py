"""Other programs that run a model's Python and install from PyPI, beside ours, and what each of them isolates.

Every peer is used as its documentation says, from a program of its own that has imported it before any clock
starts. Ours is used through the whole API: message, run, scripted model, code, events, download.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

from tests.conformance import environments
from tests.conformance.environments import EnvironmentFailed

from ..measure import Result, Table, Unit, at_most
from ..report import figure
from ..server import Server, jupyter
from ..upstream import Upstream
from .catalogue import HERE, PEERS, Peer
from .probes import ISOLATES, KEY_VARIABLE, PROBES, Bait, affordable, try_all, verdict
from .sessions import Executor, PeerFailed, our_executor, peer_executor

ROUNDS = 3
CELLS = 5
CELL_SECONDS = 2.0
TRIES = 3
OURS, COLD = "ours", "ours, no warm spare"
CASES: dict[str, tuple[str, Unit]] = {
    "start": ("new session to first result of `print(6 * 7)`", "ms"),
    "imports": ("the same with `import pandas, matplotlib.pyplot`", "ms"),
    "cell": ("cell `1+1`", "ms"),
    "print": ("cell that prints 1 MB", "ms"),
    "picture": ("cell that draws a chart, its PNG fetched", "ms"),
    "memory": ("memory of an idle session", "MB"),
}
IMPORTS = "import pandas, matplotlib.pyplot\nprint('pandas', len(pandas.DataFrame([1, 2])))"
PRINT = "for _ in range(10_000):\n    print('x' * 99)"

WORDS = {True: "no", False: "**yes**", None: "not tried"}

Samples = Mapping[str, Mapping[str, list[float]]]
Held = Mapping[str, Mapping[str, bool]]


def measure() -> Iterator[Result | Table]:
    """Every case of every peer that runs here, then two small tables."""
    with ExitStack() as stack:
        upstream = stack.enter_context(Upstream())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        executors: dict[str, Executor] = {}
        baits: dict[str, Bait] = {}
        for name, spares in ((OURS, 1), (COLD, 0)):
            server, baits[name] = _our_server(stack, upstream.url, spares)
            executors[name] = our_executor(server, spares)
        failed: dict[str, str] = {}
        for peer, python in _environments(folder):
            if isinstance(python, EnvironmentFailed):
                failed[peer.name] = _last_line(python)
                continue
            bait = baits[peer.name] = Bait(folder / peer.id)
            stack.callback(bait.close)
            executors[peer.name] = peer_executor(peer, python, folder / peer.id, bait.environment)
        samples = _rounds(executors, failed)
        probes = affordable()
        held = {name: try_all(executors[name], baits[name], probes) for name in samples}
    yield from _results(samples, held)
    yield _medians(samples, held, failed)
    yield _reached(held)


def _our_server(stack: ExitStack, upstream: str, spares: int) -> tuple[Server, Bait]:
    baits: list[Bait] = []

    def before(directory: Path) -> None:
        baits.append(Bait(directory / "home"))
        os.environ.update(baits[0].environment)

    option = f"--SessionPool.warm_spares={spares}"
    server = stack.enter_context(jupyter(upstream, option, before=before))
    os.environ.pop(KEY_VARIABLE)
    stack.callback(baits[0].close)
    return server, baits[0]


def _environments(home: Path) -> list[tuple[Peer, Path | EnvironmentFailed]]:
    """Where each peer's Python is, or why there is none; what is missing is installed, two at a time."""

    def built(peer: Peer) -> tuple[Peer, Path | EnvironmentFailed]:
        try:
            python = environments.python(peer.id, HERE / "requirements")
        except EnvironmentFailed as failure:
            return peer, failure
        # What is installed is not compiled, and who isolates may not do it later: it would each time.
        subprocess.run(
            [str(python), "-c", "import pandas, matplotlib.pyplot"],
            env={"HOME": str(home)},
            stderr=subprocess.DEVNULL,
            timeout=300,
            check=False,
        )
        return peer, python

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(built, PEERS))


def _rounds(executors: Mapping[str, Executor], failed: dict[str, str]) -> Samples:
    """The samples of all rounds but the first, which warms up; who fails is out, and why is noted."""
    samples: dict[str, dict[str, list[float]]] = {}
    for number in range(-1, ROUNDS):
        order = list(executors) if number % 2 else list(reversed(executors))
        for name in (each for each in order if each not in failed):
            try:
                found = _patiently(executors[name])
            except PeerFailed as failure:
                failed[name] = _last_line(failure)
                samples.pop(name, None)
                continue
            print(f"  {name}, round {number}", file=sys.stderr, flush=True)
            if number >= 0:
                for case, values in found.items():
                    samples.setdefault(name, {}).setdefault(case, []).extend(values)
    return {name: samples[name] for name in executors if name in samples}


def _patiently(executor: Executor) -> dict[str, list[float]]:
    """A `_round`; one peer loses what it is to print now and then, so it may try again."""
    for _ in range(TRIES - 1):
        with suppress(PeerFailed):
            return _round(executor)
    return _round(executor)


def _round(executor: Executor) -> dict[str, list[float]]:
    """One of each case, in two sessions; what a peer cannot do is left out."""
    found: dict[str, list[float]] = {}
    with executor() as session:
        first = session.run("print(6 * 7)")
        if "42" not in first.text:
            raise PeerFailed(first.error or f"it printed {first.text!r}")
        found["start"] = [first.seconds * 1000]
        found["memory"] = [session.memory()]
        session.run("1+1")
        until = time.monotonic() + CELL_SECONDS
        found["cell"] = [session.run("1+1").seconds * 1000]
        while len(found["cell"]) < CELLS and time.monotonic() < until:
            found["cell"].append(session.run("1+1").seconds * 1000)
        printed = session.run(PRINT)
        if printed.length >= 999_000:  # one peer loses a line now and then
            found["print"] = [printed.seconds * 1000]
        if session.draw().image and (drawn := session.draw()).image:
            found["picture"] = [drawn.seconds * 1000]
    with executor() as session:
        imported = session.run(IMPORTS)
        if "pandas 2" in imported.text:
            found["imports"] = [imported.seconds * 1000]
    return found


def _results(samples: Samples, held: Held) -> Iterator[Result]:
    for case, (title, unit) in CASES.items():
        for peer in PEERS:
            theirs = samples.get(peer.name, {})
            if case in theirs:
                word = verdict(held[peer.name])
                # Who cannot import what the job needs does another one.
                rival = word == ISOLATES and "imports" in theirs
                yield Result(
                    title,
                    unit,
                    samples[OURS][case],
                    theirs[case],
                    peer.name,
                    at_most(1.0) if rival else None,
                    word if "imports" in theirs else f"{word}, has no packages",
                )


def _medians(samples: Samples, held: Held, failed: Mapping[str, str]) -> Table:
    about = {peer.name: (peer.version, peer.runs) for peer in PEERS}
    rows = []
    for name, cases in samples.items():
        version, runs = about.get(name, ("", "kernel in a sandbox, through the whole API"))
        figures = [
            figure(statistics.median(cases[case]), unit) if case in cases else "–"
            for case, (_, unit) in CASES.items()
        ]
        rows.append((f"{name} {version}".strip(), runs, *figures, verdict(held[name])))
    blank = ("–",) * (len(CASES) + 1)
    rows += [(name, f"not run: {why}", *blank) for name, why in failed.items()]
    titles = (title for title, _ in CASES.values())
    return Table(
        "Beside other executors: medians",
        ("executor", "runs code in", *titles, "measured"),
        rows,
    )


def _reached(held: Held) -> Table:
    rows = [(name, *(WORDS[of.get(probe.id)] for probe in PROBES)) for name, of in held.items()]
    return Table(
        "What the code of a session reached", ("executor", *(p.title for p in PROBES)), rows
    )


def _last_line(failure: Exception) -> str:
    lines = [line.strip() for line in str(failure).splitlines() if line.strip()]
    return (lines or [type(failure).__name__])[-1][:200].replace("|", "/")
