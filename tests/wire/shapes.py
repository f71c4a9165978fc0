"""Any object of a wire class, and all fields that it may have."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel

from jupyter_ci_ext.wire.common import WireObject

T = TypeVar("T", bound=BaseModel)

_TEXTS = ("", "a", "größe 你好 😀", "\u2028", "a\n b", '{\n "x": 1}', "\x85\x00\t", '"\\', "</b>")
_NUMBERS = (0, 1, -1, 2**31, 2**63, 10**30)
_FLOATS = (0.0, -0.0, 1.0, 0.1, 1e-9, 1e16, 1.7976931348623157e308, 1 / 3)
_NO_NUMBERS = (float("nan"), float("inf"))


class Shapes:
    """Objects with any of their fields given; the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._plain: dict[Any, Callable[[], Any]] = {
            str: lambda: self._random.choice(_TEXTS),
            int: lambda: self._random.choice(_NUMBERS),
            float: lambda: self._random.choice(_FLOATS),
            bool: lambda: self._random.random() < 0.5,
            NoneType: lambda: None,
        }

    def object(self, model: type[T]) -> T:
        """An object."""
        return model.model_validate(self._fields(model))

    def _fields(self, model: type[BaseModel]) -> dict[str, Any]:
        return {
            name: self._value(field.annotation)
            for name, field in model.model_fields.items()
            if field.is_required() or self._random.random() < 0.5
        }

    def _value(self, kind: Any) -> Any:
        origin, args = get_origin(kind), get_args(kind)
        if kind in self._plain:
            return self._plain[kind]()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return self._fields(kind) | _type_of(kind)
        if origin is Annotated:
            return self._value(args[0])
        if origin in (Union, UnionType):
            return self._value(self._random.choice(args))
        if origin is Literal:
            return self._random.choice(args)
        if origin is list:
            return [self._value(args[0]) for _ in range(self._random.randrange(4))]
        if origin is dict:
            return {
                self._value(str): self._value(args[1]) for _ in range(self._random.randrange(3))
            }
        return self._json(2)  # Any, JsonValue

    def _json(self, depth: int) -> Any:
        kind = self._random.choice((str, int, float, bool, NoneType, list, dict))
        if self._random.random() < 0.1:
            return self._random.choice(_NO_NUMBERS)
        if kind in self._plain:
            return self._plain[kind]()
        count = self._random.randrange(3) if depth else 0
        inner = [self._json(depth - 1) for _ in range(count)]
        return inner if kind is list else {self._value(str): each for each in inner}


def _type_of(model: type[BaseModel]) -> dict[str, str]:
    """What chooses *model* among the members of a union."""
    field = model.model_fields.get("type")
    return {} if field is None or field.is_required() else {"type": str(field.default)}


def fields(model: type[BaseModel]) -> list[str]:
    """All fields of *model* and of the objects within it, in their order, with their defaults."""
    found: dict[type[BaseModel], list[str]] = {}
    _collect(model, found)
    return [line for lines in found.values() for line in lines]


def _collect(model: type[BaseModel], found: dict[type[BaseModel], list[str]]) -> None:
    if model in found:
        return
    found[model] = [
        f"{model.__name__}.{name}" + ("" if each.is_required() else f" = {each.default!r}")
        for name, each in model.model_fields.items()
    ]
    for each in model.model_fields.values():
        for inner in _within(each.annotation):
            _collect(inner, found)


def _within(kind: Any) -> Iterator[type[WireObject]]:
    if isinstance(kind, type) and issubclass(kind, WireObject):
        yield kind
    for inner in get_args(kind):
        yield from _within(inner)
