"""From a `Turn` to the parameters of a chat completion; pure.

What a server refuses (`Wording.refused`) is left out, and said in the system text where that can
take its place. Prompts are made whole: every call in them has a result, as servers insist.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from jupyter_ci_ext.llm import fence
from jupyter_ci_ext.llm.base import (
    AssistantMessage,
    CallResult,
    CodeCall,
    FunctionCall,
    FunctionTool,
    ImagePart,
    Part,
    PromptMessage,
    TextPart,
    Turn,
    UserMessage,
)

CODE_DESCRIPTION = (
    "Runs Python source in a stateful kernel and returns what it printed, the value of the last "
    "expression and any traceback. Files are in /mnt/data."
)
JSON_TEXT = "Answer with one JSON object and nothing else."
SCHEMA_TEXT = "Answer with one JSON value that fits this JSON schema and nothing else: {schema}"
NO_IMAGE = "[a picture is here, but this model reads text only]"
NO_RESULT = "(there is no result of this call)"

Message = dict[str, Any]


@dataclass(frozen=True)
class Wording:
    """How requests to one model are put. *refused* names parameters its server does not take."""

    fenced: bool = False
    vision: bool = False
    newest: bool = False
    """Whether the server knows ``max_completion_tokens``."""
    refused: frozenset[str] = frozenset()

    def takes(self, parameter: str) -> bool:
        """Whether *parameter* may be sent."""
        return parameter not in self.refused


def code_tool_name(functions: Iterable[FunctionTool]) -> str:
    """The interpreter's name among the tools: ``python``, unless the caller has that name."""
    taken = {f.name for f in functions}
    return next(n for n in ("python", "run_python", "code_interpreter_python") if n not in taken)


def request(turn: Turn, wording: Wording) -> dict[str, Any]:
    """The parameters of the streaming chat completion that asks for *turn*."""
    sent: dict[str, Any] = {"model": turn.model, "stream": True}
    if wording.takes("stream_options"):
        sent["stream_options"] = {"include_usage": True}
    for name in ("temperature", "top_p", "reasoning_effort"):
        value = getattr(turn, name)
        if value is not None and wording.takes(name):
            sent[name] = value
    if turn.max_tokens is not None:
        sent[_limit_name(wording)] = turn.max_tokens
    texts = [turn.system]
    wants_json = _format(turn)
    if wants_json is not None:
        if wording.takes("response_format") and not (wording.fenced and turn.code):
            sent["response_format"] = wants_json
        else:
            texts.append(_format_text(wants_json))
    if wording.fenced:
        texts.append(
            fence.system_text(
                code=turn.code, functions=turn.functions, tool_choice=turn.tool_choice
            )
        )
    else:
        sent.update(_tools(turn, wording))
    system = "\n\n".join(text for text in texts if text)
    head: list[Message] = [{"role": "system", "content": system}] if system else []
    body = _fenced(turn.messages, wording) if wording.fenced else _called(turn, wording)
    sent["messages"] = head + body
    return sent


#: What a refusal says, and the parameter to leave out; tried in this order.
_REFUSALS: tuple[tuple[str, str], ...] = (
    ("images", r"image|multimodal|mmproj|vision"),
    ("stream_options", r"stream_options|include_usage"),
    ("parallel_tool_calls", r"parallel_tool_calls|parallel tool"),
    ("response_format", r"response_format|json_schema|json_object|grammar|json mode"),
    ("reasoning_effort", r"reasoning_effort|reasoning effort"),
    ("temperature", r"temperature"),
    ("top_p", r"top_p"),
    ("max_tokens", r"max_tokens"),
    ("max_completion_tokens", r"max_completion_tokens"),
    ("tool_choice", r"tool_choice|tool choice"),
    ("tools", r"\btools?\b|function call|functions"),
)


def refused_parameter(
    words: str, param: str | None, sent: dict[str, Any], status: int = 400
) -> str | None:
    """Which of the parameters that were *sent* a refusal is about; None: something else.

    A status of 5xx counts only for what servers are known to stumble over: pictures and tools.
    """
    present = set(sent) | ({"images"} if _has_images(sent["messages"]) else set())
    if status >= 500:
        present &= {"images", "tools"}
    if param in present and param not in ("model", "messages", "stream"):
        return param
    for name, pattern in _REFUSALS:
        if name in present and re.search(pattern, words, re.IGNORECASE):
            return name
    return None


def _limit_name(wording: Wording) -> str:
    new, old = "max_completion_tokens", "max_tokens"
    first, second = (new, old) if wording.newest else (old, new)
    return first if wording.takes(first) else second


def _format(turn: Turn) -> dict[str, Any] | None:
    wanted = turn.response_format
    return None if wanted is None or wanted.get("type") == "text" else wanted


def _format_text(wanted: dict[str, Any]) -> str:
    schema = (wanted.get("json_schema") or {}).get("schema")
    return SCHEMA_TEXT.format(schema=json.dumps(schema)) if schema else JSON_TEXT


def _tools(turn: Turn, wording: Wording) -> dict[str, Any]:
    name = code_tool_name(turn.functions)
    tools: list[dict[str, Any]] = [_tool(f) for f in turn.functions]
    if turn.code:
        tools.insert(0, _tool(_code_tool(name)))
    if not tools or not wording.takes("tools"):
        return {}
    sent: dict[str, Any] = {"tools": tools}
    choice = turn.tool_choice
    if choice != "auto" and wording.takes("tool_choice"):
        wanted = name if choice == "code" else choice[1] if isinstance(choice, tuple) else None
        sent["tool_choice"] = (
            {"type": "function", "function": {"name": wanted}} if wanted else choice
        )
    if not turn.parallel_tool_calls and wording.takes("parallel_tool_calls"):
        sent["parallel_tool_calls"] = False
    return sent


def _code_tool(name: str) -> FunctionTool:
    parameters = {
        "type": "object",
        "properties": {"code": {"type": "string", "description": "The Python source to run."}},
        "required": ["code"],
    }
    return FunctionTool(name, CODE_DESCRIPTION, parameters)


def _tool(function: FunctionTool) -> dict[str, Any]:
    described: dict[str, Any] = {"name": function.name}
    if function.description is not None:
        described["description"] = function.description
    described["parameters"] = function.parameters or {"type": "object", "properties": {}}
    if function.strict is not None:
        described["strict"] = function.strict
    return {"type": "function", "function": described}


# ---- messages, calls as tool calls -------------------------------------------------------------


def _called(turn: Turn, wording: Wording) -> list[Message]:
    out: list[Message] = []
    waiting: dict[str, None] = {}
    pictures: list[ImagePart] = []
    name = code_tool_name(turn.functions)

    def settle() -> None:
        """After the results of one message: those that are missing, then the pictures."""
        out.extend(_tool_result(call_id, NO_RESULT) for call_id in waiting)
        waiting.clear()
        if pictures:
            out.append(_user([TextPart("Pictures the code made:"), *pictures], wording))
            pictures.clear()

    for message in turn.messages:
        if isinstance(message, CallResult):
            if message.call_id in waiting:
                del waiting[message.call_id]
                out.append(_tool_result(message.call_id, message.text))
                pictures.extend(message.images if _sees(wording) else ())
            continue
        settle()
        if isinstance(message, UserMessage):
            out.append(_user(message.parts, wording))
        else:
            out.append(_assistant(message, name))
            waiting.update((call.id, None) for call in message.calls)
    settle()
    return out


def _assistant(message: AssistantMessage, code_name: str) -> Message:
    made: Message = {"role": "assistant", "content": message.text or None}
    if message.calls:
        made["tool_calls"] = [
            {"id": call.id, "type": "function", "function": _written(call, code_name)}
            for call in message.calls
        ]
    elif not message.text:
        made["content"] = ""
    return made


def _written(call: CodeCall | FunctionCall, code_name: str) -> dict[str, str]:
    if isinstance(call, CodeCall):
        return {"name": code_name, "arguments": json.dumps({"code": call.source})}
    return {"name": call.name, "arguments": call.arguments or "{}"}


def _tool_result(call_id: str, text: str) -> Message:
    return {"role": "tool", "tool_call_id": call_id, "content": text}


# ---- messages, calls as fenced blocks ----------------------------------------------------------


def _fenced(messages: Sequence[PromptMessage], wording: Wording) -> list[Message]:
    out: list[Message] = []
    for message in messages:
        if isinstance(message, UserMessage):
            made = _user(message.parts, wording)
        elif isinstance(message, CallResult):
            images = message.images if _sees(wording) else ()
            made = _user([TextPart(fence.result(message.text)), *images], wording)
        else:
            blocks = [fence.block(call) for call in message.calls]
            text = "\n\n".join(filter(None, [message.text.strip(), *blocks]))
            made = {"role": "assistant", "content": text}
        if out and out[-1]["role"] == made["role"]:  # some templates insist on turns
            out[-1] = {"role": made["role"], "content": _both(out[-1], made)}
        else:
            out.append(made)
    return out


def _both(first: Message, second: Message) -> str | list[dict[str, Any]]:
    a, b = first["content"], second["content"]
    if isinstance(a, str) and isinstance(b, str):
        return "\n\n".join(filter(None, [a, b]))
    return [
        part
        for content in (a, b)
        for part in ([{"type": "text", "text": content}] if isinstance(content, str) else content)
    ]


# ---- parts --------------------------------------------------------------------------------------


def _sees(wording: Wording) -> bool:
    return wording.vision and wording.takes("images")


def _user(parts: Sequence[Part], wording: Wording) -> Message:
    if _sees(wording) and any(isinstance(p, ImagePart) for p in parts):
        return {"role": "user", "content": [_part(p) for p in parts]}
    texts = [p.text if isinstance(p, TextPart) else NO_IMAGE for p in parts]
    return {"role": "user", "content": "\n\n".join(texts)}


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    url = part.url
    if url is None:
        url = f"data:{part.mime};base64,{base64.b64encode(part.data or b'').decode()}"
    return {"type": "image_url", "image_url": {"url": url, "detail": part.detail}}


def _has_images(messages: Sequence[Message]) -> bool:
    return any(
        isinstance(m.get("content"), list) and any(p["type"] == "image_url" for p in m["content"])
        for m in messages
    )
