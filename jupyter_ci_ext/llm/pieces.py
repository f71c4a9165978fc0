"""Text filters for what arrives in pieces: surrogate pairs, JSON strings, Markdown fences.

Pure, and the same at any chunking: fed piece by piece or at once, the output joins to one text.
"""

from __future__ import annotations

import re
from typing import Literal

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\n": "\n"}


class Pairs:
    """Joins surrogate pairs that were cut between two pieces; a lone half becomes U+FFFD."""

    def __init__(self) -> None:
        self._high = ""

    def feed(self, text: str) -> str:
        """The text that is whole so far."""
        text = self._high + text
        self._high = ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            self._high, text = text[-1], text[:-1]
        return joined(text)

    def close(self) -> str:
        """What is left of a pair whose second half never came."""
        rest, self._high = joined(self._high), ""
        return rest


def joined(text: str) -> str:
    """*text* with surrogate pairs joined and lone halves replaced, fit to be stored as UTF-8."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class JsonText:
    """Decodes the inside of a JSON string, a character at a time; forgiving about bad escapes."""

    def __init__(self) -> None:
        self._escape = ""

    def feed(self, char: str) -> str | None:
        """The text *char* completes, perhaps none; None when it is the closing quote.

        Halves of a surrogate pair come out one by one: `Pairs` behind this joins them.
        """
        if not self._escape:
            if char == "\\":
                self._escape = char
                return ""
            return None if char == '"' else char
        if self._escape == "\\":
            if char == "u":
                self._escape = "\\u"
                return ""
            self._escape = ""
            if char in "\"'\\/":
                return char
            return _ESCAPES.get(char, "\\" + char)
        if char in "0123456789abcdefABCDEF":
            self._escape += char
            if len(self._escape) < 6:
                return ""
            unit, self._escape = self._escape[2:], ""
            return chr(int(unit, 16))
        literal, self._escape = self._escape, ""
        again = self.feed(char)
        return None if again is None else literal + again


class FencedBody:
    """The inside of a Markdown fence, read as it arrives, up to the line that closes it.

    *ticks* is the length of the opening fence, *indent* how far it was indented. Line ends before
    the closing fence are not part of the body.
    """

    def __init__(self, ticks: int = 3, indent: int = 0) -> None:
        self.closed = False
        self.rest = ""
        """What followed the closing line in the piece that held it."""
        self._closing = re.compile(rf"\s*`{{{ticks},}}[ \t\r]*")
        self._maybe_closing = re.compile(r"\s*`*[ \t\r]*")
        self._indent = indent
        self._line = ""
        self._streaming = False
        self._newlines = ""

    def feed(self, text: str) -> str:
        """More of the body."""
        out: list[str] = []
        while text and not self.closed:
            piece, newline, text = text.partition("\n")
            if self._streaming:
                out.append(piece)
            else:
                self._line += piece
                if newline and self._closing.fullmatch(self._line):
                    self.closed, self.rest = True, text
                    break
                if newline or not self._maybe_closing.fullmatch(self._line):
                    out.append(self._release())
            if newline:
                self._newlines += newline
                self._streaming = False
        return "".join(out)

    def close(self) -> str:
        """The input has ended: the rest of the body, if it was not closed."""
        if self.closed:
            return ""
        if self._closing.fullmatch(self._line):
            self.closed = True
            return ""
        return self._release() if self._line else ""

    def _release(self) -> str:
        line, self._line = self._line, ""
        blanks = len(line) - len(line.lstrip(" "))
        line = line[min(blanks, self._indent) :]
        if not line:
            return ""
        self._streaming = True
        newlines, self._newlines = self._newlines, ""
        return newlines + line


class Unfenced:
    """Source as it arrives, without the Markdown fence some models put around it."""

    _opening = re.compile(r"\s*(`{3,})[^`\n]*\n")
    _maybe_opening = re.compile(r"\s*(?:`{0,2}|`{3,}[^`\n]*)")

    def __init__(self) -> None:
        self._head = ""
        self._plain = False
        self._body: FencedBody | None = None

    def feed(self, text: str) -> str:
        """More source."""
        if self._plain:
            return text
        if self._body is not None:
            return self._body.feed(text)
        self._head += text
        if opened := self._opening.match(self._head):
            self._body = FencedBody(len(opened[1]))
            return self._body.feed(self._head[opened.end() :])
        if self._maybe_opening.fullmatch(self._head):
            return ""
        self._plain = True
        return self._head

    def close(self) -> str:
        """The rest."""
        if self._body is not None:
            return self._body.close()
        return "" if self._plain else self._head


class Thoughtless:
    """An answer without the ``<think>…</think>`` some models begin it with."""

    _open, _close = "<think>", "</think>"

    def __init__(self) -> None:
        self._held = ""
        self._state: Literal["start", "thinking", "after", "answer"] = "start"

    def feed(self, text: str) -> str:
        """More of the answer."""
        if self._state == "answer":
            return text
        self._held += text
        if self._state == "start":
            start = self._held.lstrip()
            if self._open.startswith(start[: len(self._open)]):
                if len(start) < len(self._open):
                    return ""
                self._held, self._state = start[len(self._open) :], "thinking"
            else:
                self._state = "answer"
                return self._held
        if self._state == "thinking":
            thought, end, rest = self._held.partition(self._close)
            if not end:
                self._held = thought[-len(self._close) :]
                return ""
            self._held, self._state = rest, "after"
        answer = self._held.lstrip()
        if answer:
            self._state = "answer"
        return answer

    def close(self) -> str:
        """What was held back and turned out to be answer."""
        return self._held if self._state == "start" else ""
