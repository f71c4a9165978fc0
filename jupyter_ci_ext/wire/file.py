"""Files."""

from __future__ import annotations

from typing import Literal

from .common import WireObject

FilePurpose = Literal[
    "assistants",
    "assistants_output",
    "batch",
    "batch_output",
    "fine-tune",
    "fine-tune-results",
    "vision",
    "user_data",
    "evals",
]


class File(WireObject):
    """A stored file: uploaded by a client, or written by code."""

    object: Literal["file"] = "file"
    """Always ``file``."""
    id: str
    """``file-…``."""
    purpose: FilePurpose
    """What it is for; ``assistants_output`` for files written by code."""
    filename: str
    """Its name as the client or the code gave it; never a path on this host."""
    bytes: int
    """Its size."""
    created_at: int
    """Unix time in seconds."""
    expires_at: int | None = None
    """When it will be deleted; null: never."""
    status: Literal["uploaded", "processed", "error"] = "processed"
    """Deprecated by the API; clients wait for ``processed``."""
    status_details: str | None = None
    """Deprecated by the API."""


class FileDeleted(WireObject):
    """What the deletion of a file answers; its keys stand in an order of their own."""

    object: Literal["file"] = "file"
    """Always ``file``."""
    deleted: bool = True
    """Always true."""
    id: str
    """Id of the file that is gone."""
