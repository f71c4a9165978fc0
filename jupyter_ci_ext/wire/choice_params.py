"""Which tool must be used and what form the answer must have, as clients ask for them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field

from .params import WORD, Name64, Params, tag
from .tools import ResponseFormat, ToolChoice


class NamedFunctionParam(Params):
    """A function by its name."""

    name: Name64
    """Its name."""


class FunctionChoiceParam(Params):
    """The model must call this function."""

    type: Literal["function"]
    """Always ``function``."""
    function: NamedFunctionParam
    """The function."""


class CodeInterpreterChoiceParam(Params):
    """The model must run code."""

    type: Literal["code_interpreter"]
    """Always ``code_interpreter``."""


class FileSearchChoiceParam(Params):
    """The model must search."""

    type: Literal["file_search"]
    """Always ``file_search``."""


def _word_or_type(value: Any) -> str | None:
    if isinstance(value, str):
        return f"<{WORD}>"
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return f"<{kind}>" if isinstance(kind, str) else None


ToolChoiceParam = Annotated[
    Annotated[Literal["none", "auto", "required"], tag(WORD)]
    | Annotated[FunctionChoiceParam, tag("function")]
    | Annotated[CodeInterpreterChoiceParam, tag("code_interpreter")]
    | Annotated[FileSearchChoiceParam, tag("file_search")],
    Discriminator(_word_or_type),
]


class TextFormatParam(Params):
    """Plain text."""

    type: Literal["text"]
    """Always ``text``."""


class JsonObjectFormatParam(Params):
    """Some JSON object."""

    type: Literal["json_object"]
    """Always ``json_object``."""


class JsonSchemaParam(Params):
    """The schema an answer must follow."""

    name: Name64
    """Its name."""
    description: str | None = None
    """What it is for."""
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None
    """The JSON schema."""
    strict: bool | None = None
    """Whether it must be followed exactly."""


class JsonSchemaFormatParam(Params):
    """JSON after a schema."""

    type: Literal["json_schema"]
    """Always ``json_schema``."""
    json_schema: JsonSchemaParam
    """The schema."""


ResponseFormatParam = Annotated[
    Annotated[Literal["auto"], tag(WORD)]
    | Annotated[TextFormatParam, tag("text")]
    | Annotated[JsonObjectFormatParam, tag("json_object")]
    | Annotated[JsonSchemaFormatParam, tag("json_schema")],
    Discriminator(_word_or_type),
]


def to_choice(param: ToolChoiceParam | None) -> ToolChoice:
    """The choice as it is stored: as it was given, ``auto`` for null."""
    if param is None or isinstance(param, str):
        return param or "auto"
    return param.model_dump(exclude_unset=True)


def to_format(param: ResponseFormatParam | None) -> ResponseFormat:
    """The format as it is stored: as it was given, ``auto`` for null."""
    if param is None or isinstance(param, str):
        return param or "auto"
    return param.model_dump(exclude_unset=True, by_alias=True)
