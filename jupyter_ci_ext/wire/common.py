"""What all resources share: the base of objects, the list envelope, deletions, usage, dumping."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, Literal, TypeVar, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, to_json

Metadata = dict[str, str]
"""Up to 16 pairs of text the client keeps with an object."""

T = TypeVar("T")


class WireObject(BaseModel):
    """Base of everything that is sent: frozen, tolerant of keys it does not know."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
        json_schema_serialization_defaults_required=True,
    )


class Sparse(WireObject):
    """An object whose empty fields are absent from the wire unless they were given.

    A field that was given as None is sent as null; one that was not given and is None is left out.
    """

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    @model_serializer(mode="wrap")
    def _only_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        given = self.model_fields_set
        return {k: v for k, v in handler(self).items() if v is not None or k in given}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """What is sent has the same fields, only fewer of them; the serializer cannot say so."""
        plain = {key: value for key, value in core_schema.items() if key != "serialization"}
        return handler(cast(CoreSchema, plain))


class ListPage(WireObject, Generic[T]):
    """One page of a list."""

    object: Literal["list"] = "list"
    """Always ``list``."""
    data: list[T] = []
    """The objects of this page, in the order that was asked for."""
    first_id: str | None = None
    """Id of the first object of the page; null when the page is empty."""
    last_id: str | None = None
    """Id of the last object of the page, to be given as ``after``; null when the page is empty."""
    has_more: bool = False
    """Whether more objects follow beyond this page."""

    @classmethod
    def of(cls, data: Sequence[T], has_more: bool) -> ListPage[T]:
        """The envelope around *data*, whose items have an ``id``."""
        ids: list[str] = [item.id for item in data]  # type: ignore[attr-defined]
        first, last = (ids[0], ids[-1]) if ids else (None, None)
        return cls(data=list(data), first_id=first, last_id=last, has_more=has_more)


class Deleted(WireObject):
    """What a deletion answers."""

    id: str
    """Id of the object that is gone."""
    object: str
    """The resource's name and ``.deleted``, except for files: ``file``."""
    deleted: bool = True
    """Always true."""


class CachedTokens(WireObject):
    """How much of the prompt the model's server had in its cache."""

    cached_tokens: int = 0
    """Tokens read from the cache."""


class ReasoningTokens(WireObject):
    """How much of the answer was reasoning."""

    reasoning_tokens: int = 0
    """Tokens spent on reasoning."""


class Usage(WireObject):
    """Tokens used by a step or a whole run."""

    prompt_tokens: int = 0
    """Tokens of the prompts."""
    completion_tokens: int = 0
    """Tokens the model wrote."""
    total_tokens: int = 0
    """Both together."""
    prompt_token_details: CachedTokens = CachedTokens()
    """What is known about the prompt's tokens; the singular is the API's."""
    completion_tokens_details: ReasoningTokens = ReasoningTokens()
    """What is known about the written tokens."""


class LastError(WireObject):
    """Why a run or a step failed."""

    code: Literal["server_error", "rate_limit_exceeded", "invalid_prompt"]
    """The kind of failure."""
    message: str
    """A sentence for people: what happened and what to do."""


# JSON leaves these raw, yet some clients split their stream at them as if they were line ends.
_LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


_GAP = "\0 a text \0"


def dump(value: BaseModel) -> str:
    """The object as one compact line of JSON, nulls kept, keys in their order."""
    return _one_line(value.model_dump_json())


class Gapped:
    """The lines of objects that *make* makes of texts, and that differ in that text alone.

    What `dump` gives of them, without making each: streams have thousands. Raises ValueError for
    objects in which the text is not exactly once.
    """

    def __init__(self, make: Callable[[str], BaseModel]) -> None:
        self._head, self._tail = dump(make(_GAP)).split(_quoted(_GAP))

    def __call__(self, text: str) -> str:
        """The line of the object with *text*."""
        return f"{self._head}{_quoted(text)}{self._tail}"


def _quoted(text: str) -> str:
    return _one_line(to_json(text).decode())


def _one_line(line: str) -> str:
    return line if line.isascii() else line.translate(_LINE_ENDS)
