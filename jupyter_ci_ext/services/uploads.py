"""Uploads: files that are sent in parts."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ..errors import InvalidRequest, NotFound
from ..ids import new_id
from ..store.blobs import Blob
from ..store.database import Store
from ..store.transaction import Tables
from ..store.uploads import StoredPart, StoredUpload
from ..wire.file import File
from ..wire.file_params import CompleteUpload, CreateUpload
from ..wire.upload import Upload, UploadPart
from .files import checked_name, count_upload, drop_expired
from .lookup import now

LIFETIME = 3600
"""Seconds during which parts are taken."""


class Uploads:
    """The rules about uploads."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def create(self, params: CreateUpload) -> Upload:
        """Begin to send a file in parts."""
        stamp = now()
        upload = Upload(
            id=new_id("upload"),
            bytes=params.bytes,
            created_at=stamp,
            filename=checked_name(params.filename),
            purpose=params.purpose,
            expires_at=stamp + LIFETIME,
        )
        seconds = None if params.expires_after is None else params.expires_after.seconds
        async with self._store.transaction() as tx:
            for due in await tx.uploads.due(stamp):
                await tx.uploads.update(due.upload.model_copy(update={"status": "expired"}))
            await tx.uploads.insert(upload, mime=params.mime_type, expires_after=seconds)
        return upload

    async def add_part(self, id: str, blob: Blob) -> UploadPart:
        """Add a part whose content is stored already; what is refused is discarded."""
        part = UploadPart(id=new_id("part"), created_at=now(), upload_id=id)
        try:
            async with self._store.transaction() as tx:
                await _pending(tx, id, "Cannot add a part to")
                await tx.uploads.add_part(part, sha256=blob.sha256, size=blob.size)
        except BaseException:
            await self._store.discard(blob)
            raise
        return part

    async def complete(self, id: str, params: CompleteUpload) -> Upload:
        """Make the file of the parts, in the order they are named in.

        Raises `InvalidRequest` when size or MD5 are not what was announced; the upload stays
        pending then.
        """
        pending = await _pending(self._store, id, "Cannot complete")
        parts = _chosen(await self._store.uploads.parts(id), params.part_ids)
        size = sum(part.size for part in parts)
        if size != pending.upload.bytes:
            raise InvalidRequest(
                f"The parts have {size} bytes together, but the upload was created for "
                f"{pending.upload.bytes} bytes.",
                param="part_ids",
            )
        blob = await self._store.blobs.put(self._joined(parts), md5=params.md5 is not None)
        try:
            if params.md5 is not None and params.md5.lower() != blob.md5:
                raise InvalidRequest(
                    f"The MD5 of the parts is {blob.md5}, not the one given.", param="md5"
                )
            return await self._finish(id, blob)
        except BaseException:
            await self._store.discard(blob)
            raise

    async def cancel(self, id: str) -> Upload:
        """Give the upload up; its parts are removed."""
        async with self._store.transaction() as tx:
            pending = await _pending(tx, id, "Cannot cancel")
            upload = pending.upload.model_copy(update={"status": "cancelled"})
            await tx.uploads.update(upload)
        return upload

    async def _finish(self, id: str, blob: Blob) -> Upload:
        stamp = now()
        async with self._store.transaction() as tx:
            pending = await _pending(tx, id, "Cannot complete")
            upload, seconds = pending.upload, pending.expires_after
            file = File(
                id=new_id("file"),
                purpose=upload.purpose,
                filename=upload.filename,
                bytes=blob.size,
                created_at=stamp,
                expires_at=None if seconds is None else stamp + seconds,
            )
            await drop_expired(tx)
            await tx.files.insert(file, sha256=blob.sha256)
            done = upload.model_copy(update={"status": "completed", "file": file})
            await tx.uploads.update(done)
        count_upload(blob.size)
        return done

    async def _joined(self, parts: list[StoredPart]) -> AsyncIterator[bytes]:
        for part in parts:
            async for chunk in self._store.blobs.read(part.sha256):
                yield chunk


async def _pending(tables: Tables, id: str, cannot: str) -> StoredUpload:
    """The upload, which must still take parts."""
    stored = await tables.uploads.get(id)
    if stored is None:
        raise NotFound(f"No upload found with id '{id[:100]}'.")
    status = stored.upload.status
    if status == "pending" and stored.upload.expires_at <= now():
        status = "expired"
    if status != "pending":
        raise InvalidRequest(f"{cannot} an upload with status '{status}'.")
    return stored


def _chosen(parts: list[StoredPart], ids: list[str]) -> list[StoredPart]:
    """The parts of these ids, each once, in this order."""
    there = {part.id: part for part in parts}
    for n, id in enumerate(ids):
        if id not in there:
            raise InvalidRequest(
                f"No part found with id '{id[:100]}' in this upload.", param=f"part_ids[{n}]"
            )
        if id in ids[:n]:
            raise InvalidRequest(
                f"The part '{id}' is named more than once.", param=f"part_ids[{n}]"
            )
    return [there[id] for id in ids]
