"""Objects as recorded: key order, what is null and what is absent, old and foreign keys."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from jupyter_ci_ext.wire.assistant import Assistant
from jupyter_ci_ext.wire.common import Gapped, ListPage, WireObject, dump
from jupyter_ci_ext.wire.content import ImageFile, Text, TextContent
from jupyter_ci_ext.wire.deltas import (
    CodeInterpreterDelta,
    CodeInterpreterPiece,
    FunctionDelta,
    FunctionPiece,
    LogsDelta,
    TextDelta,
    TextPiece,
    message_delta,
    step_delta,
)
from jupyter_ci_ext.wire.file import File
from jupyter_ci_ext.wire.message import Message
from jupyter_ci_ext.wire.run import Run
from jupyter_ci_ext.wire.run_step import RunStep
from jupyter_ci_ext.wire.thread import Thread
from jupyter_ci_ext.wire.tools import CodeInterpreterTool, FunctionDefinition, ToolResources
from jupyter_ci_ext.wire.upload import Upload

ASSISTANT = """{"id":"asst_Leo2sRC1zfL8826tvsgfhKJ4","object":"assistant","created_at":1774963842,\
"name":"Math Tutor","description":null,"model":"gpt-4o-mini","instructions":"You are a tutor.",\
"tools":[{"type":"code_interpreter"}],"top_p":1.0,"temperature":1.0,"reasoning_effort":null,\
"tool_resources":{"code_interpreter":{"file_ids":[]}},"metadata":{},"response_format":"auto"}"""

THREAD = """{"id":"thread_erGl66dVoAO1EY2Mp3lvn9JB","object":"thread","created_at":1774963843,\
"metadata":{},"tool_resources":{}}"""

MESSAGE = """{"id":"msg_KXmJuJ3n0yNzkof0jQk2iWEj","object":"thread.message",\
"created_at":1774963843,"assistant_id":null,"thread_id":"thread_erGl66dVoAO1EY2Mp3lvn9JB",\
"run_id":null,"status":"completed","incomplete_details":null,"incomplete_at":null,\
"completed_at":1774963843,"role":"user","content":[{"type":"text","text":{"value":"3x + 11 = 14",\
"annotations":[]}},{"type":"image_file","image_file":{"file_id":"file-a"}},{"type":"text","text":\
{"value":"[graph](sandbox:/mnt/data/graph.png)","annotations":[{"type":"file_path",\
"text":"sandbox:/mnt/data/graph.png","start_index":8,"end_index":35,\
"file_path":{"file_id":"file-b"}}]}}],"attachments":[{"file_id":"file-b",\
"tools":[{"type":"code_interpreter"}]}],"metadata":{}}"""

RUN = """{"id":"run_31fgVjfVXHHOJZbQnBWJXhlN","object":"thread.run","created_at":1774963844,\
"assistant_id":"asst_Leo2sRC1zfL8826tvsgfhKJ4","thread_id":"thread_erGl66dVoAO1EY2Mp3lvn9JB",\
"status":"queued","started_at":null,"expires_at":1774964444,"cancelled_at":null,"failed_at":null,\
"completed_at":null,"required_action":null,"last_error":null,"model":"gpt-4o-mini",\
"instructions":"Please address the user as Jane Doe.","tools":[{"type":"code_interpreter"}],\
"tool_resources":{},"metadata":{},"temperature":1.0,"top_p":1.0,"reasoning_effort":null,\
"max_completion_tokens":null,"max_prompt_tokens":null,"truncation_strategy":{"type":"auto",\
"last_messages":null},"incomplete_details":null,"usage":null,"response_format":"auto",\
"tool_choice":"auto","parallel_tool_calls":true}"""

STEP = """{"id":"step_1","object":"thread.run.step","created_at":1774963846,"run_id":"run_1",\
"assistant_id":"asst_1","thread_id":"thread_1","type":"tool_calls","status":"completed",\
"cancelled_at":null,"completed_at":1774963849,"expires_at":null,"expired_at":null,\
"failed_at":null,"last_error":null,"step_details":{"type":"tool_calls","tool_calls":[\
{"id":"call_1","type":"code_interpreter","code_interpreter":{"input":"print(1)","outputs":[\
{"type":"logs","logs":"1\\n"},{"type":"image","image":{"file_id":"file-x"}}]}}]},\
"usage":{"prompt_tokens":154,"completion_tokens":20,"total_tokens":174,\
"prompt_token_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}},"metadata":{"execution":"ok"}}"""

FILE = """{"object":"file","id":"file-1","purpose":"assistants","filename":"你好.txt","bytes":3,\
"created_at":1774963846,"expires_at":null,"status":"processed","status_details":null}"""

UPLOAD = """{"id":"upload_1","object":"upload","bytes":9,"created_at":1,"filename":"a.csv",\
"purpose":"assistants","status":"pending","expires_at":3601}"""

FUNCTION_TOOL = """{"name":"get_weather","parameters":{"type":"object","properties":{}},\
"strict":false}"""

RECORDED: list[tuple[type[WireObject], str]] = [
    (Assistant, ASSISTANT),
    (Thread, THREAD),
    (Message, MESSAGE),
    (Run, RUN),
    (RunStep, STEP),
    (File, FILE),
    (Upload, UPLOAD),
    (FunctionDefinition, FUNCTION_TOOL),
]


@pytest.mark.parametrize(("cls", "line"), RECORDED, ids=lambda v: getattr(v, "__name__", ""))
def test_a_recorded_object_comes_out_as_it_was(cls: type[WireObject], line: str) -> None:
    assert dump(cls.model_validate_json(line)) == line


@pytest.mark.parametrize(("cls", "line"), RECORDED, ids=lambda v: getattr(v, "__name__", ""))
def test_unknown_keys_of_other_versions_are_dropped(cls: type[WireObject], line: str) -> None:
    row = json.loads(line) | {"from_the_future": {"x": 1}}
    assert dump(cls.model_validate(row)) == line


def test_defaults_of_a_new_run_are_those_recorded() -> None:
    run = Run(
        id="run_31fgVjfVXHHOJZbQnBWJXhlN",
        created_at=1774963844,
        expires_at=1774964444,
        assistant_id="asst_Leo2sRC1zfL8826tvsgfhKJ4",
        thread_id="thread_erGl66dVoAO1EY2Mp3lvn9JB",
        model="gpt-4o-mini",
        instructions="Please address the user as Jane Doe.",
        tools=[CodeInterpreterTool()],
    )
    assert dump(run) == RUN


def test_function_tools_get_the_recorded_defaults() -> None:
    assert dump(FunctionDefinition(name="get_weather")) == FUNCTION_TOOL


def test_objects_are_frozen_and_copied_to_change() -> None:
    thread = Thread.model_validate_json(THREAD)
    with pytest.raises(ValidationError):
        thread.metadata = {"title": "x"}
    assert thread.model_copy(update={"metadata": {"title": "x"}}).metadata == {"title": "x"}
    assert thread.metadata == {}


def test_a_default_is_not_shared_between_objects() -> None:
    first, second = Text(value="a"), Text(value="b")
    assert first.annotations is not second.annotations


def test_detail_is_absent_unless_given() -> None:
    assert dump(ImageFile(file_id="file-x")) == '{"file_id":"file-x"}'
    assert dump(ImageFile(file_id="f", detail="auto")) == '{"file_id":"f","detail":"auto"}'


def test_files_for_code_are_set_without_losing_the_rest() -> None:
    given = ToolResources.model_validate({"file_search": {"vector_store_ids": ["vs_1"]}})
    assert given.code_files == []
    both = given.with_code_files(["file-1"])
    assert both.code_files == ["file-1"]
    assert both.file_search == given.file_search
    assert dump(ToolResources().with_code_files([])) == '{"code_interpreter":{"file_ids":[]}}'


def test_lists_name_their_first_and_last() -> None:
    threads = [Thread(id=f"thread_{n}", created_at=n) for n in range(3)]
    page = ListPage[Thread].of(threads, has_more=True)
    assert (page.first_id, page.last_id, page.has_more) == ("thread_0", "thread_2", True)
    empty = '{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false}'
    assert dump(ListPage[Thread].of([], has_more=False)) == empty


def test_a_line_has_no_character_that_readers_take_for_a_line_end() -> None:
    nasty = "a\u2028b\u2029c\u0085d\r\n\x0b\x0c\x1c\x1d\x1eé🙂"
    line = dump(TextContent(text=Text(value=nasty)))
    assert line.splitlines() == [line]
    assert json.loads(line)["text"]["value"] == nasty


def test_deltas_hold_only_what_is_new() -> None:
    first = step_delta(
        "step_1",
        CodeInterpreterDelta(
            index=0, id="call_1", code_interpreter=CodeInterpreterPiece(input="", outputs=[])
        ),
    )
    assert dump(first) == (
        '{"id":"step_1","object":"thread.run.step.delta","delta":{"step_details":'
        '{"type":"tool_calls","tool_calls":[{"index":0,"id":"call_1","type":"code_interpreter",'
        '"code_interpreter":{"input":"","outputs":[]}}]}}}'
    )
    logs = CodeInterpreterPiece(outputs=[LogsDelta(index=0, logs="1.0")])
    assert dump(CodeInterpreterDelta(index=0, code_interpreter=logs)) == (
        '{"index":0,"type":"code_interpreter","code_interpreter":'
        '{"outputs":[{"index":0,"type":"logs","logs":"1.0"}]}}'
    )
    call = FunctionPiece(name="f", arguments="", output=None)
    assert dump(FunctionDelta(index=0, id="call_2", function=call)) == (
        '{"index":0,"id":"call_2","type":"function",'
        '"function":{"name":"f","arguments":"","output":null}}'
    )
    assert dump(FunctionDelta(index=0, function=FunctionPiece(arguments='{"'))) == (
        '{"index":0,"type":"function","function":{"arguments":"{\\""}}'
    )
    text = message_delta("msg_1", TextDelta(index=0, text=TextPiece(value=" sol")))
    assert dump(text) == (
        '{"id":"msg_1","object":"thread.message.delta","delta":{"content":'
        '[{"index":0,"type":"text","text":{"value":" sol"}}]}}'
    )


def test_schemas_say_what_is_required_and_what_it_is() -> None:
    schema = Message.model_json_schema(mode="serialization")
    assert set(schema["required"]) == set(Message.model_fields)
    assert schema["properties"]["status"]["description"].startswith("Whether it is being written")
    upload = Upload.model_json_schema(mode="serialization")
    assert "file" in upload["properties"]
    assert "file" not in upload["required"]


MAKERS = (
    lambda text: message_delta("msg_1", TextDelta(index=0, text=TextPiece(value=text))),
    lambda text: step_delta(
        "step_1", CodeInterpreterDelta(index=0, code_interpreter=CodeInterpreterPiece(input=text))
    ),
    lambda text: step_delta(
        "step_1",
        CodeInterpreterDelta(
            index=0, code_interpreter=CodeInterpreterPiece(outputs=[LogsDelta(index=3, logs=text)])
        ),
    ),
)


@given(st.text())
@example('"\\\u2028\x85\x00\x1f 😀')
@example("")
@pytest.mark.parametrize("make", MAKERS)
def test_a_line_with_a_gap_is_what_the_object_gives(make, text):
    assert Gapped(make)(text) == dump(make(text))


def test_a_line_needs_exactly_one_gap():
    with pytest.raises(ValueError, match="unpack"):
        Gapped(lambda text: message_delta("msg_1"))
