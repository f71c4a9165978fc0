"""Calls that arrive in an answer's text, because a chat template did not turn them into calls.

Seen: a JSON object with name and arguments (with or without ``<tool_call>`` around it), a whole
answer that is one fenced block, and source after ``<|python_tag|>``. Only what an answer *begins*
with is held back to be looked at; any other text streams through untouched. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import NamedTuple

from jupyter_ci_ext.llm.fence import PYTHON, read_call
from jupyter_ci_ext.llm.folding import CODE_KEYS, source_of
from jupyter_ci_ext.llm.pieces import FencedBody

#: Names models use for the interpreter, whatever it was called in the request.
CODE_NAMES = (
    "python",
    "code_interpreter",
    "python_interpreter",
    "ipython",
    "run_python",
    "execute_python",
    "execute_code",
    "run_code",
)

_TAGS = ("<tool_call>", "<|python_tag|>", "[TOOL_CALLS]", "<function_call>")
_FENCE = re.compile(r"(`{3,})[ \t]*(\w*)[^`\n]*\n")
_FIRST_KEY = re.compile(r'\{\s*"((?:[^"\\]|\\.)*)"')
_CALL_KEYS = {"name", "function", "tool", "tool_name", "type", "arguments", "parameters"}
_TAGGED = re.compile(r"<(tool_call|function_call)>(.*?)(?:</\1>|(?=<\1>)|\Z)", re.DOTALL)


class InlineCall(NamedTuple):
    """A call found in text: source for the interpreter (*name* None), or a function's arguments."""

    name: str | None
    text: str


class InlineReader:
    """Holds back the beginning of an answer while it may be a call."""

    def __init__(self, *, code: bool, functions: Collection[str], json_answer: bool) -> None:
        self._code = code
        self._functions = set(functions)
        self._json_answer = json_answer
        self._held = ""
        self._free = not code and not functions

    def feed(self, text: str) -> str:
        """The text that is certainly part of the answer."""
        if self._free:
            return text
        self._held += text
        if self._may_be_call():
            return ""
        self._free = True
        return self._held

    def close(self) -> tuple[str, list[InlineCall]]:
        """The rest of the text, and the calls it turned out to be."""
        if self._free or not self._held:
            return "", []
        calls = self._read()
        return ("", calls) if calls else (self._held, [])

    def _may_be_call(self) -> bool:
        text = self._held.lstrip()
        if not text or any(tag.startswith(text[: len(tag)]) for tag in _TAGS):
            return True
        if text[0] == "{":
            if self._json_answer:
                return False
            key = _FIRST_KEY.match(text)
            return key is None or key[1] in _CALL_KEYS or key[1] in CODE_KEYS
        if not text.startswith(("```", "``"[: len(text)])):
            return False
        opened = _FENCE.match(text)
        if opened is None:
            return "\n" not in text
        if opened[2].lower() not in (*PYTHON, "json", "tool_call"):
            return False
        body = FencedBody(len(opened[1]))
        body.feed(text[opened.end() :])
        return not (body.closed and body.rest.strip())

    def _read(self) -> list[InlineCall]:
        text = self._held.strip()
        if text.startswith("<|python_tag|>"):
            source = text.removeprefix("<|python_tag|>").strip()
            return self._one(source) or self._source(source)
        if text.startswith("[TOOL_CALLS]"):
            return self._list(text.removeprefix("[TOOL_CALLS]"))
        if tagged := _TAGGED.findall(text):
            return [call for _, inner in tagged for call in self._one(inner)]
        if opened := _FENCE.match(text):
            body = FencedBody(len(opened[1]))
            inner = body.feed(text[opened.end() :]) + body.close()
            if opened[2].lower() in PYTHON:
                return self._source(inner)
            return self._one(inner)
        return self._one(text)

    def _source(self, source: str) -> list[InlineCall]:
        return [InlineCall(None, source)] if self._code and source.strip() else []

    def _list(self, text: str) -> list[InlineCall]:
        try:
            wanted = json.loads(text)
        except ValueError:
            return []
        rows = wanted if isinstance(wanted, list) else [wanted]
        return [call for row in rows for call in self._one(json.dumps(row))]

    def _one(self, text: str) -> list[InlineCall]:
        named = read_call(text.strip())
        if named is not None:
            name, arguments = named
            if name in self._functions:
                return [InlineCall(name, arguments)]
            return self._source(source_of(arguments)) if name in CODE_NAMES else []
        try:
            value = json.loads(text, strict=False)
        except ValueError:
            return []
        if isinstance(value, dict) and isinstance(value.get("code"), str):
            return self._source(value["code"])
        return []
