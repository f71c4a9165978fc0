"""Ending runs that their server left behind when it died."""

from __future__ import annotations

from jupyter_ci_ext.engine.journal import Event
from jupyter_ci_ext.engine.ledger import (
    add_usage,
    message_events,
    step_events,
)
from jupyter_ci_ext.engine.state import (
    BROKEN_OFF,
    break_off_message,
    end_step,
    forget_expiry,
    is_over,
    move,
)
from jupyter_ci_ext.store.database import Store
from jupyter_ci_ext.store.transaction import Transaction
from jupyter_ci_ext.wire.common import LastError, Usage, dump
from jupyter_ci_ext.wire.message import Message
from jupyter_ci_ext.wire.run import Run
from jupyter_ci_ext.wire.run_step import MessageCreationDetails, RunStep

LEFT_BEHIND = (
    "The server stopped while this run was in progress. What had been written until then is kept; "
    "start a new run to go on."
)


async def recover(store: Store, run_id: str, owner: str, now: int) -> Run | None:
    """End the run, which *owner* has left behind, as it deserves; *now* in Unix seconds.

    A run that waits for outputs of functions is not ended: this server takes it over. Returns the
    run as it is then, None when another server was faster.
    """
    async with store.transaction() as tx:
        run = await tx.runs.get(run_id)
        if run is None or is_over(run) or await tx.runs.get_owner(run_id) != owner:
            return None
        if run.status == "requires_action":
            await tx.runs.take_over(run_id)
            return run
        return await _end(tx, run, now)


async def _end(tx: Transaction, run: Run, now: int) -> Run:
    steps = await tx.steps.of_run(run.id)
    usage = Usage()
    for step in steps:
        usage = add_usage(usage, step.usage or Usage())
    error = LastError(code="server_error", message=LEFT_BEHIND)
    if run.status == "cancelling":
        ended = move(run, "cancelled", now, usage=usage)
    else:
        ended = move(run, "fail", now, last_error=error, usage=usage)
    step_end, reason = BROKEN_OFF[ended.status]
    events: list[Event] = []
    broken: list[Message] = []
    for step in steps:
        if step.status == "in_progress":
            message = await _message(tx, step)
            step = end_step(step, step_end, now, last_error=ended.last_error)
            events += step_events(step, step_end)
            if message is not None and message.status == "in_progress":
                broken.append(break_off_message(message, reason, now))
        await tx.steps.update(forget_expiry(step))
    for message in broken:
        events += message_events(message, "incomplete")
        await tx.messages.update(message)
    events.append((f"thread.run.{ended.status}", dump(ended)))
    await tx.runs.update(ended)
    first = await tx.events.last_seq(run.id) + 1
    await tx.events.append(run.id, [(first + n, *event) for n, event in enumerate(events)])
    return ended


async def _message(tx: Transaction, step: RunStep) -> Message | None:
    details = step.step_details
    if not isinstance(details, MessageCreationDetails):
        return None
    return await tx.messages.get(details.message_creation.message_id)
