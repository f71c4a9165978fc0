"""What is there when nothing happens: start-up, idle memory and processor, memory of sessions."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from jupyter_ci_ext.store.database import Store
from jupyter_ci_ext.wire.thread import Thread

from .kernel import bare_kernel
from .measure import Result, Target, adds_at_most, at_most, interleaved
from .rest import STORE
from .server import Server, jupyter, new_thread
from .startup import start_once
from .upstream import Upstream

STARTS = 3
THREADS = 1000
IDLE_SECONDS = 3.0
SESSIONS = 3
OFF = "--ServerApp.jpserver_extensions={'jupyter_ci_ext': False}"
MB = 10**6


def measure() -> Iterator[Result]:
    """Start-up first, while nothing else of ours runs."""
    yield from _start_up()
    yield from _idle()
    yield from _sessions()


def _start_up() -> Iterator[Result]:
    without_us = "without the extension"
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = Path(folder)
        on, off = interleaved(
            STARTS,
            lambda: start_once(home, True)[1] * 1000,
            lambda: start_once(home, False)[1] * 1000,
        )
    yield Result(
        "processor time of the server's start, to the first answer",
        "ms",
        on,
        off,
        without_us,
        at_most(1.05),
    )


def _idle() -> Iterator[Result]:
    with jupyter("", before=_seed) as server, jupyter("", OFF) as plain:
        for each in (server, plain):
            each.client("/api")("GET", "/status")
        without_us = "without the extension"
        target = Target("difference", 30)
        what = f"server's memory, idle, {THREADS} threads stored"
        ours, base = _pss(server.process), _pss(plain.process)
        yield Result(f"{what}, before its first use", "MB", [ours], [base], without_us, target)
        if len(server.client()("GET", "/threads?limit=100")["data"]) != 100:
            raise RuntimeError("the threads were not stored")
        ours, base = _pss(server.process), _pss(plain.process)
        yield Result(f"{what}, after its first use", "MB", [ours], [base], without_us, target)
        ours, base = (_busy(each.process) for each in (server, plain))
        yield Result(
            "server's processor, idle after its first use",
            "% cpu",
            [ours],
            [base],
            without_us,
            adds_at_most(0.5),
        )


def _sessions() -> Iterator[Result]:
    with Upstream() as upstream, jupyter(upstream.url, "--SessionPool.warm_spares=0") as server:
        assistant = server.assistant()
        _open(server, assistant)  # what the first one alone brings up does not count
        before = _tree(server.process)
        for _ in range(SESSIONS):
            _open(server, assistant)
        ours = (_tree(server.process) - before) / SESSIONS
    bare = []
    with bare_kernel() as first, bare_kernel() as second:
        for kernel in (first, second):
            kernel.execute("1+1")
        bare = [_tree(psutil.Process(k.manager.provisioner.pid)) for k in (first, second)]
    yield Result(
        "memory of a further idle session, its processes and its share of the server's",
        "MB",
        [ours],
        bare,
        "bare ipykernel",
        at_most(1.1),
        "proportional set size",
    )


def _open(server: Server, assistant: str) -> None:
    client = server.client()
    thread = new_thread(client)
    client.ask(thread, code="1+1")
    for name, data in client.events(f"/threads/{thread}/runs", {"assistant_id": assistant}):
        if name == "thread.run.failed":
            raise RuntimeError(data)


def _pss(process: psutil.Process) -> float:
    """Megabytes, pages that are shared counted by share."""
    return float(process.memory_full_info().pss) / MB


def _tree(process: psutil.Process) -> float:
    return sum(_pss(each) for each in (process, *process.children(recursive=True)))


def _busy(process: psutil.Process) -> float:
    """Percent of one processor over a few seconds."""
    before = process.cpu_times()
    time.sleep(IDLE_SECONDS)
    after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    return used / IDLE_SECONDS * 100


def _seed(directory: Path) -> None:
    asyncio.run(_fill(directory / STORE))


async def _fill(data_dir: Path) -> None:
    store = await Store.open(data_dir)
    async with store.transaction() as tx:
        for number in range(THREADS):
            title = {"title": f"Thread {number}"}
            await tx.threads.insert(
                Thread(id=f"thread_{number}", created_at=number, metadata=title)
            )
    await store.close()
