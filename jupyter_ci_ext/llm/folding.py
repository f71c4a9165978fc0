"""Folding of what a model streams: pieces of JSON arguments into pieces of Python source.

Pure: text in, text out, at any chunking. A model is asked to call ``python`` with
``{"code": "…"}``; what arrives may be cut anywhere (inside an escape, inside a surrogate pair, by
the token limit), may use another key, may be the bare source, or the source in a Markdown fence.
For valid JSON the result is exactly the decoded string; for anything else it is the best reading.
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from jupyter_ci_ext.llm.pieces import JsonText, Pairs, Unfenced

#: Keys whose string value is streamed out as source as it arrives.
CODE_KEYS = ("code", "source", "python", "python_code", "source_code", "script", "program")
#: Keys that hold the source only where none of `CODE_KEYS` is there; known when all has arrived.
WEAK_KEYS = ("input", "text", "content", "command", "cmd", "query")

_NEXT_KEY = re.compile(r'\s*"(?:[^"\\]|\\.)*"\s*:')
_MAYBE_NEXT_KEY = re.compile(r'\s*(?:"(?:[^"\\]|\\.)*(?:\\|"\s*)?)?')


class SourceReader:
    """Reads the arguments of a ``python`` call, piece by piece, into pieces of source."""

    def __init__(self) -> None:
        self.complete = True
        """False once `close` found the arguments cut off in the middle of the source."""
        self._raw: list[str] = []
        self._scan: _Scan = _Start()
        self._pairs = Pairs()
        self._unfenced = Unfenced()

    def feed(self, fragment: str) -> str:
        """The source that *fragment* completes."""
        self._raw.append(fragment)
        out = []
        for char in fragment:
            decoded, self._scan = self._scan.step(char)
            out.append(decoded)
        return self._emit("".join(out))

    def close(self) -> str:
        """The rest of the source, once all arguments have come."""
        rest = self._scan.rest()
        if rest is None:
            rest = source_of("".join(self._raw))
        self.complete = not isinstance(self._scan, _Source | _Key | _Value)
        return self._emit(rest) + self._unfenced.feed(self._pairs.close()) + self._unfenced.close()

    def _emit(self, text: str) -> str:
        return self._unfenced.feed(self._pairs.feed(text)) if text else ""


def source_of(arguments: str) -> str:
    """The source in a whole argument text, valid JSON or not; at worst the text itself."""
    for text, cut in ((arguments, False), (arguments + '"}', True), (arguments + "}", True)):
        try:
            decoded = json.loads(text, strict=False)
        except (ValueError, RecursionError):
            continue
        found = _pick(decoded, guess=not cut)
        return ("" if cut else arguments) if found is None else found
    try:  # the repr of a dict, as some models write
        found = _pick(ast.literal_eval(arguments.strip()))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return arguments
    return arguments if found is None else found


def _pick(value: Any, guess: bool = True) -> str | None:
    """The source in decoded arguments, or None; *guess* takes the only text under any key."""
    if isinstance(value, str):
        nested = value.strip()
        return source_of(value) if nested.startswith("{") and nested.endswith("}") else value
    if isinstance(value, list) and value and all(isinstance(line, str) for line in value):
        return "\n".join(line.rstrip("\n") for line in value)
    if not isinstance(value, dict):
        return None
    if not value:
        return ""
    for key in (*CODE_KEYS, *WEAK_KEYS):
        if key in value:
            return _pick(value[key], guess)
    inner = [v for v in value.values() if isinstance(v, str | dict | list)]
    return _pick(inner[0], guess) if guess and len(inner) == 1 else None


class _Scan:
    """A place in the arguments; `step` takes a character and says what it decodes to."""

    def step(self, char: str) -> tuple[str, _Scan]:
        """The text decoded, and the place after it."""
        del char
        return "", self

    def rest(self) -> str | None:
        """What is still held when the input ends; None: nothing was recognised, read it whole."""
        return None


class _Whole(_Scan):
    """Not to be told before all is there."""


class _Bare(_Scan):
    """The bare source, without any JSON around it."""

    def step(self, char: str) -> tuple[str, _Scan]:
        return char, self

    def rest(self) -> str:
        return ""


class _Start(_Scan):
    """Before the first character that is no blank."""

    def __init__(self) -> None:
        self._blanks = ""

    def step(self, char: str) -> tuple[str, _Scan]:
        if char.isspace():
            self._blanks += char
            return "", self
        if char == "{":
            return "", _Key()
        if char == '"':
            return "", _Whole()
        return self._blanks + char, _Bare()

    def rest(self) -> str:
        return ""


class _Key(_Scan):
    """Where a key of the object is due, in it, or between it and its value."""

    def __init__(self) -> None:
        self._name: str | None = None
        self._text: JsonText | None = None
        self._colon = False

    def step(self, char: str) -> tuple[str, _Scan]:
        if self._text is not None:
            decoded = self._text.feed(char)
            if decoded is None:
                self._text = None
            else:
                self._name = (self._name or "") + decoded
            return "", self
        if char.isspace():
            return "", self
        if self._name is None and char == '"':
            self._name, self._text = "", JsonText()
            return "", self
        if self._name is None or not self._colon:
            self._colon = self._name is not None and char == ":"
            return "", self if self._colon else _Whole()
        if char == '"' and self._name in CODE_KEYS:
            return "", _Source()
        return _Value().step(char)

    def rest(self) -> str:
        return ""


class _Value(_Scan):
    """In the value of a key that is not the source; only its end matters."""

    def __init__(self) -> None:
        self._depth = 0
        self._text: JsonText | None = None

    def step(self, char: str) -> tuple[str, _Scan]:
        if self._text is not None:
            if self._text.feed(char) is None:
                self._text = None
        elif char == '"':
            self._text = JsonText()
        elif char in "[{":
            self._depth += 1
        elif char in "]}" and self._depth:
            self._depth -= 1
        elif char == "," and not self._depth:
            return "", _Key()
        elif char == "}":
            return "", _Whole()
        return "", self


class _Source(_Scan):
    """In the string that is the source."""

    def __init__(self) -> None:
        self._text = JsonText()

    def step(self, char: str) -> tuple[str, _Scan]:
        decoded = self._text.feed(char)
        return ("", _Quote(self)) if decoded is None else (decoded, self)

    def rest(self) -> str:
        return ""


class _Quote(_Scan):
    """After a quote in the source: its end, or a quote the model forgot to escape.

    In valid JSON the end is followed by ``}``, or by a comma and another key.
    """

    def __init__(self, source: _Source) -> None:
        self._source = source
        self._held = ""

    def step(self, char: str) -> tuple[str, _Scan]:
        self._held += char
        after = self._held.lstrip()
        if not after:
            return "", self
        if after[0] == "}" or (after[0] == "," and _NEXT_KEY.match(after, 1)):
            return "", _Done()
        if after[0] == "," and _MAYBE_NEXT_KEY.fullmatch(after, 1):
            return "", self
        place: _Scan = self._source
        out = ['"']
        for held in self._held:
            decoded, place = place.step(held)
            out.append(decoded)
        return "".join(out), place

    def rest(self) -> str:
        return ""


class _Done(_Scan):
    """The source has ended; what follows is of no interest."""

    def rest(self) -> str:
        return ""
