"""What one execution printed and showed, as the outputs of one call; pure.

Outputs are numbered as they come. Text goes on in the output before it as long as nothing else came
between. Where Jupyter has something richer than text or a picture (a table in HTML, a chart that can
be turned, a traceback in colour), the plain form becomes an output of its own, and the rich form
follows when the execution is over, numbered behind all others, with a word on which it `replaces`:
so clients that know nothing of it can be spared it without renumbering anything. A display that may be
updated (it has a ``display_id``) waits for the end too, and is sent once, in its last form.

Nothing here grows with what the code prints: of the text a head and a tail are kept, pictures and
outputs are counted.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import deque
from dataclasses import dataclass, replace
from typing import Any, Final

from jupyter_ci_ext.engine.text import plain, well_formed
from jupyter_ci_ext.engine.values import Logs, Rich
from jupyter_ci_ext.kernels.outputs import DisplayData, ErrorOutput, Output, StreamText

ERROR_MIME: Final = "application/vnd.jupyter.error"
"""MIME type of a traceback in colour: ename, evalue, traceback, as nbformat's error output."""

STDOUT_MIME: Final = "application/vnd.jupyter.stdout"
"""MIME type of printed text with its terminal colours, as Jupyter's own renderer has it."""

MOST_OUTPUTS: Final = 200
MOST_PICTURES: Final = 50

_PICTURES: Final = {
    "image/png": (b"\x89PNG\r\n\x1a\n", "png"),
    "image/jpeg": (b"\xff\xd8\xff", "jpg"),
    "image/svg+xml": (b"", "svg"),
}
"""What is stored as a picture, the best first: how it begins, and its suffix."""

# Needs the kernel at the other end, so it is nothing once it is stored.
_UNSTORED: Final = frozenset({"application/vnd.jupyter.widget-view+json"})


@dataclass(frozen=True)
class Shown:
    """A picture as bytes, as output *index*; *suffix* without the dot."""

    index: int
    data: bytes
    mime: str
    suffix: str


class Cell:
    """Folds the outputs of one execution. *log_limit* is in characters, *rich_limit* per output."""

    def __init__(self, *, log_limit: int = 1 << 20, rich_limit: int = 1 << 20) -> None:
        self._room = self._half = max(1, log_limit // 2)
        self._rich_limit = rich_limit
        self._tail: deque[str] = deque()
        self._tail_size = 0
        self._left_out = 0
        self._count = 0
        self._open: int | None = None  # the logs output that text goes on in
        self._pictures = 0
        self._dropped_pictures = 0
        self._rich: list[Rich] = []  # numbered at the end
        # Of a logs output, its text as printed; None where it was cut or is too long to send twice.
        self._coloured: dict[int, list[str] | None] = {}
        self._coloured_size = 0
        self._updatable: dict[str, DisplayData] = {}

    def feed(self, output: Output) -> list[Logs | Shown]:
        """What is to be shown at once because of *output*."""
        if isinstance(output, StreamText):
            return self._print(plain(output.text), output.text)
        if isinstance(output, ErrorOutput):
            return self._error(output)
        if isinstance(output, DisplayData):
            if output.display_id is None:
                return self._display(output)
            if output.display_id in self._updatable or not output.update:
                self._updatable[output.display_id] = output
        return []

    def close(self) -> list[Logs | Shown | Rich]:
        """What is left when the execution is over."""
        left: list[Logs | Shown | Rich] = []
        for display in self._updatable.values():
            left += self._display(display)
        note = ""
        if self._left_out:
            note += f"\n[… {self._left_out} characters left out …]\n"
        note += "".join(self._tail)
        if self._dropped_pictures:
            note += f"\n[{self._dropped_pictures} more pictures left out]\n"
        if note:
            left.append(Logs(self._text_output(), note))
            self._coloured[self._text_output()] = None
        for index, kept in self._coloured.items():
            printed = "".join(kept or ())
            if "\x1b[" in printed:
                self._rich.append(Rich(-1, index, {STDOUT_MIME: printed}, {}))
        for rich in self._rich:
            left.append(replace(rich, index=self._next()))
        return left

    def say(self, text: str) -> list[Logs]:
        """*text* of our own behind all outputs, however much the code has printed."""
        return [Logs(self._next(), text)]

    # ---- text --------------------------------------------------------------------------------

    def _print(self, text: str, printed: str = "") -> list[Logs | Shown]:
        """Show *text*; *printed* is the same with its colours, where it may have some."""
        text = well_formed(text)
        now, later = text[: self._room], text[self._room :]
        self._room -= len(now)
        if later:
            self._keep_tail(later)
        if not now:
            return []
        index = self._text_output()
        self._keep_colours(index, "" if later else well_formed(printed or text))
        return [Logs(index, now)]

    def _keep_colours(self, index: int, printed: str) -> None:
        self._coloured_size += len(printed)
        kept = self._coloured.setdefault(index, [])
        if kept is None:
            return
        if printed and self._coloured_size <= self._rich_limit:
            kept.append(printed)
        else:
            self._coloured[index] = None

    def _keep_tail(self, text: str) -> None:
        self._tail.append(text)
        self._tail_size += len(text)
        while self._tail_size > self._half:
            first = self._tail.popleft()
            over = min(len(first), self._tail_size - self._half)
            if over < len(first):
                self._tail.appendleft(first[over:])
            self._tail_size -= over
            self._left_out += over

    def _alone(self, text: str) -> tuple[int | None, list[Logs | Shown]]:
        """*text* as an output of its own, and the number of that, None where there is no room."""
        if self._count >= MOST_OUTPUTS or len(text) > self._room:
            return None, self._print(text)
        self._open = None
        shown = self._print(text)
        index, self._open = self._open, None
        return index, shown

    def _text_output(self) -> int:
        if self._open is None:
            self._open = self._next()
        return self._open

    def _next(self) -> int:
        self._count += 1
        return self._count - 1

    # ---- the rest ----------------------------------------------------------------------------

    def _error(self, error: ErrorOutput) -> list[Logs | Shown]:
        text = plain(error.traceback) or f"{error.ename}: {error.evalue}"
        index, shown = self._alone(text.rstrip("\n") + "\n")
        data = {"ename": error.ename, "evalue": error.evalue, "traceback": error.traceback}
        if index is not None and "\x1b" in error.traceback:
            self._add_rich(index, {ERROR_MIME: data}, {})
        return shown

    def _display(self, display: DisplayData) -> list[Logs | Shown]:
        picture = _picture(display.data)
        rich = _beyond(display.data, picture is not None)
        if picture is not None and self._count < MOST_OUTPUTS:
            if self._pictures >= MOST_PICTURES:
                self._dropped_pictures += 1
                return []
            self._pictures += 1
            data, mime = picture
            shown = Shown(self._next(), data, mime, _PICTURES[mime][1])
            self._open = None
            if rich:
                self._add_rich(shown.index, rich, display.metadata)
            return [shown]
        text = _text(display.data)
        if not rich:
            return self._print(text + "\n") if text else []
        index, logs = self._alone((text or f"[{next(iter(rich))}]") + "\n")
        if index is not None:
            self._add_rich(index, display.data, display.metadata)
        return logs

    def _add_rich(self, index: int, data: dict[str, Any], metadata: dict[str, Any]) -> None:
        if sum(_size(value) for value in data.values()) <= self._rich_limit:
            self._rich.append(Rich(-1, index, data, metadata))


def _picture(data: dict[str, Any]) -> tuple[bytes, str] | None:
    """The best picture of a bundle that is what it says."""
    for mime, (magic, _) in _PICTURES.items():
        value = _joined(data.get(mime))
        if not value:
            continue
        if mime == "image/svg+xml":
            return well_formed(value).encode(), mime
        try:
            decoded = base64.b64decode(value)
        except (binascii.Error, ValueError):
            continue
        if decoded.startswith(magic):
            return decoded, mime
    return None


def _beyond(data: dict[str, Any], pictured: bool) -> dict[str, Any]:
    """What a bundle has beyond plain text and, where that is shown, its picture."""
    known = {"text/plain", *_UNSTORED, *(_PICTURES if pictured else ())}
    return {mime: value for mime, value in data.items() if mime not in known}


def _text(data: dict[str, Any]) -> str:
    return plain(_joined(data.get("text/plain")))


def _joined(value: Any) -> str:
    """Text of a bundle; nbformat allows a list of lines."""
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""


def _size(value: Any) -> int:
    return len(value) if isinstance(value, str) else len(json.dumps(value, default=str))
