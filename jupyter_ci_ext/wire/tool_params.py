"""Tools and their resources, as clients ask for them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue

from .params import BY_TYPE, FileId, MetadataParam, Name64, Params, refuse, tag
from .tools import (
    CodeInterpreterResources,
    CodeInterpreterTool,
    FileSearchResources,
    FileSearchSettings,
    FileSearchTool,
    FunctionDefinition,
    FunctionTool,
    RankingOptions,
    Tool,
    ToolResources,
)

# ---- tools ------------------------------------------------------------------------------------


class CodeInterpreterToolParam(Params):
    """Let the model run Python."""

    type: Literal["code_interpreter"]
    """Always ``code_interpreter``."""

    def to_tool(self) -> Tool:
        """The tool as it is stored."""
        return CodeInterpreterTool()


class RankingOptionsParam(Params):
    """How search results are ranked."""

    ranker: Literal["auto", "default_2024_08_21"] | None = None
    """Name of the ranker."""
    score_threshold: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    """Leave out results below this score."""
    hybrid_search: dict[str, JsonValue] | None = None
    """Weights of a hybrid search."""


class FileSearchSettingsParam(Params):
    """Settings of file search."""

    max_num_results: Annotated[int, Field(ge=1, le=50)] | None = None
    """Most results to give to the model."""
    ranking_options: RankingOptionsParam | None = None
    """How results are ranked."""


class FileSearchToolParam(Params):
    """Let the model search the vector stores."""

    type: Literal["file_search"]
    """Always ``file_search``."""
    file_search: FileSearchSettingsParam | None = None
    """Settings."""

    def to_tool(self) -> Tool:
        """The tool as it is stored, with its defaults spelled out."""
        asked = self.file_search or FileSearchSettingsParam()
        given = (asked.ranking_options or RankingOptionsParam()).model_dump(exclude_none=True)
        if given.get("ranker") == "auto":
            del given["ranker"]
        ranking = RankingOptions(**given)
        if asked.max_num_results is None:
            return FileSearchTool(file_search=FileSearchSettings(ranking_options=ranking))
        settings = FileSearchSettings(
            max_num_results=asked.max_num_results, ranking_options=ranking
        )
        return FileSearchTool(file_search=settings)


class FunctionDefinitionParam(Params):
    """A function of the caller."""

    name: Name64
    """The name the model calls."""
    description: str | None = None
    """What it does."""
    parameters: dict[str, Any] | None = None
    """JSON schema of its arguments; none: it takes no arguments."""
    strict: bool | None = None
    """Whether the arguments must follow the schema exactly."""


class FunctionToolParam(Params):
    """Let the model ask the caller to run a function."""

    type: Literal["function"]
    """Always ``function``."""
    function: FunctionDefinitionParam
    """The function."""

    def to_tool(self) -> Tool:
        """The tool as it is stored, with its defaults spelled out."""
        return FunctionTool(
            function=FunctionDefinition(**self.function.model_dump(exclude_none=True))
        )


ToolParam = Annotated[
    Annotated[CodeInterpreterToolParam, tag("code_interpreter")]
    | Annotated[FunctionToolParam, tag("function")]
    | Annotated[FileSearchToolParam, tag("file_search")],
    BY_TYPE,
]


def _distinct(tools: Any) -> Any:
    """The tools, whose functions must have names of their own."""
    names = [tool.function.name for tool in tools if isinstance(tool, FunctionToolParam)]
    if len(set(names)) < len(names):
        refuse(lambda _: "Function names must be unique.", None)
    return tools


DISTINCT = AfterValidator(_distinct)
"""Holds lists of tools to functions of different names."""

ToolsParam = Annotated[list[ToolParam], Field(max_length=128), DISTINCT]


def to_tools(params: list[ToolParam] | None) -> list[Tool]:
    """The tools as they are stored; none for null."""
    return [param.to_tool() for param in params or ()]


# ---- what they read ---------------------------------------------------------------------------


class CodeInterpreterResourcesParam(Params):
    """What the code interpreter can read."""

    file_ids: Annotated[list[FileId], Field(max_length=20)] | None = None
    """Ids of uploaded files."""


class VectorStoreParam(Params):
    """A vector store to be made at once."""

    file_ids: Annotated[list[FileId], Field(max_length=10_000)] | None = None
    """Files to put into it."""
    chunking_strategy: dict[str, JsonValue] | None = None
    """How files are cut."""
    metadata: MetadataParam | None = None
    """The client's pairs."""


_NONE_HERE = "Vector stores are not available on this server, so '{path}' cannot be {done}. "
_INSTEAD = "Give files to the code interpreter instead: tool_resources.code_interpreter."


def _without_stores(done: str) -> BeforeValidator:
    """Accepts no vector stores at all; *done* is what cannot be done with those that are named."""

    def check(value: Any) -> Any:
        if value and isinstance(value, list):
            refuse(lambda path: _NONE_HERE.format(path=path, done=done) + _INSTEAD, "invalid_value")
        return value

    return BeforeValidator(check)


class FileSearchResourcesParam(Params):
    """What file search can read."""

    vector_store_ids: Annotated[list[str] | None, _without_stores("searched")] = None
    """Id of a vector store; refused, as this server has none."""
    vector_stores: Annotated[list[VectorStoreParam] | None, _without_stores("made")] = None
    """A vector store to be made at once; refused, as this server has none."""


class ToolResourcesParam(Params):
    """What the tools can read."""

    code_interpreter: CodeInterpreterResourcesParam | None = None
    """The code interpreter's files."""
    file_search: FileSearchResourcesParam | None = None
    """The vector stores."""

    @property
    def file_ids(self) -> list[str]:
        """Ids of all files that are named."""
        return list(self.code_interpreter.file_ids or ()) if self.code_interpreter else []


def to_resources(
    param: ToolResourcesParam | None, tools: list[Tool] | None = None
) -> ToolResources:
    """The resources as they are stored: an entry for what was given and for what *tools* need."""
    kinds = {tool.type for tool in tools or ()}
    found: dict[str, Any] = {}
    code = param.code_interpreter if param else None
    if code is not None or "code_interpreter" in kinds:
        ids = (code.file_ids if code else None) or []
        found["code_interpreter"] = CodeInterpreterResources(file_ids=list(dict.fromkeys(ids)))
    search = param.file_search if param else None
    if search is not None or "file_search" in kinds:
        stores = (search.vector_store_ids if search else None) or []
        found["file_search"] = FileSearchResources(vector_store_ids=stores)
    return ToolResources(**found)


def changed_resources(
    old: ToolResources, param: ToolResourcesParam | None, tools: list[Tool]
) -> ToolResources:
    """*old* with the entries of *param* in place of its own, and one for each of *tools*.

    An entry that *param* does not give stays; null takes all away.
    """
    new = to_resources(param, tools)
    kept = {} if param is None else {name: getattr(old, name) for name in old.model_fields_set}
    given = param.model_fields_set if param is not None else set()
    found = {name: getattr(new, name) for name in new.model_fields_set}
    return ToolResources(**{**found, **{k: v for k, v in kept.items() if k not in given}})
