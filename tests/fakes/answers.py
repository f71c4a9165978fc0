"""What a scripted language model says, how it goes wrong, and the bytes that makes on the wire."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Call:
    """One tool call: *arguments* is the JSON text as the model would write it."""

    name: str
    arguments: str
    id: str | None = "call_0123456789abcdefghijklmn"


@dataclass(frozen=True)
class Answer:
    """What the model says in one turn, and how it goes wrong.

    ``chunk`` is how many characters a delta carries, ``delay`` the seconds before each delta and
    ``first_delay`` those before the first. ``cut_after`` breaks the connection after that many
    deltas, ``stall_after`` falls silent after that many until the client leaves. ``raw`` are
    exact ``data:`` payloads sent instead of everything else. ``legacy_shape`` writes the first
    tool delta as llama.cpp does: id, name and the first ``{`` at once, after ``content: null``.
    """

    text: str = ""
    calls: tuple[Call, ...] = ()
    finish: str | None = None
    chunk: int = 9
    delay: float = 0.0
    first_delay: float = 0.0
    cut_after: int | None = None
    stall_after: int | None = None
    usage: tuple[int, int] | None = (21, 8)
    raw: tuple[str, ...] | None = None
    legacy_shape: bool = False
    without_index: bool = False
    refusal: str = ""

    def but(self, **changes: Any) -> Answer:
        """The same answer with other manners: ``say("hi").but(delay=0.1)``."""
        return replace(self, **changes)


@dataclass(frozen=True)
class Refusal:
    """An HTTP error instead of an answer."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


Script = Answer | Refusal


def say(text: str, **manners: Any) -> Answer:
    """The model answers with *text*."""
    return Answer(text=text, **manners)


def code(*sources: str, text: str = "", **manners: Any) -> Answer:
    """The model calls the ``python`` tool once for each of *sources*, after saying *text*."""
    calls = tuple(
        Call("python", json.dumps({"code": source}), f"call_{n:024d}")
        for n, source in enumerate(sources)
    )
    return Answer(text=text, calls=calls, **manners)


def call(name: str, arguments: Any, **manners: Any) -> Answer:
    """The model calls one function; see `calls` for several at once."""
    return calls((name, arguments), **manners)


def calls(*wanted: tuple[str, Any], text: str = "", **manners: Any) -> Answer:
    """The model calls several functions in one turn; a str of arguments is sent as it is."""
    made = tuple(
        Call(name, given if isinstance(given, str) else json.dumps(given), f"call_f{n:023d}")
        for n, (name, given) in enumerate(wanted)
    )
    return Answer(text=text, calls=made, **manners)


def error(status: int, message: str = "", **fields: Any) -> Refusal:
    """An error in the API's shape; ``retry_after`` (seconds) becomes a header."""
    headers = {}
    if "retry_after" in fields:
        headers["Retry-After"] = str(fields.pop("retry_after"))
    body = {"message": message or f"status {status}", "type": None, "param": None, "code": None}
    return Refusal(status, {"error": body | fields}, headers)


def stall(after: int = 0, text: str = "One moment", **manners: Any) -> Answer:
    """The model falls silent after *after* deltas and stays so until the client leaves."""
    return Answer(text=text, stall_after=after, **manners)


def cut(after: int = 1, text: str = "This sentence is never fini", **manners: Any) -> Answer:
    """The connection breaks after *after* deltas."""
    return Answer(text=text, cut_after=after, **manners)


def raw(*payloads: str | Mapping[str, Any]) -> Answer:
    """Exact payloads of ``data:`` lines, ``[DONE]`` included only where given."""
    texts = tuple(p if isinstance(p, str) else json.dumps(p) for p in payloads)
    return Answer(raw=texts)


def garbage() -> Answer:
    """A stream that is no JSON."""
    return raw("{this is no json", "[DONE]")


def payloads(answer: Answer, body: dict[str, Any]) -> list[str]:
    """The ``data:`` payloads of a streamed answer, ``[DONE]`` included."""
    if answer.raw is not None:
        return list(answer.raw)
    chunks = [_delta_chunk(delta, body) for delta in _deltas(answer)]
    chunks.append(_delta_chunk({}, body, _finish(answer)))
    if answer.usage is not None and (body.get("stream_options") or {}).get("include_usage"):
        chunks.append(_frame(body) | {"choices": [], "usage": _usage(answer), "timings": {"x": 1}})
    return [json.dumps(chunk) for chunk in chunks] + ["[DONE]"]


def _deltas(answer: Answer) -> list[dict[str, Any]]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": None}]
    deltas += [{"content": piece} for piece in _pieces(answer.text, answer.chunk)]
    deltas += [{"refusal": piece} for piece in _pieces(answer.refusal, answer.chunk)]
    for index, wanted in enumerate(answer.calls):
        head = {"type": "function", "function": {"name": wanted.name, "arguments": ""}}
        if wanted.id is not None:
            head["id"] = wanted.id
        text = wanted.arguments
        if answer.legacy_shape:
            head["function"] = {"name": wanted.name, "arguments": text[:1]}
            text = text[1:]
        parts = [head] + [
            {"function": {"arguments": piece}} for piece in _pieces(text, answer.chunk)
        ]
        for part in parts:
            tool = part if answer.without_index else {"index": index} | part
            deltas.append({"tool_calls": [tool]})
    return deltas


def _pieces(text: str, size: int) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


def _finish(answer: Answer) -> str:
    return answer.finish or ("tool_calls" if answer.calls else "stop")


def _usage(answer: Answer) -> dict[str, Any]:
    prompt, completion = answer.usage or (0, 0)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _frame(body: dict[str, Any], kind: str = "chat.completion.chunk") -> dict[str, Any]:
    return {
        "id": "chatcmpl-scripted",
        "object": kind,
        "created": 1700000000,
        "model": body.get("model", "scripted"),
    }


def _delta_chunk(
    delta: dict[str, Any], body: dict[str, Any], finish: str | None = None
) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
    return _frame(body) | {"choices": [choice]}


def completion(answer: Answer, body: dict[str, Any]) -> dict[str, Any]:
    """The whole answer as one object, for clients that do not stream."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
    if answer.calls:
        message["tool_calls"] = [
            {
                "id": wanted.id or "",
                "type": "function",
                "function": {"name": wanted.name, "arguments": wanted.arguments},
            }
            for wanted in answer.calls
        ]
    choice = {"index": 0, "message": message, "finish_reason": _finish(answer)}
    return _frame(body, "chat.completion") | {"choices": [choice], "usage": _usage(answer)}
