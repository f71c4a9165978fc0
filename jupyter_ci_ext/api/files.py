"""Verbs of files, and of uploads in parts."""

from __future__ import annotations

import re

from ..wire.azure import file_id_in
from ..wire.file_params import CompleteUpload, CreateFile, CreateUpload, FileListQuery
from ..wire.validation import parse
from .auth import authorized
from .multipart import Form
from .resource import ResourceHandler
from .transfer import DownloadHandler, UploadHandler

_NESTED = re.compile(r"(\w+)\[(\w+)\]")

# The API's own limit for one part of an upload.
PART_BYTES = 64 * 1024 * 1024


def file_params(form: Form) -> CreateFile:
    """The parameters of ``POST /files``; ``a[b]`` is how a form writes nested ones."""
    data: dict[str, object] = {}
    for name, value in form.fields:
        nested = _NESTED.fullmatch(name)
        if nested is None:
            data[name] = value
        else:
            inner = data.setdefault(nested[1], {})
            if isinstance(inner, dict):
                inner[nested[2]] = value
    return parse(CreateFile, data)


class FilesHandler(UploadHandler):
    """``/files``"""

    @property
    def max_bytes(self) -> int | None:  # type: ignore[override]
        """The configured limit."""
        return self.api.upload_bytes

    @authorized("read", resource="code_interpreter")
    async def get(self) -> None:
        """List files."""
        self.reply(await self.services.files.list(self.query(FileListQuery)))

    @authorized("write", resource="code_interpreter")
    async def post(self) -> None:
        """Upload a file."""
        form = self.form()
        params, filename = file_params(form), form.filename or ""
        blob = await self.blob()
        self.reply(await self.services.files.create(params, filename=filename, blob=blob))


class FileHandler(ResourceHandler):
    """``/files/{file_id}``"""

    @authorized("read", resource="code_interpreter")
    async def get(self, file_id: str) -> None:
        """Retrieve what is known of a file."""
        self.reply(await self.services.files.get(file_id_in(file_id)))

    @authorized("write", resource="code_interpreter")
    async def delete(self, file_id: str) -> None:
        """Delete a file."""
        self.reply(await self.services.files.delete(file_id_in(file_id)))


class FileContentHandler(DownloadHandler):
    """``/files/{file_id}/content``"""

    @authorized("read", resource="code_interpreter")
    async def get(self, file_id: str) -> None:
        """Download a file, or a range of it."""
        content = await self.services.files.content(file_id_in(file_id))
        await self.send_blob(content.sha256, content.file.bytes, content.file.filename)


class UploadsHandler(ResourceHandler):
    """``/uploads``"""

    @authorized("write", resource="code_interpreter")
    async def post(self) -> None:
        """Begin an upload in parts."""
        self.reply(await self.services.uploads.create(self.params(CreateUpload)))


class UploadPartsHandler(UploadHandler):
    """``/uploads/{upload_id}/parts``"""

    file_field = "data"
    max_bytes = PART_BYTES

    @authorized("write", resource="code_interpreter")
    async def post(self, upload_id: str) -> None:
        """Add a part."""
        self.form()
        self.reply(await self.services.uploads.add_part(upload_id, await self.blob()))


class CompleteUploadHandler(ResourceHandler):
    """``/uploads/{upload_id}/complete``"""

    @authorized("write", resource="code_interpreter")
    async def post(self, upload_id: str) -> None:
        """Make one file of the parts."""
        params = self.params(CompleteUpload)
        self.reply(await self.services.uploads.complete(upload_id, params))


class CancelUploadHandler(ResourceHandler):
    """``/uploads/{upload_id}/cancel``"""

    @authorized("write", resource="code_interpreter")
    async def post(self, upload_id: str) -> None:
        """Give an upload up."""
        self.reply(await self.services.uploads.cancel(upload_id))
