"""Parts of a message's content, and the annotations of its text."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .common import Sparse, WireObject

ImageDetail = Literal["auto", "low", "high"]


class FilePath(WireObject):
    """The file a link leads to."""

    file_id: str
    """Id of the file the code wrote."""


class FilePathAnnotation(WireObject):
    """A ``sandbox:/mnt/data/…`` target in the text, and the file behind it."""

    type: Literal["file_path"] = "file_path"
    """Always ``file_path``."""
    text: str
    """Exactly ``value[start_index:end_index]``."""
    start_index: int
    """Where it starts, in characters."""
    end_index: int
    """Where it ends, exclusive, in characters."""
    file_path: FilePath
    """The file."""


class FileCitation(Sparse):
    """The file that is cited."""

    file_id: str
    """Id of the file."""
    quote: str | None = None
    """The words that are cited; only in v1 and in deltas."""


class FileCitationAnnotation(WireObject):
    """A citation mark in the text, and the file it cites."""

    type: Literal["file_citation"] = "file_citation"
    """Always ``file_citation``."""
    text: str
    """Exactly ``value[start_index:end_index]``."""
    start_index: int
    """Where it starts, in characters."""
    end_index: int
    """Where it ends, exclusive, in characters."""
    file_citation: FileCitation
    """The file."""


Annotation = Annotated[FilePathAnnotation | FileCitationAnnotation, Field(discriminator="type")]


class Text(WireObject):
    """A text and its annotations."""

    value: str
    """The text."""
    annotations: list[Annotation] = []
    """Files linked or cited in it."""


class TextContent(WireObject):
    """A part that is text."""

    type: Literal["text"] = "text"
    """Always ``text``."""
    text: Text
    """The text."""


class ImageFile(Sparse):
    """A stored picture."""

    file_id: str
    """Id of the file."""
    detail: ImageDetail | None = None
    """How closely the model should look; absent for pictures made by code."""


class ImageFileContent(WireObject):
    """A part that is a stored picture."""

    type: Literal["image_file"] = "image_file"
    """Always ``image_file``."""
    image_file: ImageFile
    """The picture."""


class ImageURL(WireObject):
    """A picture somewhere on the web, or a data URL."""

    url: str
    """Where it is."""
    detail: ImageDetail = "auto"
    """How closely the model should look."""


class ImageURLContent(WireObject):
    """A part that is a picture on the web."""

    type: Literal["image_url"] = "image_url"
    """Always ``image_url``."""
    image_url: ImageURL
    """The picture."""


class RefusalContent(WireObject):
    """A part in which the model declines."""

    type: Literal["refusal"] = "refusal"
    """Always ``refusal``."""
    refusal: str
    """What it said."""


Content = Annotated[
    TextContent | ImageFileContent | ImageURLContent | RefusalContent, Field(discriminator="type")
]
