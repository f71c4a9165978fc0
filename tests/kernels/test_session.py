"""Sessions on real, unsandboxed kernels; a module's tests share one but for those that end it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ipykernel
import pytest

from jupyter_ci_ext.kernels.outputs import (
    DisplayData,
    ErrorOutput,
    ExecutionEnd,
    Output,
    StreamText,
    plain_text,
)
from jupyter_ci_ext.kernels.pool import Sessions
from jupyter_ci_ext.kernels.session import Session
from jupyter_ci_ext.kernels.workspace import StagedFile

from .plain import end_of, plain_pool, printed, run, until

Wait = Callable[[Any], Any]
LIMITS = {"execution_seconds": 20.0, "grace_seconds": 1.0}


@pytest.fixture(scope="module")
def pool(wait: Wait, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sessions, Any]]:
    stack = contextlib.AsyncExitStack()
    folder = tmp_path_factory.mktemp("sessions")
    yield wait(stack.enter_async_context(plain_pool(folder, LIMITS)))
    wait(stack.aclose())


@pytest.fixture
def use(pool: tuple[Sessions, Any]) -> Callable[[], Any]:
    """The one session these tests share."""
    return lambda: pool[0].use("thread_a")


@pytest.fixture
def manager(pool: tuple[Sessions, Any]) -> Any:
    return pool[1]


def kernel_id(session: Session) -> str:
    assert session.info.kernel_id is not None
    return session.info.kernel_id


def test_outputs_come_in_order_with_the_end_last(use: Any, wait: Wait) -> None:
    async def scenario() -> list[Output]:
        async with use() as session:
            return await run(
                session,
                "import sys\nprint('out')\nprint('err', file=sys.stderr)\n"
                "display({'text/plain': 'shown'}, raw=True)\n1 + 1",
            )

    *outputs, end = wait(scenario())
    assert outputs == [
        StreamText("stdout", "out\n"),
        StreamText("stderr", "err\n"),
        DisplayData({"text/plain": "shown"}),
        DisplayData({"text/plain": "2"}, result=True),
    ]
    assert isinstance(end, ExecutionEnd)
    assert (end.status, end.reason, end.kept) == ("ok", "", True)
    assert 0 < end.seconds < 20


def test_variables_are_there_in_the_next_use(use: Any, wait: Wait) -> None:
    async def scenario() -> None:
        async with use() as session:
            await run(session, "kept = 41")
        async with use() as session:
            assert not session.fresh
            assert await printed(session, "print(kept + 1)") == "42\n"

    wait(scenario())


def test_an_exception_is_an_output_and_costs_nothing_else(use: Any, wait: Wait) -> None:
    async def scenario() -> list[Output]:
        async with use() as session:
            return await run(session, "1 / 0")

    error, end = wait(scenario())
    assert isinstance(error, ErrorOutput)
    assert (error.ename, error.evalue) == ("ZeroDivisionError", "division by zero")
    assert "1 / 0" in plain_text(error.traceback)
    assert (end.status, end.kept) == ("error", True)


@pytest.mark.parametrize(
    ("code", "name"),
    [("input()", "StdinNotImplementedError"), ("import sys; sys.exit(3)", "SystemExit")],
)
def test_code_that_asks_or_exits_fails_and_the_kernel_stays(
    use: Any, wait: Wait, code: str, name: str
) -> None:
    async def scenario() -> None:
        async with use() as session:
            outputs = await run(session, f"before = 1\n{code}")
            errors = [output for output in outputs if isinstance(output, ErrorOutput)]
            assert [error.ename for error in errors] == [name]
            assert await printed(session, "print(before)") == "1\n"

    wait(scenario())


def test_text_arrives_while_the_code_runs(use: Any, wait: Wait) -> None:
    async def scenario() -> None:
        async with use() as session:
            # The code goes on only after its reader has seen what it printed.
            gate = session.workspace.path / "gate"
            code = (
                "import os, time\nprint('first', flush=True)\n"
                "while not os.path.exists('gate'):\n    time.sleep(0.01)\nprint('second')"
            )
            seen = []
            async with contextlib.aclosing(session.execute(code)) as outputs:
                async for output in outputs:
                    if isinstance(output, StreamText):
                        seen.append(output.text)
                        gate.touch()
            assert seen == ["first\n", "second\n"]
            assert session.info.state == "idle"

    wait(scenario())


def test_an_interrupt_stops_the_code_and_keeps_the_variables(use: Any, wait: Wait) -> None:
    async def scenario() -> None:
        async with use() as session:
            async with contextlib.aclosing(
                session.execute("kept = 7\nprint('on', flush=True)\nwhile True: pass")
            ) as outputs:
                got = [await anext(outputs)]
                assert session.info.state == "busy"
                await session.interrupt()
                got += [output async for output in outputs]
            assert [type(output) for output in got] == [StreamText, ErrorOutput, ExecutionEnd]
            end = got[-1]
            assert isinstance(end, ExecutionEnd)
            assert (end.status, end.kept) == ("interrupted", True)
            assert end.reason == "The code was stopped. Variables are kept."
            assert await printed(session, "print(kept)") == "7\n"
            await session.interrupt()  # nothing runs: nothing happens

    wait(scenario())


def test_code_over_its_time_is_interrupted(
    pool: tuple[Sessions, Any], use: Any, wait: Wait
) -> None:
    async def scenario() -> None:
        async with use() as session:
            with limit(session, 0.5):
                end = await end_of(session, "kept = 8\nwhile True: pass")
            assert (end.status, end.kept) == ("timeout", True)
            assert end.reason == (
                "The code ran longer than the limit of 0.5 seconds and was stopped. "
                "Variables are kept."
            )
            assert await printed(session, "print(kept)") == "8\n"

    wait(scenario())


def test_a_reader_that_goes_away_stops_the_code(use: Any, wait: Wait) -> None:
    async def scenario() -> None:
        async with (
            use() as session,
            contextlib.aclosing(
                session.execute("kept = 9\nprint('on', flush=True)\nwhile True: pass")
            ) as outputs,
        ):
            await anext(outputs)
        # The next user waits until the kernel is free again, and finds it as it was.
        async with use() as session:
            assert not session.fresh
            assert await printed(session, "print(kept)") == "9\n"

    wait(scenario())


def test_a_user_that_is_cancelled_leaves_the_session_usable(use: Any, wait: Wait) -> None:
    async def endless(running: asyncio.Event) -> None:
        async with (
            use() as session,
            contextlib.aclosing(
                session.execute("kept = 10\nprint('on', flush=True)\nwhile True: pass")
            ) as outputs,
        ):
            async for _ in outputs:
                running.set()

    async def scenario() -> None:
        running = asyncio.Event()
        task = asyncio.create_task(endless(running))
        await running.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with use() as session:
            assert await printed(session, "print(kept)") == "10\n"

    wait(scenario())


def test_a_slow_reader_does_not_hold_up_the_limit(use: Any, wait: Wait) -> None:
    async def scenario() -> list[Output]:
        async with use() as session:
            with limit(session, 0.3):
                got = []
                async with contextlib.aclosing(
                    session.execute("print('on', flush=True)\nwhile True: pass")
                ) as outputs:
                    got.append(await anext(outputs))
                    await until(lambda: session.info.state == "idle")
                    got += [output async for output in outputs]
                return got

    end = wait(scenario())[-1]
    assert (end.status, end.kept) == ("timeout", True)


def test_one_use_of_a_session_at_a_time(use: Any, wait: Wait) -> None:
    async def one(log: list[str], name: str) -> None:
        async with use() as session:
            log.append(f"{name} in")
            await run(session, "pass")
            log.append(f"{name} out")

    async def scenario() -> list[str]:
        log: list[str] = []
        await asyncio.gather(one(log, "a"), one(log, "b"), one(log, "c"))
        return log

    assert wait(scenario()) == ["a in", "a out", "b in", "b out", "c in", "c out"]


def test_files_are_staged_and_collected(use: Any, wait: Wait, tmp_path: Path) -> None:
    (tmp_path / "blob").write_text("a,b\n1,2\n")

    async def scenario() -> None:
        async with use() as session:
            await session.collect()
            await session.stage([StagedFile("file-1", "data.csv", tmp_path / "blob", 8)])
            assert session.names == {"file-1": "data.csv"}
            code = "open('sum.txt', 'w').write(open('file-1').read() + open('data.csv').read())"
            assert (await end_of(session, code)).status == "ok"
            (new,) = (await session.collect()).files
            assert (new.name, new.path.read_text()) == ("sum.txt", "a,b\n1,2\na,b\n1,2\n")
            opened = session.open_file("sum.txt")
            assert opened is not None
            opened.close()

    wait(scenario())


# ---- kernels that end ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os; os._exit(7)", "exit code 7"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("import os; os.abort()", "SIGABRT"),
    ],
)
def test_a_kernel_that_dies_is_told_of_and_replaced(
    use: Any, wait: Wait, manager: Any, code: str, reason: str
) -> None:
    async def scenario() -> None:
        async with use() as session:
            dead = kernel_id(session)
            await run(session, "open('left.txt', 'w').write('left')")
            *before, end = await run(
                session, f"print('before', flush=True)\nimport time; time.sleep(0.2)\n{code}"
            )
            assert before == [StreamText("stdout", "before\n")]
            assert isinstance(end, ExecutionEnd)
            assert (end.status, end.kept) == ("lost", False)
            assert reason in end.reason
            assert end.reason.endswith("Variables are lost; files in /mnt/data are kept.")
            assert dead not in manager
            # The run goes on: a fresh kernel, the files in place.
            assert await printed(session, "print(open('left.txt').read())") == "left\n"
            assert session.fresh
            assert kernel_id(session) != dead

    wait(scenario())


@pytest.mark.parametrize("leave", ["exit()", "quit()"])
def test_code_that_leaves_the_session_is_told_so_and_the_next_meets_a_fresh_one(
    use: Any, wait: Wait, leave: str
) -> None:
    async def scenario() -> None:
        async with use() as session:
            end = await end_of(session, f"gone = 1\n{leave}")
            assert (end.status, end.kept) == ("lost", False)
            assert "exit()" in end.reason
            assert await printed(session, "print('gone' in globals())") == "False\n"

    wait(scenario())


@pytest.mark.parametrize(
    "code",
    [
        "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n",
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGSTOP)\n",
    ],
    ids=["ignores SIGINT", "stopped"],
)
def test_code_that_cannot_be_interrupted_is_killed(use: Any, wait: Wait, code: str) -> None:
    async def scenario() -> None:
        async with use() as session:
            with limit(session, 0.3):
                end = await end_of(session, f"gone = 1\n{code}while True: time.sleep(1)")
            assert (end.status, end.kept) == ("timeout", False)
            assert "Variables are lost; files in /mnt/data are kept." in end.reason
            assert (await end_of(session, "gone")).status == "error"

    wait(scenario())


def test_an_idle_kernel_that_was_killed_is_replaced_unnoticed(
    use: Any, wait: Wait, manager: Any
) -> None:
    async def scenario() -> None:
        async with use() as session:
            pid = int(await printed(session, "import os; print(os.getpid())"))
        os.kill(pid, signal.SIGKILL)
        while await manager.is_alive(kernel_id(session)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        async with use() as session:
            assert session.fresh
            assert await printed(session, "print('here')") == "here\n"

    wait(scenario())


@pytest.mark.parametrize("busy", [True, False])
def test_a_kernel_that_somebody_deletes_is_replaced(
    use: Any, wait: Wait, manager: Any, busy: bool
) -> None:
    async def scenario() -> None:
        async with use() as session:
            if busy:
                end = await ended_while(session, manager.shutdown_kernel)
                assert (end.status, end.kept) == ("lost", False)
                assert "shut down" in end.reason
            else:
                await manager.shutdown_kernel(kernel_id(session))
        async with use() as session:
            assert await printed(session, "print('here')") == "here\n"

    wait(scenario())


@pytest.mark.parametrize("busy", [True, False])
def test_a_kernel_that_somebody_restarts_is_used_again(
    use: Any, wait: Wait, manager: Any, busy: bool
) -> None:
    async def scenario() -> None:
        async with use() as session:
            same = kernel_id(session)
            await run(session, "gone = 1")
            if busy:
                end = await ended_while(session, manager.restart_kernel)
                assert (end.status, end.kept) == ("lost", False)
            else:
                await manager.restart_kernel(same, now=True)
        async with use() as session:
            assert session.fresh
            assert (await end_of(session, "gone")).status == "error"
            assert kernel_id(session) == same

    wait(scenario())


def test_a_restart_forgets_the_variables_and_keeps_kernel_and_files(
    pool: tuple[Sessions, Any], use: Any, wait: Wait
) -> None:
    async def scenario() -> None:
        async with use() as session:
            same, container = kernel_id(session), session.info.id
            await run(session, "gone = 1\nopen('stays.txt', 'w').write('x')")
        await pool[0].restart("thread_a")
        async with use() as session:
            assert kernel_id(session) == same
            assert session.info.id != container
            assert (await end_of(session, "gone")).status == "error"
            assert await printed(session, "print(open('stays.txt').read())") == "x\n"

    wait(scenario())


def test_closing_a_session_in_use_tells_its_user(
    pool: tuple[Sessions, Any], use: Any, wait: Wait
) -> None:
    async def scenario() -> None:
        async with use() as session:
            end = await ended_while(session, lambda _: pool[0].close("thread_a"))
            assert (end.status, end.kept) == ("lost", False)
            assert await printed(session, "print('here')") == "here\n"

    wait(scenario())


def test_the_culler_sees_a_connection(use: Any, wait: Wait, manager: Any) -> None:
    async def scenario() -> int:
        async with use() as session:
            return int(manager.kernel_model(kernel_id(session))["connections"])

    assert wait(scenario()) == 1


async def ended_while(session: Session, end: Callable[[str], Any]) -> ExecutionEnd:
    """How an endless execution ends when *end* is done to its kernel."""
    last: Output | None = None
    async with contextlib.aclosing(
        session.execute("print('on', flush=True)\nwhile True: pass")
    ) as outputs:
        await anext(outputs)
        ending = asyncio.create_task(end(kernel_id(session)))
        async for output in outputs:
            last = output
        with contextlib.suppress(Exception):
            await ending
    assert isinstance(last, ExecutionEnd)
    return last


@contextlib.contextmanager
def limit(session: Session, seconds: float) -> Iterator[None]:
    """A shorter limit on executions than the other tests need."""
    policy = session._policy
    session._policy = dataclasses.replace(policy, execution_seconds=seconds)
    try:
        yield
    finally:
        session._policy = policy


@pytest.mark.skipif(
    ipykernel.version_info < (7, 4), reason="this ipykernel itself loses requests among others"
)
def test_no_reply_is_overlooked_among_others(wait: Wait, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with plain_pool(tmp_path, LIMITS) as (sessions, _), sessions.use("a") as session:
            connection = session._connection
            assert connection is not None
            for number in range(300):
                # Answers to these come in while the code is sent.
                connection._transport.send("shell", "kernel_info_request", {})
                await asyncio.sleep(0.0005 * (number % 10))
                assert (await end_of(session, "pass")).status == "ok"

    wait(scenario())
