"""What the engine asks of a language model, and what comes back; neutral values, frozen.

The engine builds a `Turn` and reads deltas from `LLM.stream`. How a model is asked for code (a
function tool named ``python``, or one fenced block per turn) is the adapter's business: the engine
only ever sees `CodeStarted` and `CodeDelta`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Literal

# ---- the prompt -------------------------------------------------------------------------------


@dataclass(frozen=True)
class TextPart:
    """A piece of text."""

    text: str


@dataclass(frozen=True)
class ImagePart:
    """A picture: either *url* (http(s) or data URL) or *data* with its MIME type."""

    url: str | None = None
    data: bytes | None = None
    mime: str = "image/png"
    detail: Literal["auto", "low", "high"] = "auto"


Part = TextPart | ImagePart


@dataclass(frozen=True)
class UserMessage:
    """What the user said."""

    parts: tuple[Part, ...]


@dataclass(frozen=True)
class CodeCall:
    """A piece of Python the model asked to run."""

    id: str
    source: str


@dataclass(frozen=True)
class FunctionCall:
    """A call of one of the caller's functions; *arguments* is the JSON text as the model sent it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class AssistantMessage:
    """What the model said, and what it asked for."""

    text: str = ""
    calls: tuple[CodeCall | FunctionCall, ...] = ()


@dataclass(frozen=True)
class CallResult:
    """What became of a call: text for the model, and pictures for models that can see."""

    call_id: str
    text: str
    images: tuple[ImagePart, ...] = ()


PromptMessage = UserMessage | AssistantMessage | CallResult


@dataclass(frozen=True)
class FunctionTool:
    """One of the caller's functions."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    strict: bool | None = None


@dataclass(frozen=True)
class FileNote:
    """A file the code can read: at ``/mnt/data/<id>`` and at ``/mnt/data/<name>``."""

    id: str
    name: str
    size: int


@dataclass(frozen=True)
class Turn:
    """One request to the model.

    ``tool_choice`` is "auto", "none", "required", "code" or the name of a function as
    ``("function", name)``. ``max_tokens`` bounds what the model may write, None: no bound.
    ``response_format`` is the API's object or None for "auto".
    """

    model: str
    system: str
    messages: tuple[PromptMessage, ...]
    code: bool = False
    functions: tuple[FunctionTool, ...] = ()
    tool_choice: Literal["auto", "none", "required", "code"] | tuple[Literal["function"], str] = (
        "auto"
    )
    parallel_tool_calls: bool = True
    response_format: dict[str, Any] | None = None
    temperature: float | None = None
    top_p: float | None = None
    reasoning_effort: str | None = None
    max_tokens: int | None = None
    files: tuple[FileNote, ...] = ()


# ---- the answer -------------------------------------------------------------------------------


@dataclass(frozen=True)
class TextDelta:
    """More of the answer."""

    text: str


@dataclass(frozen=True)
class RefusalDelta:
    """More of a refusal."""

    text: str


@dataclass(frozen=True)
class CodeStarted:
    """The model begins to write code for the interpreter; *index* numbers the calls of a turn."""

    index: int
    id: str


@dataclass(frozen=True)
class CodeDelta:
    """More of the source of call *index*."""

    index: int
    source: str


@dataclass(frozen=True)
class FunctionStarted:
    """The model begins a call of one of the caller's functions."""

    index: int
    id: str
    name: str


@dataclass(frozen=True)
class FunctionDelta:
    """More of the JSON arguments of call *index*."""

    index: int
    arguments: str


@dataclass(frozen=True)
class Usage:
    """Tokens of one turn, as the model's server counted them (0 where it does not say)."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True)
class Finished:
    """The turn is over. "length": max_tokens or the model's window ran out."""

    reason: Literal["stop", "length", "calls", "content_filter"]


Delta = (
    TextDelta
    | RefusalDelta
    | CodeStarted
    | CodeDelta
    | FunctionStarted
    | FunctionDelta
    | Usage
    | Finished
)


class LLM(ABC):
    """One language model behind one server."""

    vision: bool = False
    """Whether pictures may be put into the prompt."""

    context_tokens: int | None = None
    """Size of the model's window in tokens; None where it is not known."""

    @abstractmethod
    def stream(self, turn: Turn) -> AsyncIterator[Delta]:
        """Ask the model; the engine reads this under ``aclosing``, once per turn of a run.

        Yields deltas in the order they arrive, at most one `Usage`, and last a `Finished`.
        Raises `jupyter_ci_ext.errors.LLMError`. Closing the iterator closes the connection to the
        model's server, which frees its slot.
        """
