"""Finding ``sandbox:/mnt/data/…`` links in text that arrives in pieces.

`LinkScanner` holds back no more than what may be the beginning of a link, and hands out `Plain` text
and `Stretch`es: a stretch starts with a link and is as long as the link can be at most. Which part of
it *is* the link depends on which files there are, so `resolve` asks for them, the longest name first.
That settles trailing dots and commas, closing brackets, blanks and percent-encoding alike, without
guessing at what models mean. However the text is cut into pieces, the result is the same.

Offsets of annotations count code points, as ``len`` does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Final, NamedTuple
from urllib.parse import unquote

PREFIX: Final = "sandbox:/mnt/data/"
LONGEST: Final = 1024
"""Characters after which a stretch is given up; a path of 255 bytes percent-encoded fits."""

_CUTS: Final = 64
"""Most places in one stretch where its link may end."""


class Plain(NamedTuple):
    """Text that is no link."""

    text: str


class Stretch(NamedTuple):
    """Text that starts with a link, if there is a file for it."""

    text: str


class Link(NamedTuple):
    """A link as it stands in the text, and the file it leads to."""

    text: str
    file_id: str


class LinkScanner:
    """Cuts one text into plain pieces and stretches, piece by piece as it comes."""

    def __init__(self) -> None:
        self._held = ""
        self._before = ""  # the two characters before what is held
        self._linking = False
        self._closer = ""  # what ends the stretch: ")" of a Markdown link, ">" or "" for blanks
        self._at = 0  # how far the stretch has been looked through
        self._depth = 0  # of parentheses inside it

    def feed(self, text: str) -> list[Plain | Stretch]:
        """What is certain now that *text* has come."""
        self._held += text
        pieces: list[Plain | Stretch] = []
        while self._held:
            piece = self._stretch() if self._linking else self._plain()
            if piece is None:
                break
            if piece.text:
                pieces.append(piece)
        return pieces

    def close(self) -> list[Plain | Stretch]:
        """What is left when the text is over."""
        held, self._held = self._held, ""
        if not held:
            return []
        return [Stretch(held) if self._linking else Plain(held)]

    def _plain(self) -> Plain | None:
        start = self._held.find(PREFIX)
        if start >= 0:
            piece = self._take(start)
            self._linking, self._at, self._depth = True, len(PREFIX), 0
            self._closer = ")" if self._before == "](" else ">" if self._before[-1:] == "<" else ""
            return Plain(piece)
        kept = self._prefix_at_end()
        if kept == len(self._held):
            return None
        return Plain(self._take(len(self._held) - kept))

    def _prefix_at_end(self) -> int:
        """How many characters at the end of what is held may be the beginning of a link."""
        at = max(0, len(self._held) - len(PREFIX) + 1)
        while (at := self._held.find(PREFIX[0], at)) >= 0:
            if PREFIX.startswith(self._held[at:]):
                return len(self._held) - at
            at += 1
        return 0

    def _stretch(self) -> Stretch | None:
        end = min(len(self._held), LONGEST)
        while self._at < end:
            if self._ends_at(self._held[self._at]):
                break
            self._at += 1
        if self._at == len(self._held) and self._at < LONGEST:
            return None
        self._linking = False
        return Stretch(self._take(self._at))

    def _ends_at(self, char: str) -> bool:
        if char == "\n":
            return True
        if self._closer == ")":
            self._depth += (char == "(") - (char == ")")
            return self._depth < 0
        if self._closer == ">":
            return char == ">"
        return char.isspace() or char in '<>"`'

    def _take(self, length: int) -> str:
        taken, self._held = self._held[:length], self._held[length:]
        self._before = (self._before + taken)[-2:]
        return taken


async def resolve(stretch: str, find: Callable[[str], Awaitable[str | None]]) -> list[Plain | Link]:
    """The links in a stretch; *find* gives the file id of a name below ``/mnt/data``, or None."""
    pieces: list[Plain | Link] = []
    rest = stretch
    while rest:
        link = await _first_link(rest, find) if rest.startswith(PREFIX) else None
        if link is not None:
            pieces.append(link)
            rest = rest[len(link.text) :]
            continue
        upto = rest.find(PREFIX, 1)
        plain, rest = (rest, "") if upto < 0 else (rest[:upto], rest[upto:])
        pieces.append(Plain(plain))
    return pieces


async def _first_link(text: str, find: Callable[[str], Awaitable[str | None]]) -> Link | None:
    tried: set[str] = set()
    for end in _ends(text):
        for name in _names(text[len(PREFIX) : end]):
            if name not in tried:
                tried.add(name)
                file_id = await find(name)
                if file_id is not None:
                    return Link(text[:end], file_id)
    return None


def _ends(text: str) -> Iterator[int]:
    """Where the link may end: everywhere, or before a character that often follows a name."""
    ends = [len(text)]
    for at in range(len(text) - 1, len(PREFIX), -1):
        char = text[at]
        if not char.isalnum() or (text[at - 1].isascii() and not char.isascii()):
            ends.append(at)
    # Of a very long stretch, the short names are the likelier ones.
    return iter(ends if len(ends) <= _CUTS else ends[:1] + ends[1 - _CUTS :])


def _names(path: str) -> Iterator[str]:
    """The names a path may stand for: as it is, and percent-decoded."""
    if path and not path.isspace():
        yield path
        if "%" in path:
            try:
                yield unquote(path, errors="strict")
            except UnicodeDecodeError:
                return
