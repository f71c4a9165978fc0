"""From the values of the agent loop to a run's steps, messages and events, as the API has them.

The order of events is that of recorded streams (protocol §9.3): one thing after the other, each step
created, in progress, its deltas, completed; a message within its step. Every execution is a step of
its own, functions that are called together share one, text before code is a message of its own.

Each request to the model has a price. It is put on the step that ends next once it is known, so that
the run's usage is the sum of its steps'.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from jupyter_ci_ext.engine.calls import CodeWriter, FunctionWriter
from jupyter_ci_ext.engine.journal import Event
from jupyter_ci_ext.engine.ledger import (
    Ledger,
    message_events,
    step_events,
    update_message,
    update_run,
    update_step,
)
from jupyter_ci_ext.engine.messages import MessageWriter
from jupyter_ci_ext.engine.shelf import Shelf
from jupyter_ci_ext.engine.state import BROKEN_OFF, RunEvent, StepEnd, forget_expiry, move
from jupyter_ci_ext.engine.values import (
    CodeDone,
    CodeDropped,
    CodeStopped,
    FilesMade,
    FunctionsWanted,
    Logs,
    Picture,
    Rich,
    TurnStarted,
    TurnUsage,
    Value,
)
from jupyter_ci_ext.llm.base import (
    CodeDelta,
    CodeStarted,
    FunctionDelta,
    FunctionStarted,
    RefusalDelta,
    TextDelta,
)
from jupyter_ci_ext.wire.common import LastError, dump
from jupyter_ci_ext.wire.message import IncompleteReason
from jupyter_ci_ext.wire.run import (
    CalledFunction,
    RequiredAction,
    RequiredToolCall,
    Run,
    SubmitToolOutputs,
)
from jupyter_ci_ext.wire.run_step import RunStep

CUT: Final = LastError(code="server_error", message="The call was cut off by the limit of tokens.")


class RunWriter:
    """Writes one run: takes the loop's values, keeps the run, its steps and messages in the store."""

    def __init__(self, ledger: Ledger, shelf: Shelf) -> None:
        self._ledger = ledger
        self._messages = MessageWriter(ledger, shelf.find)
        self._code = CodeWriter(ledger, shelf)
        self._functions = FunctionWriter(ledger)

    @property
    def run(self) -> Run:
        """The run as it is stored."""
        return self._ledger.run

    @property
    def steps(self) -> list[RunStep]:
        """The steps it has had, in their order."""
        return list(self._ledger.steps.values())

    # ---- the run itself ----------------------------------------------------------------------

    async def announce(self) -> None:
        """Tell that the run is there and queued."""
        data = dump(self.run)
        await self._ledger.commit([("thread.run.created", data), ("thread.run.queued", data)])

    async def move(
        self, event: Literal["start", "require", "cancel"], wanted: FunctionsWanted | None = None
    ) -> None:
        """Change the run's status to one that is not its end."""
        action = None if wanted is None else _required(wanted)
        run = move(self.run, event, self._ledger.now(), required_action=action)
        step = self._functions.now
        writes = [update_run(run)] if step is None else [update_run(run), update_step(step)]
        await self._ledger.commit([_run_event(run)], *writes)
        self._ledger.run = run

    async def submit(self, outputs: Mapping[str, str]) -> None:
        """Take in what the caller's functions gave, by call id; the run is queued again."""
        run = move(self.run, "submit", self._ledger.now())
        await self._functions.submit(outputs, _run_event(run), update_run(run))
        self._ledger.run = run

    async def end(
        self,
        event: RunEvent,
        *,
        error: LastError | None = None,
        reason: Literal["max_completion_tokens", "max_prompt_tokens"] | None = None,
        cut: IncompleteReason | None = None,
    ) -> None:
        """End the run and whatever of it is open.

        *error* belongs to "fail", *reason* to "run_out"; *cut* says why the open message is not
        whole. May be called again when it has raised.
        """
        ledger = self._ledger
        broken = BROKEN_OFF.get(
            move(self.run, event, ledger.now(), last_error=error, reason=reason).status
        )
        message = None
        step_end: StepEnd = "failed"
        if broken is None or cut is not None:
            await self._messages.close(cut)
        if broken is None:
            error = error or CUT
            if cut is None:
                await self._messages.show_pictures()
        else:
            step_end = broken[0]
            message = await self._messages.broken_off(broken[1])
        open_steps = [
            step for step in self._current_steps().values() if step.status == "in_progress"
        ]
        ended = ledger.ended(open_steps, step_end, error)
        events: list[Event] = [each for step in ended for each in step_events(step, step_end)]
        if message is not None:
            events += message_events(message, "incomplete")
        run = move(
            self.run,
            event,
            ledger.now(),
            last_error=error if event == "fail" else None,
            reason=reason,
            usage=ledger.usage,
        )
        over = {**ledger.steps, **{step.id: step for step in ended}}
        await ledger.commit(
            [*events, _run_event(run)],
            *([] if message is None else [update_message(message)]),
            *(update_step(forget_expiry(step)) for step in over.values()),
            update_run(run),
        )
        ledger.run = run

    # ---- the loop's values -------------------------------------------------------------------

    async def take(self, value: Value) -> None:
        """Project one value; `Ended` and `FunctionsWanted` are for `end` and `move`."""
        if isinstance(value, TextDelta):
            await self._messages.say(value.text)
        elif isinstance(value, RefusalDelta):
            await self._messages.refuse(value.text)
        elif isinstance(value, CodeStarted):
            await self._messages.close()
            await self._code.start(value)
        elif isinstance(value, CodeDelta):
            await self._code.write(value.source)
        elif isinstance(value, Logs):
            await self._code.log(value)
        elif isinstance(value, Picture):
            await self._code.show(value)
        elif isinstance(value, Rich):
            await self._code.show_rich(value)
        elif isinstance(value, FilesMade):
            self._code.made(value.files)
        elif isinstance(value, CodeDone):
            self._messages.pictures += await self._code.end(value.result)
        elif isinstance(value, CodeStopped):
            await self._code.stop(value.result)
        elif isinstance(value, CodeDropped):
            await self._code.drop(value.reason)
        elif isinstance(value, FunctionStarted):
            await self._messages.close()
            await self._functions.start(value)
        elif isinstance(value, FunctionDelta):
            await self._functions.write(value)
        elif isinstance(value, TurnStarted):
            await self._messages.close()
        elif isinstance(value, TurnUsage):
            self._ledger.bill(value.usage)

    def _current_steps(self) -> dict[str, RunStep]:
        """All steps, those that are open as they are by now."""
        opened = [step for step in (self._code.now, self._functions.now) if step is not None]
        return {**self._ledger.steps, **{step.id: step for step in opened}}


def _required(wanted: FunctionsWanted) -> RequiredAction:
    calls = [
        RequiredToolCall(
            id=call.id, function=CalledFunction(name=call.name, arguments=call.arguments)
        )
        for call in wanted.calls
    ]
    return RequiredAction(submit_tool_outputs=SubmitToolOutputs(tool_calls=calls))


def _run_event(run: Run) -> Event:
    return f"thread.run.{run.status}", dump(run)
