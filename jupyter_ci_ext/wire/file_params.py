"""Files and uploads as clients send them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import from_json

from .params import Params, TextParams, refuse

_PURPOSES = ("fine-tune", "assistants", "batch", "user_data", "vision", "evals")


def _check_purpose(value: Any) -> Any:
    if value not in _PURPOSES and isinstance(value, str):
        refuse(lambda path: f"'{value[:100]}' is not one of {[*_PURPOSES]!r} - '{path}'", None)
    return value


UploadPurpose = Annotated[
    Literal["fine-tune", "assistants", "batch", "user_data", "vision", "evals"],
    BeforeValidator(_check_purpose),
]
"""Purposes a client may upload for."""

Lifetime = Annotated[int, Field(ge=3600, le=2_592_000)]


class FileLifetimeForm(TextParams):
    """When an uploaded file is to be deleted, as form fields."""

    anchor: Literal["created_at"]
    """What the seconds are counted from."""
    seconds: Lifetime
    """An hour to thirty days."""


def _object(value: Any) -> Any:
    """Fields of an object come as ``a[b]``; clients made by generators send it as JSON."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            return from_json(value)
        except ValueError:
            return value
    return value


class CreateFile(TextParams):
    """The form fields of ``POST /files`` beside the file itself."""

    purpose: UploadPurpose
    """What it is for."""
    expires_after: Annotated[FileLifetimeForm | None, BeforeValidator(_object)] = None
    """When it is to be deleted; none: never."""


class FileListQuery(TextParams):
    """``GET /files``."""

    limit: Annotated[int, Field(ge=1, le=10_000)] = 10_000
    """Most objects to answer."""
    order: Literal["asc", "desc"] = "desc"
    """By time of creation."""
    after: str | None = None
    """Begin after the object of this id."""
    purpose: str | None = None
    """Only files of this purpose."""


class FileLifetime(Params):
    """When a file is to be deleted."""

    anchor: Literal["created_at"]
    """What the seconds are counted from."""
    seconds: Lifetime
    """An hour to thirty days."""


class CreateUpload(Params):
    """``POST /uploads``."""

    filename: Annotated[str, Field(min_length=1, max_length=1024)]
    """Name the file will have."""
    purpose: UploadPurpose
    """What it is for."""
    bytes: Annotated[int, Field(ge=1, le=8 * 2**30)]
    """Its size."""
    mime_type: Annotated[str, Field(max_length=256)]
    """Its MIME type."""
    expires_after: FileLifetime | None = None
    """When the file is to be deleted; none: never."""


class CompleteUpload(Params):
    """``POST /uploads/{upload_id}/complete``."""

    part_ids: Annotated[list[str], Field(max_length=10_000)]
    """Ids of the parts, in the order of the file."""
    md5: Annotated[str, Field(max_length=64)] | None = None
    """MD5 of the whole file, hexadecimal; checked where given."""
