"""What the agent loop says while it works: neutral, frozen values.

They know neither the Assistants API nor a store: `jupyter_ci_ext.engine.run` makes steps and messages
of them. Text, refusals and calls arrive as the values of `jupyter_ci_ext.llm.base` (`TextDelta`,
`RefusalDelta`, `CodeStarted`, `CodeDelta`, `FunctionStarted`, `FunctionDelta`), strictly one thing
after the other: text before code is over when the code starts, and a second piece of code starts
after the first has run. The last value is always `Ended`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from jupyter_ci_ext.llm.base import (
    CodeCall,
    CodeDelta,
    CodeStarted,
    FunctionCall,
    FunctionDelta,
    FunctionStarted,
    ImagePart,
    RefusalDelta,
    TextDelta,
    Usage,
)

# ---- from the code ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Logs:
    """More text of output *index*: printed, the last value, or a traceback; no terminal colours."""

    index: int
    text: str


@dataclass(frozen=True)
class Made:
    """A file that code made, its content in the store's blobs, as yet without an id.

    ``path`` is its place below ``/mnt/data``, None for a picture that was shown and never saved.
    ``replaces`` is the id of the file whose place it took.
    """

    name: str
    sha256: str
    size: int
    path: str | None = None
    replaces: str | None = None


@dataclass(frozen=True)
class Picture:
    """A picture the code showed, as output *index*."""

    index: int
    file: Made


@dataclass(frozen=True)
class Rich:
    """A richer form of output *replaces*, for who can show it; comes when the code has ended."""

    index: int
    replaces: int
    data: dict[str, Any]
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FilesMade:
    """Files the code wrote or changed below ``/mnt/data``."""

    files: tuple[Made, ...]


ExecutionStatus = Literal["ok", "error", "interrupted", "timeout", "lost"]


@dataclass(frozen=True)
class CodeResult:
    """Always last of an execution: what the model is told of it, and how it went.

    ``reason`` is for people, empty where there is nothing to be said. ``kept`` tells whether the
    session's variables survived.
    """

    text: str
    images: tuple[ImagePart, ...] = ()
    status: ExecutionStatus = "ok"
    seconds: float = 0.0
    kept: bool = True
    reason: str = ""


CodeOutput = Logs | Picture | Rich | FilesMade


# ---- from the loop ----------------------------------------------------------------------------


@dataclass(frozen=True)
class TurnStarted:
    """The model is asked, and reads; what it says from here on is a message of its own."""


@dataclass(frozen=True)
class CodeReady:
    """The model has written all of *call*; it runs now. Its outputs and `CodeDone` follow."""

    call: CodeCall


@dataclass(frozen=True)
class CodeDone:
    """The code has run."""

    call: CodeCall
    result: CodeResult


@dataclass(frozen=True)
class CodeStopped:
    """The code was running, or about to, when somebody asked to stop; the loop ends with it."""

    call: CodeCall
    result: CodeResult


@dataclass(frozen=True)
class CodeDropped:
    """The code that was being written does not run; *reason* is a sentence for people."""

    reason: str


@dataclass(frozen=True)
class FunctionsWanted:
    """All calls of the caller's functions in this turn; the loop ends and waits for outputs."""

    calls: tuple[FunctionCall, ...]


@dataclass(frozen=True)
class TurnUsage:
    """What one request to the model cost; comes once per turn, before its code runs."""

    usage: Usage


EndReason = Literal[
    "answered",
    "functions",  # outputs of functions are wanted
    "max_completion_tokens",
    "max_prompt_tokens",
    "content_filter",  # the model's server broke the answer off
    "failed",  # ``error`` says why
    "stopped",  # somebody asked to
]

ErrorCode = Literal["server_error", "rate_limit_exceeded", "invalid_prompt"]


@dataclass(frozen=True)
class Ended:
    """The loop is over."""

    reason: EndReason
    code: ErrorCode = "server_error"
    message: str = ""


Value = (
    TurnStarted
    | TextDelta
    | RefusalDelta
    | CodeStarted
    | CodeDelta
    | CodeReady
    | Logs
    | Picture
    | Rich
    | FilesMade
    | CodeDone
    | CodeStopped
    | CodeDropped
    | FunctionStarted
    | FunctionDelta
    | FunctionsWanted
    | TurnUsage
    | Ended
)
