"""Checks an event stream of a run against what protocol and clients' accumulators demand.

`check` knows nothing of this project: it reads the text of a stream, follows the grammar of events,
the order of each object's keys and the rules of deltas, adds the deltas up as the official clients
do, and compares the sums with the finished objects.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

RUN_KEYS = [
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
    "tool_resources",
    "metadata",
    "temperature",
    "top_p",
    "reasoning_effort",
    "max_completion_tokens",
    "max_prompt_tokens",
    "truncation_strategy",
    "incomplete_details",
    "usage",
    "response_format",
    "tool_choice",
    "parallel_tool_calls",
]
STEP_KEYS = [
    "id",
    "object",
    "created_at",
    "run_id",
    "assistant_id",
    "thread_id",
    "type",
    "status",
    "cancelled_at",
    "completed_at",
    "expires_at",
    "failed_at",
    "last_error",
    "step_details",
    "usage",
]
MESSAGE_KEYS = [
    "id",
    "object",
    "created_at",
    "assistant_id",
    "thread_id",
    "run_id",
    "status",
    "incomplete_details",
    "incomplete_at",
    "completed_at",
    "role",
    "content",
    "attachments",
    "metadata",
]
THREAD_KEYS = ["id", "object", "created_at", "metadata", "tool_resources"]

RUN_ENDS = ("completed", "incomplete", "failed", "cancelled", "expired")
STEP_ENDS = ("completed", "failed", "cancelled", "expired")
MESSAGE_ENDS = ("completed", "incomplete")


class Event(NamedTuple):
    """One record of a stream; *data* is parsed, *id* its number where the stream has them."""

    name: str
    data: Any
    id: int | None = None


def parse(text: str) -> list[Event]:
    """The records of a stream, as strictly as the strictest client reads them."""
    assert text.endswith("\n\n"), text[-200:]
    events = []
    for block in text[:-2].split("\n\n"):
        lines = block.split("\n")
        number = int(lines.pop(0).removeprefix("id: ")) if block.startswith("id: ") else None
        assert len(lines) == 2, block
        assert lines[0].startswith("event: "), block
        assert lines[1].startswith("data: "), block
        assert "\r" not in block
        name, data = lines[0].removeprefix("event: "), lines[1].removeprefix("data: ")
        events.append(Event(name, data if data == "[DONE]" else json.loads(data), number))
    return events


@dataclass
class Heard:
    """What a stream said: the finished objects, and the last state of the run."""

    run: dict[str, Any] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    thread: dict[str, Any] | None = None
    names: list[str] = field(default_factory=list)

    @property
    def folded(self) -> list[str]:
        """The names of the events without ``thread.``, equal neighbours told once."""
        names = [name.removeprefix("thread.") for name in self.names]
        return [name for n, name in enumerate(names) if n == 0 or names[n - 1] != name]


def check(text: str, start: str = "run") -> Heard:
    """Read a whole stream; *start* is ``run``, ``thread`` (with thread) or ``submit``."""
    events = parse(text)
    reader = _Reader()
    for place, event in enumerate(events):
        try:
            reader.take(event)
        except (AssertionError, KeyError, TypeError) as error:
            raise AssertionError(f"event {place}, {event.name}: {error!r}\n{event.data}") from error
    heard = reader.heard
    names = heard.names
    assert names[-1] == "done", names
    begun = {
        "run": ["thread.run.created", "thread.run.queued", "thread.run.in_progress"],
        "thread": ["thread.created", "thread.run.created", "thread.run.queued"],
        "submit": ["thread.run.step.completed", "thread.run.queued", "thread.run.in_progress"],
    }[start]
    assert names[: len(begun)] == begun, names[:5]
    last = names[-2].removeprefix("thread.run.")
    assert last in (*RUN_ENDS, "requires_action"), names[-3:]
    assert reader.step is None or last == "requires_action", "a step was left open"
    assert reader.message is None, "a message was left open"
    return heard


class _Reader:
    def __init__(self) -> None:
        self.heard = Heard()
        self.step: dict[str, Any] | None = None
        self.message: dict[str, Any] | None = None
        self._over = False

    def take(self, event: Event) -> None:
        assert not self._over, "something came after the end"
        self.heard.names.append(event.name)
        if event.name == "done":
            assert event.data == "[DONE]"
            self._over = True
            return
        kind, _, change = event.name.rpartition(".")
        {
            "thread": self._thread,
            "thread.run": self._run,
            "thread.run.step": self._step,
            "thread.message": self._message,
        }[kind](change, event.data)

    def _thread(self, change: str, data: dict[str, Any]) -> None:
        assert change == "created"
        _keys(data, THREAD_KEYS, "thread")
        self.heard.thread = data

    def _run(self, change: str, data: dict[str, Any]) -> None:
        _keys(data, RUN_KEYS, "thread.run")
        assert data["status"] == ("queued" if change == "created" else change)
        run, self.heard.run = self.heard.run, data
        assert not run or run["id"] == data["id"]
        assert self.message is None or change == "cancelling", "the run changed within a message"
        assert run.get("status") not in RUN_ENDS, "the run was over"
        if change in ("created", "queued"):
            assert data["usage"] is None
        if change == "in_progress":
            assert isinstance(data["started_at"], int)
        if change == "requires_action":
            calls = data["required_action"]["submit_tool_outputs"]["tool_calls"]
            assert calls
            assert self.step is not None
            shown = self.step["step_details"]["tool_calls"]
            for call, one in zip(calls, shown, strict=True):
                assert (call["id"], call["type"]) == (one["id"], "function")
                assert call["function"]["name"] == one["function"]["name"]
                assert call["function"]["arguments"] == one["function"]["arguments"]
        else:
            assert data["required_action"] is None
        if change in RUN_ENDS:
            assert self.step is None, "the run ended within a step"
            assert data["expires_at"] is None
            assert data["usage"] is not None
            assert (data["last_error"] is not None) == (change == "failed")
            assert (data["incomplete_details"] is not None) == (change == "incomplete")
            stamps = {"failed": "failed_at", "cancelled": "cancelled_at"}
            if change in ("completed", "failed", "cancelled"):
                assert isinstance(data[stamps.get(change, "completed_at")], int)

    def _step(self, change: str, data: dict[str, Any]) -> None:
        if change == "delta":
            assert list(data) == ["id", "object", "delta"]
            assert data["object"] == "thread.run.step.delta"
            assert self.step is not None, "no step is open"
            assert self.step["id"] == data["id"]
            for call in data["delta"]["step_details"]["tool_calls"]:
                assert isinstance(call["index"], int)
                for output in call.get("code_interpreter", {}).get("outputs", ()):
                    assert isinstance(output["index"], int)
            _add(self.step, data["delta"])
            return
        _keys(data, STEP_KEYS, "thread.run.step")
        if change == "created":
            assert self.step is None, "a step is open"
            assert data["status"] == "in_progress"
            assert data["usage"] is None
            details = data["step_details"]
            if data["type"] == "tool_calls":
                assert details == {"type": "tool_calls", "tool_calls": []}
            else:
                assert details["message_creation"]["message_id"].startswith("msg_")
            self.step = copy.deepcopy(data)
            return
        assert data["status"] == change
        if change == "in_progress":
            assert self.step == data
            return
        assert change in STEP_ENDS
        if self.step is not None:  # a step of functions was opened in the stream before
            assert self.step["id"] == data["id"]
            assert without_index(self.step["step_details"]) == data["step_details"]
        else:
            assert data["step_details"]["tool_calls"][0]["type"] == "function"
            assert self.heard.run == {}, "a step ended that was not open"
        if change == "completed":
            assert isinstance(data["completed_at"], int)
        self.step = None
        self.heard.steps.append(data)

    def _message(self, change: str, data: dict[str, Any]) -> None:
        if change == "delta":
            assert list(data) == ["id", "object", "delta"]
            assert data["object"] == "thread.message.delta"
            assert self.message is not None, "no message is open"
            assert self.message["id"] == data["id"]
            for part in data["delta"]["content"]:
                assert isinstance(part["index"], int)
                for note in part.get("text", {}).get("annotations", ()):
                    assert isinstance(note["index"], int)
            _add(self.message, data["delta"])
            return
        _keys(data, MESSAGE_KEYS, "thread.message")
        if change == "created":
            assert self.step is not None, "a message outside of a step"
            assert self.step["step_details"]["message_creation"]["message_id"] == data["id"]
            assert data["content"] == []
            assert data["status"] == "in_progress"
            self.message = copy.deepcopy(data)
            return
        assert data["status"] == change
        assert self.message is not None
        if change == "in_progress":
            assert self.message == data
            return
        assert change in MESSAGE_ENDS
        assert without_index(self.message["content"]) == data["content"]
        for part in data["content"]:
            for note in part.get("text", {}).get("annotations", ()):
                value = part["text"]["value"]
                assert value[note["start_index"] : note["end_index"]] == note["text"]
        self.message = None
        self.heard.messages.append(data)


def _keys(data: dict[str, Any], keys: list[str], kind: str) -> None:
    """Every key that was recorded, in the recorded order; more may stand between."""
    assert data["object"] == kind
    assert [key for key in data if key in keys] == keys


def _add(sum: dict[str, Any], delta: dict[str, Any]) -> None:
    """Add a delta up as the official clients do: strings join, numbers add, lists by index."""
    for key, value in delta.items():
        old = sum.get(key)
        if old is None or key in ("index", "type"):
            sum[key] = copy.deepcopy(value)
        elif isinstance(old, (str, int, float)) and not isinstance(old, bool):
            sum[key] = old + value
        elif isinstance(old, dict):
            _add(old, value)
        elif isinstance(old, list):
            for item in value:
                at = item["index"]
                assert at <= len(old), f"{key}: index {at} after {len(old)} entries"
                if at == len(old):
                    old.append(copy.deepcopy(item))
                else:
                    _add(old[at], item)


def without_index(value: Any) -> Any:
    """The same without the numbers that only deltas have."""
    if isinstance(value, dict):
        return {key: without_index(item) for key, item in value.items() if key != "index"}
    if isinstance(value, list):
        return [without_index(item) for item in value]
    return value
