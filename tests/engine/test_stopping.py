"""Cancelling at every stage, expiry, and the server going down."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from jupyter_ci_ext.engine.limits import RunLimits
from jupyter_ci_ext.errors import InvalidRequest
from jupyter_ci_ext.kernels.outputs import StreamText
from jupyter_ci_ext.llm.base import CodeDelta, CodeStarted, TextDelta
from jupyter_ci_ext.store.database import Store
from jupyter_ci_ext.wire.run import Run

from .house import CODE, House, Recorded, function, house_in, runs
from .models import Script, ScriptedLLM, calls, codes, says
from .sessions import Cell, FullSessions, ScriptedSessions


async def cancelled(house: House, run: Run) -> Recorded:
    """Cancel the run: it is cancelling at once, and then cancelled; twice is fine."""
    answer = await house.supervisor.cancel(run.thread_id, run.id)
    assert answer.status == "cancelling"
    assert answer.cancelled_at is None
    done = await house.finish(run)
    assert done.run.status == "cancelled"
    assert done.run.cancelled_at is not None
    assert done.run.expires_at is None
    assert done.run.required_action is None
    assert done.names[-1] == "run.cancelled"
    assert "run.cancelling" in done.names
    with pytest.raises(InvalidRequest, match="Cannot cancel run with status 'cancelled'"):
        await house.supervisor.cancel(run.thread_id, run.id)
    return done


@runs
async def test_cancelled_before_the_model_is_asked(tmp_path: Path) -> None:
    llm = ScriptedLLM()
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w")) as house:
        run = await house.start(await house.thread())
        done = await cancelled(house, run)
    assert llm.asked == []
    assert done.names == ["run.created", "run.queued", "run.cancelling", "run.cancelled"]


@runs
async def test_cancelled_while_the_model_thinks(tmp_path: Path) -> None:
    llm = ScriptedLLM([asyncio.Event()])
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w")) as house:
        run = await house.start(await house.thread())
        await llm.streaming.wait()
        await cancelled(house, run)
        assert llm.closed == 1, "the model's server is let go"


@runs
async def test_cancelled_while_the_model_speaks(tmp_path: Path) -> None:
    llm = ScriptedLLM([TextDelta("Half a thought, and sand"), asyncio.Event()])
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w")) as house:
        run = await house.start(await house.thread())
        await llm.streaming.wait()
        done = await cancelled(house, run)
    assert done.names[-3:] == ["run.step.cancelled", "message.incomplete", "run.cancelled"]
    assert done.text == "Half a thought, and sand"
    [message] = done.messages
    assert message.status == "incomplete"
    assert message.incomplete_details is not None
    assert message.incomplete_details.reason == "run_cancelled"
    assert done.steps[0].status == "cancelled"


@runs
async def test_cancelled_while_the_model_writes_code(tmp_path: Path) -> None:
    llm = ScriptedLLM([CodeStarted(0, "call_1"), CodeDelta(0, "x = "), asyncio.Event()])
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w")) as house:
        run = await house.start(await house.thread())
        await llm.streaming.wait()
        done = await cancelled(house, run)
    assert done.steps[0].status == "cancelled"
    assert done.steps[0].cancelled_at is not None


@runs
async def test_cancelled_while_code_runs(tmp_path: Path) -> None:
    """The code is interrupted, what it printed is kept, and the session lives on."""
    llm = ScriptedLLM(codes("while True: ..."), codes("1"), says("Still here."))
    sessions = ScriptedSessions(
        tmp_path / "w",
        Cell([StreamText("stdout", "tick\n")], files={"a.txt": b"a"}, waits=asyncio.Event()),
        Cell([StreamText("stdout", "1")]),
    )
    async with house_in(tmp_path, llm, sessions) as house:
        thread = await house.thread()
        run = await house.start(thread)
        await sessions.session.running.wait()
        done = await cancelled(house, run)
        assert sessions.session.interrupts >= 1
        assert sessions.held == 0
        assert [f.file.filename for f in await house.store.files.of_thread(thread.id)] == ["a.txt"]
        [step] = done.steps
        assert step.status == "cancelled"
        assert step.metadata["execution"] == "interrupted"
        assert done.names[-3:] == ["run.cancelling", "run.step.cancelled", "run.cancelled"]
        assert step.metadata["kept"] == "true"
        sessions.session._interrupted.clear()
        again = await house.finish(await house.start(thread))
    assert again.text == "Still here."
    told = [m for m in llm.asked[1].messages if getattr(m, "call_id", None)]
    assert "tick" in told[0].text  # type: ignore[union-attr]
    assert "The code was stopped." in told[0].text  # type: ignore[union-attr]


@runs
async def test_cancelled_while_waiting_for_a_session(tmp_path: Path) -> None:
    sessions = FullSessions()
    async with house_in(tmp_path, ScriptedLLM(codes("1")), sessions) as house:
        run = await house.start(await house.thread())
        await sessions.waiting.wait()
        done = await cancelled(house, run)
    assert done.steps[0].status == "cancelled"
    assert done.steps[0].metadata["execution"] == "interrupted"


@runs
async def test_cancelled_while_outputs_are_waited_for(tmp_path: Path) -> None:
    llm = ScriptedLLM(calls(("call_p", "f", "{}")))
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w")) as house:
        run = await house.start(await house.thread(), tools=[function("f")])
        await house.finish(run)
        done = await cancelled(house, run)
    assert done.steps[0].status == "cancelled"


@runs
async def test_cancelling_twice_gives_the_same(tmp_path: Path) -> None:
    llm = ScriptedLLM([asyncio.Event()])
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w")) as house:
        run = await house.start(await house.thread())
        await llm.streaming.wait()
        answers = await asyncio.gather(
            *(house.supervisor.cancel(run.thread_id, run.id) for _ in range(3))
        )
        done = await house.finish(run)
    assert {answer.status for answer in answers} == {"cancelling"}
    assert [name for name, _ in done.events].count("thread.run.cancelling") == 1


@runs
async def test_several_runs_at_once(tmp_path: Path) -> None:
    gate = asyncio.Event()
    waits: Script = [gate, TextDelta("x")]
    llm = ScriptedLLM(*[waits] * 5)
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w")) as house:
        started = [await house.start(await house.thread()) for _ in range(5)]
        assert house.supervisor.busy
        await cancelled(house, started[2])
        gate.set()
        done = [await house.finish(run) for run in started]
    assert [each.run.status for each in done] == ["completed"] * 2 + ["cancelled"] + [
        "completed"
    ] * 2


# ---- expiry ----------------------------------------------------------------------------------


@runs
async def test_a_forgotten_run_expires(tmp_path: Path) -> None:
    llm = ScriptedLLM(calls(("call_p", "f", "{}")))
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w")) as house:
        run = await house.start(await house.thread(), tools=[function("f")])
        await house.finish(run)
        house.expire(run)
        await house.until(run, "expired")
        done = await house.recorded(run)
        with pytest.raises(InvalidRequest, match='"expired" do not accept'):
            await house.supervisor.submit_outputs(run.thread_id, run.id, {"call_p": "x"})
    assert done.run.status == "expired"
    assert done.run.required_action is None
    assert done.steps[0].status == "expired"
    assert done.steps[0].expired_at is not None


@runs
async def test_a_run_expires_while_its_code_runs(tmp_path: Path) -> None:
    sessions = ScriptedSessions(tmp_path / "w", Cell(waits=asyncio.Event()))
    async with house_in(tmp_path, ScriptedLLM(codes("wait()")), sessions) as house:
        run = await house.start(await house.thread())
        await sessions.session.running.wait()
        house.expire(run)
        done = await house.finish(run)
    assert done.run.status == "expired"
    assert done.steps[0].status == "expired"
    assert done.steps[0].metadata["execution"] == "interrupted"


@runs
async def test_a_run_whose_time_is_over_is_not_begun(tmp_path: Path) -> None:
    async with house_in(tmp_path, ScriptedLLM(), ScriptedSessions(tmp_path / "w")) as house:
        run = await house.queue(await house.thread(), expires_at=int(time.time()) - 5)
        await house.supervisor.submit(run)
        await house.until(run, "expired")
        stored = await house.store.runs.get(run.id)
    assert stored is not None
    assert stored.status == "expired"


@runs
async def test_a_message_ends_with_its_expired_run(tmp_path: Path) -> None:
    llm = ScriptedLLM([TextDelta("Half"), asyncio.Event()])
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w")) as house:
        run = await house.start(await house.thread())
        await llm.streaming.wait()
        house.expire(run)
        done = await house.finish(run)
    assert done.run.status == "expired"
    details = done.messages[0].incomplete_details
    assert details is not None
    assert details.reason == "run_expired"


# ---- the server goes down --------------------------------------------------------------------


@runs
async def test_runs_fail_when_the_server_stops(tmp_path: Path) -> None:
    llm = ScriptedLLM([TextDelta("Half"), asyncio.Event()])
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w")) as house:
        run = await house.start(await house.thread())
        await llm.streaming.wait()
        await house.supervisor.stop()
        done = await house.recorded(run)
        assert done.run.status == "failed"
        assert done.run.last_error is not None
        assert done.run.last_error.code == "server_error"
        assert "server was stopped" in done.run.last_error.message
        assert done.messages[0].status == "incomplete"
        assert house.bus.get(run.id) is None
        with pytest.raises(InvalidRequest):
            await house.start(await house.thread())


@runs
async def test_a_run_that_does_not_stop_is_recovered_by_the_next_start(tmp_path: Path) -> None:
    class DeafSessions(ScriptedSessions):
        """Interrupting its code has no effect."""

    sessions = DeafSessions(tmp_path / "w", Cell(waits=asyncio.Event()))

    async def deaf() -> None:
        await asyncio.Event().wait()

    sessions.session.interrupt = deaf  # type: ignore[method-assign]
    limits = RunLimits(beat=0.0, shutdown=0.05)
    async with house_in(tmp_path, ScriptedLLM(codes("x")), sessions, limits) as house:
        run = await house.start(await house.thread())
        await sessions.session.running.wait()
    async with house_in(tmp_path, ScriptedLLM(), ScriptedSessions(tmp_path / "w2")) as house:
        stored = await house.store.runs.get(run.id)
    assert stored is not None
    assert stored.status == "failed"


@runs
async def test_waiting_runs_outlive_the_server(tmp_path: Path) -> None:
    """A run that waits for outputs is waited for again after a restart, with all its events."""
    llm = ScriptedLLM(codes("1"), calls(("call_p", "f", "{}")))
    sessions = ScriptedSessions(tmp_path / "w", Cell([StreamText("stdout", "1")]))
    async with house_in(tmp_path, llm, sessions) as house:
        run = await house.start(await house.thread(), tools=[CODE, function("f")])
        before = await house.finish(run)
        await house.supervisor.stop()
        stored = await house.store.runs.get(run.id)
        assert stored is not None
        assert stored.status == "requires_action"
    llm = ScriptedLLM(says("Thanks."))
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w2")) as house:
        log = house.supervisor.log(run.id)
        assert log is not None
        assert log.last_seq == len(before.events)
        house.since[run.id] = log.last_seq
        await house.supervisor.submit_outputs(run.thread_id, run.id, {"call_p": "x"})
        done = await house.finish(run, check=False)
    assert done.run.status == "completed"
    assert done.text == "Thanks."


@runs
async def test_expiry_holds_across_a_restart(tmp_path: Path) -> None:
    llm = ScriptedLLM(calls(("call_p", "f", "{}")))
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w")) as house:
        run = await house.start(await house.thread(), tools=[function("f")])
        await house.finish(run)
    store = await Store.open(tmp_path / "data")
    async with store.transaction() as tx:
        stored = await tx.runs.get(run.id)
        assert stored is not None
        await tx.runs.update(stored.model_copy(update={"expires_at": 1}))
    await store.close()
    async with house_in(tmp_path, ScriptedLLM(), ScriptedSessions(tmp_path / "w")) as house:
        await house.until(run, "expired")
        stored = await house.store.runs.get(run.id)
    assert stored is not None
    assert stored.status == "expired"
