"""What a run has so far: its steps, its price, and the journal they are written to; shared by the
writers of messages, of code and of functions.

Nothing in here counts before it is stored: whoever changes something says so in `Ledger.commit`, and
is free to try again, or to end the run, when that fails.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

from jupyter_ci_ext.engine.journal import Event, Journal, Write
from jupyter_ci_ext.engine.state import StepEnd, end_step
from jupyter_ci_ext.ids import new_id
from jupyter_ci_ext.llm.base import Usage as TurnTokens
from jupyter_ci_ext.store.transaction import Transaction
from jupyter_ci_ext.wire.common import CachedTokens, LastError, ReasoningTokens, Usage, dump
from jupyter_ci_ext.wire.message import Message
from jupyter_ci_ext.wire.run import Run
from jupyter_ci_ext.wire.run_step import MessageCreationDetails, RunStep, ToolCallsDetails

STEP = "thread.run.step"
MESSAGE = "thread.message"

Find = Callable[[str], Awaitable[str | None]]
"""Id of the file of a name below ``/mnt/data``, or None."""


def unix_now() -> int:
    """Unix time in seconds."""
    return int(time.time())


class Ledger:
    """The steps and the price of one run. *steps* are those it has already, in their order."""

    def __init__(
        self,
        run: Run,
        journal: Journal,
        steps: Sequence[RunStep] = (),
        clock: Callable[[], int] = unix_now,
    ) -> None:
        self.run = run
        self.journal = journal
        self.now = clock
        self.steps = {step.id: step for step in steps}
        self.usage = Usage()
        for step in steps:
            self.usage = add_usage(self.usage, step.usage or Usage())
        self._unbilled = Usage()

    def bill(self, tokens: TurnTokens) -> None:
        """Take note of the price of one request to the model; the step that ends next bears it."""
        usage = Usage(
            prompt_tokens=tokens.prompt_tokens,
            completion_tokens=tokens.completion_tokens,
            prompt_token_details=CachedTokens(cached_tokens=tokens.cached_tokens),
            completion_tokens_details=ReasoningTokens(reasoning_tokens=tokens.reasoning_tokens),
        )
        self._unbilled = add_usage(self._unbilled, usage)
        self.usage = add_usage(self.usage, usage)

    def new_step(self, details: ToolCallsDetails | MessageCreationDetails) -> RunStep:
        """A step in progress, not stored yet."""
        return RunStep(
            id=new_id("step"),
            created_at=self.now(),
            run_id=self.run.id,
            assistant_id=self.run.assistant_id,
            thread_id=self.run.thread_id,
            type=details.type,
            expires_at=self.run.expires_at,
            step_details=details,
        )

    def ended(
        self, steps: Sequence[RunStep], end: StepEnd, error: LastError | None = None
    ) -> list[RunStep]:
        """The steps as they are when they end together; the first bears what is not billed yet."""
        return [
            end_step(
                step,
                end,
                self.now(),
                usage=Usage() if position else self._unbilled,
                last_error=error,
            )
            for position, step in enumerate(steps)
        ]

    async def commit(
        self,
        events: Sequence[Event],
        *writes: Write,
        steps: Sequence[RunStep] = (),
        message: Message | None = None,
        new: bool = False,
    ) -> None:
        """Store *steps*, *message* and what else is to be written; publish *events*.

        *new* says that steps and message are inserted. Raises `StoreError` and `NotFound`, as the
        journal does; then nothing has changed.
        """
        stored = [_insert_step(step) if new else update_step(step) for step in steps]
        if message is not None:
            stored.append(_insert_message(message) if new else update_message(message))
        await self.journal.commit(events, *stored, *writes)
        for step in steps:
            was = self.steps.get(step.id)
            if was is not None and was.status == "in_progress" != step.status:
                self._unbilled = Usage()
            self.steps[step.id] = step


def step_events(step: RunStep, *what: str) -> list[Event]:
    """Events of a step, all with the same object."""
    data = dump(step)
    return [(f"{STEP}.{each}", data) for each in what]


def message_events(message: Message, *what: str) -> list[Event]:
    """Events of a message, all with the same object."""
    data = dump(message)
    return [(f"{MESSAGE}.{each}", data) for each in what]


def update_step(step: RunStep) -> Write:
    """How to store *step* as it is now."""

    async def write(tx: Transaction) -> None:
        await tx.steps.update(step)

    return write


def update_message(message: Message) -> Write:
    """How to store *message* as it is now."""

    async def write(tx: Transaction) -> None:
        await tx.messages.update(message)

    return write


def update_run(run: Run) -> Write:
    """How to store *run* as it is now."""

    async def write(tx: Transaction) -> None:
        await tx.runs.update(run)

    return write


def add_usage(one: Usage, other: Usage) -> Usage:
    """Both together."""
    prompt = one.prompt_tokens + other.prompt_tokens
    completion = one.completion_tokens + other.completion_tokens
    cached = one.prompt_token_details.cached_tokens + other.prompt_token_details.cached_tokens
    reasoning = (
        one.completion_tokens_details.reasoning_tokens
        + other.completion_tokens_details.reasoning_tokens
    )
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        prompt_token_details=CachedTokens(cached_tokens=cached),
        completion_tokens_details=ReasoningTokens(reasoning_tokens=reasoning),
    )


def _insert_step(step: RunStep) -> Write:
    async def write(tx: Transaction) -> None:
        await tx.steps.insert(step)

    return write


def _insert_message(message: Message) -> Write:
    async def write(tx: Transaction) -> None:
        await tx.messages.insert(message)

    return write
