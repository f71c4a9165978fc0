"""Nothing survives: not the session, not the server, not a start that was broken off."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_ci_ext.errors import SandboxUnavailable
from jupyter_ci_ext.sandbox import rundir
from jupyter_ci_ext.sandbox.policy import Launch

from .conftest import ROOT, require
from .harness import kernel

# A daemon that leaves its session and its parent: the hardest to find again.
_DAEMON = """
import os, subprocess
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp("sleep", ["sleep", "{seconds}"])
    os._exit(0)
os.wait()
print(subprocess.run(["pgrep", "-f", "sleep {seconds}"], capture_output=True, text=True).stdout or "started")
"""

_SERVER = """
import asyncio, sys
from tests.sandbox.harness import kernel

async def main():
    async with kernel(maximum_level={level}, minimum_level={level}) as running:
        await running.run({daemon!r})
        running.client.execute("import time; time.sleep(600)")
        print("running", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def marker() -> str:
    """An argument for sleep that nothing else on this host has."""
    return f"600.{uuid.uuid4().int % 10**12:012d}"


def alive(text: str) -> list[int]:
    """Processes with this text in their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if text.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def gone(text: str, seconds: float = 10) -> bool:
    return eventually(lambda: not alive(text), seconds)


def eventually(holds: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.02)
    return False


def test_daemons_go_with_the_session(level: int) -> None:
    seconds = marker()

    async def run() -> None:
        async with kernel(maximum_level=level, minimum_level=level) as running:
            await running.run(_DAEMON.format(seconds=seconds))
            assert alive(seconds)

    asyncio.run(run())
    assert gone(seconds)


def test_everything_goes_with_a_killed_server(level: int) -> None:
    seconds = marker()
    code = _SERVER.format(level=level, daemon=_DAEMON.format(seconds=seconds))
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"running\n"
        tree = descendants(server.pid)
        assert alive(seconds)
        assert len(tree) >= 3
        server.kill()
        server.wait()
    assert gone(seconds)
    deadline = time.monotonic() + 10
    while any(map(runs, tree)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(runs, tree))
    before = folders()
    rundir.sweep()  # as the next server does
    assert folders() < before


def descendants(pid: int) -> list[int]:
    answer = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    parents = [tuple(map(int, line.split())) for line in answer.stdout.splitlines()]
    found = [pid]
    for parent in found:
        found += [child for child, above in parents if above == parent]
    return found[1:]


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def folders() -> set[Path]:
    return {p for b in (rundir.socket_base(), rundir.data_base()) for p in b.glob("jci-*")}


@pytest.mark.parametrize(
    "code",
    [
        "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
        "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: time.sleep(1)",
        "import ctypes; ctypes.PyDLL(None).sleep(600)",
    ],
    ids=["stopped", "ignores interrupts", "holds the interpreter"],
)
def test_a_kernel_that_does_not_listen_can_be_killed(code: str, level: int) -> None:
    async def run() -> None:
        async with kernel(maximum_level=level, minimum_level=level) as running:
            running.client.execute(code)
            await asyncio.sleep(0.5)
            await running.provisioner.interrupt_tree()
            await asyncio.sleep(0.3)
            assert await running.provisioner.poll() is None
            await running.provisioner.kill()
            assert await running.ended(5) is None  # it was asked to go: no reason to give

    asyncio.run(run())


def test_interrupt_keeps_the_variables(level: int) -> None:
    async def run() -> None:
        async with kernel(maximum_level=level, minimum_level=level) as running:
            await running.run("x = 5")
            task = asyncio.create_task(running.run("import time\nwhile True: time.sleep(0.05)"))
            await asyncio.sleep(0.5)
            await running.manager.interrupt_kernel()
            assert "KeyboardInterrupt" in (await task).error
            assert (await running.run("print(x)")).text == "5\n"

    asyncio.run(run())


def test_restart_keeps_the_files(level: int) -> None:
    async def run() -> None:
        async with kernel(maximum_level=level, minimum_level=level) as running:
            await running.run("x = 5; open('kept', 'w').write('a')")
            await running.manager.restart_kernel(now=True)
            await running.client.wait_for_ready(timeout=30)
            assert "NameError" in (await running.run("x")).error
            answer = await running.run("open('kept', 'a').write('b'); print(open('kept').read())")
            assert answer.text == "ab\n"

    asyncio.run(run())


@pytest.mark.parametrize("sessions", [(3, 50), (2, 20)], ids=["level 3", "level 2"])
def test_nothing_is_left_after_many_sessions(sessions: tuple[int, int]) -> None:
    """Sessions that are killed at random moments, from the start of their start on."""
    level, number = sessions
    require(level)
    answer = subprocess.run(
        [sys.executable, "-m", "tests.sandbox.soak", str(number), str(level)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.stdout.endswith("nothing is left\n"), answer.stdout + answer.stderr[-3000:]
    assert answer.returncode == 0


def test_a_kernel_without_a_launch_has_a_workspace_of_its_own() -> None:
    require(3)

    async def run() -> set[Path]:
        from jupyter_client.manager import AsyncKernelManager

        manager = AsyncKernelManager(kernel_name="code-interpreter")
        before = folders()
        await manager.start_kernel()
        during = folders() - before
        assert any((folder / "data").is_dir() for folder in during)
        await manager.shutdown_kernel(now=True)
        return folders() & during

    assert asyncio.run(run()) == set()


def test_a_missing_workspace_is_said() -> None:
    require(3)

    async def run() -> None:
        from jupyter_client.manager import AsyncKernelManager

        manager = AsyncKernelManager(kernel_name="code-interpreter")
        with pytest.raises(SandboxUnavailable, match="no workspace folder"):
            await manager.start_kernel(sandbox=Launch(Path("/nonexistent/workspace")))

    asyncio.run(run())


def test_the_sockets_are_private(level: int) -> None:
    async def run() -> None:
        async with kernel(maximum_level=level, minimum_level=level) as running:
            assert running.manager.transport == "ipc"
            folder = Path(running.manager.ip).parent
            assert folder.stat().st_mode & 0o777 == 0o700
            assert len(str(folder / "s-1").encode()) < 100

    asyncio.run(run())


def test_a_session_is_not_restarted_behind_its_back() -> None:
    require(3)

    async def run() -> bool:
        async with kernel() as running:
            return bool(running.manager.autorestart)

    assert asyncio.run(run()) is False
