"""Objects in the form of the API's first version, from their v2 form; pure, on parsed JSON.

`outgoing` takes any object, list or delta, `event` an event of a stream; keys come out in the order
that was recorded. Parameters go the other way in `jupyter_ci_ext.wire.v1_params`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from .common import WireObject

JSON = dict[str, Any]

_ASSISTANT = ("id", "object", "created_at", "name", "description", "model", "instructions")
_RUN_DROPPED = ("top_p", "reasoning_effort", "parallel_tool_calls")


class AssistantFile(WireObject):
    """A file of an assistant."""

    id: str
    """``file-…``."""
    object: Literal["assistant.file"] = "assistant.file"
    """Always ``assistant.file``."""
    created_at: int
    """Unix time in seconds."""
    assistant_id: str
    """The assistant."""


class MessageFile(WireObject):
    """A file of a message."""

    id: str
    """``file-…``."""
    object: Literal["thread.message.file"] = "thread.message.file"
    """Always ``thread.message.file``."""
    created_at: int
    """Unix time in seconds."""
    message_id: str
    """The message."""


def outgoing(data: JSON) -> JSON:
    """The v1 form of *data*; what does not differ is returned as it is."""
    convert = _CONVERTERS.get(data.get("object", ""))
    return data if convert is None else convert(data)


def event(name: str, data: JSON) -> tuple[str, JSON]:
    """The v1 form of an event: there was no ``incomplete`` yet, such a run counted as completed."""
    return ("thread.run.completed" if name == "thread.run.incomplete" else name), outgoing(data)


def _list(data: JSON) -> JSON:
    return {**data, "data": [outgoing(item) for item in data["data"]]}


def _assistant(data: JSON) -> JSON:
    return {
        **{key: data[key] for key in _ASSISTANT},
        "tools": _tools(data["tools"]),
        "file_ids": _code_files(data),
        "metadata": data["metadata"],
    }


def _thread(data: JSON) -> JSON:
    return {key: data[key] for key in ("id", "object", "created_at", "metadata")}


def _message(data: JSON) -> JSON:
    new: JSON = {}
    for key, value in data.items():
        if key == "attachments":
            new["file_ids"] = list(dict.fromkeys(each["file_id"] for each in value))
        else:
            new[key] = value
    return new


def _run(data: JSON) -> JSON:
    new: JSON = {}
    for key, value in data.items():
        if key == "tools":
            new[key] = _tools(value)
        elif key == "tool_resources":
            new["file_ids"] = _code_files(data)
        elif key == "status":
            new[key] = "completed" if value == "incomplete" else value
        elif key == "tool_choice" and isinstance(value, dict):
            new[key] = _tool(value)
        elif key not in _RUN_DROPPED:
            new[key] = value
    return new


def _step(data: JSON) -> JSON:
    return {**data, "step_details": _details(data["step_details"])}


def _step_delta(data: JSON) -> JSON:
    return {**data, "delta": {"step_details": _details(data["delta"]["step_details"])}}


def _details(details: JSON) -> JSON:
    if details["type"] != "tool_calls":
        return details
    return {**details, "tool_calls": [_call(call) for call in details["tool_calls"]]}


def _call(call: JSON) -> JSON:
    if call["type"] != "file_search":
        return call
    kept = {key: value for key, value in call.items() if key != "file_search"}
    return {**kept, "type": "retrieval", "retrieval": {}}


def _tools(tools: list[JSON]) -> list[JSON]:
    return [_tool(tool) for tool in tools]


def _tool(tool: JSON) -> JSON:
    return {"type": "retrieval"} if tool["type"] == "file_search" else tool


def _code_files(data: JSON) -> list[str]:
    code = data["tool_resources"].get("code_interpreter") or {}
    return list(code.get("file_ids", ()))


_CONVERTERS: dict[str, Callable[[JSON], JSON]] = {
    "list": _list,
    "assistant": _assistant,
    "thread": _thread,
    "thread.message": _message,
    "thread.run": _run,
    "thread.run.step": _step,
    "thread.run.step.delta": _step_delta,
}
