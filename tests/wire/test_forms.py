"""The forms of v1 and Azure, and what is sent only where asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jupyter_ci_ext.errors import InvalidRequest
from jupyter_ci_ext.wire import azure, v1
from jupyter_ci_ext.wire.assistant import Assistant
from jupyter_ci_ext.wire.assistant_params import CreateAssistant, ModifyAssistant
from jupyter_ci_ext.wire.common import ListPage
from jupyter_ci_ext.wire.content import FilePath
from jupyter_ci_ext.wire.deltas import (
    CodeInterpreterDelta,
    CodeInterpreterPiece,
    DisplayDataDelta,
    ImageDelta,
    LogsDelta,
    OutputDelta,
    step_delta,
)
from jupyter_ci_ext.wire.include import DISPLAY_DATA, EventFilter
from jupyter_ci_ext.wire.message import Attachment, AttachmentTool, Message
from jupyter_ci_ext.wire.message_params import CreateMessage
from jupyter_ci_ext.wire.run import Run, RunIncompleteDetails
from jupyter_ci_ext.wire.run_params import CreateRun, CreateThreadAndRun
from jupyter_ci_ext.wire.run_step import (
    CodeInterpreterCall,
    CodeInterpreterToolCall,
    DisplayDataOutput,
    LogsOutput,
    RunStep,
    ToolCallsDetails,
)
from jupyter_ci_ext.wire.tools import CodeInterpreterTool, FileSearchTool, Tool, ToolResources
from jupyter_ci_ext.wire.v1_params import parse_v1

FILES = ToolResources().with_code_files(["file-1"])


def js(value: Any) -> dict[str, Any]:
    return json.loads(value.model_dump_json())  # type: ignore[no-any-return]


def test_an_assistant_in_v1() -> None:
    tools: list[Tool] = [CodeInterpreterTool(), FileSearchTool()]
    new = Assistant(id="asst_1", created_at=1, model="m", tools=tools, tool_resources=FILES)
    assert json.dumps(v1.outgoing(js(new))) == json.dumps(
        {
            "id": "asst_1",
            "object": "assistant",
            "created_at": 1,
            "name": None,
            "description": None,
            "model": "m",
            "instructions": None,
            "tools": [{"type": "code_interpreter"}, {"type": "retrieval"}],
            "file_ids": ["file-1"],
            "metadata": {},
        }
    )


def test_a_message_in_v1_lists_each_file_once() -> None:
    attachment = Attachment(file_id="file-1", tools=[AttachmentTool(type="code_interpreter")])
    new = Message(
        id="msg_1", created_at=1, thread_id="t", role="user", attachments=[attachment, attachment]
    )
    old = v1.outgoing(js(ListPage[Message].of([new], has_more=False)))["data"][0]
    assert old["file_ids"] == ["file-1"]
    assert "attachments" not in old
    assert list(old)[-3:] == ["content", "file_ids", "metadata"]


def test_an_incomplete_run_counts_as_completed_in_v1() -> None:
    run = Run(
        id="run_1",
        created_at=1,
        assistant_id="a",
        thread_id="t",
        model="m",
        status="incomplete",
        incomplete_details=RunIncompleteDetails(reason="max_completion_tokens"),
        tool_resources=FILES,
    )
    name, old = v1.event("thread.run.incomplete", js(run))
    assert name == "thread.run.completed"
    assert old["status"] == "completed"
    assert old["incomplete_details"] == {"reason": "max_completion_tokens"}
    assert old["file_ids"] == ["file-1"]
    assert list(old)[list(old).index("tools") :][:3] == ["tools", "file_ids", "metadata"]
    assert not {"tool_resources", "top_p", "reasoning_effort"} & set(old)


def test_v1_bodies_become_v2_parameters() -> None:
    body = {"model": "m", "tools": [{"type": "retrieval"}], "file_ids": ["file-1"]}
    created = parse_v1(CreateAssistant, body)
    assert [tool.type for tool in created.tools or ()] == ["file_search"]
    assert created.tool_resources is not None
    assert created.tool_resources.file_ids == ["file-1"]
    message = {"role": "user", "content": "hi", "file_ids": ["file-2"], "metadata": {"n": 1}}
    run = parse_v1(CreateRun, {"assistant_id": "asst_1", "additional_messages": [message]})
    assert run.additional_messages is not None
    assert run.additional_messages[0].file_ids() == [("attachments[0].file_id", "file-2")]
    assert run.additional_messages[0].metadata == {"n": "1"}
    both = parse_v1(
        CreateThreadAndRun, {"assistant_id": "asst_1", "thread": {"messages": [message]}}
    )
    assert both.thread is not None
    assert (both.thread.messages or [])[0].to_attachments()[0].file_id == "file-2"


def test_what_v1_does_not_mention_stays_ungiven() -> None:
    changed = parse_v1(ModifyAssistant, {"name": "x", "metadata": {"modified": True}})
    assert changed.model_fields_set == {"name", "metadata"}
    assert changed.metadata == {"modified": "True"}


@pytest.mark.parametrize(
    ("cls", "body", "text"),
    [
        (
            CreateAssistant,
            {"model": "m", "tool_resources": {}},
            "Unknown parameter: 'tool_resources'.",
        ),
        (
            CreateMessage,
            {"role": "user", "content": []},
            "Invalid type for 'content': expected a string",
        ),
        (
            CreateMessage,
            {"role": "user", "content": "x", "file_ids": ["foo"]},
            "Invalid 'file_ids[0]'",
        ),
    ],
)
def test_v1_errors_use_v1_names(cls: Any, body: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_v1(cls, body)
    assert caught.value.message.startswith(text)


def test_azure_names_files_its_own_way_and_back() -> None:
    data: dict[str, Any] = {
        "object": "list",
        "first_id": "file-1",
        "data": [
            {"object": "file", "id": "file-1", "metadata": {"file_id": "file-1"}},
            {"object": "thread", "id": "thread_1", "tool_resources": {"code_interpreter": {"file_ids": ["file-1"]}}},
            {"object": "thread.message", "id": "msg_1", "text": "file-1", "attachments": [{"file_id": "file-1"}]},
        ],
    }  # fmt: skip
    out = azure.outgoing(data)
    assert out["first_id"] == "assistant-1"
    assert out["data"][0] == {
        "object": "file",
        "id": "assistant-1",
        "metadata": {"file_id": "file-1"},
    }
    assert out["data"][1]["tool_resources"] == {"code_interpreter": {"file_ids": ["assistant-1"]}}
    assert out["data"][2]["text"] == "file-1"
    assert azure.incoming(out) == data
    assert azure.file_id_in(azure.file_id_out("file-1")) == "file-1"
    assert azure.file_id_in("thread_1") == "thread_1"


def test_empty_data_sources_of_foundry_are_dropped() -> None:
    body = {
        "tool_resources": {"code_interpreter": {"file_ids": ["assistant-1"], "data_sources": []}}
    }
    assert azure.incoming(body) == {
        "tool_resources": {"code_interpreter": {"file_ids": ["file-1"]}}
    }


def piece(*outputs: OutputDelta) -> dict[str, Any]:
    code = CodeInterpreterPiece(outputs=list(outputs))
    return js(step_delta("step_1", CodeInterpreterDelta(index=0, code_interpreter=code)))


def test_rich_outputs_leave_no_gap_in_a_stream() -> None:
    rich = piece(DisplayDataDelta(index=1, data={"text/html": "<b>"}))
    events = [
        piece(LogsDelta(index=0, logs="a")),
        rich,
        piece(ImageDelta(index=2, image=FilePath(file_id="file-1"))),
        piece(LogsDelta(index=3, logs="b")),
    ]
    keep = EventFilter()
    seen = [keep(event) for event in events]
    assert seen[1] is None
    indexes = [
        output["index"]
        for event in seen
        if event is not None
        for output in event["delta"]["step_details"]["tool_calls"][0]["code_interpreter"]["outputs"]
    ]
    assert indexes == [0, 1, 2]
    assert EventFilter([DISPLAY_DATA])(rich) == rich


def test_rich_outputs_are_left_out_of_steps() -> None:
    call = CodeInterpreterToolCall(
        id="call_1",
        code_interpreter=CodeInterpreterCall(
            outputs=[DisplayDataOutput(data={"text/html": "<b>"}), LogsOutput(logs="a")]
        ),
    )
    step = RunStep(
        id="step_1",
        created_at=1,
        run_id="r",
        assistant_id="a",
        thread_id="t",
        type="tool_calls",
        step_details=ToolCallsDetails(tool_calls=[call]),
    )
    seen = EventFilter()(js(step))
    assert seen is not None
    outputs = seen["step_details"]["tool_calls"][0]["code_interpreter"]["outputs"]
    assert outputs == [{"type": "logs", "logs": "a"}]
    assert EventFilter([DISPLAY_DATA])(js(step)) == js(step)
