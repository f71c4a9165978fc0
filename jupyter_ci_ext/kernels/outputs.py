"""What an execution gives back, as frozen values; and how a kernel's messages become them.

All of this is pure. A kernel runs code nobody trusts, so a message may hold anything: whatever is
not shaped as the messaging protocol says is taken for no output at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class StreamText:
    """Text printed to stdout or stderr, as it came."""

    name: Literal["stdout", "stderr"]
    text: str


@dataclass(frozen=True)
class DisplayData:
    """A rich output. ``data`` maps MIME types to values (images: base64 text), as Jupyter does.

    ``result`` is true for the value of the last expression, false for ``display()`` and figures.
    ``update`` is true when it replaces the earlier output of the same ``display_id``.
    """

    data: dict[str, Any]
    metadata: dict[str, Any] = field(default_factory=dict)
    result: bool = False
    display_id: str | None = None
    update: bool = False


@dataclass(frozen=True)
class ErrorOutput:
    """An exception. ``traceback`` is one text; terminal colours are still in it."""

    ename: str
    evalue: str
    traceback: str


@dataclass(frozen=True)
class ExecutionEnd:
    """Always the last value of an execution.

    ``reason`` is a sentence for people and for the model, empty for "ok" and "error". ``kept``
    tells whether the session's variables survived.
    """

    status: Literal["ok", "error", "interrupted", "timeout", "lost"]
    reason: str = ""
    kept: bool = True
    seconds: float = 0.0


Output = StreamText | DisplayData | ErrorOutput | ExecutionEnd


@dataclass(frozen=True)
class ClearOutput:
    """The code asked to clear what it has shown; with ``wait``, once the next output is there."""

    wait: bool = False


MOST_LEVELS = 100
"""Deeper than this nothing is nested that makes sense; what is could not be stored or sent."""


def from_message(
    msg_type: str, content: object
) -> StreamText | DisplayData | ErrorOutput | ClearOutput | None:
    """The value of one iopub message, or None where it is no output or makes no sense."""
    if not isinstance(content, dict):
        return None
    convert = _CONVERT.get(msg_type)
    try:
        return convert(_storable(content)) if convert else None
    except RecursionError:
        return None


def _storable(content: dict[str, Any]) -> dict[str, Any]:
    """*content* without lone surrogates, which JSON can carry but neither UTF-8 nor a database."""
    if _encodes(content):
        return content
    text = json.dumps(content, ensure_ascii=False, default=str)
    cleaned: dict[str, Any] = json.loads(text.encode("utf-8", "replace"))
    return cleaned


def _encodes(value: object, levels: int = MOST_LEVELS) -> bool:
    if not levels:
        raise RecursionError
    if isinstance(value, str):
        try:
            return value.isascii() or bool(value.encode())
        except UnicodeEncodeError:
            return False
    if isinstance(value, dict):
        pairs = value.items()
        return all(_encodes(key) and _encodes(inner, levels - 1) for key, inner in pairs)
    return not isinstance(value, list) or all(_encodes(each, levels - 1) for each in value)


def _stream(content: dict[str, Any]) -> StreamText | None:
    name, text = content.get("name"), content.get("text")
    if name not in ("stdout", "stderr") or not isinstance(text, str) or not text:
        return None
    return StreamText("stdout" if name == "stdout" else "stderr", text)


def _display(content: dict[str, Any], *, result: bool, update: bool) -> DisplayData | None:
    data, metadata = content.get("data"), content.get("metadata")
    transient = content.get("transient")
    if not isinstance(data, dict) or not data:
        return None
    display_id = transient.get("display_id") if isinstance(transient, dict) else None
    return DisplayData(
        data={str(mime): value for mime, value in data.items()},
        metadata=metadata if isinstance(metadata, dict) else {},
        result=result,
        display_id=display_id if isinstance(display_id, str) else None,
        update=update,
    )


def _error(content: dict[str, Any]) -> ErrorOutput:
    lines = content.get("traceback")
    return ErrorOutput(
        ename=str(content.get("ename", "")),
        evalue=str(content.get("evalue", "")),
        traceback="\n".join(str(line) for line in lines) if isinstance(lines, list) else "",
    )


_CONVERT: dict[
    str, Callable[[dict[str, Any]], StreamText | DisplayData | ErrorOutput | ClearOutput | None]
] = {
    "stream": _stream,
    "display_data": lambda content: _display(content, result=False, update=False),
    "execute_result": lambda content: _display(content, result=True, update=False),
    "update_display_data": lambda content: _display(content, result=False, update=True),
    "error": _error,
    "clear_output": lambda content: ClearOutput(wait=content.get("wait") is True),
}

# CSI (colours, cursor), OSC (titles, links; ended by BEL or ST), two-character escapes.
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")


def plain_text(text: str) -> str:
    """*text* as a terminal would leave it on paper: no colours, progress bars in their last state.

    A carriage return begins the line anew, and what is written then covers what was there; a
    backspace steps back by one. For the model and for logs; idempotent.
    """
    text = _ANSI.sub("", text)
    if "\r" not in text and "\b" not in text:
        return text
    return "\n".join(_overwrite(line) for line in text.replace("\r\n", "\n").split("\n"))


def _overwrite(line: str) -> str:
    if "\b" not in line:
        shown = ""
        for part in line.split("\r"):
            shown = part + shown[len(part) :]
        return shown
    cells: list[str] = []
    at = 0
    for char in line:
        if char == "\r":
            at = 0
        elif char == "\b":
            at = max(0, at - 1)
        else:
            cells[at : at + 1] = [char]
            at += 1
    return "".join(cells)
