"""What a server that starts makes of the runs of one that died."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from jupyter_ci_ext.engine.limits import RunLimits
from jupyter_ci_ext.engine.recovery import LEFT_BEHIND, recover
from jupyter_ci_ext.errors import InvalidRequest
from jupyter_ci_ext.kernels.outputs import StreamText
from jupyter_ci_ext.llm.base import CallResult, TextDelta
from jupyter_ci_ext.store.database import Store
from jupyter_ci_ext.wire.run import Run
from jupyter_ci_ext.wire.run_step import MessageCreation, MessageCreationDetails, RunStep

from .folding import check_stream
from .house import House, Recorded, eventually, function, house_in, runs
from .models import ScriptedLLM, calls, codes, says
from .sessions import Cell, ScriptedSessions

QUICK = RunLimits(beat=0.0, snapshot=0.0)


async def crash(house: House) -> None:
    """Everything stops where it is, and nothing more is written."""
    tasks = [task for _, task in house.supervisor._live.values()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def after_restart(folder: Path, run: Run) -> Recorded:
    async with house_in(folder, ScriptedLLM(), ScriptedSessions(folder / "w2")) as house:
        recorded = await house.recorded(run)
        assert await house.store.dead_instances() == []
        assert await house.store.runs.unfinished() == []
    return recorded


def ended_well(recorded: Recorded) -> None:
    assert recorded.run.status == "failed"
    assert recorded.run.failed_at is not None
    assert recorded.run.expires_at is None
    assert recorded.run.last_error is not None
    assert recorded.run.last_error.code == "server_error"
    assert recorded.run.last_error.message == LEFT_BEHIND
    assert all(step.status != "in_progress" for step in recorded.steps)
    assert all(step.expires_at is None for step in recorded.steps)
    assert recorded.names[-1] == "run.failed"


@runs
async def test_what_was_written_stays(tmp_path: Path) -> None:
    llm = ScriptedLLM([TextDelta("All this "), TextDelta("is kept."), asyncio.Event()])
    sessions = ScriptedSessions(tmp_path / "w")
    async with house_in(tmp_path, llm, sessions, QUICK) as house:
        run = await house.start(await house.thread())
        await llm.streaming.wait()

        async def written() -> bool:
            return (await house.recorded(run)).text.endswith("kept.")

        await eventually(written)
        await crash(house)
    recorded = await after_restart(tmp_path, run)
    ended_well(recorded)
    assert recorded.text == "All this is kept."
    [message] = recorded.messages
    assert message.status == "incomplete"
    assert message.incomplete_details is not None
    assert message.incomplete_details.reason == "run_failed"
    assert recorded.steps[0].status == "failed"
    assert recorded.names[-3:] == ["run.step.failed", "message.incomplete", "run.failed"]
    check_stream(recorded.events)


@runs
async def test_what_the_code_printed_stays(tmp_path: Path) -> None:
    cell = Cell(
        [StreamText("stdout", "one\n"), StreamText("stdout", "two\n")], waits=asyncio.Event()
    )
    sessions = ScriptedSessions(tmp_path / "w", cell)
    async with house_in(tmp_path, ScriptedLLM(codes("x")), sessions, QUICK) as house:
        run = await house.start(await house.thread())
        await sessions.session.running.wait()

        async def printed() -> bool:
            return "two" in str(await house.store.steps.in_progress(run.id))

        await eventually(printed)
        await crash(house)
    recorded = await after_restart(tmp_path, run)
    ended_well(recorded)
    assert "one\\ntwo\\n" in str(recorded.steps[0])
    check_stream(recorded.events)


@runs
async def test_queued_and_cancelling_runs(tmp_path: Path) -> None:
    llm = ScriptedLLM([asyncio.Event()])
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w")) as house:
        queued = await house.queue(await house.thread())
        cancelling = await house.queue(await house.thread())
        async with house.store.transaction() as tx:
            await tx.runs.update(cancelling.model_copy(update={"status": "cancelling"}))
    ended_well(await after_restart(tmp_path, queued))
    store = await Store.open(tmp_path / "data")
    stored = await store.runs.get(cancelling.id)
    await store.close()
    assert stored is not None
    assert stored.status == "cancelled"
    assert stored.last_error is None


@runs
async def test_the_thread_is_free_again(tmp_path: Path) -> None:
    llm = ScriptedLLM([asyncio.Event()])
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w")) as house:
        thread = await house.thread()
        await house.start(thread)
        await llm.streaming.wait()
        await crash(house)
    async with house_in(
        tmp_path, ScriptedLLM(says("ok")), ScriptedSessions(tmp_path / "w")
    ) as house:
        done = await house.finish(await house.start(thread))
    assert done.run.status == "completed"


@runs
async def test_runs_of_a_living_server_are_left_alone(tmp_path: Path) -> None:
    llm = ScriptedLLM([asyncio.Event()])
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w")) as house:
        run = await house.start(await house.thread())
        await llm.streaming.wait()
        async with house_in(tmp_path, ScriptedLLM(), ScriptedSessions(tmp_path / "w")) as other:
            stored = await other.store.runs.get(run.id)
            assert stored is not None
            assert stored.status == "in_progress"
            with pytest.raises(InvalidRequest, match="another server"):
                await other.supervisor.cancel(run.thread_id, run.id)
            assert await recover(other.store, run.id, "somebody else", 1) is None


@runs
async def test_a_server_that_lives_on_clears_up_after_one_that_died(tmp_path: Path) -> None:
    llm = ScriptedLLM([asyncio.Event()])
    sessions = ScriptedSessions(tmp_path / "w")
    async with house_in(tmp_path, ScriptedLLM(), sessions) as survivor:
        async with house_in(tmp_path, llm, sessions) as dying:
            run = await dying.start(await dying.thread())
            await llm.streaming.wait()
            left = await survivor.store.runs.get(run.id)
            assert left is not None
            assert await survivor.supervisor.look_after(left) == left
            await crash(dying)
        assert (await survivor.supervisor.look_after(left)).status == "failed"
        ended_well(await survivor.recorded(run))


@runs
async def test_a_run_whose_thread_is_deleted_ends_quietly(tmp_path: Path) -> None:
    gate = asyncio.Event()
    llm = ScriptedLLM([TextDelta("Hello"), gate, TextDelta(" there")])
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w")) as house:
        run = await house.start(await house.thread())
        await llm.streaming.wait()
        async with house.store.transaction() as tx:
            await tx.threads.delete(run.thread_id)
        gate.set()
        log = house.supervisor.log(run.id)
        assert log is not None
        async for _ in log.follow():
            pass
        assert not house.supervisor.busy


@runs
async def test_a_run_of_many_steps_is_known_whole(tmp_path: Path) -> None:
    """However many steps it has, what was called last is what its outputs are for."""
    llm = ScriptedLLM(calls(("call_p", "f", "{}")))
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w"), QUICK) as house:
        run = await house.queue(await house.thread(), tools=[function("f")])
        async with house.store.transaction() as tx:
            for n in range(120):
                await tx.steps.insert(past_step(run, n))
        await house.supervisor.submit(run)
        await house.until(run, "requires_action")
    llm = ScriptedLLM(calls(("call_q", "f", "{}")), [TextDelta("Half"), asyncio.Event()])
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w2"), QUICK) as house:
        log = house.supervisor.log(run.id)
        assert log is not None
        house.since[run.id] = log.last_seq
        for call_id, output in (("call_p", "first"), ("call_q", "second")):
            await house.supervisor.submit_outputs(run.thread_id, run.id, {call_id: output})
            if call_id == "call_p":
                await house.until(run, "requires_action")
        await llm.streaming.wait()
        told = [[m.text for m in turn.messages if isinstance(m, CallResult)] for turn in llm.asked]
        assert [texts[-1] for texts in told] == ["first", "second"]
        await crash(house)
    async with house_in(tmp_path, ScriptedLLM(), ScriptedSessions(tmp_path / "w3")) as house:
        steps = await house.store.steps.of_run(run.id)
        stored = await house.store.runs.get(run.id)
    assert stored is not None
    assert stored.status == "failed"
    assert [step.status for step in steps[120:]] == ["completed", "completed", "failed"]
    assert all(step.expires_at is None for step in steps)


def past_step(run: Run, number: int) -> RunStep:
    """A message that the run has written."""
    message = MessageCreation(message_id=f"msg_{number}")
    return RunStep(
        id=f"step_{number}",
        created_at=run.created_at,
        run_id=run.id,
        assistant_id=run.assistant_id,
        thread_id=run.thread_id,
        type="message_creation",
        status="completed",
        expires_at=run.expires_at,
        step_details=MessageCreationDetails(message_creation=message),
    )
