"""Forms with a file, parsed while they arrive; the file goes to disk, never into memory.

The parser is python-multipart's. What stays here is what the API asks for: one file, a few short
text fields, limits, and names as clients write them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from ..errors import InvalidRequest

MOST_PARTS = 64
MOST_FIELD_BYTES = 64 * 1024

_EXTENDED_NAME = re.compile(rb";\s*filename\*\s*=\s*([\w-]+)'[^']*'([^;\s]+)", re.IGNORECASE)
# Browsers, and clients that follow them, escape exactly these three in a quoted file name.
_ESCAPES = ((b"%22", b'"'), (b"%0D", b"\r"), (b"%0A", b"\n"))


class Sink(Protocol):
    """Where the file's bytes go."""

    async def write(self, data: bytes) -> None:
        """Take more bytes."""


@dataclass
class Form:
    """What was sent: text fields in order, and the file if there was one."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    filename: str | None = None
    has_file: bool = False


@dataclass
class _Part:
    name: str = ""
    filename: str | None = None
    value: bytearray = field(default_factory=bytearray)


class FormReader:
    """Takes a multipart body piece by piece, and passes the part *file_field* on to *sink*.

    ``feed`` and ``finish`` raise `InvalidRequest`, ``feed`` also what the sink raises; after that no
    more may be fed.
    """

    def __init__(self, content_type: str, *, file_field: str, sink: Sink) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            given = kind.decode("latin-1") or "none"
            raise InvalidRequest(
                f"Invalid Content-Type header ({given}), expected multipart/form-data with a "
                "boundary."
            )
        self.form = Form()
        self._file_field = file_field
        self._sink = sink
        self._pieces: list[bytes] = []
        self._parts = 0
        self._part = _Part()
        self._in_file = False
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._part_begin,
                    "on_header_field": lambda d, s, e: self._header[0].extend(d[s:e]),
                    "on_header_value": lambda d, s, e: self._header[1].extend(d[s:e]),
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._headers_finished,
                    "on_part_data": self._part_data,
                    "on_part_end": self._part_end,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise _broken(error) from None

    async def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _broken(error) from None
        pieces, self._pieces = self._pieces, []
        if pieces:
            await self._sink.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def finish(self) -> Form:
        """The body is complete; what was in the form."""
        if not self._ended:
            raise InvalidRequest("Could not parse multipart form: the body ended too early.")
        return self.form

    # ---- called by the parser --------------------------------------------------------------

    def _part_begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise InvalidRequest(f"Too many parts in the form, at most {MOST_PARTS} are taken.")
        self._part = _Part()
        self._in_file = False

    def _header_end(self) -> None:
        name, value = (bytes(b) for b in self._header)
        self._header = (bytearray(), bytearray())
        if name.strip().lower() == b"content-disposition":
            _, options = parse_options_header(value)
            self._part.name = _text(options.get(b"name", b""))
            self._part.filename = _file_name(value, options.get(b"filename"))

    def _headers_finished(self) -> None:
        if self._part.name == self._file_field and self._part.filename is not None:
            if self.form.has_file:
                raise InvalidRequest(
                    f"Only one '{self._file_field}' is taken.", param=self._file_field
                )
            self._in_file = self.form.has_file = True
            self.form.filename = self._part.filename

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._pieces.append(data[start:end])  # no copy of a chunk that is all file
            return
        self._part.value += data[start:end]
        if len(self._part.value) > MOST_FIELD_BYTES:
            name = self._part.name
            raise InvalidRequest(f"The form's field '{name}' is too long.", param=name)

    def _part_end(self) -> None:
        if not self._in_file:
            self.form.fields.append((self._part.name, _text(bytes(self._part.value))))

    def _end(self) -> None:
        self._ended = True


def _broken(error: FormParserError) -> InvalidRequest:
    return InvalidRequest(f"Could not parse multipart form: {error}")


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _file_name(header: bytes, plain: bytes | None) -> str | None:
    """The name as the client meant it: ``filename*`` where it is given, else ``filename``."""
    extended = _EXTENDED_NAME.search(header)
    if extended is not None:
        charset, quoted = extended.groups()
        try:
            name = unquote_to_bytes(quoted).decode(charset.decode())
            name.encode()  # some charsets spell half characters
            return name
        except (LookupError, UnicodeError):
            pass
    if plain is None:
        return None
    for escape, char in _ESCAPES:
        plain = plain.replace(escape, char)
    return _text(plain)
