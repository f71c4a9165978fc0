"""Byte ranges of downloads (RFC 9110 §14): one range is honoured, several are answered whole."""

from __future__ import annotations

import re
from typing import NamedTuple

_RANGE = re.compile(r"\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", re.ASCII | re.IGNORECASE)


class Span(NamedTuple):
    """The bytes from *start* up to and without *stop*."""

    start: int
    stop: int


class Unsatisfiable(Exception):
    """The range lies outside of the file."""


def parse_range(header: str | None, size: int) -> Span | None:
    """The part of a file of *size* bytes that a Range header asks for; None: all of it.

    Raises `Unsatisfiable`. What cannot be understood counts as not asked, as the RFC has it.
    """
    match = _RANGE.fullmatch(header or "")
    if match is None or match.group(1, 2) == ("", "") or max(map(len, match.groups())) > 18:
        return None
    first, last = match.groups()
    if first == "":
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= size or start >= stop:
        raise Unsatisfiable
    return Span(start, stop)
