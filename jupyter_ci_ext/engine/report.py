"""What is told to whoever operates the server of a run that begins or is over."""

from __future__ import annotations

from collections.abc import Iterable

from jupyter_ci_ext.lifecycle import RunCreated, RunFinished
from jupyter_ci_ext.wire.run import Run
from jupyter_ci_ext.wire.run_step import RunStep, ToolCallsDetails


def created(run: Run) -> RunCreated:
    """That there is a new run."""
    return RunCreated(run.id, run.thread_id, run.assistant_id, run.model)


def finished(run: Run, steps: Iterable[RunStep], seconds: float, status: str = "") -> RunFinished:
    """That the run is over, *seconds* after its creation; *status* instead of its own."""
    steps = list(steps)
    usage = run.usage
    return RunFinished(
        run.id,
        run.thread_id,
        run.assistant_id,
        run.model,
        status=status or run.status,
        duration_seconds=round(max(0.0, seconds), 3),
        steps=len(steps),
        code_calls=sum(map(_code_calls, steps)),
        prompt_tokens=usage.prompt_tokens if usage else 0,
        completion_tokens=usage.completion_tokens if usage else 0,
    )


def _code_calls(step: RunStep) -> int:
    details = step.step_details
    if not isinstance(details, ToolCallsDetails):
        return 0
    return sum(call.type == "code_interpreter" for call in details.tool_calls)
