"""Parameters of the API's first version, as v2 parameters.

``file_ids`` stand where v2 has tool resources and attachments, ``retrieval`` is v2's file search, a
message's content is text only, and metadata of other types than text was turned into text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field

from .assistant_params import CreateAssistant, Instructions, ModelName, ModifyAssistant
from .message_params import AT_ONCE, CreateMessage, MessageText
from .params import BY_TYPE, FileId, MetadataParam, Params, tag
from .run_params import CreateRun, CreateThreadAndRun
from .thread_params import CreateThread, ModifyThread
from .tool_params import DISTINCT, CodeInterpreterToolParam, FunctionToolParam
from .validation import parse

P = TypeVar("P", bound=BaseModel)


class RetrievalToolParam(Params):
    """Let the model search the files."""

    type: Literal["retrieval"]
    """Always ``retrieval``."""


ToolParamV1 = Annotated[
    Annotated[CodeInterpreterToolParam, tag("code_interpreter")]
    | Annotated[RetrievalToolParam, tag("retrieval")]
    | Annotated[FunctionToolParam, tag("function")],
    BY_TYPE,
]

ToolsParamV1 = Annotated[list[ToolParamV1], Field(max_length=128), DISTINCT]


class CreateAssistantFile(Params):
    """``POST /assistants/{assistant_id}/files``."""

    file_id: FileId
    """Id of an uploaded file."""


class ModifyAssistantV1(Params):
    """``POST /assistants/{assistant_id}``."""

    model: ModelName | None = None
    """Name of the model."""
    name: Annotated[str, Field(max_length=256)] | None = None
    """Its name."""
    description: Annotated[str, Field(max_length=512)] | None = None
    """What it is for."""
    instructions: Instructions | None = None
    """What the model is told first."""
    tools: ToolsParamV1 | None = None
    """Tools the model may use."""
    file_ids: Annotated[list[FileId], Field(max_length=20)] | None = None
    """Files the tools can read."""
    metadata: MetadataParam | None = None
    """The client's pairs."""


class CreateAssistantV1(ModifyAssistantV1):
    """``POST /assistants``."""

    model: ModelName
    """Name of the model."""


class CreateMessageV1(Params):
    """``POST /threads/{thread_id}/messages``."""

    role: Literal["user", "assistant"]
    """Who speaks."""
    content: MessageText
    """A text."""
    file_ids: Annotated[list[FileId], Field(max_length=10)] | None = None
    """Files that belong to it."""
    metadata: MetadataParam | None = None
    """The client's pairs."""


class CreateThreadV1(Params):
    """``POST /threads``."""

    messages: Annotated[list[CreateMessageV1], AT_ONCE] | None = None
    """Messages to begin with."""
    metadata: MetadataParam | None = None
    """The client's pairs."""


class ModifyThreadV1(Params):
    """``POST /threads/{thread_id}``."""

    metadata: MetadataParam | None = None
    """Replaces the client's pairs."""


class CreateRunV1(CreateRun):
    """``POST /threads/{thread_id}/runs``."""

    tools: ToolsParamV1 | None = None  # type: ignore[assignment]
    """Instead of the assistant's."""
    additional_messages: list[CreateMessageV1] | None = None  # type: ignore[assignment]
    """Messages to add to the thread first."""


class CreateThreadAndRunV1(CreateThreadAndRun):
    """``POST /threads/runs``."""

    tools: ToolsParamV1 | None = None  # type: ignore[assignment]
    """Instead of the assistant's."""
    thread: CreateThreadV1 | None = None  # type: ignore[assignment]
    """The thread to make."""


TWINS: dict[type[BaseModel], type[Params]] = {
    CreateAssistant: CreateAssistantV1,
    ModifyAssistant: ModifyAssistantV1,
    CreateMessage: CreateMessageV1,
    CreateThread: CreateThreadV1,
    ModifyThread: ModifyThreadV1,
    CreateRun: CreateRunV1,
    CreateThreadAndRun: CreateThreadAndRunV1,
}
"""Which v1 parameters stand for which v2 ones; all others are the same in both."""


def parse_v1(cls: type[P], data: object) -> P:
    """The v2 parameters of type *cls* that a v1 body stands for.

    Raises `InvalidRequest` in terms of the v1 names.
    """
    data = _text_metadata(data)
    twin = TWINS.get(cls)
    if twin is None:
        return parse(cls, data)
    old = parse(twin, data).model_dump(exclude_unset=True, by_alias=True)
    return parse(cls, _to_v2(old))


def _to_v2(old: dict[str, Any]) -> dict[str, Any]:
    """A v1 body, already checked, in v2's words."""
    new = dict(old)
    if "tools" in new:
        new["tools"] = [_tool_to_v2(tool) for tool in new["tools"] or ()]
    if "file_ids" in new:
        ids = new.pop("file_ids") or []
        if "role" in new:
            tools = [{"type": "code_interpreter"}, {"type": "file_search"}]
            new["attachments"] = [{"file_id": id, "tools": tools} for id in ids]
        else:
            new["tool_resources"] = {"code_interpreter": {"file_ids": ids}}
    for name in ("messages", "additional_messages"):
        if new.get(name):
            new[name] = [_to_v2(message) for message in new[name]]
    if new.get("thread"):
        new["thread"] = _to_v2(new["thread"])
    return new


def _tool_to_v2(tool: dict[str, Any]) -> dict[str, Any]:
    return {"type": "file_search"} if tool["type"] == "retrieval" else tool


def _text_metadata(data: object) -> object:
    """The body with truth values and numbers in metadata turned into text, as v1 did."""
    if isinstance(data, list):
        return [_text_metadata(item) for item in data]
    if not isinstance(data, Mapping):
        return data
    new = {
        key: _text_metadata(value)
        if key in ("messages", "additional_messages", "thread")
        else value
        for key, value in data.items()
    }
    if isinstance(pairs := new.get("metadata"), Mapping):
        new["metadata"] = {
            key: str(value) if isinstance(value, bool | int | float) else value
            for key, value in pairs.items()
        }
    return new
