"""Runs as clients ask for them, and what they hand in while one waits."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from .assistant_params import Instructions, ModelName, Temperature, TopP
from .choice_params import ResponseFormatParam, ToolChoiceParam
from .message_params import MessagesParam
from .params import AssistantId, ListQuery, MetadataParam, Params, TextParams
from .thread_params import CreateThread
from .tool_params import ToolResourcesParam, ToolsParam
from .tools import ReasoningEffort

TokenLimit = Annotated[int, Field(ge=1, le=2**53)]


class TruncationStrategyParam(Params):
    """How much of the thread the model sees."""

    type: Literal["auto", "last_messages"]
    """``auto``: what fits; ``last_messages``: the newest few."""
    last_messages: Annotated[int, Field(ge=1, le=2**53)] | None = None
    """How many."""


class _RunOptions(Params):
    """What both ways to start a run share; null inherits from the assistant."""

    assistant_id: AssistantId
    """The assistant at work."""
    model: ModelName | None = None
    """Instead of the assistant's."""
    instructions: Instructions | None = None
    """Instead of the assistant's."""
    tools: ToolsParam | None = None
    """Instead of the assistant's."""
    metadata: MetadataParam | None = None
    """The client's pairs."""
    temperature: Temperature | None = None
    """Instead of the assistant's."""
    top_p: TopP | None = None
    """Instead of the assistant's."""
    response_format: ResponseFormatParam | None = None
    """Instead of the assistant's."""
    stream: bool | None = None
    """Answer with the run's events as they happen."""
    max_prompt_tokens: TokenLimit | None = None
    """Most tokens of prompt in the whole run."""
    max_completion_tokens: TokenLimit | None = None
    """Most tokens the model may write in the whole run."""
    truncation_strategy: TruncationStrategyParam | None = None
    """How much of the thread the model sees."""
    tool_choice: ToolChoiceParam | None = None
    """Which tool the model must or must not use."""
    parallel_tool_calls: bool | None = None
    """Whether several functions may be called at once."""
    reasoning_effort: ReasoningEffort | None = None
    """Instead of the assistant's."""


class CreateRun(_RunOptions):
    """``POST /threads/{thread_id}/runs``."""

    additional_instructions: Instructions | None = None
    """Put after the instructions."""
    additional_messages: MessagesParam | None = None
    """Messages to add to the thread first."""


class CreateThreadAndRun(_RunOptions):
    """``POST /threads/runs``."""

    thread: CreateThread | None = None
    """The thread to make; none: an empty one."""
    tool_resources: ToolResourcesParam | None = None
    """What this run's tools can read, instead of the assistant's."""


class ModifyRun(Params):
    """``POST /threads/{thread_id}/runs/{run_id}``."""

    metadata: MetadataParam | None = None
    """Replaces the client's pairs."""


class ToolOutputParam(Params):
    """What a function gave."""

    tool_call_id: str | None = None
    """The call it answers."""
    output: str | None = None
    """What the model is told; null counts as empty."""


class SubmitToolOutputsParams(Params):
    """``POST /threads/{thread_id}/runs/{run_id}/submit_tool_outputs``."""

    tool_outputs: Annotated[list[ToolOutputParam], Field(max_length=512)]
    """One for every call that waits."""
    stream: bool | None = None
    """Answer with the run's events as they happen."""


Include = Literal[
    "step_details.tool_calls[*].file_search.results[*].content",
    "step_details.tool_calls[*].code_interpreter.outputs[*].display_data",
]


def _split(value: Any) -> Any:
    """One value per name: some clients join them with commas."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list):
        return [part for item in value for part in str(item).split(",") if part]
    return value


Includes = Annotated[list[Include], BeforeValidator(_split)]


class RunQuery(TextParams):
    """Query of the calls that start a run or read one step."""

    include: Includes = []
    """What is sent only where asked for."""


class StepListQuery(ListQuery):
    """``GET /threads/{thread_id}/runs/{run_id}/steps``."""

    include: Includes = []
    """What is sent only where asked for."""
