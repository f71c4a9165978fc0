"""What the demo model reads out of a prompt: the request, what was done, what was done before."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jupyter_ci_ext.llm.base import (
    AssistantMessage,
    CallResult,
    CodeCall,
    FileNote,
    FunctionTool,
    PromptMessage,
    TextPart,
    Turn,
    UserMessage,
)
from jupyter_ci_ext.llm.demo.script import Outcome

_ATTACHED = re.compile(r"\[Attached: (/mnt/data/[^\]\n]*)\]")


@dataclass(frozen=True)
class Talk:
    """A request to the demo model.

    ``text`` is what the user said last, ``done`` the outcomes of the moves made since, ``before``
    the code of earlier requests with its outcome, oldest first.
    """

    text: str
    attached: tuple[str, ...]
    done: tuple[Outcome, ...]
    before: tuple[tuple[str, Outcome], ...]
    files: tuple[FileNote, ...]
    functions: tuple[FunctionTool, ...]
    code: bool

    @property
    def words(self) -> str:
        """The text in small letters, blanks as one."""
        return " ".join(self.text.lower().split())


def read(turn: Turn) -> Talk:
    """The request in *turn*."""
    messages = turn.messages
    last = max((n for n, m in enumerate(messages) if isinstance(m, UserMessage)), default=-1)
    first = last
    while first > 0 and isinstance(messages[first - 1], UserMessage):
        first -= 1
    said = "\n\n".join(_text(m) for m in messages[max(first, 0) : last + 1])
    attached = [
        path.removeprefix("/mnt/data/")
        for listed in _ATTACHED.findall(said)
        for path in listed.split(", ")
    ]
    return Talk(
        text=_ATTACHED.sub("", said).strip(),
        attached=tuple(attached),
        done=tuple(outcome for _, outcome in _moves(messages[last + 1 :])),
        before=tuple(
            (source, outcome) for source, outcome in _moves(messages[: first + 1]) if source
        ),
        files=turn.files,
        functions=turn.functions,
        code=turn.code,
    )


def _text(message: PromptMessage) -> str:
    parts = message.parts if isinstance(message, UserMessage) else ()
    return "\n".join(part.text for part in parts if isinstance(part, TextPart))


def _moves(messages: tuple[PromptMessage, ...]) -> list[tuple[str, Outcome]]:
    """The moves in *messages*: source (empty for function calls) and outcome."""
    results = {m.call_id: m.text for m in messages if isinstance(m, CallResult)}
    moves = []
    for message in messages:
        if isinstance(message, AssistantMessage) and message.calls:
            source = "\n".join(c.source for c in message.calls if isinstance(c, CodeCall))
            texts = tuple(results.get(call.id, "") for call in message.calls)
            moves.append((source, Outcome(texts)))
    return moves
