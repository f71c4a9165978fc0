"""What all request parameters share: their base, the list queries, metadata and ids.

Bodies are strict: text for a number, or a number for text, is an error, as with the real API.
Queries and form fields arrive as text, so only these are converted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, NoReturn

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

API_ERROR = "api_error"
"""Type of validation errors that bring their text along: ``ctx`` has ``text`` and ``code``."""


API_TYPE_ERROR = "api_type_error"
"""Type of validation errors about a value's type: ``ctx`` has ``expected``."""


def refuse(text: Callable[[str], str], code: str | None) -> NoReturn:
    """Fail a validation with the API's own words; *text* makes them from the parameter's path."""
    raise PydanticCustomError(API_ERROR, "refused", {"text": text, "code": code})


def refuse_type(expected: str) -> NoReturn:
    """Fail a validation because the value is of another JSON type than *expected*."""
    raise PydanticCustomError(API_TYPE_ERROR, "refused", {"expected": expected})


class Params(BaseModel):
    """Base of request bodies: strict, frozen, unknown keys forbidden."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, use_attribute_docstrings=True
    )

    def given(self, name: str) -> bool:
        """Whether the client sent *name*, be it as null."""
        return name in self.model_fields_set


class TextParams(BaseModel):
    """Base of queries and forms: values are text, unknown keys (``api-version`` …) are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, data: Any) -> Any:
        """An empty value says nothing: ``?after=`` is what some clients send for "no cursor"."""
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if value != ""}
        return data


class ListQuery(TextParams):
    """Which page of a list."""

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    """Most objects to answer."""
    order: Literal["asc", "desc"] = "desc"
    """By time of creation."""
    after: str | None = None
    """Begin after the object of this id."""
    before: str | None = None
    """End before the object of this id."""


def _id_check(prefix: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if not value.startswith(prefix):
            refuse(
                lambda path: (
                    f"Invalid '{path}': '{value[:100]}'. Expected an ID that begins with '{prefix}'."
                ),
                "invalid_value",
            )
        return value

    return check


AssistantId = Annotated[
    str, AfterValidator(_id_check("asst")), Field(json_schema_extra={"pattern": "^asst"})
]
FileId = Annotated[
    str,
    AfterValidator(_id_check("file")),
    # Azure's name of a file is translated before anything is checked.
    Field(json_schema_extra={"pattern": "^(file|assistant-)"}),
]

MetadataParam = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]],
    Field(max_length=16),
]

Name64 = Annotated[str, Field(max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")]


WORD = "word"
"""Tag of those members of a union that are mere words, and have no ``type``."""


def tag(name: str) -> Tag:
    """The tag of one member of a union; its brackets keep it apart from parameter names."""
    return Tag(f"<{name}>")


def _type_of(value: Any) -> str | None:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return f"<{kind}>" if isinstance(kind, str) else None


BY_TYPE = Discriminator(_type_of)
"""Chooses a member of a union by the object's ``type``."""
