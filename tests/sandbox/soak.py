"""``python -m tests.sandbox.soak [SESSIONS] [LEVEL] [SEED]``: sessions that end in every way, at random moments.

From the first moment of their start on, some are broken off, stopped, restarted, asked to go or end
themselves, while processes of all of them are killed from outside at random. Then nothing may be left:
no process, zombie, folder, socket, mount, control group, thread, descriptor, task, connection file.
Prints what is left, and exits with 1 if anything is.

It is a process of its own, so that orphans come to it and cannot hide, and so that what other servers and
tests on this host do is none of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from traitlets.config import Config

from jupyter_ci_ext.errors import CodeInterpreterError, SandboxUnavailable
from jupyter_ci_ext.kernels.launcher import Kernel, Launcher
from jupyter_ci_ext.sandbox.policy import Launch

from .traces import descendants, watched

SESSIONS = 100
_AT_ONCE = 8
_LONGEST = 0.8  # seconds that a session may have before its end comes
_BETWEEN_KILLS = 0.12
_PR_SET_CHILD_SUBREAPER = 36

# A daemon that leaves its session and its parent, and files, sockets, memory in the ways of the sandbox.
_CODE = """
import os, socket, tempfile
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp("sleep", ["sleep", "600"])
    os._exit(0)
os.wait()
open("file", "w").write("x" * 100_000)
left = tempfile.NamedTemporaryFile(delete=False)
pair = socket.socketpair()
"""


class Host:
    """A server's kernel manager, a launcher on it, and what it has on its books and its disk."""

    def __init__(self, folder: Path, level: int = 3) -> None:
        self.files = folder / "run"
        self.workspaces = folder / "workspaces"
        for path in (self.files, self.workspaces):
            path.mkdir(exist_ok=True)
        limits = {"maximum_level": level, "minimum_level": level, "watch_seconds": 0.05}
        self.manager = AsyncMappingKernelManager(
            config=Config({"Sandbox": limits}),
            connection_dir=str(self.files),
            kernel_spec_manager=KernelSpecManager(),
        )
        self.launcher = Launcher(self.manager, "code-interpreter")

    def launch(self, name: str = "workspace") -> Launch:
        """What a session asks for, with a workspace of this name."""
        workspace = self.workspaces / name
        workspace.mkdir(exist_ok=True)
        return Launch(workspace)

    def known(self) -> set[str]:
        """Connection files and kernels, such as are not ended."""
        names = [path.name for path in self.files.iterdir()]
        return {*names, *self.manager._kernels, *self.manager._pending_kernels}


class Soak:
    """So many sessions on one host, and how they ended."""

    def __init__(self, host: Host, seed: int) -> None:
        self.host = host
        self.ends: Counter[str] = Counter()
        self._chance = random.Random(seed)
        self._ways = [
            self._stopped,
            self._broken_off,
            self._asked,
            self._restarted,
            self._by_itself,
        ]

    async def run(self, sessions: int) -> None:
        """Run them, some at a time."""
        room = asyncio.Semaphore(_AT_ONCE)

        async def one(number: int) -> None:
            async with room:
                way = self._ways[number % len(self._ways)]
                try:
                    await way(self.host.launch(str(number)))
                    self.ends[way.__name__] += 1
                except CodeInterpreterError:
                    self.ends["killed from outside while it started"] += 1

        kills = asyncio.create_task(self._kill())
        await asyncio.gather(*(one(number) for number in range(sessions)))
        kills.cancel()
        await asyncio.wait({kills})

    async def _kill(self) -> None:
        """Kill a process of some session from outside, over and over."""
        while True:
            await asyncio.sleep(self._chance.random() * _BETWEEN_KILLS)
            inside = [pid for pid, _, state in descendants(os.getpid()) if state != "Z"]
            if inside:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._chance.choice(inside), signal.SIGKILL)
                    self.ends["kills from outside"] += 1

    async def _started(self, launch: Launch) -> Kernel:
        kernel = await self.host.launcher.start(launch)
        connection = kernel.connect()
        connection.execute(_CODE, lambda _: None)
        await self._pause()
        connection.close()
        return kernel

    async def _stopped(self, launch: Launch) -> None:
        kernel = await self._started(launch)
        await kernel.stop()

    async def _broken_off(self, launch: Launch) -> None:
        manager, kernel_id = self.host.manager, str(uuid.uuid4())
        starting = asyncio.create_task(
            manager.start_kernel(
                kernel_name="code-interpreter", kernel_id=kernel_id, sandbox=launch
            )
        )
        await self._pause()
        starting.cancel()
        await asyncio.wait({starting})
        if kernel_id in manager:  # all but its very last step was done
            await manager.shutdown_kernel(kernel_id, now=True)
        elif not starting.cancelled() and starting.exception():
            raise SandboxUnavailable(str(starting.exception()))

    async def _asked(self, launch: Launch) -> None:
        kernel = await self._started(launch)
        await self.host.manager.shutdown_kernel(kernel.id)
        await kernel.stop()

    async def _restarted(self, launch: Launch) -> None:
        kernel = await self._started(launch)
        with contextlib.suppress(CodeInterpreterError):
            await kernel.restart()
            await self._pause()
        await kernel.stop()

    async def _by_itself(self, launch: Launch) -> None:
        kernel = await self._started(launch)
        connection = kernel.connect()
        connection.execute("import os; os._exit(3)", lambda _: None)
        await self._pause()
        connection.close()
        await kernel.stop()

    async def _pause(self) -> None:
        await asyncio.sleep(self._chance.random() * _LONGEST)


async def soak(sessions: int, level: int, seed: int, folder: Path) -> list[str]:
    """Run it; what is left afterwards, an empty list being what is wanted."""
    started: set[int] = set()
    popen = subprocess.Popen.__init__

    def noted(self: subprocess.Popen[Any], *args: Any, **kwargs: Any) -> None:
        popen(self, *args, **kwargs)
        started.add(self.pid)

    host = Host(folder, level)
    kernel = await host.launcher.start(host.launch())  # what is made once is there now
    await kernel.stop()
    subprocess.Popen.__init__ = noted  # type: ignore[method-assign]
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with watched(host.known, adopted=lambda pid: pid not in started) as watch:
        run = Soak(host, seed)
        await run.run(sessions)
        left = await watch.left_by_now()
        print(", ".join(f"{count} {way.strip('_')}" for way, count in run.ends.items()))
        print(
            f"{len(set(watch.groups))} folders of control groups and {len(started)} processes were made"
        )
    return left


def main() -> int:
    sessions, level, seed = (*map(int, sys.argv[1:]), *(SESSIONS, 3, 7)[len(sys.argv) - 1 :])
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="t-") as folder:
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        os.environ.pop("XDG_RUNTIME_DIR", None)
        left = asyncio.run(soak(sessions, level, seed, Path(folder)))
    print("\n".join(left) or "nothing is left")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
