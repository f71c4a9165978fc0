"""Runs: an assistant at work on a thread."""

from __future__ import annotations

from typing import Final, Literal

from .common import LastError, Metadata, Usage, WireObject
from .tools import ReasoningEffort, ResponseFormat, Tool, ToolChoice, ToolResources

RunStatus = Literal[
    "queued",
    "in_progress",
    "requires_action",
    "cancelling",
    "cancelled",
    "failed",
    "completed",
    "incomplete",
    "expired",
]

ACTIVE: Final[frozenset[RunStatus]] = frozenset(
    {"queued", "in_progress", "requires_action", "cancelling"}
)
"""Statuses of a run that holds its thread; every other status is final."""


class CalledFunction(WireObject):
    """Which function is called, and with what."""

    name: str
    """Name of the function."""
    arguments: str
    """JSON text, as the model wrote it."""


class RequiredToolCall(WireObject):
    """A call whose output the client must submit."""

    id: str
    """``call_…``."""
    type: Literal["function"] = "function"
    """Always ``function``."""
    function: CalledFunction
    """The call."""


class SubmitToolOutputs(WireObject):
    """The calls that wait for outputs."""

    tool_calls: list[RequiredToolCall]
    """All of them must be answered in one request."""


class RequiredAction(WireObject):
    """What the client must do before the run can go on."""

    type: Literal["submit_tool_outputs"] = "submit_tool_outputs"
    """Always ``submit_tool_outputs``."""
    submit_tool_outputs: SubmitToolOutputs
    """The calls."""


class TruncationStrategy(WireObject):
    """How much of the thread the model sees."""

    type: Literal["auto", "last_messages"] = "auto"
    """``auto``: what fits; ``last_messages``: the newest few."""
    last_messages: int | None = None
    """How many; null for ``auto``."""


class RunIncompleteDetails(WireObject):
    """Why a run ended early."""

    reason: Literal["max_completion_tokens", "max_prompt_tokens"]
    """Which limit ran out."""


class Run(WireObject):
    """One run of an assistant on a thread."""

    id: str
    """``run_…``."""
    object: Literal["thread.run"] = "thread.run"
    """Always ``thread.run``."""
    created_at: int
    """Unix time in seconds."""
    assistant_id: str
    """The assistant at work."""
    thread_id: str
    """The thread it works on."""
    status: RunStatus = "queued"
    """Where it stands."""
    started_at: int | None = None
    """When it last began to work."""
    expires_at: int | None = None
    """When it will be given up; null once it is over."""
    cancelled_at: int | None = None
    """When it was cancelled."""
    failed_at: int | None = None
    """When it failed."""
    completed_at: int | None = None
    """When it was done, also when it ended incomplete."""
    required_action: RequiredAction | None = None
    """What the client must do; null unless the status is ``requires_action``."""
    last_error: LastError | None = None
    """Why it failed."""
    model: str
    """Name of the model."""
    instructions: str | None = None
    """What the model is told first."""
    tools: list[Tool] = []
    """Tools the model may use."""
    tool_resources: ToolResources = ToolResources()
    """The assistant's, or those given for this run; the thread's come on top."""
    metadata: Metadata = {}
    """The client's pairs."""
    temperature: float | None = 1.0
    """Sampling temperature."""
    top_p: float | None = 1.0
    """Nucleus sampling."""
    reasoning_effort: ReasoningEffort | None = None
    """How much a reasoning model should think; null: its default."""
    max_completion_tokens: int | None = None
    """Most tokens the model may write in this run; null: no limit."""
    max_prompt_tokens: int | None = None
    """Most tokens of prompt in this run; null: no limit."""
    truncation_strategy: TruncationStrategy = TruncationStrategy()
    """How much of the thread the model sees."""
    incomplete_details: RunIncompleteDetails | None = None
    """Why it ended early."""
    usage: Usage | None = None
    """Tokens used; null until the run is over."""
    response_format: ResponseFormat = "auto"
    """The form the answer must have."""
    tool_choice: ToolChoice = "auto"
    """Which tool the model must or must not use."""
    parallel_tool_calls: bool = True
    """Whether several functions may be called at once."""
