"""Calls of the caller's functions: which one the user plainly asks for, and with what arguments."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from jupyter_ci_ext.llm.base import FunctionTool
from jupyter_ci_ext.llm.demo.script import Ask, Outcome, Script

#: Words of function names that say nothing about what is asked.
_COMMON_TEXT = """
get set fetch find do make create add run call use my the a an of for to by in on at and or
is current new info information data value list item items table file function tool query
result lookup look up check show
"""
_COMMON = frozenset(_COMMON_TEXT.split())

_STRING = re.compile(r"[\"'`“‘]([^\"'`”’]+)[\"'`”’]")
_PLACE = re.compile(
    r"\b(?:in|for|at|of|from|to|near|about|on|called|named)\s+((?:the\s+)?[A-Z0-9][^?!.;\n]*)"
)
_NAME = re.compile(r"\b[A-Z][\w-]*(?:,?\s+[A-Z][\w-]*)*")
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?")


def wanted(text: str, functions: Sequence[FunctionTool]) -> list[FunctionTool]:
    """The functions the text names: by name, or by all the words of the name that say something."""
    low = text.lower()
    named = [f for f in functions if re.search(rf"\b{re.escape(f.name.lower())}\b", low)]
    if named:
        return named
    said = {_stem(word) for word in re.findall(r"[a-z]+", low)}
    return [f for f in functions if (telling := _telling(f.name)) and telling <= said]


def ask(functions: Sequence[FunctionTool], text: str, parallel: bool = True) -> Script:
    """Call *functions*, all at once or one after another, and answer with what they give."""
    given: list[tuple[str, str]] = []
    batches = [functions] if parallel else [[f] for f in functions]
    for batch in batches:
        outcome: Outcome = yield Ask(tuple((f.name, arguments(f, text)) for f in batch))
        given += zip((f.name for f in batch), outcome.texts, strict=False)
    return "\n\n".join(_told(name, output) for name, output in given)


def arguments(function: FunctionTool, text: str) -> str:
    """Arguments for *function* as JSON text, filled from *text* as far as its schema allows."""
    return json.dumps(_object(function.parameters or {}, text), ensure_ascii=False)


def fill(schema: dict[str, Any], text: str) -> Any:
    """A value that fits *schema* (a common subset of JSON schema), taken from *text*."""
    return _Filler(text, schema.get("$defs") or {}).value(schema, "")


def _object(schema: dict[str, Any], text: str) -> dict[str, Any]:
    value = _Filler(text, schema.get("$defs") or {}).value({"type": "object", **schema}, "")
    return value if isinstance(value, dict) else {}


class _Filler:
    """Takes what it finds in a text, each number and quotation once."""

    def __init__(self, text: str, defs: dict[str, Any]) -> None:
        self._text = text
        self._defs = defs
        self._numbers = _NUMBER.findall(text)
        self._strings = _STRING.findall(text)
        self._depth = 0

    def value(self, schema: dict[str, Any], name: str) -> Any:
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if choices := schema.get("enum"):
            low = self._text.lower()
            return next((c for c in choices if str(c).lower() in low), choices[0])
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((k for k in kind if k != "null"), "null")
        if kind == "object" or "properties" in schema:
            return self._object(schema)
        if kind == "array":
            return self._array(schema, name)
        if kind in ("number", "integer"):
            text = self._numbers.pop(0) if self._numbers else schema.get("minimum", 0)
            return int(float(text)) if kind == "integer" else float(text)
        if kind == "boolean":
            return not re.search(r"\b(no|not|without|false)\b", self._text, re.IGNORECASE)
        return None if kind == "null" else self._string(name)

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        if "$ref" in schema:
            return dict(self._defs.get(str(schema["$ref"]).rsplit("/", 1)[-1], {}))
        for key in ("anyOf", "oneOf", "allOf"):
            if schema.get(key):
                return self._resolved(schema[key][0])
        return schema

    def _object(self, schema: dict[str, Any]) -> dict[str, Any]:
        properties = schema.get("properties") or {}
        required = schema.get("required", list(properties))
        self._depth += 1
        try:
            if self._depth > 8:  # a schema that refers to itself
                return {}
            return {
                name: self.value(inner, name)
                for name, inner in properties.items()
                if name in required or self._mentions(inner)
            }
        finally:
            self._depth -= 1

    def _mentions(self, schema: dict[str, Any]) -> bool:
        """Whether the text holds a value for an optional property."""
        choices = self._resolved(schema).get("enum") or ()
        return any(str(choice).lower() in self._text.lower() for choice in choices)

    def _array(self, schema: dict[str, Any], name: str) -> list[Any]:
        items = schema.get("items") or {}
        kind = items.get("type")
        if kind in ("number", "integer"):
            found, self._numbers = self._numbers, []
            return [int(float(n)) if kind == "integer" else float(n) for n in found]
        if kind == "string" and not items.get("enum"):
            return list(self._strings) or _NAME.findall(self._text)
        return [self.value(items, name)]

    def _string(self, name: str) -> str:
        if self._strings:
            return str(self._strings.pop(0)).strip()
        said = re.search(
            rf"\b{re.escape(name.replace('_', ' '))}\b\W+(?:is|of|=|:)?\s*(\w+)", self._text
        )
        if name and said:
            return said[1]
        if place := _PLACE.search(self._text):
            return re.split(r"\s+(?:and|today|tomorrow|now|please|this|right)\b", place[1])[
                0
            ].strip(" ,")
        names = [n for n in _NAME.findall(self._text) if not self._text.startswith(n)]
        return names[0] if names else self._text


def _telling(name: str) -> set[str]:
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
    return {_stem(word) for word in words if word not in _COMMON}


def _stem(word: str) -> str:
    return re.sub(r"(?:ing|es|s)$", "", word) if len(word) > 4 else word


def _told(name: str, output: str) -> str:
    try:
        value = json.loads(output)
    except ValueError:
        value = output
    if isinstance(value, dict) and value:
        rows = "\n".join(f"- {key}: {_plain(v)}" for key, v in value.items())
        return f"`{name}` gave:\n\n{rows}"
    return f"`{name}` gave: {_plain(value) or '(nothing)'}"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
