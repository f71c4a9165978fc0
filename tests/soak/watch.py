"""What a server holds: memory, descriptors, threads, processes below it; and what is left after it."""

from __future__ import annotations

import ctypes
import os
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.sandbox.traces import descendants

MB = 10**6
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Held:
    """A look at a server's process. Memory in bytes: ``private`` are pages that no other has."""

    at: float
    resident: int
    private: int
    descriptors: int
    """But for connections to the model server, which are kept a while for a next request."""
    threads: int
    processes: int
    """Those below it: sandboxes and what runs in them."""
    zombies: int


class Watched:
    """The server with the process number *pid*, whose model server has the port *upstream*."""

    def __init__(self, pid: int, upstream: int) -> None:
        self._process = psutil.Process(pid)
        self._upstream = upstream

    def held(self) -> Held:
        """Look at it."""
        process = self._process
        memory = process.memory_full_info()
        below = [state for _, _, state in descendants(process.pid)]
        ports = [each.raddr.port for each in process.net_connections("tcp4") if each.raddr]
        return Held(
            time.monotonic(),
            memory.rss,
            memory.uss,
            process.num_fds() - ports.count(self._upstream),
            process.num_threads(),
            len(below),
            below.count("Z"),
        )

    @property
    def zombies(self) -> int:
        """How many ended processes below it wait for somebody to take note."""
        return [state for _, _, state in descendants(self._process.pid)].count("Z")


class Sampler:
    """Looks at a server every so many *seconds* on a thread of its own; a context manager."""

    def __init__(self, watched: Watched, seconds: float) -> None:
        self.samples: list[Held] = []
        self._watched = watched
        self._seconds = seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(self._seconds):
            self.samples.append(self._watched.held())


def slope(samples: Sequence[tuple[float, float]]) -> float:
    """How much the second value grows per unit of the first: the median of all pairs' slopes.

    0 of fewer than two samples. Single peaks do not move it (Theil and Sen).
    """
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for n, earlier in enumerate(samples)
        for later in samples[n + 1 :]
        if later[0] > earlier[0]
    ]
    return statistics.median(slopes) if slopes else 0.0


def eventually(holds: Callable[[], bool], seconds: float = 60) -> bool:
    """Whether it holds within that time."""
    until = time.monotonic() + seconds
    while not (found := holds()) and time.monotonic() < until:
        time.sleep(0.1)
    return found


class Leavings:
    """What a server could leave behind, as long as nobody else uses the temporary folder *tmp*.

    Orphans of processes below this one come to it from now on, and cannot hide.
    """

    def __init__(self, tmp: Path, runtime: Path, *known: int) -> None:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._tmp = tmp
        self._runtime = runtime
        self._known = set(known)

    def now(self) -> list[str]:
        """What is there now that must not be once the server has gone."""
        self._bury()
        names = [
            f"process {pid} {name} ({state})"
            for pid, name, state in descendants(os.getpid())
            if pid not in self._known
        ]
        for pattern in ("jci-*", "*/jci-*"):
            names += [f"run directory {path}" for path in self._tmp.glob(pattern)]
        names += [f"connection file {path.name}" for path in self._runtime.glob("kernel-*")]
        names += [f"mount {line}" for line in _lines("/proc/self/mountinfo") if self._ours(line)]
        names += [f"socket {line}" for line in _lines("/proc/net/unix") if self._ours(line)]
        return names

    def after_a_while(self) -> list[str]:
        """What is still there after everything had time to go."""
        eventually(lambda: not self.now())
        return self.now()

    def _ours(self, line: str) -> bool:
        return str(self._tmp) in line

    def _bury(self) -> None:
        for pid, _, state in list(descendants(os.getpid())):
            if state == "Z" and pid not in self._known:
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    continue


def _lines(path: str) -> list[str]:
    return Path(path).read_text("utf-8", "replace").splitlines()
