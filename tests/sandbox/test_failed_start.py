"""A start that fails leaves nothing, wherever it fails."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jupyter_client.manager
import pytest
import zmq.asyncio
from jupyter_client.ioloop import AsyncIOLoopKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from jupyter_ci_ext.errors import SandboxUnavailable
from jupyter_ci_ext.kernels import launcher
from jupyter_ci_ext.sandbox import (
    attest,
    bubblewrap,
    cgroups,
    confined,
    monitor,
    mounts,
    process,
    provisioner,
    rundir,
    start,
    users,
)

from .conftest import require
from .soak import Host
from .traces import Watch, watched


class Fault(Exception):
    """What is raised where nothing was expected to be."""


def broken(after: int = 0, error: Exception | None = None) -> Callable[..., Any]:
    """A function that raises; the first ``after`` calls it lets pass without doing anything."""
    calls = iter(range(after))

    def fail(*_: Any, **__: Any) -> None:
        if next(calls, None) is None:
            raise error or Fault("broken")

    return fail


_NO_SPACE = OSError(28, "No space left on device")
_NO_FILES = OSError(24, "Too many open files")

# What breaks: the owner of the function and its name, beside a word for it. In the order of a start.
_FAULTS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "the probe": (provisioner, "probe", broken()),
    "the sweep": (rundir, "sweep", broken()),
    "the switch of buffering": (provisioner.buffering, "forgo", broken()),
    "the sockets' folder": (tempfile, "mkdtemp", broken(error=_NO_SPACE)),
    "the folder's lock": (rundir.fcntl, "flock", broken(error=_NO_FILES)),
    "the transport": (zmq.asyncio, "Context", broken(error=_NO_FILES)),
    "the choice of a user": (users, "throw_away", broken()),
    "the connection file": (jupyter_client.manager.KernelManager, "write_connection_file", broken(error=_NO_SPACE)),
    "the end of pre_launch": (LocalProvisioner, "pre_launch", broken()),
    "the interpreter": (mounts, "discover", broken(error=SandboxUnavailable("gone"))),
    "the first socket": (socket.socket, "bind", broken(error=_NO_SPACE)),
    "the third socket": (socket.socket, "listen", broken(2, _NO_FILES)),
    "the pipes": (start.os, "pipe", broken(error=_NO_FILES)),
    "the configuration": (start.Build, "_config", broken()),
    "the process": (subprocess, "Popen", broken(error=OSError(11, "Resource temporarily unavailable"))),
    "the call of the process": (subprocess, "Popen", broken()),
    "the control group": (cgroups, "admit", broken()),
    "the report": (process.Sandboxed, "_report", broken()),
    "the check of the report": (attest, "shortcomings", broken()),
    "a report that falls short": (attest, "shortcomings", lambda *_: ["nothing holds"]),
    "the description": (attest, "isolation", broken()),
    "the watchdog": (process, "Monitor", broken(error=_NO_FILES)),
    "the watchdog's thread": (monitor.threading.Thread, "start", broken(error=RuntimeError("can't start new thread"))),
    "the kernel manager's reconciliation": (jupyter_client.manager.KernelManager, "_reconcile_connection_info", broken()),
    "the kernel manager's restarter": (AsyncIOLoopKernelManager, "start_restarter", broken()),
    "the kernel manager's socket": (jupyter_client.manager.KernelManager, "_connect_control_socket", broken(error=_NO_FILES)),
    "the end of launch": (provisioner.SandboxProvisioner, "post_launch", broken()),
}  # fmt: skip
_AT_LEVEL_3 = {
    "the arguments": (bubblewrap, "arguments", broken()),
    "the kernel's number": (process.Sandboxed, "_first_child", broken()),
}
_AT_LEVEL_2 = {
    "the room": (confined.Room, "make", broken(error=_NO_SPACE)),
    "the rules": (confined, "rules", broken()),
}
_FEW = {"the process", "the report", "the watchdog's thread", "the end of launch", "the first socket"}  # fmt: skip


async def start_on(server: Host) -> launcher.Kernel:
    return await server.launcher.start(server.launch())


@asynccontextmanager
async def host(folder: Path, level: int = 3) -> AsyncIterator[tuple[Host, Watch]]:
    """A host that has run a kernel, so that whatever is made once is there."""
    require(level)
    made = Host(folder, level)
    await (await start_on(made)).stop()
    with watched(made.known) as watch:
        yield made, watch


async def test_a_first_start(level: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = {name: fault for name, fault in _FAULTS.items() if name in _FEW}
    faults = _FAULTS | _AT_LEVEL_3 if level == 3 else few | _AT_LEVEL_2
    async with host(tmp_path, level) as (server, watch):
        for name, fault in faults.items():
            with monkeypatch.context() as patch:
                patch.setattr(*fault, raising=False)
                with pytest.raises(SandboxUnavailable):
                    await start_on(server)
            assert await watch.left_by_now() == [], name
        # nor is anything in the way of the next one
        assert server.launch().workspace.is_dir()
        kernel = await start_on(server)
        assert await kernel.alive()
        await kernel.stop()
        assert await watch.left_by_now() == []


async def test_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with host(tmp_path) as (server, watch):
        for name in ("the interpreter", "the connection file", *sorted(_FEW)):
            kernel = await start_on(server)
            with monkeypatch.context() as patch:
                patch.setattr(*_FAULTS[name], raising=False)
                with pytest.raises(Exception, match=r"broken|No space|temporarily|thread|gone"):
                    await kernel.restart()
            await kernel.stop()
            del kernel
            assert await watch.left_by_now() == [], name


async def test_a_workspace_that_vanishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with host(tmp_path) as (server, watch):

        def vanish(level: int) -> None:
            shutil.rmtree(server.workspaces / "workspace")

        with monkeypatch.context() as patch:
            patch.setattr(users, "throw_away", vanish)
            with pytest.raises(SandboxUnavailable):
                await start_on(server)
        assert await watch.left_by_now() == []


async def test_a_start_that_is_broken_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled while the inside is about to report: neither a kernel nor a thread goes on."""
    async with host(tmp_path) as (server, watch):
        reporting = asyncio.Event()
        loop = asyncio.get_running_loop()
        report = process.Sandboxed._report

        def slow(self: process.Sandboxed, deadline: float) -> dict[str, Any]:
            loop.call_soon_threadsafe(reporting.set)
            return report(self, deadline)

        monkeypatch.setattr(process.Sandboxed, "_report", slow)
        starting = asyncio.create_task(
            server.manager.start_kernel(kernel_name="code-interpreter", sandbox=server.launch())
        )  # fmt: skip
        await reporting.wait()
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert await watch.left_by_now() == []


@pytest.mark.parametrize("fails", [False, True])
async def test_a_start_that_the_server_leaves_pending(
    fails: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with host(tmp_path) as (server, watch):
        server.manager.use_pending_kernels = True
        if fails:
            monkeypatch.setattr(process.Sandboxed, "_report", broken())
            with pytest.raises(SandboxUnavailable, match="broken"):
                await start_on(server)
        else:
            kernel = await start_on(server)
            assert kernel.isolation["level"] == 3
            await kernel.stop()
        assert await watch.left_by_now() == []
