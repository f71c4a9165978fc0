"""The probes of the benchmark family "peers": they get through where nothing isolates, and not into ours."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest

from benchmarks.peers.catalogue import HERE, PEERS
from benchmarks.peers.probes import ISOLATES, PROBES, Bait, Probe, try_all, verdict
from benchmarks.peers.sessions import Driven, PeerFailed, Ran
from tests.sandbox.conftest import require
from tests.sandbox.harness import kernel

# Not 3 GiB on whatever machine runs the tests; and one way to try each: pandas is not imported.
TRIED = [
    Probe(each.id, each.title, each.ways[:1], each.got_through, each.boundary)
    for each in PROBES
    if each.id != "memory"
]

EXEC = f"""
import contextlib, io, sys
sys.path.insert(0, {str(HERE / "drivers")!r})
from serve import Executor, serve

class Exec(Executor):
    def run(self, code):
        with contextlib.redirect_stdout(io.StringIO()) as said:
            exec(code, {{}})
        return said.getvalue(), b""

serve(Exec())
"""


def driven(bait: Bait, script: str) -> Driven:
    driver = bait.secret.parent / "driver.py"
    driver.write_text(script)
    return Driven(Path(sys.executable), driver, driver.parent, bait.environment)


@contextmanager
def unprotected(bait: Bait) -> Iterator[Driven]:
    session = driven(bait, EXEC)
    try:
        yield session
    finally:
        session.sweep()


class Sandboxed:
    """A kernel of ours, without a server."""

    def __init__(self) -> None:
        self._loop, self._stack = asyncio.new_event_loop(), AsyncExitStack()
        self._kernel = self._loop.run_until_complete(self._stack.enter_async_context(kernel()))

    def run(self, code: str) -> Ran:
        answer = self._loop.run_until_complete(self._kernel.run(code))
        return Ran(0, answer.text, len(answer.text), error=answer.error)

    def draw(self) -> Ran:
        return self.run("")

    def memory(self) -> float:
        return 0.0

    def end(self) -> None:
        if not self._loop.is_closed():
            self._loop.run_until_complete(self._stack.aclose())
            self._loop.close()


@contextmanager
def sandboxed() -> Iterator[Sandboxed]:
    session = Sandboxed()
    try:
        yield session
    finally:
        session.end()


@contextmanager
def baited(folder: Path, patience: float) -> Iterator[Bait]:
    bait = Bait(folder / "home", patience)
    try:
        yield bait
    finally:
        bait.close()


def test_they_get_through_where_nothing_isolates(tmp_path: Path) -> None:
    with baited(tmp_path, 0.0) as bait:
        held = try_all(lambda: unprotected(bait), bait, TRIED)
    assert held == {probe.id: False for probe in TRIED}
    assert verdict(held) == "does not isolate"


def test_none_gets_through_from_a_session_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require(2)
    with baited(tmp_path, 30.0) as bait:
        for name, value in bait.environment.items():
            monkeypatch.setenv(name, value)
        held = try_all(sandboxed, bait, TRIED)
    assert held == {probe.id: True for probe in TRIED}
    assert verdict(held) == ISOLATES


def test_the_verdict_names_what_is_open() -> None:
    held = {probe.id: probe.id not in ("reads", "memory") for probe in PROBES}
    assert verdict(held) == "isolates in part, open: reads"


def test_a_peer_that_ends_is_told_of_by_its_last_words(tmp_path: Path) -> None:
    with baited(tmp_path, 0.0) as bait, pytest.raises(PeerFailed, match="no such library"):
        driven(bait, "raise SystemExit('no such library')")


def test_every_peer_has_a_driver_and_a_version() -> None:
    for peer in PEERS:
        assert peer.driver.is_file()
        assert peer.version
