"""From what a client sent to parameters, or to an error in the API's own words.

The only place that knows pydantic's error types. Texts, codes and paths (``tools[0].function.name``)
are those of protocol.md §10.3; the first thing that is wrong is reported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, from_json

from ..errors import InvalidRequest
from .params import API_ERROR, API_TYPE_ERROR, WORD

P = TypeVar("P", bound=BaseModel)

_EXPECTED = {
    "string_type": "a string",
    "string_sub_type": "a string",
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_parsing_size": "an integer",
    "int_from_float": "an integer",
    "float_type": "a decimal",
    "float_parsing": "a decimal",
    "finite_number": "a decimal",
    "bool_type": "a boolean",
    "bool_parsing": "a boolean",
    "list_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "none_required": "null",
}


def parse(cls: type[P], data: object) -> P:
    """The parameters *data* stands for; an absent body (None) is an empty one.

    Raises `InvalidRequest` that names the first thing that is wrong.
    """
    if data is None:
        data = {}
    if not isinstance(data, Mapping):
        raise InvalidRequest(
            f"Invalid type for request body: expected an object, but got {_name(data)} instead.",
            code="invalid_type",
        )
    try:
        return cls.model_validate(data)
    except ValidationError as error:
        raise explain(error) from None


def read_json(body: bytes) -> object:
    """The value a request body spells; None for an empty one.

    Raises `InvalidRequest` for what is not JSON: broken, not UTF-8, too deep, half surrogates, NaN.
    """
    if not body:
        return None
    try:
        value: object = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidRequest(
            "We could not parse the JSON body of your request. (HINT: The API expects a JSON "
            f"payload, but what was sent was not valid JSON: {error}.)"
        ) from None
    return value


def explain(error: ValidationError) -> InvalidRequest:
    """The API's error for the first thing pydantic found."""
    first = error.errors(include_url=False)[0]
    path = _path(first["loc"])
    message, code, path = _words(first, path)
    return InvalidRequest(message, param=path or None, code=code)


def _words(error: ErrorDetails, path: str) -> tuple[str, str | None, str]:
    """Message, code and parameter of one pydantic error."""
    kind, value, ctx = error["type"], error["input"], error.get("ctx", {})
    if kind == API_ERROR:
        text: Callable[[str], str] = ctx["text"]
        return text(path), ctx["code"], path
    if kind == API_TYPE_ERROR:
        return _wrong_type(path, ctx["expected"], value)
    if kind == "missing":
        return f"Missing required parameter: '{path}'.", "missing_required_parameter", path
    if kind == "extra_forbidden":
        return f"Unknown parameter: '{path}'.", "unknown_parameter", path
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        return _union(value, path, ctx)
    if kind in ("literal_error", "enum"):
        if not isinstance(value, str):
            return _wrong_type(path, "a string", value)
        return _not_among(value, re.findall(r"'([^']*)'", ctx["expected"]), path)
    if kind in _EXPECTED:
        return _wrong_type(path, _EXPECTED[kind], value)
    return _limit(kind, value, ctx, path, error)


def _union(value: Any, path: str, ctx: Mapping[str, Any]) -> tuple[str, str, str]:
    """A member of a union that is chosen by its ``type`` could not be chosen."""
    if not isinstance(value, Mapping):
        return _wrong_type(path, "an object", value)
    below = f"{path}.type" if path else "type"
    if "type" not in value:
        return f"Missing required parameter: '{below}'.", "missing_required_parameter", below
    if not isinstance(value["type"], str):
        return _wrong_type(below, "a string", value["type"])
    tags = re.findall(r"<([^>]*)>", ctx["expected_tags"])
    allowed = [tag for tag in tags if tag != WORD]
    return _not_among(value["type"], allowed, below)


def _limit(
    kind: str, value: Any, ctx: Mapping[str, Any], path: str, error: ErrorDetails
) -> tuple[str, str, str]:
    """Something is of the right type but too much, too little or of the wrong form."""
    if kind == "string_too_long" and error["loc"][-1] == "[key]":
        return (
            f"Invalid '{path}': property name too long. Expected a property name with maximum "
            f"length {ctx['max_length']}, but got a property name with length {len(value)} instead.",
            "property_name_above_max_length",
            path,
        )
    if kind == "string_too_long":
        return (
            f"Invalid '{path}': string too long. Expected a string with maximum length "
            f"{ctx['max_length']}, but got a string with length {len(value)} instead.",
            "string_above_max_length",
            path,
        )
    if kind == "string_too_short":
        got = "an empty string" if not value else f"a string with length {len(value)}"
        return (
            f"Invalid '{path}': string too short. Expected a string with minimum length "
            f"{ctx['min_length']}, but got {got} instead.",
            "string_below_min_length",
            path,
        )
    if kind == "string_pattern_mismatch":
        return (
            f"Invalid '{path}': string does not match pattern. Expected a string that matches "
            f"the pattern '{ctx['pattern']}'.",
            "invalid_value",
            path,
        )
    if kind == "too_long" and isinstance(value, Mapping):
        return (
            f"Invalid '{path}': too many properties. Expected an object with at most "
            f"{ctx['max_length']} properties, but got an object with {len(value)} properties "
            "instead.",
            "object_above_max_properties",
            path,
        )
    if kind == "too_long":
        return (
            f"Invalid '{path}': array too long. Expected an array with maximum length "
            f"{ctx['max_length']}, but got an array with length {len(value)} instead.",
            "array_above_max_length",
            path,
        )
    if kind == "too_short":
        return (
            f"Invalid '{path}': empty array. Expected an array with minimum length "
            f"{ctx['min_length']}, but got an empty array instead.",
            "empty_array",
            path,
        )
    if kind in ("greater_than_equal", "less_than_equal"):
        return _range(kind, value, ctx, path)
    return f"Invalid '{path}': {error['msg']}.", "invalid_value", path


def _range(kind: str, value: Any, ctx: Mapping[str, Any], path: str) -> tuple[str, str, str]:
    """A number beyond its bounds; the bound's own type tells integers from decimals."""
    low = kind == "greater_than_equal"
    bound = ctx["ge"] if low else ctx["le"]
    noun = "integer" if isinstance(bound, int) else "decimal"
    word, sign, side = ("minimum", ">=", "below") if low else ("maximum", "<=", "above")
    bound = int(bound) if float(bound).is_integer() else bound
    return (
        f"Invalid '{path}': {noun} {side} {word} value. Expected a value {sign} {bound}, "
        f"but got {str(value)[:40]} instead.",
        f"{noun}_{side}_{word[:3]}_value",
        path,
    )


def _wrong_type(path: str, expected: str, value: Any) -> tuple[str, str, str]:
    """A value of another JSON type."""
    return (
        f"Invalid type for '{path}': expected {expected}, but got {_name(value)} instead.",
        "invalid_type",
        path,
    )


def _not_among(value: str, allowed: list[str], path: str) -> tuple[str, str, str]:
    """A word that is none of the words allowed."""
    quoted = [f"'{word}'" for word in allowed]
    if len(quoted) > 2:
        quoted = [", ".join(quoted[:-1]) + ",", quoted[-1]]
    listed = " and ".join(quoted)
    return f"Invalid value: '{value[:100]}'. Supported values are: {listed}.", "invalid_value", path


def _name(value: object) -> str:
    """A JSON value's type, in the API's words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int):
        return "an integer"
    if isinstance(value, float):
        return "a decimal number"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"


def _path(loc: tuple[int | str, ...]) -> str:
    """``tools[0].function.name`` for pydantic's location; tags of unions are left out."""
    path = ""
    parts = loc
    if parts and parts[-1] == "[key]":
        parts = parts[:-2]
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not (part.startswith("<") and part.endswith(">")):
            path += f".{part}" if path else part
    return path[:200]
