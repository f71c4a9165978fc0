"""Sessions as they run in earnest: the kernelspec ``code-interpreter`` in its sandbox."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from traitlets.config import Config

from jupyter_ci_ext.errors import SandboxUnavailable
from jupyter_ci_ext.kernels.config import SessionPool
from jupyter_ci_ext.kernels.outputs import DisplayData, ErrorOutput, ExecutionEnd, StreamText
from jupyter_ci_ext.kernels.pool import Sessions
from jupyter_ci_ext.kernels.workspace import StagedFile
from jupyter_ci_ext.sandbox.config import Sandbox

from .plain import end_of, printed, run, until

Wait = Callable[[Any], Any]
LIMITS = {"execution_seconds": 30.0, "grace_seconds": 4.0, "memory": 512 << 20}
MODULES = ["json", "no_such_module_anywhere"]


@contextlib.asynccontextmanager
async def sandboxed_pool(
    folder: Path,
    sandbox: dict[str, Any] | None = None,
    root: Path | None = None,
    **config: Any,
) -> AsyncIterator[Sessions]:
    """A pool as the app makes it; no process of its kernels is left when it ends."""
    (folder / "run").mkdir(exist_ok=True)
    limits = LIMITS | (sandbox or {})
    manager = AsyncMappingKernelManager(
        config=Config({"Sandbox": limits}),
        connection_dir=str(folder / "run"),
        kernel_spec_manager=KernelSpecManager(),
    )
    sessions = Sessions(
        SessionPool(**({"warm_spares": 0} | config)),
        Sandbox(**limits),
        manager,
        folder / "workspaces",
        logging.getLogger("test"),
        root=root,
    )
    children = set(psutil.Process().children(recursive=True))
    await sessions.start()
    try:
        yield sessions
    finally:
        await sessions.stop()
    assert list(manager.list_kernel_ids()) == []
    left = set(psutil.Process().children(recursive=True)) - children
    # matplotlib's list of fonts may be under way, which ends by itself
    assert psutil.wait_procs(left, timeout=20)[1] == []


@pytest.fixture(scope="module")
def sessions(wait: Wait, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sessions]:
    stack = contextlib.AsyncExitStack()
    pool = wait(stack.enter_async_context(sandboxed_pool(tmp_path_factory.mktemp("sandboxed"))))

    async def first_use() -> None:
        async with pool.use("thread_a"):
            pass

    try:
        wait(first_use())
    except SandboxUnavailable as error:
        wait(stack.aclose())
        pytest.skip(error.message)
    yield pool
    wait(stack.aclose())


def test_a_session_says_what_surrounds_it(sessions: Sessions) -> None:
    info = sessions.get("thread_a")
    assert info is not None
    assert info.isolation["level"] >= 2
    assert info.usage["memory_limit_bytes"] == LIMITS["memory"]


def test_staged_files_are_the_code_s_to_read_and_to_change(
    sessions: Sessions, wait: Wait, tmp_path: Path
) -> None:
    (tmp_path / "blob").write_text("a,b\n1,2\n")
    (tmp_path / "blob").chmod(0o400)

    async def scenario() -> None:
        async with sessions.use("thread_a") as session:
            files = [StagedFile(f"file-{n}", "data.csv", tmp_path / "blob", 8) for n in (1, 2)]
            await session.stage(files)
            where = session.data_path
            text = await printed(session, f"print(open('{where}/file-2').read())")
            assert text == "a,b\n1,2\n\n"
            code = (
                f"open('{where}/data.csv', 'a').write('3,4\\n')\nimport os\n"
                "os.makedirs('out'); open('out/new.txt', 'w').write('new'); os.remove('data (2).csv')"
            )
            assert (await end_of(session, code)).status == "ok"
            new = {file.name: file for file in (await session.collect()).files}
            assert set(new) == {"data.csv", "out/new.txt"}
            assert new["data.csv"].replaces == "file-1"
            assert new["data.csv"].path.read_text() == "a,b\n1,2\n3,4\n"
            await session.stage(files)  # what was deleted comes back, and is writable
            code = f"open('{where}/file-2', 'a').write('5,6\\n')"
            assert (await end_of(session, code)).status == "ok"

    wait(scenario())


def test_what_hostile_code_leaves_is_not_followed(sessions: Sessions, wait: Wait) -> None:
    code = """
import os, socket
os.symlink('/etc/passwd', 'l1'); os.symlink('../../../..', 'l2'); os.symlink('/proc/self/environ', 'l3')
try: os.mkfifo('fifo')
except OSError: pass
try: socket.socket(socket.AF_UNIX).bind('socket')
except OSError: pass
open('a', 'w').write('a'); os.link('a', 'b')
open('sparse', 'wb').truncate(900 << 20)
open(b'bad\\xff<b>', 'w').write('x')
open('-rf', 'w').write('x')
os.mkdir('closed'); open('closed/x', 'w').write('x'); os.chmod('closed', 0)
"""

    async def scenario() -> None:
        async with sessions.use("thread_hostile") as session:
            assert (await end_of(session, code)).status == "ok"
            collected = await session.collect()
            names = {file.name for file in collected.files}
            assert names - {"closed/x"} == {"bad\ufffd<b>", "-rf"}
            assert sorted(note.split(" was")[0] for note in collected.notes) == ["a", "b", "sparse"]
            for name in ("l1", "l2", "l3", "fifo", "socket", "l2/etc/passwd"):
                assert session.open_file(name) is None
        await sessions.forget("thread_hostile")

    wait(scenario())


def test_memory_over_the_limit_is_named_and_the_run_goes_on(sessions: Sessions, wait: Wait) -> None:
    # Shared memory counts toward no limit of a process, only toward that of the whole sandbox.
    shared = "import mmap\nm = mmap.mmap(-1, 2 << 30)\nwhile True: m.write(b'x' * (1 << 20))"

    async def scenario() -> None:
        async with sessions.use("thread_a") as session:
            await run(session, "open('left.txt', 'w').write('left')\nbig = None")
            end = await end_of(session, "big = bytearray(4 << 30)")
            assert (end.status, end.kept) == ("error", True)
            end = await end_of(session, shared)
            assert (end.status, end.kept) == ("lost", False)
            assert "512 MiB" in end.reason
            assert end.reason.endswith("Variables are lost; files in /mnt/data are kept.")
            assert await printed(session, "print(open('left.txt').read())") == "left\n"
            assert session.fresh

    wait(scenario())


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os; os._exit(7)", "exit code 7"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("import ctypes; ctypes.string_at(0)", "segmentation fault"),
    ],
)
def test_a_kernel_that_dies_is_told_of_and_replaced(
    sessions: Sessions, wait: Wait, code: str, reason: str
) -> None:
    async def scenario() -> None:
        async with sessions.use("thread_a") as session:
            end = await end_of(session, code)
            assert (end.status, end.kept) == ("lost", False)
            assert reason in end.reason
            assert end.seconds < 10
            assert await printed(session, "print('here')") == "here\n"

    wait(scenario())


def test_code_that_cannot_be_interrupted_is_killed(sessions: Sessions, wait: Wait) -> None:
    async def scenario() -> None:
        async with sessions.use("thread_a") as session:
            code = (
                "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(60)"
            )
            running = asyncio.create_task(end_of(session, code))
            await until(lambda: session.info.state == "busy")
            await asyncio.sleep(0.3)
            await session.interrupt()
            end = await running
            assert (end.status, end.kept) == ("interrupted", False)
            assert await printed(session, "print('here')") == "here\n"

    wait(scenario())


def test_an_interrupt_keeps_the_variables(sessions: Sessions, wait: Wait) -> None:
    async def scenario() -> None:
        async with sessions.use("thread_a") as session:
            code = "kept = 5\nimport time\nprint('on', flush=True)\ntime.sleep(60)"
            async with contextlib.aclosing(session.execute(code)) as outputs:
                assert await anext(outputs) == StreamText("stdout", "on\n")
                await session.interrupt()
                rest = [output async for output in outputs]
            assert [type(output) for output in rest[:-1]] == [ErrorOutput]
            assert await printed(session, "print(kept)") == "5\n"

    wait(scenario())


FLOODS = {
    "many prints": "line = 'x' * 8191\nfor _ in range(36_000): print(line)",
    "one print": "print('x' * (100 << 20))",
    "around Python": "import os\nfor _ in range(60): os.write(1, b'x' * 1_000_000)",
    "a subprocess": "import subprocess; subprocess.run('yes | head -c 60000000', shell=True)",
    "a subprocess given stdout": "import subprocess, sys\n"
    "subprocess.run('yes | head -c 60000000', shell=True, stdout=sys.stdout)",
    "displays": "for _ in range(100): display({'text/html': 'x' * 3_000_000}, raw=True)",
    "one display": "display({'text/html': 'x' * (100 << 20)}, raw=True)",
}


@pytest.mark.parametrize("kind", FLOODS)
def test_floods_of_output_cost_the_server_little_memory(
    sessions: Sessions, wait: Wait, kind: str
) -> None:
    async def scenario() -> tuple[int, int]:
        async with sessions.use("thread_a") as session:
            await run(session, "kept = 6")
            before = max(psutil.Process().memory_info().rss, peak_rss())
            size = 0
            async with contextlib.aclosing(session.execute(FLOODS[kind])) as outputs:
                async for output in outputs:
                    if isinstance(output, ExecutionEnd):
                        assert output.status in ("ok", "error")  # neither lost nor out of time
                    if isinstance(output, StreamText):
                        size += len(output.text)
                    elif isinstance(output, DisplayData):
                        size += len(str(output.data))
            assert await printed(session, "print(kept)") == "6\n"
            return size, peak_rss() - before

    size, grown = wait(scenario())
    assert size < 70 << 20
    assert grown < 150 << 20


AROUND = {
    "os.write": "for n in range(40): os.write(1, b'%d' % n + b'x' * 1_000_000)\nos.write(1, b'the end')",
    "subprocess": "subprocess.run('echo 0; yes x | head -c 40000000; printf \"the end\"', shell=True)",
}


@pytest.mark.parametrize("how", AROUND)
def test_output_around_python_has_a_beginning_and_an_end(
    sessions: Sessions, wait: Wait, how: str
) -> None:
    async def scenario() -> None:
        async with sessions.use(f"thread_{how[:2]}") as session:
            text = await printed(session, f"import os, subprocess\n{AROUND[how]};")
            assert text.startswith("0")
            assert "bytes left out …]" in text
            assert "the end" in text[-20:]
            assert len(text) < 2 << 20

    wait(scenario())


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("for i in range(3000): open(f'f{i}', 'w').close()", "more than 2,000 files"),
        ("open('big', 'wb').write(bytes(20 << 20))", "take more than 10 MiB"),
    ],
)
def test_the_workspace_is_counted_before_the_end_is_told(
    wait: Wait, tmp_path: Path, code: str, words: str
) -> None:
    """However rarely it is looked at otherwise."""
    limits = {"watch_seconds": 60.0, "files": 2000, "disk": 10 << 20}

    async def scenario() -> None:
        async with (
            sandboxed_pool(tmp_path, limits) as sessions,
            sessions.use("thread_a") as session,
        ):
            end = await end_of(session, code)
            assert (end.status, end.kept) == ("lost", False)
            assert words in end.reason
            assert (await end_of(session, "import os\nfor f in os.listdir(): os.unlink(f)")).kept

    wait(scenario())


def test_what_others_do_with_a_kernel_counts_as_use(sessions: Sessions, wait: Wait) -> None:
    async def scenario() -> None:
        async with sessions.use("thread_console") as session:
            await printed(session, "x = 5")
        before = session.last_active
        assert session._kernel is not None
        console = session._kernel.connect()
        try:
            await console.wait_ready(30)
            console.execute("import time; time.sleep(0.2)", lambda _: None)
            await until(lambda: session.last_active > before + 0.2)
        finally:
            console.close()

    wait(scenario())


def test_figures_are_shown(sessions: Sessions, wait: Wait) -> None:
    pytest.importorskip("matplotlib")

    async def scenario() -> list[Any]:
        async with sessions.use("thread_figures") as session:
            return await run(
                session, "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"
            )

    outputs = wait(scenario())
    (figure,) = [output for output in outputs if isinstance(output, DisplayData)]
    assert "image/png" in figure.data
    assert outputs[-1].status == "ok"


def test_a_thread_goes_on_with_its_files_on_a_warm_spare(wait: Wait, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with sandboxed_pool(tmp_path, warm_spares=1, preload=MODULES) as sessions:
            async with sessions.use("thread_a") as session:
                code = (
                    "import os\nopen('mine.txt', 'w').write('1')\nos.makedirs('d/e')\n"
                    "open('d/e/deep.txt', 'w').write('1')\nos.chmod('d/e', 0o500)"
                )
                assert (await end_of(session, code)).status == "ok"
            await sessions.close("thread_a")
            await until(lambda: sessions._spares.ready == 1)
            async with sessions.use("thread_a") as session:
                assert session.fresh
                assert (
                    await printed(session, "import sys; print('json' in sys.modules)") == "True\n"
                )
                assert await printed(session, "print('_preload' in globals(), In)") != ""
                code = "open('mine.txt', 'a').write('2'); open('d/e/deep.txt', 'a').write('2')"
                assert (await end_of(session, code)).status == "ok"
                changed = {file.name: file.size for file in (await session.collect()).files}
                assert changed == {"mine.txt": 2, "d/e/deep.txt": 2}
            # The slot of a spare that nobody claimed goes with it.
            await until(lambda: sessions._spares.ready == 1)
            assert len(list((tmp_path / "workspaces" / "slots").iterdir())) == 2
        assert len(list((tmp_path / "workspaces" / "slots").iterdir())) == 1

    try:
        wait(scenario())
    except SandboxUnavailable as error:
        pytest.skip(error.message)


@pytest.mark.parametrize("spares", [0, 1])
def test_what_was_put_there_is_not_what_the_code_may_write(
    wait: Wait, tmp_path: Path, spares: int
) -> None:
    (tmp_path / "blob").write_bytes(bytes(6 << 20))
    files = [StagedFile(f"file-{n}", "data.bin", tmp_path / "blob", 6 << 20) for n in (1, 2)]
    watched = 1.5  # seconds in which an idle session is looked at, too

    async def scenario() -> None:
        async with sandboxed_pool(
            tmp_path, {"disk": 8 << 20}, warm_spares=spares, preload=[]
        ) as sessions:
            async with sessions.use("thread_a") as session:
                await session.stage(files)
                write = "open('out', 'wb').write(bytes(5 << 20))"
                assert (
                    await end_of(session, f"{write}\nimport time; time.sleep(1)")
                ).status == "ok"
                await until(lambda: session.info.usage["disk_bytes"] >= 5 << 20)
                assert session.info.usage["disk_bytes"] < 6 << 20
            await sessions.close("thread_a")
            await until(lambda: sessions._spares.ready == spares)
            async with sessions.use("thread_a") as session:
                await session.ensure()
                await asyncio.sleep(watched)
                assert (await end_of(session, "pass")).status == "ok"
                assert session.info.usage["disk_bytes"] < 6 << 20
                more = "open('data.bin', 'wb').write(bytes(10 << 20))\nimport time; time.sleep(9)"
                end = await end_of(session, more)
                assert end.status == "lost"
                assert "wrote to /mnt/data take more than 8 MiB" in end.reason

    try:
        wait(scenario())
    except SandboxUnavailable as error:
        pytest.skip(error.message)


@pytest.mark.parametrize("moment", [0.0, 0.05, 0.15, 0.3, 0.6])
def test_stopping_in_the_middle_of_a_start_leaves_nothing(
    wait: Wait, tmp_path: Path, moment: float
) -> None:
    async def use(sessions: Sessions) -> None:
        async with sessions.use("thread_a") as session:
            await run(session, "while True: pass")

    async def scenario() -> None:
        async with sandboxed_pool(tmp_path, warm_spares=1) as sessions:
            task = asyncio.create_task(use(sessions))
            await asyncio.sleep(moment)
            await sessions.stop()
            await asyncio.gather(task, return_exceptions=True)

    wait(scenario())


@pytest.mark.parametrize(
    ("name", "words"), [("python3", "is not sandboxed"), ("none", "named 'none'")]
)
def test_no_other_kernelspec_runs_code(wait: Wait, tmp_path: Path, name: str, words: str) -> None:
    async def scenario() -> None:
        async with sandboxed_pool(tmp_path, kernel_name=name) as sessions:
            with pytest.raises(SandboxUnavailable, match=words):
                async with sessions.use("thread_a"):
                    pass

    wait(scenario())


def test_a_kernel_that_was_started_around_the_sandbox_is_ended(wait: Wait, tmp_path: Path) -> None:
    class IgnorantManager(AsyncMappingKernelManager):
        """Starts kernels without what it does not know, as a gateway's manager does."""

        async def start_kernel(self, *, kernel_name: str, **kwargs: Any) -> str:
            kwargs.pop("sandbox")
            return await super().start_kernel(kernel_name="python3", **kwargs)

    async def scenario() -> None:
        manager = IgnorantManager(
            connection_dir=str(tmp_path), kernel_spec_manager=KernelSpecManager()
        )
        sessions = Sessions(
            SessionPool(), Sandbox(), manager, tmp_path / "w", logging.getLogger("test")
        )
        await sessions.start()
        with pytest.raises(SandboxUnavailable, match="without the sandbox"):
            async with sessions.use("thread_a"):
                pass
        assert list(manager.list_kernel_ids()) == []
        await sessions.stop()

    wait(scenario())


def peak_rss() -> int:
    """The most memory this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
