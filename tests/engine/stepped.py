"""A model and a session that do one thing at a time, when they are told to, thread by thread."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from jupyter_ci_ext.errors import CodeInterpreterError, LLMError
from jupyter_ci_ext.kernels.outputs import ExecutionEnd, Output
from jupyter_ci_ext.kernels.workspace import Collected, StagedFile
from jupyter_ci_ext.llm.base import (
    LLM,
    CodeDelta,
    CodeStarted,
    Delta,
    Finished,
    FunctionDelta,
    FunctionStarted,
    TextPart,
    Turn,
    UserMessage,
)

from .sessions import Info


class SteppedLLM(LLM):
    """Says what `say` gives it to the run whose thread begins with this text, while it is asked."""

    def __init__(self) -> None:
        self._asked: dict[str, asyncio.Queue[Delta | LLMError]] = {}
        self._calls: dict[str, int] = {}

    def say(self, key: str, *items: Delta | LLMError) -> None:
        """*items* number their calls from 0; here they go on behind those of the same answer."""
        if key in self._asked:
            earlier = self._calls[key]
            for item in items:
                if isinstance(item, CodeStarted | FunctionStarted):
                    self._calls[key] += 1
                    item = replace(item, id=f"{item.id}{earlier}")
                if isinstance(item, CodeStarted | CodeDelta | FunctionStarted | FunctionDelta):
                    item = replace(item, index=item.index + earlier)
                self._asked[key].put_nowait(item)

    async def stream(self, turn: Turn) -> AsyncIterator[Delta]:
        first = turn.messages[0]
        assert isinstance(first, UserMessage)
        [part] = first.parts
        assert isinstance(part, TextPart)
        key = part.text
        said = self._asked[key] = asyncio.Queue()
        self._calls[key] = 0
        try:
            while True:
                item = await said.get()
                if isinstance(item, LLMError):
                    raise item
                yield item
                if isinstance(item, Finished):
                    return
        finally:
            if self._asked.get(key) is said:
                del self._asked[key]


class SteppedSession:
    """Puts out what it is given; ends by itself, or a moment after an interrupt."""

    def __init__(self) -> None:
        self.fresh = True
        self.names: dict[str, str] = {}
        self.data_path = "/mnt/data"
        self.folder_path = ""
        self.info = Info("cntr_1")
        self.running: asyncio.Queue[Output | CodeInterpreterError] | None = None

    async def stage(self, files: Sequence[StagedFile]) -> None:
        assert not files

    async def execute(self, code: str) -> AsyncIterator[Output]:
        running = self.running = asyncio.Queue()
        try:
            while True:
                item = await running.get()
                if isinstance(item, CodeInterpreterError):
                    raise item
                yield item
                if isinstance(item, ExecutionEnd):
                    return
        finally:
            if self.running is running:
                self.running = None

    async def interrupt(self) -> None:
        if self.running is not None:
            self.running.put_nowait(ExecutionEnd("interrupted", "The code was stopped."))

    async def collect(self) -> Collected:
        return Collected([], [])

    def open_file(self, name: str) -> None:
        return None


class SteppedSessions:
    """A stepped session for every thread."""

    def __init__(self) -> None:
        self.sessions: dict[str, SteppedSession] = defaultdict(SteppedSession)
        self.held: dict[str, int] = defaultdict(int)

    @asynccontextmanager
    async def use(self, key: str, *, folder: str = "") -> AsyncIterator[SteppedSession]:
        self.held[key] += 1
        try:
            yield self.sessions[key]
        finally:
            self.held[key] -= 1

    async def forget(self, key: str, /) -> None:
        """Nothing is kept of it."""
