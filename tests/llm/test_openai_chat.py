"""The adapter against a real HTTP server that does what real model servers do."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import Any

import pytest
from prometheus_client import REGISTRY

from jupyter_ci_ext.errors import LLMError
from jupyter_ci_ext.llm.base import (
    AssistantMessage,
    CallResult,
    CodeCall,
    CodeDelta,
    CodeStarted,
    Delta,
    Finished,
    FunctionDelta,
    FunctionStarted,
    FunctionTool,
    ImagePart,
    RefusalDelta,
    TextDelta,
    TextPart,
    Usage,
    UserMessage,
)
from jupyter_ci_ext.llm.endpoint import Endpoint, Patience, Settings
from jupyter_ci_ext.llm.openai_chat import OpenAIChat
from tests.fakes.answers import (
    Answer,
    Call,
    call,
    calls,
    code,
    cut,
    error,
    garbage,
    raw,
    say,
    stall,
)
from tests.llm.conftest import TURN, collect

WEATHER = FunctionTool(
    "get_weather", "The weather", {"type": "object", "properties": {"city": {"type": "string"}}}
)


def text(deltas: list[Delta]) -> str:
    return "".join(d.text for d in deltas if isinstance(d, TextDelta))


def sources(deltas: list[Delta]) -> list[str]:
    found: dict[int, str] = {}
    for delta in deltas:
        if isinstance(delta, CodeStarted):
            found[delta.index] = ""
        elif isinstance(delta, CodeDelta):
            found[delta.index] += delta.source
    return [found[index] for index in sorted(found)]


def functions(deltas: list[Delta]) -> list[tuple[str, str]]:
    found: dict[int, tuple[str, str]] = {}
    for delta in deltas:
        if isinstance(delta, FunctionStarted):
            found[delta.index] = (delta.name, "")
        elif isinstance(delta, FunctionDelta):
            name, arguments = found[delta.index]
            found[delta.index] = (name, arguments + delta.arguments)
    return [found[index] for index in sorted(found)]


def reason(deltas: list[Delta]) -> str:
    assert isinstance(deltas[-1], Finished)
    return deltas[-1].reason


# ---- answers and calls ----------------------------------------------------------------------------


async def test_an_answer_streams_with_its_usage_last_but_one(upstream, chat):
    upstream.enqueue(say("It is **42**, as ever.", usage=(120, 9)))
    deltas = await collect(chat())
    assert text(deltas) == "It is **42**, as ever."
    assert sum(isinstance(d, TextDelta) for d in deltas) > 1
    assert deltas[-2:] == [Usage(120, 9), Finished("stop")]


async def test_code_streams_out_while_its_arguments_arrive(upstream, chat):
    upstream.enqueue(code('print("é😀")\n', text="Let me see.", chunk=5))
    deltas = await collect(chat())
    assert text(deltas) == "Let me see."
    assert sources(deltas) == ['print("é😀")\n']
    assert sum(isinstance(d, CodeDelta) for d in deltas) > 2
    assert reason(deltas) == "calls"
    started = next(d for d in deltas if isinstance(d, CodeStarted))
    assert started.id == "call_000000000000000000000000"


@pytest.mark.parametrize("manners", [{"legacy_shape": True}, {"without_index": True}, {"chunk": 1}])
async def test_the_shapes_tool_deltas_come_in(upstream, chat, manners: dict[str, Any]):
    upstream.enqueue(code("a = 1\nprint(a)", **manners))
    assert sources(await collect(chat())) == ["a = 1\nprint(a)"]


async def test_a_missing_id_is_made(upstream, chat):
    upstream.enqueue(Answer(calls=(Call("python", '{"code": "1"}', id=None),)))
    deltas = await collect(chat())
    started = next(d for d in deltas if isinstance(d, CodeStarted))
    assert started.id.startswith("call_")
    assert sources(deltas) == ["1"]


async def test_calls_all_numbered_zero_are_told_apart_by_their_ids(upstream, chat):
    def piece(**fields: Any) -> dict[str, Any]:
        return {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, **fields}]}}]}

    upstream.enqueue(
        raw(
            piece(id="a", function={"name": "get_weather", "arguments": '{"city": "Oslo"}'}),
            piece(id="b", function={"name": "get_weather", "arguments": {"city": "Rome"}}),
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            "[DONE]",
        )
    )
    deltas = await collect(chat(), functions=(WEATHER,))
    assert functions(deltas) == [
        ("get_weather", '{"city": "Oslo"}'),
        ("get_weather", '{"city": "Rome"}'),
    ]
    assert reason(deltas) == "calls"


async def test_functions_and_code_in_one_turn(upstream, chat):
    upstream.enqueue(
        Answer(
            calls=(
                Call("get_weather", '{"city": "Oslo"}', "call_a"),
                Call("python", '{"code": "1 + 1"}', "call_b"),
                Call("get_weather", "", "call_c"),
            )
        )
    )
    deltas = await collect(chat(), functions=(WEATHER,))
    assert functions(deltas) == [("get_weather", '{"city": "Oslo"}'), ("get_weather", "{}")]
    assert sources(deltas) == ["1 + 1"]
    indices = [d.index for d in deltas if isinstance(d, CodeStarted | FunctionStarted)]
    assert indices == [0, 1, 2]


async def test_the_interpreter_by_another_name_is_the_interpreter(upstream, chat):
    upstream.enqueue(calls(("code_interpreter", {"input": "1 + 1"})))
    assert sources(await collect(chat())) == ["1 + 1"]


async def test_the_interpreter_gives_way_to_a_function_named_python(upstream, chat):
    mine = FunctionTool("python", "A snake")
    upstream.enqueue(calls(("python", {"length": 3}), ("run_python", {"code": "2"})))
    deltas = await collect(chat(), functions=(mine,))
    assert functions(deltas) == [("python", '{"length": 3}')]
    assert sources(deltas) == ["2"]
    names = [t["function"]["name"] for t in upstream.chats[0].body["tools"]]
    assert names == ["run_python", "python"]


async def test_a_refusal_is_no_text(upstream, chat):
    upstream.enqueue(Answer(refusal="I will not."))
    deltas = await collect(chat())
    assert "".join(d.text for d in deltas if isinstance(d, RefusalDelta)) == "I will not."
    assert text(deltas) == ""


async def test_a_call_cut_by_the_token_limit_ends_as_length(upstream, chat):
    upstream.enqueue(
        Answer(calls=(Call("python", '{"code": "print(1)\\nprint('),), finish="length")
    )
    deltas = await collect(chat())
    assert sources(deltas) == ["print(1)\nprint("]
    assert reason(deltas) == "length"


@pytest.mark.parametrize(
    "content",
    [
        '{"name": "python", "arguments": {"code": "print(1)"}}',
        '<tool_call>\n{"name": "python", "arguments": {"code": "print(1)"}}\n</tool_call>',
        '```json\n{"name": "python", "parameters": {"code": "print(1)"}}\n```',
        "```python\nprint(1)\n```",
        "<|python_tag|>print(1)",
        '[TOOL_CALLS][{"name": "python", "arguments": {"code": "print(1)"}}]',
        '{"function": {"name": "python", "arguments": "{\\"code\\": \\"print(1)\\"}"}}',
        '{"code": "print(1)"}',
    ],
)
async def test_a_call_that_arrives_as_text_is_a_call(upstream, chat, content: str):
    upstream.enqueue(say(content, chunk=3))
    deltas = await collect(chat())
    assert sources(deltas) == ["print(1)"]
    assert text(deltas) == ""
    assert reason(deltas) == "calls"


@pytest.mark.parametrize(
    "content",
    [
        '{"answer": 42}',
        "```python\nprint(1)\n```\nThis prints one.",
        "```\nno language\n```",
        "{curly talk",
        "<b>bold</b>",
        "` and ``` in a line",
        '{"name": "somebody_else", "arguments": {}}',
    ],
)
async def test_text_that_only_looks_like_a_call_is_text(upstream, chat, content: str):
    upstream.enqueue(say(content, chunk=3))
    deltas = await collect(chat())
    assert text(deltas) == content
    assert sources(deltas) == []


async def test_thoughts_are_not_the_answer(upstream, chat):
    upstream.enqueue(say("<think>\n```python\nx\n```\nhm</think>\n\nIt is 42.", chunk=4))
    assert text(await collect(chat())) == "It is 42."


async def test_surrogate_halves_in_two_chunks_are_joined(upstream, chat):
    chunks = [
        {"choices": [{"index": 0, "delta": {"content": half}}]} for half in ("\ud83d", "\ude00")
    ]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    upstream.enqueue(raw(*(json.dumps(c) for c in (*chunks, end)), "[DONE]"))
    assert text(await collect(chat())) == "😀"


# ---- the request ----------------------------------------------------------------------------------


async def test_what_is_asked_of_the_server(upstream, chat):
    upstream.enqueue(say("ok"))
    picture = ImagePart(data=b"png", mime="image/png")
    messages = (
        UserMessage((TextPart("Look"), picture)),
        AssistantMessage("I look.", (CodeCall("call_1", "print(1)"),)),
        CallResult("call_1", "1", (picture,)),
        UserMessage((TextPart("And?"),)),
    )
    await collect(
        chat(vision=True),
        messages=messages,
        functions=(WEATHER,),
        tool_choice=("function", "get_weather"),
        parallel_tool_calls=False,
        response_format={"type": "json_object"},
        temperature=0.2,
        top_p=0.9,
        reasoning_effort="low",
        max_tokens=100,
    )
    body = upstream.chats[0].body
    assert upstream.chats[0].headers["authorization"] == "Bearer sk-secret"
    assert body["model"] == "scripted"
    assert body["stream_options"] == {"include_usage": True}
    assert (body["temperature"], body["top_p"], body["reasoning_effort"]) == (0.2, 0.9, "low")
    assert body["max_tokens"] == 100
    assert body["response_format"] == {"type": "json_object"}
    assert body["tool_choice"] == {"type": "function", "function": {"name": "get_weather"}}
    assert body["parallel_tool_calls"] is False
    assert [t["function"]["name"] for t in body["tools"]] == ["python", "get_weather"]
    roles = [m["role"] for m in body["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "user", "user"]
    assert body["messages"][1]["content"][1]["image_url"]["url"].startswith(
        "data:image/png;base64,"
    )
    assert body["messages"][2]["tool_calls"][0]["function"] == {
        "name": "python",
        "arguments": '{"code": "print(1)"}',
    }
    assert body["messages"][4]["content"][1]["type"] == "image_url"


async def test_forced_code_names_the_tool(upstream, chat):
    upstream.enqueue(code("1"))
    await collect(chat(), tool_choice="code")
    assert upstream.chats[0].body["tool_choice"]["function"]["name"] == "python"


async def test_forced_code_is_taken_from_a_block_where_the_choice_is_ignored(upstream, chat):
    upstream.enqueue(say("Sure:\n```python\nprint(1)\n```\n"))
    deltas = await collect(chat(), tool_choice="code")
    assert sources(deltas) == ["print(1)"]
    assert text(deltas) == "Sure:\n"


async def test_a_model_that_cannot_see_is_told_of_the_picture(upstream, chat):
    upstream.enqueue(say("ok"))
    await collect(
        chat(),
        messages=(
            UserMessage(
                (TextPart("Look"), ImagePart(url="http://x/y")),
            ),
        ),
    )
    content = upstream.chats[0].body["messages"][1]["content"]
    assert content.startswith("Look\n\n[a picture is here")


async def test_a_call_without_a_result_gets_one(upstream, chat):
    upstream.enqueue(say("ok"))
    messages = (
        AssistantMessage("", (CodeCall("a", "1"), CodeCall("b", "2"))),
        CallResult("b", "2"),
        CallResult("never-called", "x"),
        UserMessage((TextPart("Go on"),)),
    )
    await collect(chat(), messages=messages)
    sent = [(m["role"], m.get("tool_call_id")) for m in upstream.chats[0].body["messages"]]
    assert sent[1:] == [("assistant", None), ("tool", "b"), ("tool", "a"), ("user", None)]


# ---- what servers refuse --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refusal", "gone"),
    [
        (error(400, "Unknown parameter: stream_options"), "stream_options"),
        (error(400, "no", param="temperature", code="unsupported_value"), "temperature"),
        (error(422, "top_p: extra fields not permitted"), "top_p"),
        (error(400, "Unrecognized request argument: reasoning_effort"), "reasoning_effort"),
        (error(400, "Cannot use custom grammar constraints with tools."), "response_format"),
        (error(400, "parallel_tool_calls is not supported"), "parallel_tool_calls"),
        (error(400, "tool_choice is not supported"), "tool_choice"),
    ],
)
async def test_a_refused_parameter_is_left_out_from_then_on(upstream, chat, refusal, gone: str):
    upstream.enqueue(refusal, say("ok"), say("again"))
    llm = chat()
    asked = {
        "functions": (WEATHER,),
        "temperature": 0.5,
        "top_p": 0.5,
        "reasoning_effort": "low",
        "response_format": {"type": "json_object"},
        "parallel_tool_calls": False,
        "tool_choice": "required",
    }
    assert text(await collect(llm, **asked)) == "ok"
    assert text(await collect(llm, **asked)) == "again"
    assert [gone in request.body for request in upstream.chats] == [True, False, False]


async def test_a_refused_response_format_is_asked_for_in_words(upstream, chat):
    upstream.enqueue(error(400, "response_format is not supported"), say("{}"))
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    await collect(
        chat(),
        response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": schema}},
    )
    assert json.dumps(schema) in upstream.chats[1].body["messages"][0]["content"]


async def test_the_limit_of_tokens_goes_by_the_other_name_where_one_is_refused(upstream, chat):
    words = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    upstream.enqueue(error(400, words, param="max_tokens"), say("ok"))
    await collect(chat(), max_tokens=7)
    assert upstream.chats[1].body["max_completion_tokens"] == 7
    assert "max_tokens" not in upstream.chats[1].body


async def test_pictures_a_server_stumbles_over_are_left_out(upstream, chat):
    upstream.enqueue(
        error(500, "image input is not supported - hint: provide the mmproj"), say("ok")
    )
    messages = (UserMessage((TextPart("Look"), ImagePart(data=b"x"))),)
    assert text(await collect(chat(vision=True), messages=messages)) == "ok"
    assert isinstance(upstream.chats[1].body["messages"][1]["content"], str)


async def test_where_tools_are_refused_the_model_is_asked_for_blocks(upstream, chat):
    upstream.enqueue(
        error(400, "registry.ollama.ai/library/tiny does not support tools"),
        say("I compute.\n```python\nprint(6 * 7)\n```"),
    )
    llm = chat(code_protocol="auto")
    deltas = await collect(llm)
    assert sources(deltas) == ["print(6 * 7)"]
    assert llm.code_protocol == "fence"
    assert "tools" not in upstream.chats[1].body


async def test_where_tools_are_refused_and_must_be_used_the_refusal_stands(upstream, chat):
    upstream.enqueue(error(400, "this model does not support tools"))
    with pytest.raises(LLMError, match="does not support tools") as caught:
        await collect(chat(code_protocol="tools"))
    assert caught.value.kind == "invalid_prompt"


# ---- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refusal", "kind", "words"),
    [
        (
            error(401, "Incorrect API key provided: sk-secret"),
            "authentication",
            "refused the API key",
        ),
        (error(403, "no access"), "authentication", "does not allow this key"),
        (
            error(404, "The model `x` does not exist", code="model_not_found"),
            "not_found",
            "does not know the model",
        ),
        (error(404, "File Not Found"), "not_found", "usually ends in /v1"),
        (
            error(429, "You exceeded your current quota", code="insufficient_quota"),
            "quota",
            "quota",
        ),
        (error(402, "Payment required"), "quota", "Payment"),
        (
            error(429, "Slow down.", retry_after=3600),
            "rate_limit",
            r"Slow down\. Please try again in 3600s\.",
        ),
        (
            error(400, "This model's maximum context length is 4096 tokens"),
            "context_length",
            "too long",
        ),
        (
            error(400, "the request exceeds it", type="exceed_context_size_error"),
            "context_length",
            "too long",
        ),
        (error(413, "too large"), "context_length", "too long"),
        (error(400, "messages: bad"), "invalid_prompt", "refused the request: messages: bad"),
        (error(504, "gateway"), "timeout", "in time"),
    ],
)
async def test_refusals_in_words_a_person_understands(upstream, chat, refusal, kind, words):
    upstream.enqueue(refusal)
    with pytest.raises(LLMError, match=words) as caught:
        await collect(chat())
    assert caught.value.kind == kind
    assert "sk-secret" not in caught.value.message
    assert len(upstream.chats) == 1


async def test_a_missing_key_says_how_to_set_it(upstream, chat):
    upstream.enqueue(error(401, "no key"))
    with pytest.raises(LLMError, match="OPENAI_API_KEY"):
        await collect(chat(key=""))


async def test_the_window_is_learnt_from_a_refusal(upstream, chat):
    words = "the request exceeds the available context size"
    upstream.enqueue(error(400, words, type="exceed_context_size_error", n_ctx=4096))
    llm = chat()
    with pytest.raises(LLMError):
        await collect(llm)
    assert llm.context_tokens == 4096


async def test_a_short_wait_is_waited_out(upstream, chat):
    upstream.enqueue(error(429, "Slow down", retry_after=0.01), say("ok"))
    assert text(await collect(chat())) == "ok"


@pytest.mark.parametrize(
    ("words", "seconds"),
    [("Please try again in 58.642s.", 58.642), ("try again in 6m0s", 360.0), ("Wait", None)],
)
async def test_a_long_wait_is_told(upstream, chat, words: str, seconds: float | None):
    upstream.enqueue(*[error(429, words)] * 3)
    with pytest.raises(LLMError) as caught:
        await collect(chat())
    assert caught.value.retry_after == seconds
    assert caught.value.message == words


async def test_a_date_to_come_back_at(upstream, chat):
    upstream.enqueue(error(429, "x", retry_after="Wed, 01 Jan 2200 00:00:00 GMT"))
    with pytest.raises(LLMError) as caught:
        await collect(chat())
    assert caught.value.retry_after > 1e9


async def test_a_server_that_fails_is_asked_again_and_no_more_than_that(upstream, chat):
    upstream.enqueue(error(500, "oops"), error(503, "Loading model"), say("ok"))
    assert text(await collect(chat())) == "ok"
    upstream.enqueue(*[error(500, "oops")] * 4)
    with pytest.raises(LLMError, match="status 500") as caught:
        await collect(chat())
    assert caught.value.kind == "server"
    assert len(upstream.chats) == 6


async def test_every_failed_request_is_counted(upstream, chat):
    def counted() -> list[float]:
        name, kinds = "code_interpreter_model_errors_total", ("server", "rate_limit", "connection")
        return [REGISTRY.get_sample_value(name, {"kind": kind}) or 0 for kind in kinds]

    before = counted()
    upstream.enqueue(error(500, "oops"), say("ok"))
    await collect(chat())
    for answer in error(429, "slow down", retry_after=900), cut(after=2):
        upstream.enqueue(answer)
        with pytest.raises(LLMError):
            await collect(chat())
    assert [now - then for now, then in zip(counted(), before, strict=True)] == [1, 1, 1]


async def test_a_connection_that_breaks_before_anything_came_is_tried_again(upstream, chat):
    upstream.enqueue(cut(after=0), say("ok"))
    assert text(await collect(chat())) == "ok"


async def test_a_connection_that_breaks_later_is_an_error(upstream, chat):
    upstream.enqueue(cut(after=2), say("never"))
    llm = chat()
    deltas = llm.stream(TURN)
    assert isinstance(await anext(deltas), TextDelta)
    with pytest.raises(LLMError, match="broke off") as caught:
        await anext(deltas)
    assert caught.value.kind == "connection"
    assert len(upstream.chats) == 1
    await llm._endpoint.close()


async def test_a_break_after_the_end_only_costs_the_usage(upstream, chat):
    upstream.enqueue(say("ok").but(cut_after=3))
    assert await collect(chat()) == [TextDelta("ok"), Finished("stop")]


async def test_an_answer_without_an_end_is_broken(upstream, chat):
    upstream.enqueue(raw({"choices": [{"index": 0, "delta": {"content": "half"}}]}))
    with pytest.raises(LLMError, match="before it was done"):
        await collect(chat())


async def test_garbage_is_a_server_error(upstream, chat):
    upstream.enqueue(*[garbage()] * 3)
    with pytest.raises(LLMError, match="no chat completion") as caught:
        await collect(chat())
    assert caught.value.kind == "server"


async def test_an_error_inside_the_stream(upstream, chat):
    first = {"choices": [{"index": 0, "delta": {"content": "Well"}}]}
    upstream.enqueue(raw(first, {"error": {"message": "out of memory", "code": 500}}))
    with pytest.raises(LLMError, match="out of memory"):
        await collect(chat())


async def test_nobody_listens():
    settings = Settings(base_url="http://127.0.0.1:9/v1")
    llm = OpenAIChat(Endpoint("main", settings, Patience(retries=0)))
    with pytest.raises(LLMError, match=r"Cannot reach .*Is it running\?") as caught:
        await collect(llm)
    assert caught.value.kind == "connection"


async def test_silence_ends_only_where_a_limit_is_set(upstream, chat):
    upstream.enqueue(stall(after=1))
    with pytest.raises(LLMError, match="silent") as caught:
        await collect(chat(patience=Patience(read=0.2)))
    assert caught.value.kind == "timeout"


async def test_a_long_silence_before_the_first_token_is_no_error(upstream, chat):
    upstream.enqueue(say("read it all", first_delay=0.5))
    assert text(await collect(chat(patience=Patience(connect=0.1)))) == "read it all"


@pytest.mark.parametrize("answer", [stall(after=3), say("x" * 4000, delay=0.05)])
async def test_closing_the_iterator_hangs_up_on_the_server(upstream, chat, answer):
    upstream.enqueue(answer)
    llm = chat()
    async with aclosing(llm.stream(TURN)) as deltas:
        await anext(deltas)
    assert await asyncio.to_thread(upstream.wait_for, lambda up: up.left_early == 1)
    await llm._endpoint.close()


async def test_cancelling_the_reader_hangs_up_on_the_server(upstream, chat):
    upstream.enqueue(stall(after=2))
    task = asyncio.ensure_future(collect(chat()))
    assert await asyncio.to_thread(upstream.wait_for, lambda up: len(up.chats) == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(upstream.wait_for, lambda up: up.left_early == 1)


async def test_azure_is_asked_its_own_way(upstream):
    settings = Settings(
        azure_endpoint=upstream.url.removesuffix("/v1"),
        api_key="azure-key",
        azure_deployment="my-gpt",
        azure_api_version="2024-10-21",
    )
    upstream.enqueue(say("ok"))
    llm = OpenAIChat(Endpoint("azure", settings, Patience()))
    assert text(await collect(llm, max_tokens=9)) == "ok"
    request = upstream.chats[0]
    assert request.path == "/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21"
    assert request.headers["api-key"] == "azure-key"
    assert request.body["max_completion_tokens"] == 9


async def test_one_function_alone(upstream, chat):
    upstream.enqueue(call("get_weather", {"city": "Oslo"}))
    deltas = await collect(chat(), code=False, functions=(WEATHER,))
    assert functions(deltas) == [("get_weather", '{"city": "Oslo"}')]


async def test_a_proxy_is_used_for_the_world_and_not_for_this_machine(upstream, monkeypatch):
    proxy = upstream.url.removesuffix("/v1")
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, proxy)
    for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    upstream.enqueue(say("through it"), say("past it"))
    for url, said in (("http://models.example/v1", "through it"), (upstream.url, "past it")):
        llm = OpenAIChat(Endpoint("main", Settings(base_url=url), Patience(retries=0)))
        assert text(await collect(llm)) == said
    assert [request.path for request in upstream.chats] == [
        "http://models.example/v1/chat/completions",
        "/v1/chat/completions",
    ]
