"""The data of an event stream, as its bytes come in; pure.

The client library's own reader takes longer for an event than all else that is done to a token. What counts of
the format here is little: events end at a blank line, and of their fields only ``data`` says anything.
"""

from __future__ import annotations


class DataReader:
    """Feed it the bytes, then `close` it for an event that was not ended.

    Lines end with LF, CRLF or CR (https://html.spec.whatwg.org/multipage/server-sent-events.html).
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []  # of a line that has not ended
        self._data: list[bytes] = []  # of an event that has not ended

    def feed(self, piece: bytes) -> list[bytes]:
        """The data of the events that end with *piece*."""
        self._parts.append(piece)
        if b"\n" not in piece and b"\r" not in piece and not self._parts[0].endswith(b"\r"):
            return []
        text = b"".join(self._parts)
        held = b""
        if b"\r" in text:
            if text.endswith(b"\r"):  # the first half of a line's end, perhaps
                text, held = text[:-1], b"\r"
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = text.split(b"\n")
        self._parts = [rest + held]
        return self._read(lines)

    def close(self) -> list[bytes]:
        """The data of the last event, where the stream ends without a blank line."""
        last, self._parts = b"".join(self._parts), []
        return self._read([last.removesuffix(b"\r"), b""])

    def _read(self, lines: list[bytes]) -> list[bytes]:
        events = []
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[6:] if line.startswith(b" ", 5) else line[5:])
            elif not line and self._data:
                events.append(self._data[0] if len(self._data) == 1 else b"\n".join(self._data))
                self._data = []
            elif line == b"data":
                self._data.append(b"")
        return events
