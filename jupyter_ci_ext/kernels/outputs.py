"""What an execution gives back, as frozen values; and how a kernel's messages become them."""

from __future__ import annotations

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
