"""File names fit for a workspace; pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container

MAX_BYTES = 200
"""Bytes of a name in UTF-8; file systems take 255, and " (2)" must fit."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")


def safe_name(name: str) -> str:
    """*name* as one component of a path: no folders, no control characters, not hidden, not long.

    Letters of every script are kept, and so is the extension of a name that is cut.
    """
    name = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    name = _CONTROL.sub("_", name).strip().lstrip(".").strip()
    stem, extension = _split(name)
    while len((stem + extension).encode()) > MAX_BYTES:
        stem = stem[:-1]
    return (stem + extension) or "file"


def free_name(name: str, taken: Container[str]) -> str:
    """*name*, or the first of "name (2)", "name (3)" … that is not *taken*."""
    stem, extension = _split(name)
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{stem} ({number}){extension}"
    return candidate


def printable(path: str) -> str:
    """A path found in a workspace as text that can be stored: bytes that are no UTF-8 replaced."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _split(name: str) -> tuple[str, str]:
    """A name's stem and its extension (".csv", ".tar.gz"), which is short or none."""
    match = re.fullmatch(r"(.+?)((?:\.tar)?\.[^. ]{1,16})", name, re.DOTALL)
    return (match[1], match[2]) if match else (name, "")
