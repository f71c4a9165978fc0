"""The life of a run, of its steps and of its messages, as tables.

Rules
    A run is made ``queued``. Whoever wants to change its status names what happened and calls `move`;
    nothing else assigns a status. A pair that the table does not have is a mistake of ours and
    raises `IllegalMove`.

    Stamps follow from the status that is reached, never from the caller:

    - ``in_progress`` sets ``started_at``, again after submitted outputs (as recorded traffic has it);
    - ``completed`` and ``incomplete`` set ``completed_at``, ``failed`` sets ``failed_at``,
      ``cancelled`` sets ``cancelled_at``; ``expired`` has no stamp of its own on a run;
    - ``required_action`` stands only while the status is ``requires_action``;
    - ``expires_at`` is null once the run is over, and only then ``usage`` is there.

    A cancel is a wish: the run is ``cancelling`` until whatever it does has stopped, and nothing but
    its end is accepted then. A server that starts ends the runs of servers that died by the same
    table: they fail, or, where a cancel had been asked for, are cancelled.

    Steps and messages are made ``in_progress`` and end once. When a run ends early, an open step
    takes the run's end as its own, an open message becomes ``incomplete`` with the reason. A message
    whose last words were cut by a token limit is ``incomplete`` too, but its step is ``completed``.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from jupyter_ci_ext.wire.common import LastError, Usage
from jupyter_ci_ext.wire.message import IncompleteReason, Message, MessageIncompleteDetails
from jupyter_ci_ext.wire.run import (
    ACTIVE,
    RequiredAction,
    Run,
    RunIncompleteDetails,
    RunStatus,
)
from jupyter_ci_ext.wire.run_step import RunStep, StepStatus

RunEvent = Literal[
    "start",  # the engine begins to work, or goes on with submitted outputs
    "require",  # functions were called, whose outputs the client must submit
    "submit",  # the client submitted them
    "complete",  # the model has answered
    "run_out",  # a limit of tokens is used up
    "fail",  # it cannot be done
    "cancel",  # somebody asked to stop it
    "cancelled",  # it has stopped
    "expire",  # its time is over
]

RUN_TABLE: Final[dict[tuple[RunStatus, RunEvent], RunStatus]] = {
    ("queued", "start"): "in_progress",
    ("queued", "cancel"): "cancelling",
    ("queued", "fail"): "failed",
    ("queued", "expire"): "expired",
    ("in_progress", "require"): "requires_action",
    ("in_progress", "complete"): "completed",
    ("in_progress", "run_out"): "incomplete",
    ("in_progress", "cancel"): "cancelling",
    ("in_progress", "fail"): "failed",
    ("in_progress", "expire"): "expired",
    ("requires_action", "submit"): "queued",
    ("requires_action", "cancel"): "cancelling",
    ("requires_action", "fail"): "failed",
    ("requires_action", "expire"): "expired",
    ("cancelling", "cancelled"): "cancelled",
    ("cancelling", "expire"): "expired",
}

_STAMP: Final[dict[RunStatus, str]] = {
    "in_progress": "started_at",
    "completed": "completed_at",
    "incomplete": "completed_at",
    "failed": "failed_at",
    "cancelled": "cancelled_at",
}

StepEnd = Literal["completed", "failed", "cancelled", "expired"]

_STEP_STAMP: Final[dict[StepEnd, str]] = {
    "completed": "completed_at",
    "failed": "failed_at",
    "cancelled": "cancelled_at",
    "expired": "expired_at",
}

BROKEN_OFF: Final[dict[RunStatus, tuple[StepEnd, IncompleteReason]]] = {
    "failed": ("failed", "run_failed"),
    "cancelled": ("cancelled", "run_cancelled"),
    "expired": ("expired", "run_expired"),
}
"""How an open step and an open message end with a run that ends early."""


class IllegalMove(RuntimeError):
    """Something happened that cannot happen in this state; a mistake of the engine."""


def allowed(status: RunStatus, event: RunEvent) -> bool:
    """Whether *event* can happen to a run of this status."""
    return (status, event) in RUN_TABLE


def is_over(run: Run) -> bool:
    """Whether the run has ended."""
    return run.status not in ACTIVE


def move(
    run: Run,
    event: RunEvent,
    now: int,
    *,
    required_action: RequiredAction | None = None,
    last_error: LastError | None = None,
    reason: Literal["max_completion_tokens", "max_prompt_tokens"] | None = None,
    usage: Usage | None = None,
) -> Run:
    """The run after *event*, with its stamps; *now* in Unix seconds.

    *required_action* belongs to "require", *last_error* to "fail", *reason* to "run_out"; *usage* is
    taken on where the run ends.
    """
    try:
        status = RUN_TABLE[run.status, event]
    except KeyError:
        raise IllegalMove(f"{event!r} cannot happen to a run that is {run.status!r}") from None
    change: dict[str, Any] = {"status": status, "required_action": None}
    if status in _STAMP:
        change[_STAMP[status]] = now
    if event == "require":
        change["required_action"] = required_action
    if event == "fail":
        change["last_error"] = last_error
    if event == "run_out" and reason is not None:
        change["incomplete_details"] = RunIncompleteDetails(reason=reason)
    if status not in ACTIVE:
        change["expires_at"] = None
        change["usage"] = usage if usage is not None else Usage()
    return run.model_copy(update=change)


def end_step(
    step: RunStep,
    end: StepEnd,
    now: int,
    *,
    usage: Usage | None = None,
    last_error: LastError | None = None,
) -> RunStep:
    """The step, ended; its ``expires_at`` is left for `forget_expiry` when the run is over."""
    if step.status != "in_progress":
        raise IllegalMove(f"step {step.id} is {step.status!r} already")
    status: StepStatus = end
    change: dict[str, Any] = {
        "status": status,
        _STEP_STAMP[end]: now,
        "usage": usage if usage is not None else Usage(),
    }
    if last_error is not None:
        change["last_error"] = last_error
    return step.model_copy(update=change)


def forget_expiry(step: RunStep) -> RunStep:
    """The step as it reads once its run is over."""
    return step.model_copy(update={"expires_at": None})


def complete_message(message: Message, now: int) -> Message:
    """The message, done."""
    _open(message)
    return message.model_copy(update={"status": "completed", "completed_at": now})


def break_off_message(message: Message, reason: IncompleteReason, now: int) -> Message:
    """The message as far as it got, and why no further."""
    _open(message)
    details = MessageIncompleteDetails(reason=reason)
    return message.model_copy(
        update={"status": "incomplete", "incomplete_at": now, "incomplete_details": details}
    )


def _open(message: Message) -> None:
    if message.status != "in_progress":
        raise IllegalMove(f"message {message.id} is {message.status!r} already")
