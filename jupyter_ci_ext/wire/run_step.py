"""Run steps: what a run did, one by one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from .common import LastError, Metadata, Sparse, Usage, WireObject
from .content import FilePath

StepStatus = Literal["in_progress", "cancelled", "failed", "completed", "expired"]


class LogsOutput(WireObject):
    """What the code printed, its last value, or its traceback."""

    type: Literal["logs"] = "logs"
    """Always ``logs``."""
    logs: str
    """The text."""


class ImageOutput(WireObject):
    """A picture the code showed."""

    type: Literal["image"] = "image"
    """Always ``image``."""
    image: FilePath
    """The file it was stored as."""


class DisplayDataOutput(WireObject):
    """A rich output as Jupyter has it; sent only to clients that ask for it."""

    type: Literal["display_data"] = "display_data"
    """Always ``display_data``."""
    data: dict[str, Any]
    """MIME type → value."""
    metadata: dict[str, Any] = {}
    """What Jupyter keeps beside it."""


CodeInterpreterOutput = Annotated[
    LogsOutput | ImageOutput | DisplayDataOutput, Field(discriminator="type")
]


class CodeInterpreterCall(WireObject):
    """Code and what came of it."""

    input: str = ""
    """The source, as the model wrote it."""
    outputs: list[CodeInterpreterOutput] = []
    """What it gave."""


class CodeInterpreterToolCall(WireObject):
    """The model ran code."""

    id: str
    """``call_…``."""
    type: Literal["code_interpreter"] = "code_interpreter"
    """Always ``code_interpreter``."""
    code_interpreter: CodeInterpreterCall = CodeInterpreterCall()
    """Code and outputs."""


class FunctionCall(WireObject):
    """A call of a function of the caller."""

    name: str
    """Name of the function."""
    arguments: str = ""
    """JSON text, as the model wrote it."""
    output: str | None = None
    """What the client submitted; null until then."""


class FunctionToolCall(WireObject):
    """The model called a function of the caller."""

    id: str
    """``call_…``."""
    type: Literal["function"] = "function"
    """Always ``function``."""
    function: FunctionCall
    """The call."""


class FileSearchResult(Sparse):
    """One place that was found."""

    file_id: str
    """The file."""
    file_name: str
    """Its name."""
    score: float
    """How well it fits."""
    attributes: dict[str, JsonValue] | None = None
    """What is kept beside the file."""
    content: list[dict[str, JsonValue]] | None = None
    """The words found; only where asked for."""


class FileSearchCall(Sparse):
    """A search and what it found."""

    ranking_options: dict[str, JsonValue] | None = None
    """How results were ranked."""
    results: list[FileSearchResult] = []
    """What was found."""


class FileSearchToolCall(WireObject):
    """The model searched the vector stores."""

    id: str
    """``call_…``."""
    type: Literal["file_search"] = "file_search"
    """Always ``file_search``."""
    file_search: FileSearchCall = FileSearchCall()
    """The search."""


ToolCall = Annotated[
    CodeInterpreterToolCall | FunctionToolCall | FileSearchToolCall, Field(discriminator="type")
]


class MessageCreation(WireObject):
    """The message a step wrote."""

    message_id: str
    """``msg_…``."""


class MessageCreationDetails(WireObject):
    """A step that wrote a message."""

    type: Literal["message_creation"] = "message_creation"
    """Always ``message_creation``."""
    message_creation: MessageCreation
    """The message."""


class ToolCallsDetails(WireObject):
    """A step that used tools."""

    type: Literal["tool_calls"] = "tool_calls"
    """Always ``tool_calls``."""
    tool_calls: list[ToolCall] = []
    """One piece of code, or functions called at once."""


StepDetails = Annotated[MessageCreationDetails | ToolCallsDetails, Field(discriminator="type")]


class RunStep(WireObject):
    """One step of a run."""

    id: str
    """``step_…``."""
    object: Literal["thread.run.step"] = "thread.run.step"
    """Always ``thread.run.step``."""
    created_at: int
    """Unix time in seconds."""
    run_id: str
    """The run."""
    assistant_id: str
    """The assistant at work."""
    thread_id: str
    """The thread."""
    type: Literal["message_creation", "tool_calls"]
    """What kind of step it is."""
    status: StepStatus = "in_progress"
    """Where it stands."""
    cancelled_at: int | None = None
    """When it was cancelled."""
    completed_at: int | None = None
    """When it was done."""
    expires_at: int | None = None
    """When its run will be given up; null once the run is over."""
    expired_at: int | None = None
    """When it expired with its run."""
    failed_at: int | None = None
    """When it failed."""
    last_error: LastError | None = None
    """Why it failed."""
    step_details: StepDetails
    """What was done."""
    usage: Usage | None = None
    """Tokens used; null until the step is over."""
    metadata: Metadata = {}
    """How an execution went: ``execution``, ``seconds``, ``kept`` and ``reason``, where code ran."""
