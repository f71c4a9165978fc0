"""Files."""

from __future__ import annotations

from typing import TypeVar

from ..errors import InvalidRequest
from ..ids import new_id
from ..metrics import UPLOADED, UPLOADS
from ..store.blobs import Blob
from ..store.database import Store
from ..store.files import StoredFile
from ..store.transaction import Transaction
from ..wire.assistant import Assistant
from ..wire.file import File, FileDeleted
from ..wire.file_params import CreateFile, FileListQuery
from ..wire.stored import StoredPage
from ..wire.thread import Thread
from .lookup import now, require_file

MAX_NAME = 1024
"""Most characters of a file's name."""

Holder = TypeVar("Holder", Assistant, Thread)


class Files:
    """The rules about files."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def create(self, params: CreateFile, *, filename: str, blob: Blob) -> File:
        """A new file of a content that is stored already; what is refused is discarded.

        The name is kept as it is; nothing on this host is ever called by it.
        """
        lifetime = params.expires_after
        created_at = now()
        try:
            file = File(
                id=new_id("file"),
                purpose=params.purpose,
                filename=checked_name(filename),
                bytes=blob.size,
                created_at=created_at,
                expires_at=None if lifetime is None else created_at + lifetime.seconds,
            )
            if blob.size == 0:
                raise InvalidRequest("File is empty.", param="file")
            async with self._store.transaction() as tx:
                await drop_expired(tx)
                await tx.files.insert(file, sha256=blob.sha256)
            count_upload(file.bytes)
        except BaseException:
            await self._store.discard(blob)
            raise
        return file

    async def get(self, id: str) -> File:
        """The file; raises `NotFound`."""
        return (await require_file(self._store, id)).file

    async def list(self, query: FileListQuery) -> StoredPage[File]:
        """One page of all files, or of those of one purpose."""
        return await self._store.reading(
            lambda tables: tables.files.page(
                query.limit, query.order, query.after, purpose=query.purpose
            )
        )

    async def content(self, id: str) -> StoredFile:
        """The file with the whereabouts of its content; raises `NotFound`."""
        return await require_file(self._store, id)

    async def delete(self, id: str) -> FileDeleted:
        """Remove the file, and its name wherever tools would look for it."""
        async with self._store.transaction() as tx:
            await require_file(tx, id)
            await _detach(tx, id)
            await tx.files.delete(id)
        return FileDeleted(id=id)


def count_upload(size: int) -> None:
    """Count a file that a client has sent, of *size* bytes."""
    UPLOADS.inc()
    UPLOADED.inc(size)


def checked_name(filename: str) -> str:
    """The name to keep; raises `InvalidRequest` for one that is too long."""
    if len(filename) > MAX_NAME:
        raise InvalidRequest(
            f"Invalid 'file': file name too long. Expected a name with maximum length {MAX_NAME}, "
            f"but got a name with length {len(filename)} instead.",
            param="file",
            code="string_above_max_length",
        )
    # half surrogates come from names that were not UTF-8; neither JSON nor SQLite can hold them
    return filename.encode("utf-8", "replace").decode() or "upload"


async def drop_expired(tx: Transaction) -> None:
    """Remove files whose time is over; they are not found any more as it is."""
    for id in await tx.files.delete_expired():
        await _detach(tx, id)


async def _detach(tx: Transaction, file_id: str) -> None:
    """Take a file from assistants and threads; messages keep the record that they had it."""
    for assistant in await tx.assistants.mentioning(file_id):
        await tx.assistants.update(_without(assistant, file_id))
    for thread in await tx.threads.mentioning(file_id):
        await tx.threads.update(_without(thread, file_id))


def _without(holder: Holder, file_id: str) -> Holder:
    ids = holder.tool_resources.code_files
    if file_id not in ids:
        return holder
    resources = holder.tool_resources.with_code_files([id for id in ids if id != file_id])
    return holder.model_copy(update={"tool_resources": resources})
