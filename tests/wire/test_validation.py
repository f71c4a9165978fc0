"""What is wrong with a request, in the API's words: text, code and parameter."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from jupyter_ci_ext.errors import InvalidRequest
from jupyter_ci_ext.wire.assistant_params import CreateAssistant, ModifyAssistant
from jupyter_ci_ext.wire.file_params import (
    CompleteUpload,
    CreateFile,
    CreateUpload,
    FileListQuery,
)
from jupyter_ci_ext.wire.message_params import CreateMessage, MessageListQuery
from jupyter_ci_ext.wire.params import ListQuery
from jupyter_ci_ext.wire.run_params import (
    CreateRun,
    CreateThreadAndRun,
    StepListQuery,
    SubmitToolOutputsParams,
)
from jupyter_ci_ext.wire.thread_params import CreateThread
from jupyter_ci_ext.wire.validation import parse, read_json

A: dict[str, Any] = {"model": "m"}
M: dict[str, Any] = {"role": "user", "content": "x"}
R: dict[str, Any] = {"assistant_id": "asst_1"}

REFUSED: list[tuple[type[BaseModel], object, str, str | None, str | None]] = [
    (
        CreateAssistant,
        {},
        "Missing required parameter: 'model'.",
        "missing_required_parameter",
        "model",
    ),
    (
        CreateAssistant,
        None,
        "Missing required parameter: 'model'.",
        "missing_required_parameter",
        "model",
    ),
    (
        CreateAssistant,
        [],
        "Invalid type for request body: expected an object, but got an array instead.",
        "invalid_type",
        None,
    ),
    (CreateAssistant, A | {"foo": 1}, "Unknown parameter: 'foo'.", "unknown_parameter", "foo"),
    (
        CreateAssistant,
        A | {"model": None},
        "Invalid type for 'model': expected a string, but got null instead.",
        "invalid_type",
        "model",
    ),
    (
        CreateAssistant,
        A | {"name": "a" * 300},
        "Invalid 'name': string too long. Expected a string with maximum length 256, but got a "
        "string with length 300 instead.",
        "string_above_max_length",
        "name",
    ),
    (
        CreateAssistant,
        A | {"tools": [{"type": "function", "function": {}}]},
        "Missing required parameter: 'tools[0].function.name'.",
        "missing_required_parameter",
        "tools[0].function.name",
    ),
    (
        CreateAssistant,
        A | {"tools": [{"type": "function", "function": {"name": "f", "function": 1}}]},
        "Unknown parameter: 'tools[0].function.function'.",
        "unknown_parameter",
        "tools[0].function.function",
    ),
    (
        CreateAssistant,
        A | {"tools": [{"type": "code_interpreter"}, {"type": "function"}]},
        "Missing required parameter: 'tools[1].function'.",
        "missing_required_parameter",
        "tools[1].function",
    ),
    (
        CreateAssistant,
        A | {"tools": [{"type": "function", "function": {"name": "a b"}}]},
        "Invalid 'tools[0].function.name': string does not match pattern. Expected a string that "
        "matches the pattern '^[a-zA-Z0-9_-]+$'.",
        "invalid_value",
        "tools[0].function.name",
    ),
    (
        CreateAssistant,
        A | {"tools": [{"type": "retrieval"}]},
        "Invalid value: 'retrieval'. Supported values are: 'code_interpreter', 'function', and "
        "'file_search'.",
        "invalid_value",
        "tools[0].type",
    ),
    (
        CreateAssistant,
        A | {"tools": [{}]},
        "Missing required parameter: 'tools[0].type'.",
        "missing_required_parameter",
        "tools[0].type",
    ),
    (
        CreateAssistant,
        A | {"tools": ["code_interpreter"]},
        "Invalid type for 'tools[0]': expected an object, but got a string instead.",
        "invalid_type",
        "tools[0]",
    ),
    (
        CreateAssistant,
        A | {"tools": [{"type": "code_interpreter"}] * 129},
        "Invalid 'tools': array too long. Expected an array with maximum length 128, but got an "
        "array with length 129 instead.",
        "array_above_max_length",
        "tools",
    ),
    (
        ModifyAssistant,
        {"metadata": {"modified": True}},
        "Invalid type for 'metadata.modified': expected a string, but got a boolean instead.",
        "invalid_type",
        "metadata.modified",
    ),
    (
        CreateThread,
        {"metadata": {str(n): "" for n in range(17)}},
        "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, "
        "but got an object with 17 properties instead.",
        "object_above_max_properties",
        "metadata",
    ),
    (
        CreateThread,
        {"metadata": {"k" * 65: ""}},
        "Invalid 'metadata': property name too long. Expected a property name with maximum length "
        "64, but got a property name with length 65 instead.",
        "property_name_above_max_length",
        "metadata",
    ),
    (
        CreateThread,
        {"metadata": {"k": "v" * 513}},
        "Invalid 'metadata.k': string too long. Expected a string with maximum length 512, but got "
        "a string with length 513 instead.",
        "string_above_max_length",
        "metadata.k",
    ),
    (
        CreateThread,
        {"messages": [M, {"role": "user"}]},
        "Missing required parameter: 'messages[1].content'.",
        "missing_required_parameter",
        "messages[1].content",
    ),
    (
        CreateAssistant,
        A | {"temperature": 3},
        "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 3 "
        "instead.",
        "decimal_above_max_value",
        "temperature",
    ),
    (
        CreateAssistant,
        A | {"temperature": "1"},
        "Invalid type for 'temperature': expected a decimal, but got a string instead.",
        "invalid_type",
        "temperature",
    ),
    (
        CreateAssistant,
        A | {"reasoning_effort": "huge"},
        "Invalid value: 'huge'. Supported values are: 'none', 'minimal', 'low', 'medium', 'high', "
        "'xhigh', and 'max'.",
        "invalid_value",
        "reasoning_effort",
    ),
    (
        CreateAssistant,
        A | {"response_format": "json"},
        "Invalid value: 'json'. Supported values are: 'auto'.",
        "invalid_value",
        "response_format",
    ),
    (
        CreateAssistant,
        A | {"response_format": {"type": "xml"}},
        "Invalid value: 'xml'. Supported values are: 'text', 'json_object', and 'json_schema'.",
        "invalid_value",
        "response_format.type",
    ),
    (
        CreateAssistant,
        A | {"tools": [{"type": "function", "function": {"name": "f"}}] * 2},
        "Function names must be unique.",
        None,
        "tools",
    ),
    (
        CreateThread,
        {"messages": [M] * 100_001},
        "Invalid 'messages': array too long. Expected an array with maximum length 100000, but got "
        "an array with length 100001 instead.",
        "array_above_max_length",
        "messages",
    ),
    (
        CreateAssistant,
        A | {"tool_resources": {"file_search": {"vector_store_ids": ["vs_1"]}}},
        "Vector stores are not available on this server, so "
        "'tool_resources.file_search.vector_store_ids' cannot be searched. Give files to the code "
        "interpreter instead: tool_resources.code_interpreter.",
        "invalid_value",
        "tool_resources.file_search.vector_store_ids",
    ),
    (
        CreateAssistant,
        A | {"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}},
        "Missing required parameter: 'response_format.json_schema.name'.",
        "missing_required_parameter",
        "response_format.json_schema.name",
    ),
    (
        CreateAssistant,
        A | {"tool_resources": {"code_interpreter": {"file_ids": ["file-a", "foo"]}}},
        "Invalid 'tool_resources.code_interpreter.file_ids[1]': 'foo'. Expected an ID that begins "
        "with 'file'.",
        "invalid_value",
        "tool_resources.code_interpreter.file_ids[1]",
    ),
    (
        CreateAssistant,
        A | {"tool_resources": {"code_interpreter": {"file_ids": ["file-a"] * 21}}},
        "Invalid 'tool_resources.code_interpreter.file_ids': array too long. Expected an array "
        "with maximum length 20, but got an array with length 21 instead.",
        "array_above_max_length",
        "tool_resources.code_interpreter.file_ids",
    ),
    (
        CreateAssistant,
        A | {"tool_resources": {"file_search": {"vector_stores": [{}]}}},
        "Vector stores are not available on this server, so "
        "'tool_resources.file_search.vector_stores' cannot be made. Give files to the code "
        "interpreter instead: tool_resources.code_interpreter.",
        "invalid_value",
        "tool_resources.file_search.vector_stores",
    ),
    (
        CreateMessage,
        M | {"role": "system"},
        "Invalid value: 'system'. Supported values are: 'user' and 'assistant'.",
        "invalid_value",
        "role",
    ),
    (
        CreateMessage,
        M | {"content": 3},
        "Invalid type for 'content': expected one of a string or array of objects, but got an "
        "integer instead.",
        "invalid_type",
        "content",
    ),
    (
        CreateMessage,
        M | {"content": ""},
        "Invalid 'content': string too short. Expected a string with minimum length 1, but got an "
        "empty string instead.",
        "string_below_min_length",
        "content",
    ),
    (
        CreateMessage,
        M | {"content": []},
        "Invalid 'content': empty array. Expected an array with minimum length 1, but got an empty "
        "array instead.",
        "empty_array",
        "content",
    ),
    (
        CreateMessage,
        M | {"content": "x" * 256_001},
        "Invalid 'content': string too long. Expected a string with maximum length 256000, but got "
        "a string with length 256001 instead.",
        "string_above_max_length",
        "content",
    ),
    (
        CreateMessage,
        M | {"content": [{"type": "text", "text": {"value": "x"}}]},
        "Invalid type for 'content[0].text': expected a string, but got an object instead.",
        "invalid_type",
        "content[0].text",
    ),
    (
        CreateMessage,
        M | {"attachments": [{"file_id": "file-1", "tools": [{"type": "x"}]}]},
        "Invalid value: 'x'. Supported values are: 'code_interpreter' and 'file_search'.",
        "invalid_value",
        "attachments[0].tools[0].type",
    ),
    (
        CreateRun,
        {"assistant_id": "foo"},
        "Invalid 'assistant_id': 'foo'. Expected an ID that begins with 'asst'.",
        "invalid_value",
        "assistant_id",
    ),
    (
        CreateRun,
        R | {"stream": "yes"},
        "Invalid type for 'stream': expected a boolean, but got a string instead.",
        "invalid_type",
        "stream",
    ),
    (
        CreateRun,
        R | {"tool_resources": {}},
        "Unknown parameter: 'tool_resources'.",
        "unknown_parameter",
        "tool_resources",
    ),
    (
        CreateRun,
        R | {"tool_choice": "foo"},
        "Invalid value: 'foo'. Supported values are: 'none', 'auto', and 'required'.",
        "invalid_value",
        "tool_choice",
    ),
    (
        CreateRun,
        R | {"tool_choice": {"type": "function"}},
        "Missing required parameter: 'tool_choice.function'.",
        "missing_required_parameter",
        "tool_choice.function",
    ),
    (
        CreateRun,
        R | {"max_prompt_tokens": 0},
        "Invalid 'max_prompt_tokens': integer below minimum value. Expected a value >= 1, but got "
        "0 instead.",
        "integer_below_min_value",
        "max_prompt_tokens",
    ),
    (
        CreateRun,
        R | {"max_completion_tokens": 1.5},
        "Invalid type for 'max_completion_tokens': expected an integer, but got a decimal number "
        "instead.",
        "invalid_type",
        "max_completion_tokens",
    ),
    (
        CreateThreadAndRun,
        R | {"additional_instructions": "x"},
        "Unknown parameter: 'additional_instructions'.",
        "unknown_parameter",
        "additional_instructions",
    ),
    (
        SubmitToolOutputsParams,
        {"tool_outputs": [{"tool_call_id": "call_1", "output": {"a": 1}}]},
        "Invalid type for 'tool_outputs[0].output': expected a string, but got an object instead.",
        "invalid_type",
        "tool_outputs[0].output",
    ),
    (
        ListQuery,
        {"limit": "101"},
        "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 101 "
        "instead.",
        "integer_above_max_value",
        "limit",
    ),
    (
        ListQuery,
        {"limit": "0"},
        "Invalid 'limit': integer below minimum value. Expected a value >= 1, but got 0 instead.",
        "integer_below_min_value",
        "limit",
    ),
    (
        ListQuery,
        {"limit": "abc"},
        "Invalid type for 'limit': expected an integer, but got a string instead.",
        "invalid_type",
        "limit",
    ),
    (
        ListQuery,
        {"order": "up"},
        "Invalid value: 'up'. Supported values are: 'asc' and 'desc'.",
        "invalid_value",
        "order",
    ),
    (
        StepListQuery,
        {"include": ["everything"]},
        "Invalid value: 'everything'. Supported values are: "
        "'step_details.tool_calls[*].file_search.results[*].content' and "
        "'step_details.tool_calls[*].code_interpreter.outputs[*].display_data'.",
        "invalid_value",
        "include[0]",
    ),
    (
        CreateFile,
        {"purpose": "world_domination"},
        "'world_domination' is not one of ['fine-tune', 'assistants', 'batch', 'user_data', "
        "'vision', 'evals'] - 'purpose'",
        None,
        "purpose",
    ),
    (
        CreateFile,
        {"purpose": "vision", "expires_after": {"anchor": "created_at", "seconds": "60"}},
        "Invalid 'expires_after.seconds': integer below minimum value. Expected a value >= 3600, "
        "but got 60 instead.",
        "integer_below_min_value",
        "expires_after.seconds",
    ),
    (
        CreateUpload,
        {"filename": "a", "purpose": "vision", "bytes": "9", "mime_type": "text/csv"},
        "Invalid type for 'bytes': expected an integer, but got a string instead.",
        "invalid_type",
        "bytes",
    ),
    (
        CompleteUpload,
        {"part_ids": "part_1"},
        "Invalid type for 'part_ids': expected an array, but got a string instead.",
        "invalid_type",
        "part_ids",
    ),
]


@pytest.mark.parametrize(("cls", "body", "text", "code", "param"), REFUSED)
def test_what_is_wrong_is_said_in_the_words_of_the_api(
    cls: type[BaseModel], body: object, text: str, code: str | None, param: str | None
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(cls, body)
    assert (caught.value.message, caught.value.code, caught.value.param) == (text, code, param)


ACCEPTED: list[tuple[type[BaseModel], object]] = [
    (CreateThread, None),
    (CreateThread, {"messages": None, "metadata": None, "tool_resources": None}),
    (CreateMessage, M | {"attachments": None, "metadata": None}),
    (CreateRun, R | {"stream": None, "tools": None, "additional_messages": [], "model": None}),
    (CreateRun, R | dict.fromkeys(set(CreateRun.model_fields) - {"assistant_id"})),
    (CreateAssistant, A | dict.fromkeys(set(CreateAssistant.model_fields) - {"model"})),
    (CreateRun, R | {"temperature": 1, "top_p": 0.5, "max_completion_tokens": 16}),
    (CreateThreadAndRun, R | {"thread": {"messages": [M]}, "tool_resources": {}}),
    (SubmitToolOutputsParams, {"tool_outputs": [{"tool_call_id": "call_1"}]}),
    (ListQuery, {"limit": "100", "after": "", "before": "", "order": "", "api-version": "v1"}),
    (FileListQuery, {"limit": "10000", "purpose": "assistants"}),
    (MessageListQuery, {"run_id": "run_1"}),
    (
        CreateFile,
        {"purpose": "vision", "expires_after": {"anchor": "created_at", "seconds": "3600"}},
    ),
]


@pytest.mark.parametrize(("cls", "body"), ACCEPTED)
def test_what_clients_send_is_accepted(cls: type[BaseModel], body: object) -> None:
    parse(cls, body)


def test_an_empty_cursor_is_no_cursor() -> None:
    query = parse(ListQuery, {"after": "", "limit": ""})
    assert (query.after, query.limit) == (None, 20)


def test_includes_joined_with_commas_are_taken_apart() -> None:
    search = "step_details.tool_calls[*].file_search.results[*].content"
    rich = "step_details.tool_calls[*].code_interpreter.outputs[*].display_data"
    assert parse(StepListQuery, {"include": [f"{search},{rich}"]}).include == [search, rich]


def test_the_tools_of_an_assistant_can_be_sent_back_as_they_came() -> None:
    tools = [
        {"type": "code_interpreter"},
        {"type": "file_search", "file_search": {"max_num_results": 3}},
        {"type": "function", "function": {"name": "f", "description": "d", "strict": None}},
    ]
    first = [tool.to_tool() for tool in parse(CreateAssistant, A | {"tools": tools}).tools or ()]
    dumped = [tool.model_dump(mode="json") for tool in first]
    again = [tool.to_tool() for tool in parse(CreateAssistant, A | {"tools": dumped}).tools or ()]
    assert again == first
    assert dumped[1]["file_search"]["ranking_options"] == {
        "ranker": "default_2024_08_21",
        "score_threshold": 0.0,
        "hybrid_search": None,
    }
    assert dumped[2]["function"]["parameters"] == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    "body", [b"{", b'"\\ud800"', b"[" * 5000, b"NaN", b"\xff", b"{'a': 1}", b'{"a": 1} x']
)
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="could not parse the JSON body"):
        read_json(body)


def test_an_empty_body_is_no_parameters() -> None:
    assert read_json(b"") is None
    with pytest.raises(InvalidRequest, match="could not parse the JSON body"):
        read_json(b"  ")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(sorted(CreateThreadAndRun.model_fields) + sorted(CreateRun.model_fields))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([CreateRun, CreateThreadAndRun, CreateAssistant]), FIELDS, JSON)
def test_any_value_is_taken_or_refused_with_a_parameter_that_was_sent(
    cls: type[BaseModel], field: str, value: object
) -> None:
    refused: InvalidRequest | None = None
    try:
        parse(cls, R | A | {field: value})
    except InvalidRequest as error:
        refused = error
    assert refused is None or (refused.message and refused.param)
