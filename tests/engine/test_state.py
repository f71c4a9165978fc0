"""The run's table of states: whatever happens, in whatever order, a run stays sound."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_ci_ext.engine.state import (
    BROKEN_OFF,
    RUN_TABLE,
    IllegalMove,
    RunEvent,
    allowed,
    break_off_message,
    complete_message,
    end_step,
    forget_expiry,
    is_over,
    move,
)
from jupyter_ci_ext.wire.common import LastError, Usage
from jupyter_ci_ext.wire.message import Message
from jupyter_ci_ext.wire.run import ACTIVE, RequiredAction, Run, RunStatus, SubmitToolOutputs
from jupyter_ci_ext.wire.run_step import RunStep, ToolCallsDetails

EVENTS: tuple[RunEvent, ...] = get_args(RunEvent)
STATUSES: tuple[RunStatus, ...] = get_args(RunStatus)
ACTION = RequiredAction(submit_tool_outputs=SubmitToolOutputs(tool_calls=[]))
ERROR = LastError(code="server_error", message="It broke.")


def new_run() -> Run:
    return Run(
        id="run_1", created_at=100, expires_at=700, assistant_id="a", thread_id="t", model="m"
    )


def moved(run: Run, event: RunEvent, now: int) -> Run:
    return move(
        run,
        event,
        now,
        required_action=ACTION,
        last_error=ERROR,
        reason="max_prompt_tokens",
        usage=Usage(total_tokens=now),
    )


@given(st.lists(st.sampled_from(EVENTS), max_size=20))
def test_any_sequence_of_events_keeps_a_run_sound(events: list[RunEvent]) -> None:
    run = new_run()
    for now, event in enumerate(events, start=101):
        if not allowed(run.status, event):
            with pytest.raises(IllegalMove):
                moved(run, event, now)
            continue
        before, run = run, moved(run, event, now)
        assert run.status == RUN_TABLE[before.status, event]
        assert (run.required_action is not None) == (run.status == "requires_action")
        assert (run.expires_at is None) == is_over(run) == (run.usage is not None)
        assert (run.last_error is not None) == (run.status == "failed")
        assert (run.failed_at is not None) == (run.status == "failed")
        assert (run.cancelled_at is not None) == (run.status == "cancelled")
        assert (run.completed_at is not None) == (run.status in ("completed", "incomplete"))
        assert (run.incomplete_details is not None) == (run.status == "incomplete")
        if event == "start":
            assert run.started_at == now
        same = {"id", "created_at", "thread_id", "assistant_id", "model", "instructions"}
        assert run.model_dump(include=same) == before.model_dump(include=same)


def test_every_status_can_be_reached_and_every_active_one_left() -> None:
    assert set(RUN_TABLE.values()) | {"queued"} == set(STATUSES)
    for status in STATUSES:
        leaves = [event for event in EVENTS if allowed(status, event)]
        assert bool(leaves) == (status in ACTIVE)


def test_every_active_status_can_expire() -> None:
    assert all(allowed(status, "expire") for status in ACTIVE)


def test_steps_and_messages_end_once() -> None:
    step = RunStep(
        id="step_1",
        created_at=1,
        run_id="r",
        assistant_id="a",
        thread_id="t",
        type="tool_calls",
        expires_at=9,
        step_details=ToolCallsDetails(),
    )
    for end, stamp in (
        ("completed", "completed_at"),
        ("failed", "failed_at"),
        ("cancelled", "cancelled_at"),
        ("expired", "expired_at"),
    ):
        ended = end_step(step, end, 5, last_error=ERROR)  # type: ignore[arg-type]
        assert ended.status == end
        assert getattr(ended, stamp) == 5
        assert ended.usage == Usage()
        assert ended.expires_at == 9
        assert forget_expiry(ended).expires_at is None
        with pytest.raises(IllegalMove):
            end_step(ended, "completed", 6)
    message = Message(
        id="msg_1", created_at=1, thread_id="t", status="in_progress", role="assistant"
    )
    for done in (complete_message(message, 5), break_off_message(message, "run_failed", 5)):
        with pytest.raises(IllegalMove):
            complete_message(done, 6)
        with pytest.raises(IllegalMove):
            break_off_message(done, "max_tokens", 6)


def test_what_breaks_off_says_how() -> None:
    assert set(BROKEN_OFF) == {"failed", "cancelled", "expired"}
