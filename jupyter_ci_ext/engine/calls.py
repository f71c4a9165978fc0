"""Writing the tool steps of a run: code with its outputs, and calls of the caller's functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jupyter_ci_ext.engine.journal import Event, Write
from jupyter_ci_ext.engine.ledger import STEP, Ledger, step_events, update_step
from jupyter_ci_ext.engine.opened import OpenCode, OpenFunctions
from jupyter_ci_ext.engine.shelf import Shelf
from jupyter_ci_ext.engine.values import CodeResult, Logs, Made, Picture, Rich
from jupyter_ci_ext.llm.base import CodeStarted, FunctionDelta, FunctionStarted
from jupyter_ci_ext.wire.common import LastError, WireObject, dump
from jupyter_ci_ext.wire.run_step import (
    DisplayDataOutput,
    FunctionToolCall,
    RunStep,
    ToolCallsDetails,
)


class CodeWriter:
    """Writes one execution after the other, each a step of its own."""

    def __init__(self, ledger: Ledger, shelf: Shelf) -> None:
        self._ledger = ledger
        self._shelf = shelf
        self._open: OpenCode | None = None
        self._result: CodeResult | None = None
        self._files: list[Made] = []

    @property
    def now(self) -> RunStep | None:
        """The step that is open, as it is by now."""
        return None if self._open is None else self._open.now(self._result)

    async def start(self, started: CodeStarted) -> None:
        """The model begins to write code."""
        step = self._ledger.new_step(ToolCallsDetails())
        opened = OpenCode(step, started.id)
        await _start(self._ledger, step, opened.begin(), opened.now())
        self._open, self._result, self._files = opened, None, []

    async def write(self, source: str) -> None:
        """More code."""
        code = self._opened()
        await self._ledger.journal.say(
            f"{STEP}.delta",
            source,
            code.source(source),
            half=(code.id, lambda: update_step(code.now())),
        )

    async def log(self, logs: Logs) -> None:
        """More of what it prints; pieces that come quickly go out together."""
        code = self._opened()
        await self._ledger.journal.say(
            f"{STEP}.delta",
            logs.text,
            code.logs(logs.index, logs.text),
            join=(code.id, logs.index),
            half=(code.id, lambda: update_step(code.now())),
        )

    async def show(self, picture: Picture) -> None:
        """A picture it shows: its file is stored before anybody hears of it."""
        code = self._opened()
        file, write = self._shelf.new_file(picture.file, code.id)
        delta = code.image(picture.index, file.id)
        await self._ledger.commit([(f"{STEP}.delta", dump(delta))], write, steps=[code.now()])

    async def show_rich(self, rich: Rich) -> None:
        """A rich form of an output; its metadata say of which."""
        code = self._opened()
        metadata = {**rich.metadata, "replaces": rich.replaces}
        output = DisplayDataOutput(data=rich.data, metadata=metadata)
        await self._say(code, code.rich(rich.index, output))

    def made(self, files: Sequence[Made]) -> None:
        """Files it wrote; they are stored with its end."""
        self._files += files

    async def end(self, result: CodeResult) -> list[str]:
        """It has run; the ids of the pictures it showed."""
        code = self._opened()
        done = self._ledger.ended([code.now(result)], "completed")
        events = step_events(done[0], "completed")
        await self._ledger.commit(events, *self._file_writes(code), steps=done)
        self._open = None
        return code.images

    async def stop(self, result: CodeResult) -> None:
        """It was stopped together with its run, with which its step will end."""
        code = self._opened()
        await self._ledger.commit([], *self._file_writes(code), steps=[code.now(result)])
        self._result = result

    async def drop(self, reason: str) -> None:
        """It will not run."""
        if self._open is not None:
            error = LastError(code="server_error", message=reason)
            done = self._ledger.ended([self._open.now()], "failed", error)
            await self._ledger.commit(step_events(done[0], "failed"), steps=done)
            self._open = None

    def _file_writes(self, code: OpenCode) -> list[Write]:
        return [self._shelf.new_file(made, code.id)[1] for made in self._files]

    def _opened(self) -> OpenCode:
        if self._open is None:
            raise RuntimeError("no code has been started")
        return self._open

    async def _say(self, code: OpenCode, delta: WireObject) -> None:
        half = (code.id, lambda: update_step(code.now()))
        await self._ledger.journal.say(f"{STEP}.delta", "", lambda _: dump(delta), half=half)


class FunctionWriter:
    """Writes the calls of functions; those of one turn share a step, which waits for outputs."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._open: OpenFunctions | None = None

    @property
    def now(self) -> RunStep | None:
        """The step that is open, as it is by now; also one from before a restart."""
        if self._open is not None:
            return self._open.now()
        for step in self._ledger.steps.values():
            if step.status == "in_progress" and _calls_functions(step):
                return step
        return None

    async def start(self, started: FunctionStarted) -> None:
        """The model begins to call a function."""
        if self._open is None:
            step = self._ledger.new_step(ToolCallsDetails())
            opened = OpenFunctions(step)
            delta = opened.begin(started.id, started.name)
            await _start(self._ledger, step, delta, opened.now())
            self._open = opened
        else:
            await self._say(self._open, self._open.begin(started.id, started.name))

    async def write(self, more: FunctionDelta) -> None:
        """More of a call's arguments."""
        functions = self._open
        if functions is None:
            raise RuntimeError("no function has been called")
        functions.arguments(more.index, more.arguments)
        await self._say(functions, functions.arguments_delta(more.index, more.arguments))

    async def submit(self, outputs: Mapping[str, str], event: Event, write: Write) -> None:
        """What the functions gave, by call id: the step ends, then *event*, in one transaction."""
        step = self.now
        if step is None or not isinstance(step.step_details, ToolCallsDetails):
            raise RuntimeError("no function has been called")
        calls = [
            call.model_copy(
                update={"function": call.function.model_copy(update={"output": outputs[call.id]})}
            )
            if isinstance(call, FunctionToolCall)
            else call
            for call in step.step_details.tool_calls
        ]
        details = step.step_details.model_copy(update={"tool_calls": calls})
        done = self._ledger.ended([step.model_copy(update={"step_details": details})], "completed")
        await self._ledger.commit([*step_events(done[0], "completed"), event], write, steps=done)
        self._open = None

    async def _say(self, functions: OpenFunctions, delta: WireObject) -> None:
        half = (functions.id, lambda: update_step(functions.now()))
        await self._ledger.journal.say(f"{STEP}.delta", "", lambda _: dump(delta), half=half)


def _calls_functions(step: RunStep) -> bool:
    details = step.step_details
    return isinstance(details, ToolCallsDetails) and any(
        isinstance(call, FunctionToolCall) for call in details.tool_calls
    )


async def _start(ledger: Ledger, step: RunStep, delta: WireObject, stored: RunStep) -> None:
    """Announce *step*, which is stored with the call that its first delta tells of."""
    events = [*step_events(step, "created", "in_progress"), (f"{STEP}.delta", dump(delta))]
    await ledger.commit(events, steps=[stored], new=True)
