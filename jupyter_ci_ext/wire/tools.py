"""Tools and what they read: shared by assistants, threads and runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from .common import Sparse, WireObject

ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]

ResponseFormat = Literal["auto"] | dict[str, JsonValue]
"""``auto`` or an object of type text, json_object or json_schema, kept as it was given."""

ToolChoice = Literal["none", "auto", "required"] | dict[str, JsonValue]
"""A word, or ``{"type": …}`` with ``function.name`` where a function is meant; kept as given."""


class CodeInterpreterTool(WireObject):
    """The model may run Python in the thread's session."""

    type: Literal["code_interpreter"] = "code_interpreter"
    """Always ``code_interpreter``."""


class RankingOptions(WireObject):
    """How search results are ranked."""

    ranker: str = "default_2024_08_21"
    """Name of the ranker."""
    score_threshold: float = 0.0
    """Results below this score are left out."""
    hybrid_search: dict[str, JsonValue] | None = None
    """Weights of a hybrid search; null when it is not one."""


class FileSearchSettings(Sparse):
    """Settings of file search."""

    max_num_results: int | None = None
    """Most results to give to the model; absent where not set."""
    ranking_options: RankingOptions = RankingOptions()
    """How results are ranked."""


class FileSearchTool(WireObject):
    """The model may search the vector stores."""

    type: Literal["file_search"] = "file_search"
    """Always ``file_search``."""
    file_search: FileSearchSettings = FileSearchSettings()
    """Settings."""


class FunctionDefinition(Sparse):
    """A function of the caller."""

    name: str
    """The name the model calls."""
    description: str | None = None
    """What it does; absent where not given."""
    parameters: dict[str, Any] = {"type": "object", "properties": {}}
    """JSON schema of its arguments."""
    strict: bool | None = False
    """Whether the arguments must follow the schema exactly."""


class FunctionTool(WireObject):
    """The model may ask the caller to run a function."""

    type: Literal["function"] = "function"
    """Always ``function``."""
    function: FunctionDefinition
    """The function."""


Tool = Annotated[CodeInterpreterTool | FileSearchTool | FunctionTool, Field(discriminator="type")]


class CodeInterpreterResources(WireObject):
    """What the code interpreter can read."""

    file_ids: list[str] = []
    """Ids of the files."""


class FileSearchResources(WireObject):
    """What file search can read."""

    vector_store_ids: list[str] = []
    """Ids of the vector stores."""


class ToolResources(Sparse):
    """What the tools can read; ``{}`` when no tool needs anything."""

    code_interpreter: CodeInterpreterResources | None = None
    """The code interpreter's files; absent where there is neither the tool nor a file."""
    file_search: FileSearchResources | None = None
    """The vector stores; absent where there is neither the tool nor a store."""

    @property
    def code_files(self) -> list[str]:
        """Ids of the code interpreter's files."""
        return [] if self.code_interpreter is None else self.code_interpreter.file_ids

    def with_code_files(self, file_ids: list[str]) -> ToolResources:
        """The same, with *file_ids* as the code interpreter's files."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        given["code_interpreter"] = CodeInterpreterResources(file_ids=file_ids)
        return ToolResources(**given)
