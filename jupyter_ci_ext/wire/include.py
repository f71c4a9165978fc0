"""What is sent only where a client asks for it with ``include[]``: rich outputs and found words.

Standard clients know logs and images. So rich outputs are left out of steps for everybody else, and
out of streams too, where the outputs that stay are numbered anew: clients keep their lists by index.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from .run_step import (
    CodeInterpreterToolCall,
    FileSearchToolCall,
    RunStep,
    ToolCall,
    ToolCallsDetails,
)

JSON = dict[str, Any]

FILE_SEARCH_CONTENT = "step_details.tool_calls[*].file_search.results[*].content"
DISPLAY_DATA = "step_details.tool_calls[*].code_interpreter.outputs[*].display_data"


def may_be_left_out(step: str) -> bool:
    """Whether the JSON of a step has something that is sent only where it is asked for.

    It may say so of a text that only mentions such things.
    """
    return '"display_data"' in step or '"file_search"' in step


def only_included(step: RunStep, include: Collection[str]) -> RunStep:
    """The step as a client sees it that asked for *include*."""
    if not isinstance(step.step_details, ToolCallsDetails):
        return step
    calls = [_call(call, include) for call in step.step_details.tool_calls]
    details = step.step_details.model_copy(update={"tool_calls": calls})
    return step.model_copy(update={"step_details": details})


def _call(call: ToolCall, include: Collection[str]) -> ToolCall:
    if isinstance(call, CodeInterpreterToolCall) and DISPLAY_DATA not in include:
        code = call.code_interpreter
        outputs = [output for output in code.outputs if output.type != "display_data"]
        return call.model_copy(
            update={"code_interpreter": code.model_copy(update={"outputs": outputs})}
        )
    if isinstance(call, FileSearchToolCall) and FILE_SEARCH_CONTENT not in include:
        search = call.file_search
        results = [
            type(result)(**result.model_dump(exclude={"content"}, exclude_unset=True))
            for result in search.results
        ]
        return call.model_copy(
            update={"file_search": search.model_copy(update={"results": results})}
        )
    return call


class EventFilter:
    """Leaves out of one stream's events what its client did not ask for.

    It has to see every event of the run from the first one on, also those the client has already
    got, because it counts the outputs that were left out.
    """

    def __init__(self, include: Collection[str] = ()) -> None:
        self._rich = DISPLAY_DATA in include
        self._include = include
        self._hidden: dict[tuple[str, int], set[int]] = {}

    def __call__(self, data: JSON) -> JSON | None:
        """The event's data as this client sees it; None when nothing is left of it."""
        kind = data.get("object")
        if kind == "thread.run.step":
            step = only_included(RunStep.model_validate(data), self._include)
            return step.model_dump(mode="json")
        if kind == "thread.run.step.delta" and not self._rich:
            return self._delta(data)
        return data

    def _delta(self, data: JSON) -> JSON | None:
        details = data["delta"]["step_details"]
        calls = [self._piece(data["id"], call) for call in details["tool_calls"]]
        kept = [call for call in calls if call is not None]
        if not kept:
            return None
        return {**data, "delta": {"step_details": {**details, "tool_calls": kept}}}

    def _piece(self, step_id: str, call: JSON) -> JSON | None:
        code = call.get("code_interpreter") or {}
        if not code.get("outputs"):
            return call
        hidden = self._hidden.setdefault((step_id, call["index"]), set())
        hidden.update(o["index"] for o in code["outputs"] if o["type"] == "display_data")
        outputs = [
            {**output, "index": output["index"] - sum(1 for n in hidden if n < output["index"])}
            for output in code["outputs"]
            if output["type"] != "display_data"
        ]
        if not outputs and "input" not in code:
            return None
        return {**call, "code_interpreter": {**code, "outputs": outputs}}
