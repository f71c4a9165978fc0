"""Text on its way between the model, the code and the store; pure."""

from __future__ import annotations

import re
from typing import Final

# CSI and OSC sequences, and the two-character escapes: what terminals and IPython colour with.
_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")

_WIDE: Final = re.compile(r"[^\x00-\u2e7f]+")


def well_formed(text: str) -> str:
    """*text* without lone surrogates, which no encoder of JSON or UTF-8 takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def plain(text: str) -> str:
    """*text* without terminal colours."""
    return _ESCAPES.sub("", text)


def shorten(text: str, limit: int) -> str:
    """*text* with its middle left out, and a note of how much, where it is over *limit* characters.

    The note is not counted. A third is kept of the head, the rest of the tail, where results and
    errors stand. 0 or less: no limit.
    """
    if limit <= 0 or len(text) <= limit:
        return text
    head = limit // 3
    tail = limit - head
    return f"{text[:head]}\n[… {len(text) - limit} characters left out …]\n{text[-tail:]}"


def estimate_tokens(text: str) -> int:
    """About how many tokens *text* has: four ASCII characters each, others one each; never too few
    by much, since the window must not overflow."""
    wide = 0 if text.isascii() else sum(map(len, _WIDE.findall(text)))
    narrow = len(text) - wide
    return wide + (narrow + 3) // 4


def human_size(size: int) -> str:
    """*size* in bytes as people read it."""
    if size < 1024:
        return f"{size} byte{'' if size == 1 else 's'}"
    value = float(size)
    for unit in ("KiB", "MiB", "GiB"):
        value /= 1024
        if value < 1024:
            return f"{value:.1f} {unit}"
    return f"{value / 1024:.1f} TiB"
