"""What is told of runs to whoever operates the server."""

from __future__ import annotations

import asyncio
from pathlib import Path

from jupyter_ci_ext.lifecycle import RunCreated, RunFinished

from .house import eventually, house_in, runs
from .models import ScriptedLLM, codes, says
from .sessions import Cell, ScriptedSessions
from .test_recovery import crash


@runs
async def test_a_run_is_told_of_twice(tmp_path: Path) -> None:
    llm = ScriptedLLM(codes("print(1)"), says("One."))
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w", Cell())) as house:
        run = (await house.go("a secret")).run

        async def both() -> bool:
            return len(house.heard) == 2

        await eventually(both)
        created, finished = house.heard
    ids = (run.id, run.thread_id, "asst_1", "scripted")
    assert created == RunCreated(*ids)
    assert isinstance(finished, RunFinished)
    seconds = finished.duration_seconds
    assert 0 < seconds < 60
    assert finished == RunFinished(*ids, "completed", seconds, 2, 1, 30, 13)


@runs
async def test_a_run_that_went_with_its_thread(tmp_path: Path) -> None:
    llm = ScriptedLLM([asyncio.Event()])
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w")) as house:
        run = await house.start(await house.thread())
        await llm.streaming.wait()
        async with house.store.transaction() as tx:
            await tx.threads.delete(run.thread_id)
        await_end = house.supervisor._live[run.id][1]
        house.expire(run)
        await asyncio.wait([await_end])
        await asyncio.sleep(0)
        end = house.heard[-1]
    assert isinstance(end, RunFinished)
    assert (end.run_id, end.status) == (run.id, "deleted")


@runs
async def test_the_end_of_a_run_that_a_dead_server_left(tmp_path: Path) -> None:
    llm = ScriptedLLM([asyncio.Event()])
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w")) as house:
        run = await house.start(await house.thread())
        await llm.streaming.wait()
        await crash(house)
        assert [type(each) for each in house.heard] == [RunCreated]
    async with house_in(tmp_path, ScriptedLLM(), ScriptedSessions(tmp_path / "v")) as house:
        [end] = house.heard
    assert isinstance(end, RunFinished)
    assert (end.run_id, end.status, end.code_calls) == (run.id, "failed", 0)
