"""Language models that do what a script says, named by how they behave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from jupyter_ci_ext.errors import LLMError
from jupyter_ci_ext.llm.base import (
    LLM,
    CodeDelta,
    CodeStarted,
    Delta,
    Finished,
    FunctionDelta,
    FunctionStarted,
    TextDelta,
    Turn,
    Usage,
)

Script = Sequence[Delta | LLMError | asyncio.Event]
"""What one reply consists of: deltas, an error to raise, or something to wait for."""


def pieces(text: str, size: int = 7) -> list[str]:
    """*text* cut up as a model's server would send it."""
    return [text[at : at + size] for at in range(0, len(text), size)]


def says(text: str, usage: Usage | None = None) -> list[Delta]:
    """An answer."""
    return [*map(TextDelta, pieces(text)), usage or Usage(10, 5), Finished("stop")]


def codes(*sources: str, before: str = "", usage: Usage | None = None) -> list[Delta]:
    """Code, one call or several, after some words."""
    deltas: list[Delta] = [*map(TextDelta, pieces(before))]
    for index, source in enumerate(sources):
        deltas.append(CodeStarted(index, f"call_{source[:4].strip()}{index}"))
        deltas += [CodeDelta(index, piece) for piece in pieces(source)]
    return [*deltas, usage or Usage(20, 8), Finished("calls")]


def calls(*functions: tuple[str, str, str], usage: Usage | None = None) -> list[Delta]:
    """Functions, each with id, name and arguments."""
    deltas: list[Delta] = []
    for index, (id, name, arguments) in enumerate(functions):
        deltas.append(FunctionStarted(index, id, name))
        deltas += [FunctionDelta(index, piece) for piece in pieces(arguments)]
    return [*deltas, usage or Usage(30, 4), Finished("calls")]


class ScriptedLLM(LLM):
    """Replies with one script after the other, and remembers what it was asked."""

    def __init__(self, *replies: Script, vision: bool = False, window: int | None = None) -> None:
        self.vision = vision
        self.context_tokens = window
        self.asked: list[Turn] = []
        self.closed = 0
        self.streaming = asyncio.Event()
        self._replies = list(replies)

    def queue(self, *replies: Script) -> None:
        """Further scripts, behind those that are left."""
        self._replies += replies

    async def stream(self, turn: Turn) -> AsyncIterator[Delta]:
        assert self._replies, "the model is asked more often than the test expects"
        reply = self._replies.pop(0)
        self.asked.append(turn)
        try:
            for item in reply:
                if isinstance(item, LLMError):
                    raise item
                if isinstance(item, asyncio.Event):
                    self.streaming.set()
                    await item.wait()
                else:
                    yield item
        finally:
            self.closed += 1

    @property
    def left(self) -> int:
        """How many replies were not asked for."""
        return len(self._replies)


class ParrotLLM(LLM):
    """Asks for the same code for ever, whatever it is told."""

    def __init__(self, source: str = "again()") -> None:
        self.source = source
        self.asked: list[Turn] = []

    async def stream(self, turn: Turn) -> AsyncIterator[Delta]:
        self.asked.append(turn)
        for delta in codes(self.source):
            yield delta


class OneModel:
    """Serves one model under every name."""

    def __init__(self, llm: LLM) -> None:
        self.llm = llm

    def resolve(self, model: str) -> tuple[LLM, str]:
        return self.llm, model
