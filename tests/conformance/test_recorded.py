"""A recorded exchange, sent again: status, keys and their order, types and events must be the same.

The shapes are those of a real recording of the old service (a math tutor asked to solve an equation,
spring of 2026), written down literally; ids and values are the live server's own.
"""

from __future__ import annotations

import json
from typing import Any

from tests.conformance.playbook import Playbook
from tests.conformance.sequence import check, parse
from tests.conformance.server import Api, LiveServer
from tests.fakes.answers import stall

Shape = dict[str, Any]

TOOLS: list[Shape] = [{"type": "str"}]
RESOURCES: Shape = {"code_interpreter": {"file_ids": []}}
TEXT: list[Shape] = [{"type": "str", "text": {"value": "str", "annotations": []}}]
USAGE: Shape = {
    "prompt_tokens": "int",
    "completion_tokens": "int",
    "total_tokens": "int",
    "prompt_token_details": {"cached_tokens": "int"},
    "completion_tokens_details": {"reasoning_tokens": "int"},
}
ASSISTANT: Shape = {
    "id": "str",
    "object": "str",
    "created_at": "int",
    "name": "str",
    "description": None,
    "model": "str",
    "instructions": "str",
    "tools": TOOLS,
    "top_p": "float",
    "temperature": "float",
    "reasoning_effort": None,
    "tool_resources": RESOURCES,
    "metadata": {},
    "response_format": "str",
}
THREAD: Shape = {
    "id": "str",
    "object": "str",
    "created_at": "int",
    "metadata": {},
    "tool_resources": {},
}
MESSAGE: Shape = {
    "id": "str",
    "object": "str",
    "created_at": "int",
    "assistant_id": None,
    "thread_id": "str",
    "run_id": None,
    "role": "str",
    "content": TEXT,
    "attachments": [],
    "metadata": {},
}
RUN: Shape = {
    "id": "str",
    "object": "str",
    "created_at": "int",
    "assistant_id": "str",
    "thread_id": "str",
    "status": "str",
    "started_at": "int?",
    "expires_at": "int?",
    "cancelled_at": None,
    "failed_at": None,
    "completed_at": "int?",
    "required_action": None,
    "last_error": None,
    "model": "str",
    "instructions": "str",
    "tools": TOOLS,
    "tool_resources": "any",
    "metadata": {},
    "temperature": "float",
    "top_p": "float",
    "reasoning_effort": None,
    "max_completion_tokens": None,
    "max_prompt_tokens": None,
    "truncation_strategy": {"type": "str", "last_messages": None},
    "incomplete_details": None,
    "usage": "any",
    "response_format": "str",
    "tool_choice": "str",
    "parallel_tool_calls": "bool",
}
CODE_STEP: Shape = {
    "id": "str",
    "object": "str",
    "created_at": "int",
    "run_id": "str",
    "assistant_id": "str",
    "thread_id": "str",
    "type": "str",
    "status": "str",
    "cancelled_at": None,
    "completed_at": "int",
    "expires_at": "int?",
    "failed_at": None,
    "last_error": None,
    "step_details": {
        "type": "str",
        "tool_calls": [
            {"id": "str", "type": "str", "code_interpreter": {"input": "str", "outputs": "any"}}
        ],
    },
    "usage": USAGE,
}
EVENTS: dict[str, Shape] = {
    "thread.run.created": RUN,
    "thread.run.queued": RUN,
    "thread.run.in_progress": RUN,
    "thread.run.step.delta": {"id": "str", "object": "str", "delta": {"step_details": "any"}},
    "thread.message.delta": {
        "id": "str",
        "object": "str",
        "delta": {"content": [{"index": "int", "type": "str", "text": "any"}]},
    },
    "thread.run.completed": RUN | {"usage": USAGE, "completed_at": "int", "expires_at": None},
}
# Version 1, spring of 2024.
V1_ASSISTANT = [
    "id",
    "object",
    "created_at",
    "name",
    "description",
    "model",
    "instructions",
    "tools",
    "file_ids",
    "metadata",
]
V1_RUN = [
    "id",
    "object",
    "created_at",
    "assistant_id",
    "thread_id",
    "status",
    "started_at",
    "expires_at",
    "cancelled_at",
    "failed_at",
    "completed_at",
    "required_action",
    "last_error",
    "model",
    "instructions",
    "tools",
    "file_ids",
    "metadata",
    "usage",
]
V1_MESSAGE = [
    "id",
    "object",
    "created_at",
    "assistant_id",
    "thread_id",
    "run_id",
    "role",
    "content",
    "file_ids",
    "metadata",
]
TASK = "I need to solve the equation `3x + 11 = 14`. Can you help me?"
TUTOR = {
    "model": "demo",
    "name": "Math Tutor",
    "instructions": "You are a personal math tutor. Write and run code to answer math questions.",
    "tools": [{"type": "code_interpreter"}],
}


def differences(shape: Any, live: Any, where: str = "") -> list[str]:
    """Where *live* lacks a key of *shape*, has it in another order, or has another type."""
    if shape == "any":
        return []
    if shape is None:
        return [] if live is None else [f"{where}: {live!r} instead of null"]
    if isinstance(shape, str):
        if shape.endswith("?") and live is None:
            return []
        kind = type(live).__name__
        return [] if kind == shape.rstrip("?") else [f"{where}: {kind} instead of {shape}"]
    if isinstance(shape, list):
        if not isinstance(live, list) or bool(shape) != bool(live):
            return [f"{where}: {live!r} instead of {shape!r}"]
        return [d for item in live for d in differences(shape[0], item, f"{where}[]")]
    if not isinstance(live, dict):
        return [f"{where}: {live!r} instead of an object"]
    found = [f"{where}: {list(live)} instead of {list(shape)}"] if _other_keys(shape, live) else []
    for key in shape:
        if key in live:
            found += differences(shape[key], live[key], f"{where}.{key}")
    return found


def _other_keys(shape: Shape, live: Shape) -> bool:
    return [key for key in live if key in shape] != list(shape)


def test_a_recorded_conversation(api: Api) -> None:
    made = api("POST", "/assistants", TUTOR)
    assert differences(ASSISTANT, made) == []
    thread = api("POST", "/threads", {})
    assert differences(THREAD, thread) == []
    where = f"/threads/{thread['id']}"
    message = api("POST", f"{where}/messages", {"role": "user", "content": TASK})
    assert differences(MESSAGE, message) == []
    run = api("POST", f"{where}/runs", {"assistant_id": made["id"]})
    assert differences(RUN | {"started_at": None, "completed_at": None}, run) == []
    while run["status"] in ("queued", "in_progress"):
        run = api("GET", f"{where}/runs/{run['id']}")
    ended = {"status": "str", "usage": USAGE, "completed_at": "int", "expires_at": None}
    assert differences(RUN | ended, run) == []
    page = api("GET", f"{where}/messages")
    assert list(page) == ["object", "data", "first_id", "last_id", "has_more"]
    answer, question = page["data"]
    assert differences(MESSAGE, question) == []
    assert differences(MESSAGE | {"assistant_id": "str", "run_id": "str"}, answer) == []
    assert "1" in answer["content"][0]["text"]["value"]
    step = api("GET", f"{where}/runs/{run['id']}/steps?order=asc")["data"][0]
    assert differences(CODE_STEP, step) == []
    gone = api("DELETE", f"/assistants/{made['id']}")
    assert gone == {"id": made["id"], "object": "assistant.deleted", "deleted": True}


def test_a_recorded_stream(api: Api) -> None:
    made = api("POST", "/assistants", TUTOR)
    thread = api("POST", "/threads", {"messages": [{"role": "user", "content": TASK}]})
    body = {"assistant_id": made["id"], "stream": True}
    text = api.stream("POST", f"/threads/{thread['id']}/runs", body)
    heard = check(text)
    assert heard.folded[:7] == [
        "run.created",
        "run.queued",
        "run.in_progress",
        "run.step.created",
        "run.step.in_progress",
        "run.step.delta",
        "run.step.completed",
    ]
    seen = {event.name: event.data for event in reversed(parse(text))}
    for name, shape in EVENTS.items():
        assert differences(shape, seen[name], name) == []
    inputs = [
        call["code_interpreter"]["input"]
        for event in parse(text)
        if event.name == "thread.run.step.delta"
        for call in event.data["delta"]["step_details"]["tool_calls"]
        if "input" in call["code_interpreter"]
    ]
    assert inputs[0] == ""
    assert len(inputs) > 5
    assert "1" in heard.messages[-1]["content"][0]["text"]["value"]


def test_a_recorded_conversation_of_version_1(server: LiveServer) -> None:
    api = Api(server.openai, {"OpenAI-Beta": "assistants=v1"})
    made = api("POST", "/assistants", TUTOR)
    assert list(made) == V1_ASSISTANT
    thread = api("POST", "/threads", {})
    assert list(thread) == ["id", "object", "created_at", "metadata"]
    where = f"/threads/{thread['id']}"
    message = api("POST", f"{where}/messages", {"role": "user", "content": TASK})
    assert [key for key in message if key in V1_MESSAGE] == V1_MESSAGE
    run = api("POST", f"{where}/runs", {"assistant_id": made["id"]})
    while run["status"] in ("queued", "in_progress"):
        run = api("GET", f"{where}/runs/{run['id']}")
    assert [key for key in run if key in V1_RUN] == V1_RUN
    assert run["status"] == "completed"
    answer = api("GET", f"{where}/messages")["data"][0]
    assert [key for key in answer if key in V1_MESSAGE] == V1_MESSAGE


def test_headers(api: Api, playbook: Playbook) -> None:
    """What the clients look for in the headers of answers."""
    phrase = playbook.teach("Take your time", stall())
    made = api("POST", "/assistants", TUTOR | {"model": "scripted"})
    messages = [{"role": "user", "content": phrase}]
    body = {"assistant_id": made["id"], "thread": {"messages": messages}}
    with api.open("POST", "/threads/runs", body) as response:
        headers, run = response.headers, json.load(response)
    assert headers["Content-Type"].startswith("application/json")
    assert headers["x-request-id"].startswith("req_")
    assert int(headers["openai-processing-ms"]) >= 0
    assert headers["openai-version"] == "2020-10-01"
    where = f"/threads/{run['thread_id']}/runs/{run['id']}"
    with api.open("GET", where) as response:
        assert 100 <= int(response.headers["openai-poll-after-ms"]) <= 1000
    api("POST", f"{where}/cancel")
