"""Functions of the caller: wanted, submitted, and the run goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_ci_ext.errors import InvalidRequest, NotFound
from jupyter_ci_ext.kernels.outputs import StreamText
from jupyter_ci_ext.llm.base import AssistantMessage, CallResult, FunctionCall
from jupyter_ci_ext.wire.run_step import FunctionToolCall, ToolCallsDetails

from .folding import check_stream
from .house import CODE, function, house_in, runs
from .models import ScriptedLLM, calls, codes, says
from .sessions import Cell, ScriptedSessions

TOOLS = [CODE, function("weather")]
TWO = calls(("call_p", "weather", '{"city":"Paris"}'), ("call_r", "weather", '{"city":"Rome"}'))


def outputs(step_details: object) -> list[str | None]:
    assert isinstance(step_details, ToolCallsDetails)
    found = [call for call in step_details.tool_calls if isinstance(call, FunctionToolCall)]
    return [call.function.output for call in found]


@runs
async def test_two_functions_share_a_step_and_wait(tmp_path: Path) -> None:
    llm = ScriptedLLM(TWO, says("Sunny."))
    sessions = ScriptedSessions(tmp_path / "w")
    async with house_in(tmp_path, llm, sessions) as house:
        run = await house.start(await house.thread(), tools=[function("weather")])
        waiting = await house.finish(run)
        assert waiting.names == [
            "run.created", "run.queued", "run.in_progress",
            "run.step.created", "run.step.in_progress", "run.step.delta", "run.requires_action",
        ]  # fmt: skip
        action = waiting.run.required_action
        assert action is not None
        wanted = [
            (c.id, c.function.name, c.function.arguments)
            for c in action.submit_tool_outputs.tool_calls
        ]
        assert wanted == [
            ("call_p", "weather", '{"city":"Paris"}'),
            ("call_r", "weather", '{"city":"Rome"}'),
        ]
        assert waiting.run.usage is None
        [step] = waiting.steps
        assert step.status == "in_progress"
        assert step.usage is None
        assert outputs(step.step_details) == [None, None]
        firsts = waiting.deltas("run.step")
        first = firsts[0]["step_details"]["tool_calls"][0]
        assert first == {
            "index": 0, "id": "call_p", "type": "function",
            "function": {"name": "weather", "arguments": "", "output": None},
        }  # fmt: skip
        seen = len(waiting.events)

        for bad in ({}, {"call_p": "1"}, {"call_p": "1", "call_x": "2"}):
            with pytest.raises(
                InvalidRequest,
                match=r"Expected tool outputs for call_ids \['call_p', 'call_r'\], got",
            ):
                await house.supervisor.submit_outputs(run.thread_id, run.id, bad)
        both = {"call_r": "20", "call_p": "10"}
        queued = await house.supervisor.submit_outputs(run.thread_id, run.id, both)
        assert queued.status == "queued"
        assert queued.required_action is None
        with pytest.raises(InvalidRequest, match="do not accept tool outputs"):
            await house.supervisor.submit_outputs(run.thread_id, run.id, both)
        done = await house.finish(run, check=False)
    names = [name for name, _ in done.events[seen:]]
    assert names[:3] == ["thread.run.step.completed", "thread.run.queued", "thread.run.in_progress"]
    check_stream(done.events[seen:], resumed=True)
    assert done.run.status == "completed"
    assert outputs(done.steps[0].step_details) == ["10", "20"]
    assert done.run.usage is not None
    assert done.run.usage.total_tokens == 34 + 15
    assert sum(s.usage.total_tokens for s in done.steps if s.usage) == 34 + 15
    said, first_result, second_result = llm.asked[1].messages[-3:]
    assert isinstance(said, AssistantMessage)
    assert said.calls[1] == FunctionCall("call_r", "weather", '{"city":"Rome"}')
    assert first_result == CallResult("call_p", "10")
    assert second_result == CallResult("call_r", "20")


@runs
async def test_code_and_functions_in_one_run(tmp_path: Path) -> None:
    llm = ScriptedLLM(codes("1+1"), calls(("call_p", "weather", "{}")), codes("2+2"), says("Done."))
    sessions = ScriptedSessions(
        tmp_path / "w", Cell([StreamText("stdout", "2")]), Cell([StreamText("stdout", "4")])
    )
    async with house_in(tmp_path, llm, sessions) as house:
        run = await house.start(await house.thread(), tools=TOOLS, tool_choice="required")
        await house.finish(run)
        assert sessions.held == 0, "nobody keeps a session while a client is waited for"
        await house.supervisor.submit_outputs(run.thread_id, run.id, {"call_p": "sunny"})
        done = await house.finish(run, check=False)
    assert done.run.status == "completed"
    assert [step.type for step in done.steps] == ["tool_calls"] * 3 + ["message_creation"]
    assert [turn.tool_choice for turn in llm.asked] == ["required", "auto", "auto", "auto"]
    told = [m.text for m in llm.asked[2].messages if isinstance(m, CallResult)]
    assert told == ["2", "sunny"]


@runs
async def test_wrong_times_and_places(tmp_path: Path) -> None:
    sessions = ScriptedSessions(tmp_path / "w")
    async with house_in(tmp_path, ScriptedLLM(says("Hi")), sessions) as house:
        done = await house.go()
        thread_id, run_id = done.run.thread_id, done.run.id
        with pytest.raises(InvalidRequest, match='"completed" do not accept tool outputs'):
            await house.supervisor.submit_outputs(thread_id, run_id, {})
        with pytest.raises(InvalidRequest, match="Cannot cancel run with status 'completed'"):
            await house.supervisor.cancel(thread_id, run_id)
        for thread, run in ((thread_id, "run_none"), ("thread_none", run_id)):
            with pytest.raises(NotFound, match=f"No run found with id '{run}'"):
                await house.supervisor.cancel(thread, run)
            with pytest.raises(NotFound):
                await house.supervisor.submit_outputs(thread, run, {})
