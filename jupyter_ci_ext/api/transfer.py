"""Files on their way in and out: uploads straight into the blob store, downloads straight off it.

An upload that is refused is read to its end before the answer goes out. A server that answers early
and closes makes proxies report a 502 or 503 of their own, which clients take for a reason to retry.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import anyio
from tornado.ioloop import IOLoop
from tornado.iostream import StreamClosedError
from tornado.web import stream_request_body

from ..errors import CodeInterpreterError, InvalidRequest, PayloadTooLarge
from ..quiet import kind
from .multipart import Form, FormReader
from .ranges import Span, Unsatisfiable, parse_range
from .resource import ResourceHandler
from .routing import allow_long_body, large_pieces

if TYPE_CHECKING:
    from ..store.blobs import Blob, BlobWriter

# What a form may have beside its file.
_FORM_BYTES = 1024 * 1024


@stream_request_body
class UploadHandler(ResourceHandler):
    """Base of verbs that take a file: while the body arrives it is written to the blob store."""

    file_field = "file"
    """Name of the form's part that is the file."""

    max_bytes: int | None = None
    """Largest file that is taken; None: no limit."""

    _writer: BlobWriter

    def initialize(self, **kwargs: Any) -> None:
        """Called by tornado with what the url table says of the route."""
        super().initialize(**kwargs)
        self._refused = False
        self._reader: FormReader | None = None
        self._cleanup = AsyncExitStack()
        self._busy = asyncio.Lock()  # anyio's goes round the loop with each piece

    async def prepare(self) -> None:  # type: ignore[override]
        """Make ready to receive; whatever is wrong is kept until the body has been read."""
        allow_long_body(self.request)
        try:
            await super().prepare()
            if self.request.method == "POST":
                await self._open()
        except Exception as error:
            await self._refuse(error)

    async def _open(self) -> None:
        limit, announced = self.max_bytes, int(self.request.headers.get("Content-Length", 0))
        if limit is not None and announced > limit + _FORM_BYTES:
            raise PayloadTooLarge(f"The file is larger than the limit of {limit} bytes.")
        self._cleanup.enter_context(large_pieces(self.request))
        writer = self.rooms.store.blobs.writer(max_bytes=limit)
        self._writer = await self._cleanup.enter_async_context(writer)
        self._reader = FormReader(
            self.request.headers.get("Content-Type", ""),
            file_field=self.file_field,
            sink=self._writer,
        )

    async def data_received(self, chunk: bytes) -> None:
        """Called by tornado with each piece of the body; it waits for us before it reads on."""
        if not self._refused and self._reader is not None:
            try:
                async with self._busy:
                    await self._reader.feed(chunk)
            except Exception as error:
                await self._refuse(error)

    async def _refuse(self, error: Exception) -> None:
        self._refused = True
        await self._discard()

        def raise_refusal(*_args: Any, **_kwargs: Any) -> None:
            raise error

        # The verb would first look whether the caller is authorized, and answer 403 for all.
        setattr(self, str(self.request.method).lower(), raise_refusal)

    def form(self) -> Form:
        """The form, with all of its file received."""
        assert self._reader is not None
        form = self._reader.finish()
        if not form.has_file:
            raise InvalidRequest(f"'{self.file_field}' is a required property")
        return form

    async def blob(self) -> Blob:
        """The stored content; the service it is given to discards it if it refuses it."""
        blob = await self._writer.finish()
        await self._cleanup.aclose()
        return blob

    async def _discard(self) -> None:
        async with self._busy:
            await self._cleanup.aclose()

    def on_finish(self) -> None:
        """Called by tornado after the answer: let go of what was not kept."""
        super().on_finish()
        IOLoop.current().add_callback(self._discard)

    def on_connection_close(self) -> None:
        """Called by tornado when the client went away: nothing of its upload stays."""
        super().on_connection_close()
        IOLoop.current().add_callback(self._discard)


@dataclass(frozen=True)
class Content:
    """What is given away: *read* takes the first byte and the one after the last."""

    filename: str
    size: int
    version: str
    """Another one for other bytes."""
    read: Callable[[int, int], AsyncIterator[bytes]]


class DownloadHandler(ResourceHandler):
    """Base of verbs that give a content away, whole or in part."""

    @property
    def content_security_policy(self) -> str:
        """Should a browser show the content after all, then as a page that may do nothing."""
        return f"{super().content_security_policy}; sandbox"

    async def send_blob(self, sha256: str, size: int, filename: str) -> None:
        """Answer with a stored content, or with the range of it that was asked for."""
        read = self.rooms.store.blobs.read
        await self.send(Content(filename, size, sha256, partial(read, sha256)))

    async def send(self, content: Content) -> None:
        """Answer with *content*, or with the range of it that was asked for."""
        self.set_header("Accept-Ranges", "bytes")
        self.set_header("ETag", f'"{content.version}"')
        self.set_header("Content-Disposition", attachment(content.filename))
        self.set_header("Cache-Control", "private, no-cache")
        self.stamp()
        try:
            span = self._span(content)
        except Unsatisfiable:
            self.set_status(416)
            self.set_header("Content-Range", f"bytes */{content.size}")
            self.finish(set_content_type="application/octet-stream")
            return
        if span is not None:
            self.set_status(206)
            self.set_header("Content-Range", f"bytes {span.start}-{span.stop - 1}/{content.size}")
        start, stop = span or (0, content.size)
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("Content-Length", str(stop - start))
        await self._pump(content.read(start, stop))

    def _span(self, content: Content) -> Span | None:
        version = f'"{content.version}"'
        same = self.request.headers.get("If-Range", version) == version
        return parse_range(self.request.headers.get("Range"), content.size) if same else None

    async def _pump(self, chunks: AsyncIterator[bytes]) -> None:
        try:
            async for chunk in chunks:
                with anyio.fail_after(self.api.stall):
                    self.write(chunk)
                    await self.flush()
        except (StreamClosedError, TimeoutError, CodeInterpreterError) as error:
            # Too late for an error's answer: what is sent is cut short, which the client notices.
            self.log.info("%s: download broke off: %s", self.request_id, kind(error))
            self.hang_up()
        else:
            self.finish(set_content_type="application/octet-stream")


def attachment(filename: str) -> str:
    """A Content-Disposition that saves under *filename* (RFC 6266)."""
    base = filename.replace("\\", "/").rsplit("/", 1)[-1]
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"%' else "_" for c in base)
    if plain == base:
        return f'attachment; filename="{plain}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(base, safe='')}"
