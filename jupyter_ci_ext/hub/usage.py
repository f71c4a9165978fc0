"""How many tokens an answer took: told by the model server, or estimated from the text. Pure.

A stream passes through `StreamMeter` event by event, byte for byte; what it takes out is the one
event that the client did not ask for, the usage at the end.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

CHARACTERS_PER_TOKEN = 4
"""As a rule of thumb for English; other languages need more tokens."""

_EVENT_BYTES = 1 << 20
# An event that is larger is passed on in pieces, unread.


class Tokens(NamedTuple):
    """Tokens of a request and its answer; *estimated*: the model server did not say."""

    prompt: int
    completion: int
    estimated: bool


def estimate(characters: int) -> int:
    """Tokens of so many characters; at least 1."""
    return max(1, -(-characters // CHARACTERS_PER_TOKEN))


def characters(value: Any) -> int:
    """Characters of all texts in a JSON value, pictures and sounds (data URLs) left out."""
    if isinstance(value, str):
        return 0 if value.startswith("data:") else len(value)
    if isinstance(value, Mapping):
        return sum(map(characters, value.values()))
    if isinstance(value, list):
        return sum(map(characters, value))
    return 0


class Meter:
    """What an answer takes that has not begun; base of both ways in which one comes.

    ``tokens`` may be asked at any time, also after a cut.
    """

    def __init__(self, prompt: int) -> None:
        self._prompt = prompt
        self._told: Mapping[str, Any] | None = None
        self._characters = 0

    @property
    def tokens(self) -> Tokens:
        """What the answer took so far."""
        told = self._told or {}
        prompt, completion = told.get("prompt_tokens"), told.get("completion_tokens")
        if isinstance(prompt, int) and isinstance(completion, int) and min(prompt, completion) >= 0:
            return Tokens(prompt, completion, False)
        seen = estimate(self._characters) if self._characters else 0
        return Tokens(self._prompt, seen, True)

    def _read(self, body: Any, part: str) -> Mapping[str, Any] | None:
        """Count an answer or a piece of one; the usage it tells."""
        if not isinstance(body, Mapping):
            return None
        choices = body.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, Mapping):
                self._characters += characters(choice.get(part))
        usage = body.get("usage")
        if isinstance(usage, Mapping):
            self._told = usage
            return usage
        return None


class WholeMeter(Meter):
    """An answer that comes as one JSON object."""

    def read(self, body: bytes) -> None:
        """Take the answer's usage from it."""
        try:
            self._read(json.loads(body), "message")
        except ValueError:
            self._characters += len(body)


class StreamMeter(Meter):
    """An answer that comes as server-sent events; *hide_usage*: the client did not ask for it."""

    def __init__(self, prompt: int, *, hide_usage: bool) -> None:
        super().__init__(prompt)
        self._hide_usage = hide_usage
        self._pending = b""

    def feed(self, data: bytes) -> bytes:
        """What of the stream so far may be passed on: whole events."""
        self._pending += data
        out: list[bytes] = []
        while (end := _end_of_event(self._pending)) is not None:
            event, self._pending = self._pending[:end], self._pending[end:]
            if not (self._is_only_usage(event) and self._hide_usage):
                out.append(event)
        if len(self._pending) > _EVENT_BYTES:
            self._characters += len(self._pending)
            out.append(self._pending)
            self._pending = b""
        return b"".join(out)

    def rest(self) -> bytes:
        """What is left when the stream is over; passed on as it is."""
        rest, self._pending = self._pending, b""
        if rest.strip() and self._is_only_usage(rest) and self._hide_usage:
            return b""
        return rest

    def _is_only_usage(self, event: bytes) -> bool:
        """Count an event; whether it says nothing but the usage."""
        lines = (line.removeprefix(b"data:") for line in event.splitlines() if line[:5] == b"data:")
        text = b"\n".join(lines).strip()
        if not text or text == b"[DONE]":
            return False
        try:
            body = json.loads(text)
        except ValueError:
            self._characters += len(text)
            return False
        return self._read(body, "delta") is not None and not body.get("choices")


def _end_of_event(data: bytes) -> int | None:
    """Where the first event of *data* ends, its blank line included; None: not there yet."""
    ends = [
        at + len(mark) for mark in (b"\n\n", b"\r\n\r\n", b"\r\r") if (at := data.find(mark)) >= 0
    ]
    return min(ends, default=None)
