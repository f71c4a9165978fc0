"""Runs: what they inherit, when they may begin, and what may be asked of them."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import pytest

from jupyter_ci_ext.errors import InvalidRequest, NotFound
from jupyter_ci_ext.wire.message_params import MessageListQuery
from jupyter_ci_ext.wire.params import ListQuery
from jupyter_ci_ext.wire.run import (
    CalledFunction,
    RequiredAction,
    RequiredToolCall,
    Run,
    SubmitToolOutputs,
)
from jupyter_ci_ext.wire.run_params import (
    CreateRun,
    CreateThreadAndRun,
    ModifyRun,
    RunQuery,
    StepListQuery,
    SubmitToolOutputsParams,
)
from jupyter_ci_ext.wire.run_step import (
    CodeInterpreterCall,
    CodeInterpreterToolCall,
    DisplayDataOutput,
    LogsOutput,
    RunStep,
    ToolCallsDetails,
)
from jupyter_ci_ext.wire.validation import parse

from .house import House, in_house

FUNCTION = {"type": "function", "function": {"name": "f"}}


@in_house
async def test_a_run_inherits_from_its_assistant(house: House) -> None:
    file = await house.file()
    assistant = await house.assistant(
        instructions="Be brief.",
        tools=[{"type": "code_interpreter"}],
        tool_resources={"code_interpreter": {"file_ids": [file.id]}},
        temperature=0.3,
        response_format={"type": "text"},
        metadata={"not": "inherited"},
    )
    run = await house.run(await house.thread("hi"), assistant, temperature=None, model=None)
    assert (run.model, run.instructions, run.temperature) == ("demo", "Be brief.", 0.3)
    assert run.tools == assistant.tools
    assert run.tool_resources.code_files == [file.id]
    assert run.response_format == {"type": "text"}
    assert run.metadata == {}
    assert run.expires_at == run.created_at + 600
    assert house.supervisor.submitted == [run.id]


@in_house
async def test_what_a_run_is_given_stands_instead(house: House) -> None:
    assistant = await house.assistant(instructions="Be brief.", temperature=0.3)
    run = await house.run(
        await house.thread("hi"),
        assistant,
        model="gpt-4o",
        instructions="Be long.",
        additional_instructions="And kind.",
        tools=[FUNCTION],
        tool_choice={"type": "function", "function": {"name": "f"}},
        temperature=0,
        parallel_tool_calls=False,
        max_completion_tokens=16,
        truncation_strategy={"type": "last_messages", "last_messages": 3},
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
    )
    assert (run.model, run.instructions) == ("gpt-4o", "Be long.\nAnd kind.")
    assert (run.temperature, run.parallel_tool_calls, run.max_completion_tokens) == (0, False, 16)
    assert run.tool_choice == {"type": "function", "function": {"name": "f"}}
    assert run.truncation_strategy.last_messages == 3
    assert run.response_format == {
        "type": "json_schema",
        "json_schema": {"name": "n", "schema": {}},
    }
    assert await house.services.runs.get(run.thread_id, run.id) == run


@in_house
async def test_foundry_runs_live_longer(house: House) -> None:
    assistant, thread = await house.assistant(), await house.thread("hi")
    params = CreateRun(assistant_id=assistant.id)
    run = await house.services.runs.create(thread.id, params, lifetime=1800)
    assert run.expires_at == run.created_at + 1800


@in_house
async def test_additional_messages_come_first(house: House) -> None:
    assistant, thread = await house.assistant(), await house.thread("one")
    more = [{"role": "assistant", "content": "two"}, {"role": "user", "content": "three"}]
    await house.run(thread, assistant, additional_messages=more)
    page = await house.services.messages.list(thread.id, MessageListQuery(order="asc"))
    assert [each.role for each in page.data] == ["user", "assistant", "user"]


@in_house
async def test_a_thread_has_one_run_at_a_time(house: House) -> None:
    assistant, thread = await house.assistant(), await house.thread("hi")
    run = await house.run(thread, assistant)
    more = [{"role": "user", "content": "more"}]
    with pytest.raises(InvalidRequest) as caught:
        await house.run(thread, assistant, additional_messages=more)
    assert caught.value.message == f"Thread {thread.id} already has an active run {run.id}."
    assert await house.rows("messages") == 1, "the additional message went with the run"
    await house.supervisor.put(run.id, status="failed")
    await house.run(thread, assistant, additional_messages=more)


@pytest.mark.parametrize("said", [[], [{"role": "assistant", "content": "hello"}]])
@in_house
async def test_a_run_needs_something_to_answer(house: House, said: list[Any]) -> None:
    assistant, thread = await house.assistant(), await house.thread(messages=said)
    with pytest.raises(InvalidRequest) as caught:
        await house.run(thread, assistant)
    assert caught.value.code == "invalid_thread"
    assert caught.value.message == (
        "Run creation requires a Thread with a user message or an assistant with instructions."
    )
    await house.run(thread, await house.assistant(instructions="Begin."))


@pytest.mark.parametrize(
    ("body", "error", "text"),
    [
        ({"assistant_id": "asst_gone"}, NotFound, "No assistant found with id 'asst_gone'."),
        ({"model": "gpt-9"}, NotFound, "The model 'gpt-9' does not exist"),
        (
            {"tool_choice": {"type": "code_interpreter"}},
            InvalidRequest,
            "Invalid 'tool_choice': the tool 'code_interpreter' is not among the tools of the run.",
        ),
        (
            {"tools": [FUNCTION], "tool_choice": {"type": "function", "function": {"name": "g"}}},
            InvalidRequest,
            "Invalid 'tool_choice': the function 'g' is not among the tools of the run.",
        ),
        (
            {
                "additional_messages": [
                    {"role": "user", "content": "x", "attachments": [{"file_id": "file-gone"}]}
                ]
            },
            InvalidRequest,
            "No such File object: file-gone",
        ),
    ],
)
@in_house
async def test_a_refused_run_leaves_nothing(
    house: House, body: dict[str, Any], error: type[Exception], text: str
) -> None:
    assistant, thread = await house.assistant(), await house.thread("hi")
    with pytest.raises(error) as caught:
        await house.run(thread, assistant, **body)
    assert str(caught.value) == text
    assert (await house.rows("runs"), await house.rows("messages")) == (0, 1)
    assert house.supervisor.submitted == []


@in_house
async def test_an_unknown_thread_is_said_first(house: House) -> None:
    with pytest.raises(NotFound, match="No thread found with id 'nope'"):
        await house.services.runs.create("nope", CreateRun(assistant_id="asst_gone"))


@in_house
async def test_a_thread_and_a_run_at_once(house: House) -> None:
    one, two = await house.file(), await house.file()
    assistant = await house.assistant(
        tools=[{"type": "code_interpreter"}],
        tool_resources={"code_interpreter": {"file_ids": [one.id]}},
    )
    body = {
        "assistant_id": assistant.id,
        "thread": {"messages": [{"role": "user", "content": "hi"}], "metadata": None},
        "tool_resources": {"code_interpreter": {"file_ids": [two.id]}},
    }
    thread, run = await house.services.runs.create_thread_and_run(parse(CreateThreadAndRun, body))
    assert run.thread_id == thread.id
    assert run.tool_resources.code_files == [two.id]
    assert house.supervisor.submitted == [run.id]
    empty = {"assistant_id": assistant.id}
    with pytest.raises(InvalidRequest, match="requires a Thread with a user message"):
        await house.services.runs.create_thread_and_run(parse(CreateThreadAndRun, empty))
    assert (await house.rows("threads"), await house.rows("runs")) == (1, 1)


@in_house
async def test_metadata_of_a_run_waits_for_its_end(house: House) -> None:
    run = await house.run(await house.thread("hi"), await house.assistant())
    await house.supervisor.put(run.id, status="in_progress")
    change = ModifyRun(metadata={"a": "b"})
    with pytest.raises(InvalidRequest, match=r"^Cannot update run with status 'in_progress'\.$"):
        await house.services.runs.modify(run.thread_id, run.id, change)
    await house.supervisor.put(run.id, status="completed")
    changed = await house.services.runs.modify(run.thread_id, run.id, change)
    assert changed.metadata == {"a": "b"}


@in_house
async def test_cancelling(house: House) -> None:
    thread, assistant = await house.thread("hi"), await house.assistant()
    run = await house.run(thread, assistant)
    assert (await house.services.runs.cancel(thread.id, run.id)).status == "cancelling"
    with pytest.raises(InvalidRequest, match=r"^Cannot cancel run with status 'cancelled'\.$"):
        await house.services.runs.cancel(thread.id, run.id)
    run = await house.run(thread, assistant)
    waiting = await house.supervisor.put(run.id, status="cancelling")
    assert await house.services.runs.cancel(thread.id, run.id) == waiting
    with pytest.raises(NotFound, match="No run found with id 'run_gone'"):
        await house.services.runs.cancel(thread.id, "run_gone")


async def waiting_run(house: House) -> Run:
    """A run that waits for the outputs of two calls."""
    run = await house.run(await house.thread("hi"), await house.assistant(tools=[FUNCTION]))
    calls = [
        RequiredToolCall(id=id, function=CalledFunction(name="f", arguments="{}"))
        for id in ("call_a", "call_b")
    ]
    action = RequiredAction(submit_tool_outputs=SubmitToolOutputs(tool_calls=calls))
    return await house.supervisor.put(run.id, status="requires_action", required_action=action)


@in_house
async def test_outputs_are_handed_on(house: House) -> None:
    run = await waiting_run(house)
    outputs = [{"tool_call_id": "call_b", "output": "2"}, {"tool_call_id": "call_a"}]
    params = parse(SubmitToolOutputsParams, {"tool_outputs": outputs})
    after = await house.services.runs.submit_tool_outputs(run.thread_id, run.id, params)
    assert (after.status, after.required_action) == ("queued", None)
    assert house.supervisor.outputs == {"call_a": "", "call_b": "2"}
    with pytest.raises(InvalidRequest) as caught:
        await house.services.runs.submit_tool_outputs(run.thread_id, run.id, params)
    assert caught.value.message == 'Runs in status "queued" do not accept tool outputs.'


@pytest.mark.parametrize(
    ("ids", "got"),
    [
        (["call_a"], "['call_a']"),
        ([], "[]"),
        (["call_a", "call_a"], "['call_a', 'call_a']"),
        (["call_a", "call_b", "call_c"], "['call_a', 'call_b', 'call_c']"),
        ([None, "call_b"], "['call_b']"),
    ],
)
@in_house
async def test_all_outputs_or_none(house: House, ids: list[str | None], got: str) -> None:
    run = await waiting_run(house)
    outputs = [{"tool_call_id": id, "output": "x"} for id in ids]
    params = parse(SubmitToolOutputsParams, {"tool_outputs": outputs})
    with pytest.raises(InvalidRequest) as caught:
        await house.services.runs.submit_tool_outputs(run.thread_id, run.id, params)
    assert caught.value.message == (
        f"Expected tool outputs for call_ids ['call_a', 'call_b'], got {got}"
    )
    assert house.supervisor.outputs == {}


@in_house
async def test_runs_of_a_thread_are_listed(house: House) -> None:
    run = await house.run(await house.thread("hi"), await house.assistant())
    other = await house.thread("ho")
    assert (await house.services.runs.list(run.thread_id, ListQuery())).data == [run]
    assert (await house.services.runs.list(other.id, ListQuery())).data == []
    with pytest.raises(NotFound, match=f"No run found with id '{run.id}'."):
        await house.services.runs.get(other.id, run.id)


@in_house
async def test_steps_show_rich_outputs_to_those_who_ask(house: House) -> None:
    run = await house.run(await house.thread("hi"), await house.assistant())
    code = CodeInterpreterCall(
        input="1", outputs=[LogsOutput(logs="1"), DisplayDataOutput(data={"text/html": "<b>"})]
    )
    step = RunStep(
        id="step_1",
        created_at=1,
        run_id=run.id,
        assistant_id=run.assistant_id,
        thread_id=run.thread_id,
        type="tool_calls",
        step_details=ToolCallsDetails(
            tool_calls=[CodeInterpreterToolCall(id="call_1", code_interpreter=code)]
        ),
    )
    async with house.store.transaction() as tx:
        await tx.steps.insert(step)
    service, rich = house.services.steps, "step_details.tool_calls[*].code_interpreter.outputs[*]"
    query = parse(StepListQuery, {"include": [f"{rich}.display_data"]})
    assert (await service.list(run.thread_id, run.id, query)).data == [step]
    (plain,) = (await service.list(run.thread_id, run.id, StepListQuery())).data
    assert plain.model_dump()["step_details"]["tool_calls"][0]["code_interpreter"]["outputs"] == [
        {"type": "logs", "logs": "1"}
    ]
    assert await service.get(run.thread_id, run.id, step.id, RunQuery()) == plain
    with pytest.raises(NotFound, match=r"No run step found with id 'step_2'\."):
        await service.get(run.thread_id, run.id, "step_2", RunQuery())


@in_house
async def test_search_cannot_be_forced(house: House) -> None:
    search = {"type": "file_search"}
    assistant, thread = await house.assistant(tools=[search]), await house.thread("hi")
    with pytest.raises(InvalidRequest, match="file search is not available on this server"):
        await house.run(thread, assistant, tool_choice=search)


async def _told(house: House, run: Run, seq: int, name: str) -> None:
    """One more event, stored by the server that works on the run."""
    async with house.store.transaction() as tx:
        await tx.events.append(run.id, [(seq, name, "{}")])


@in_house
async def test_events_of_a_run_of_another_server_are_followed_to_its_end(house: House) -> None:
    run = await house.run(await house.thread("hi"), await house.assistant())
    await _told(house, run, 1, "thread.run.created")
    async with aclosing(house.services.events.follow(run)) as batches:
        assert [event.name for event in await anext(batches)] == ["thread.run.created"]
        await _told(house, run, 2, "thread.run.in_progress")
        assert [event.seq for event in await anext(batches)] == [2]
        await house.supervisor.put(run.id, status="completed")
        await _told(house, run, 3, "thread.run.completed")
        assert [event.name for batch in [b async for b in batches] for event in batch] == [
            "thread.run.completed"
        ]


@in_house
async def test_events_end_when_the_other_server_died(house: House) -> None:
    run = await house.run(await house.thread("hi"), await house.assistant())
    house.supervisor.dead.add(run.id)
    events = [event async for batch in house.services.events.follow(run) for event in batch]
    assert [event.name for event in events] == ["thread.run.failed"]
