"""Pieces of messages and steps as they are streamed.

Client libraries add pieces up: strings are joined, numbers are *added*. So an id, a file id or an
annotation's indexes must be sent once per entry; only ``index`` and ``type`` may be repeated. Hence
nothing here is sent unless it was given; ``type`` and ``index`` always are.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from .common import Sparse, WireObject
from .content import FileCitation, FilePath, ImageFile

# ---- messages ---------------------------------------------------------------------------------


class FilePathDelta(WireObject):
    """A link, whole."""

    index: int
    """Its place among the text's annotations."""
    type: Literal["file_path"] = "file_path"
    """Always ``file_path``."""
    text: str
    """The linked target."""
    start_index: int
    """Where it starts in the whole text, in characters."""
    end_index: int
    """Where it ends, exclusive."""
    file_path: FilePath
    """The file."""


class FileCitationDelta(WireObject):
    """A citation, whole."""

    index: int
    """Its place among the text's annotations."""
    type: Literal["file_citation"] = "file_citation"
    """Always ``file_citation``."""
    text: str
    """The citation mark."""
    start_index: int
    """Where it starts in the whole text, in characters."""
    end_index: int
    """Where it ends, exclusive."""
    file_citation: FileCitation
    """The file."""


AnnotationDelta = Annotated[FilePathDelta | FileCitationDelta, Field(discriminator="type")]


class TextPiece(Sparse):
    """More of a text."""

    value: str | None = None
    """The next characters."""
    annotations: list[AnnotationDelta] | None = None
    """Annotations of these characters; ``[]`` in a text's first piece."""


class TextDelta(WireObject):
    """More of a text part."""

    index: int
    """Which part of the content."""
    type: Literal["text"] = "text"
    """Always ``text``."""
    text: TextPiece
    """The piece."""


class ImageFileDelta(WireObject):
    """A picture part, whole."""

    index: int
    """Which part of the content."""
    type: Literal["image_file"] = "image_file"
    """Always ``image_file``."""
    image_file: ImageFile
    """The picture."""


class RefusalDelta(WireObject):
    """More of a refusal."""

    index: int
    """Which part of the content."""
    type: Literal["refusal"] = "refusal"
    """Always ``refusal``."""
    refusal: str
    """The next characters."""


ContentDelta = Annotated[TextDelta | ImageFileDelta | RefusalDelta, Field(discriminator="type")]


class MessageChange(WireObject):
    """What is new in a message."""

    content: list[ContentDelta]
    """Pieces of content."""


class MessageDelta(WireObject):
    """Data of ``thread.message.delta``."""

    id: str
    """The message."""
    object: Literal["thread.message.delta"] = "thread.message.delta"
    """Always ``thread.message.delta``."""
    delta: MessageChange
    """What is new."""


# ---- steps ------------------------------------------------------------------------------------


class LogsDelta(WireObject):
    """More of a logs output; pieces of one index are joined."""

    index: int
    """Which of the outputs."""
    type: Literal["logs"] = "logs"
    """Always ``logs``."""
    logs: str
    """The next characters."""


class ImageDelta(WireObject):
    """A picture, whole."""

    index: int
    """Which of the outputs."""
    type: Literal["image"] = "image"
    """Always ``image``."""
    image: FilePath
    """The file it was stored as."""


class DisplayDataDelta(WireObject):
    """A rich output, whole; sent only to clients that ask for it."""

    index: int
    """Which of the outputs."""
    type: Literal["display_data"] = "display_data"
    """Always ``display_data``."""
    data: dict[str, Any]
    """MIME type → value."""
    metadata: dict[str, Any] = {}
    """What Jupyter keeps beside it."""


OutputDelta = Annotated[LogsDelta | ImageDelta | DisplayDataDelta, Field(discriminator="type")]


class CodeInterpreterPiece(Sparse):
    """More of a piece of code, or of its outputs."""

    input: str | None = None
    """The next characters of the source."""
    outputs: list[OutputDelta] | None = None
    """New outputs; ``[]`` in the first piece."""


class CodeInterpreterDelta(Sparse):
    """More of a call of the code interpreter."""

    index: int
    """Which of the step's calls."""
    id: str | None = None
    """``call_…``; only in the first piece."""
    type: Literal["code_interpreter"] = "code_interpreter"
    """Always ``code_interpreter``."""
    code_interpreter: CodeInterpreterPiece
    """The piece."""


class FunctionPiece(Sparse):
    """More of a function call."""

    name: str | None = None
    """Name of the function; only in the first piece."""
    arguments: str | None = None
    """The next characters of the arguments."""
    output: str | None = None
    """Null in the first piece, absent later."""


class FunctionDelta(Sparse):
    """More of a call of a function of the caller."""

    index: int
    """Which of the step's calls."""
    id: str | None = None
    """``call_…``; only in the first piece."""
    type: Literal["function"] = "function"
    """Always ``function``."""
    function: FunctionPiece
    """The piece."""


class FileSearchDelta(Sparse):
    """A search that has begun."""

    index: int
    """Which of the step's calls."""
    id: str | None = None
    """``call_…``."""
    type: Literal["file_search"] = "file_search"
    """Always ``file_search``."""
    file_search: dict[str, JsonValue]
    """Ranking options and no results yet."""


ToolCallDelta = Annotated[
    CodeInterpreterDelta | FunctionDelta | FileSearchDelta, Field(discriminator="type")
]


class ToolCallsChange(WireObject):
    """What is new in a step's calls."""

    type: Literal["tool_calls"] = "tool_calls"
    """Always ``tool_calls``."""
    tool_calls: list[ToolCallDelta]
    """Pieces of calls."""


class StepChange(WireObject):
    """What is new in a step."""

    step_details: ToolCallsChange
    """Pieces of its details."""


class RunStepDelta(WireObject):
    """Data of ``thread.run.step.delta``."""

    id: str
    """The step."""
    object: Literal["thread.run.step.delta"] = "thread.run.step.delta"
    """Always ``thread.run.step.delta``."""
    delta: StepChange
    """What is new."""


def message_delta(message_id: str, *content: ContentDelta) -> MessageDelta:
    """The event data for new *content* of a message."""
    return MessageDelta(id=message_id, delta=MessageChange(content=list(content)))


def step_delta(step_id: str, *calls: ToolCallDelta) -> RunStepDelta:
    """The event data for new pieces of a step's *calls*."""
    change = StepChange(step_details=ToolCallsChange(tool_calls=list(calls)))
    return RunStepDelta(id=step_id, delta=change)
