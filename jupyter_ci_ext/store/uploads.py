"""The tables of uploads and of the parts they are sent in."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from ..errors import NotFound
from ..wire.common import dump
from ..wire.upload import Upload, UploadPart
from .access import Access, Row

_COLUMNS = "body, mime, expires_after"


@dataclass(frozen=True)
class StoredUpload:
    """An upload with what clients do not see of it."""

    upload: Upload
    mime: str
    """The MIME type its client named."""
    expires_after: int | None = None
    """Seconds the finished file is to live; None: for ever."""


@dataclass(frozen=True)
class StoredPart:
    """A part and its content."""

    id: str
    sha256: str
    size: int


class Uploads:
    """Files that are sent in parts."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def insert(self, upload: Upload, *, mime: str, expires_after: int | None = None) -> None:
        """Store a new upload."""
        await self._access.execute(
            "INSERT INTO uploads (id, created_at, status, expires_at, mime, expires_after, body) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                upload.id,
                upload.created_at,
                upload.status,
                upload.expires_at,
                mime,
                expires_after,
                dump(upload),
            ),
        )

    async def get(self, id: str) -> StoredUpload | None:
        """The upload, or None."""
        rows = await self._access.fetch(f"SELECT {_COLUMNS} FROM uploads WHERE id = ?", (id,))
        return _read(rows[0]) if rows else None

    async def update(self, upload: Upload) -> bool:
        """Replace the upload; False when it is gone. Once it is over its parts go."""
        changed = await self._access.execute(
            "UPDATE uploads SET status = ?, expires_at = ?, body = ? WHERE id = ?",
            (upload.status, upload.expires_at, dump(upload), upload.id),
        )
        if upload.status != "pending":
            await self._drop_parts(upload.id)
        return changed > 0

    async def delete(self, id: str) -> bool:
        """Remove the upload and its parts; False when there was none."""
        await self._drop_parts(id)
        return await self._access.execute("DELETE FROM uploads WHERE id = ?", (id,)) > 0

    async def due(self, now: int) -> list[StoredUpload]:
        """Pending uploads whose time was over at *now* (Unix time in seconds)."""
        rows = await self._access.fetch(
            f"SELECT {_COLUMNS} FROM uploads WHERE status = 'pending' AND expires_at <= ?", (now,)
        )
        return [_read(row) for row in rows]

    async def add_part(self, part: UploadPart, *, sha256: str, size: int) -> None:
        """Store a new part whose content is a blob; raises `NotFound` when the upload is gone."""
        await self._access.keep_blob(sha256)
        try:
            await self._access.execute(
                "INSERT INTO upload_parts (id, created_at, upload_id, sha256, bytes) "
                "VALUES (?, ?, ?, ?, ?)",
                (part.id, part.created_at, part.upload_id, sha256, size),
            )
        except sqlite3.IntegrityError as error:
            if "FOREIGN KEY" in str(error):
                raise NotFound(f"No upload found with id '{part.upload_id}'.") from error
            raise

    async def parts(self, upload_id: str) -> list[StoredPart]:
        """The upload's parts in the order in which they came."""
        rows = await self._access.fetch(
            "SELECT id, sha256, bytes FROM upload_parts WHERE upload_id = ? ORDER BY seq",
            (upload_id,),
        )
        return [StoredPart(str(id), str(sha256), int(size or 0)) for id, sha256, size in rows]

    async def _drop_parts(self, upload_id: str) -> None:
        for part in await self.parts(upload_id):
            self._access.release_blob(part.sha256)
        await self._access.execute("DELETE FROM upload_parts WHERE upload_id = ?", (upload_id,))


def _read(row: Row) -> StoredUpload:
    body, mime, expires_after = row
    seconds = expires_after if isinstance(expires_after, int) else None
    return StoredUpload(Upload.model_validate_json(str(body)), str(mime), seconds)
