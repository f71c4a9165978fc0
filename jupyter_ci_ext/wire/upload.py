"""Uploads: a file sent in parts."""

from __future__ import annotations

from typing import Literal

from .common import Sparse, WireObject
from .file import File, FilePurpose


class Upload(Sparse):
    """A file that is being sent in parts."""

    id: str
    """``upload_…``."""
    object: Literal["upload"] = "upload"
    """Always ``upload``."""
    bytes: int
    """Size the whole file will have."""
    created_at: int
    """Unix time in seconds."""
    filename: str
    """Name the file will have."""
    purpose: FilePurpose
    """What it is for."""
    status: Literal["pending", "completed", "cancelled", "expired"] = "pending"
    """Where it stands."""
    expires_at: int
    """Until when parts are taken: an hour after it was created."""
    file: File | None = None
    """The file; absent until the upload is completed."""


class UploadPart(WireObject):
    """One part of an upload."""

    id: str
    """``part_…``."""
    object: Literal["upload.part"] = "upload.part"
    """Always ``upload.part``."""
    created_at: int
    """Unix time in seconds."""
    upload_id: str
    """The upload."""
