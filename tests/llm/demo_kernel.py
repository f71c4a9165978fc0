"""A conversation with the demo model whose code really runs, in one namespace, in a folder."""

from __future__ import annotations

import ast
import contextlib
import io
import shutil
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jupyter_ci_ext.llm.base import (
    AssistantMessage,
    CallResult,
    CodeCall,
    CodeDelta,
    CodeStarted,
    FileNote,
    Finished,
    FunctionCall,
    FunctionDelta,
    FunctionStarted,
    FunctionTool,
    PromptMessage,
    TextDelta,
    TextPart,
    Turn,
    UserMessage,
)
from jupyter_ci_ext.llm.demo import DemoModel


class Conversation:
    """Talks to the demo model as the engine does, and runs what it asks for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.messages: list[PromptMessage] = []
        self.files: list[FileNote] = []
        self.space: dict[str, Any] = {}
        self.sources: list[str] = []
        self.errors: list[str] = []
        self.prefaces: list[str] = []
        self._model = DemoModel(_nobody)

    def attach(self, path: Path, name: str | None = None) -> None:
        """Put a file into the folder, as staging does."""
        name = name or path.name
        if path != self.folder / name:
            shutil.copy(path, self.folder / name)
        self.files.append(FileNote(f"file-{len(self.files)}", name, path.stat().st_size))

    def new_session(self) -> None:
        """Lose all variables, as a session that was closed does."""
        self.space = {}

    async def ask(self, text: str, **turn: Any) -> str:
        """What the model answers in the end."""
        self.messages.append(UserMessage((TextPart(text),)))
        self.sources, self.errors, self.prefaces = [], [], []
        for _ in range(20):
            said, calls, _ = await self.turn(**turn)
            self.messages.append(AssistantMessage(said, tuple(calls)))
            if not calls:
                return said
            self.prefaces.append(said)
            for call in calls:
                assert isinstance(call, CodeCall)
                self.sources.append(call.source)
                self.messages.append(CallResult(call.id, self.run(call.source)))
        raise AssertionError("no end of calls")

    async def turn(self, **turn: Any) -> tuple[str, list[CodeCall | FunctionCall], Finished]:
        """One turn: text, calls and how it ended."""
        said, calls = "", []
        asked = Turn(
            model="demo",
            system="",
            messages=tuple(self.messages),
            files=tuple(self.files),
            **{"code": True, **turn},
        )
        finished: Finished | None = None
        async for delta in self._model.stream(asked):
            if isinstance(delta, TextDelta):
                said += delta.text
            elif isinstance(delta, CodeStarted):
                calls.append(CodeCall(delta.id, ""))
            elif isinstance(delta, CodeDelta):
                last = calls[delta.index]
                calls[delta.index] = CodeCall(last.id, last.source + delta.source)
            elif isinstance(delta, FunctionStarted):
                calls.append(FunctionCall(delta.id, delta.name, ""))
            elif isinstance(delta, FunctionDelta):
                last = calls[delta.index]
                calls[delta.index] = FunctionCall(
                    last.id, last.name, last.arguments + delta.arguments
                )
            elif isinstance(delta, Finished):
                finished = delta
        assert finished is not None
        return said, calls, finished

    def run(self, source: str) -> str:
        """Run *source* and return what a kernel would show of it, traceback included."""
        source = source.replace("/mnt/data", str(self.folder))
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), _no_windows():
            try:
                tree = ast.parse(source)
                last = (
                    tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
                )
                exec(compile(tree, "<cell>", "exec"), self.space)
                if last is not None:
                    value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), self.space)
                    if value is not None:
                        print(repr(value))
            except Exception as error:
                self.errors.append(type(error).__name__)
                printed.write(traceback.format_exc())
        return printed.getvalue().replace(str(self.folder), "/mnt/data")


@contextlib.contextmanager
def _no_windows() -> Any:
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    shown, plt.show = plt.show, lambda: plt.close("all")
    try:
        yield
    finally:
        plt.show = shown


async def _nobody() -> Sequence[Any]:
    return []


def function(name: str, **properties: Any) -> FunctionTool:
    """A function tool whose properties are all required."""
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return FunctionTool(name, None, schema)
