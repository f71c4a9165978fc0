"""Messages as clients send them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from .content import (
    Content,
    ImageDetail,
    ImageFile,
    ImageFileContent,
    ImageURL,
    ImageURLContent,
    Text,
    TextContent,
)
from .message import Attachment, AttachmentTool
from .params import BY_TYPE, FileId, ListQuery, MetadataParam, Params, refuse, refuse_type, tag

MessageText = Annotated[str, Field(min_length=1, max_length=256_000)]


class TextPartParam(Params):
    """A part that is text."""

    type: Literal["text"]
    """Always ``text``."""
    text: MessageText
    """The text."""

    def to_content(self) -> Content:
        """The part as it is stored."""
        return TextContent(text=Text(value=self.text))


class ImageFileParam(Params):
    """An uploaded picture."""

    file_id: FileId
    """Id of the file."""
    detail: ImageDetail | None = None
    """How closely the model should look."""


class ImageFilePartParam(Params):
    """A part that is an uploaded picture."""

    type: Literal["image_file"]
    """Always ``image_file``."""
    image_file: ImageFileParam
    """The picture."""

    def to_content(self) -> Content:
        """The part as it is stored."""
        given = self.image_file
        image = ImageFile(file_id=given.file_id, detail=given.detail or "auto")
        return ImageFileContent(image_file=image)


class ImageURLParam(Params):
    """A picture on the web, or a data URL."""

    url: Annotated[str, Field(min_length=1)]
    """Where it is."""
    detail: ImageDetail | None = None
    """How closely the model should look."""


class ImageURLPartParam(Params):
    """A part that is a picture on the web."""

    type: Literal["image_url"]
    """Always ``image_url``."""
    image_url: ImageURLParam
    """The picture."""

    def to_content(self) -> Content:
        """The part as it is stored."""
        image = ImageURL(url=self.image_url.url, detail=self.image_url.detail or "auto")
        return ImageURLContent(image_url=image)


PartParam = Annotated[
    Annotated[ImageFilePartParam, tag("image_file")]
    | Annotated[ImageURLPartParam, tag("image_url")]
    | Annotated[TextPartParam, tag("text")],
    BY_TYPE,
]


def _text_or_parts(value: Any) -> str:
    return "<text>" if isinstance(value, str) else "<parts>"


def _is_text_or_array(value: Any) -> Any:
    if not isinstance(value, str | list):
        refuse_type("one of a string or array of objects")
    return value


ContentParam = Annotated[
    Annotated[MessageText, Tag("<text>")]
    | Annotated[list[PartParam], Field(min_length=1), Tag("<parts>")],
    Discriminator(_text_or_parts),
    BeforeValidator(_is_text_or_array),
]


class AttachmentToolParam(Params):
    """A tool that may read an attached file."""

    type: Literal["code_interpreter", "file_search"]
    """Name of the tool."""


class AttachmentParam(Params):
    """A file that belongs to a message."""

    file_id: FileId
    """Id of an uploaded file."""
    tools: Annotated[list[AttachmentToolParam], Field(max_length=128)] | None = None
    """Tools that may read it."""

    def to_attachment(self) -> Attachment:
        """The attachment as it is stored."""
        tools = [AttachmentTool(type=tool.type) for tool in self.tools or ()]
        return Attachment(file_id=self.file_id, tools=tools)


_MOST = 100_000


def _not_too_many(messages: list[Any]) -> list[Any]:
    if len(messages) > _MOST:
        refuse(
            lambda path: (
                f"Invalid '{path}': array too long. Expected an array with maximum length {_MOST}, "
                f"but got an array with length {len(messages)} instead."
            ),
            "array_above_max_length",
        )
    return messages


AT_ONCE = AfterValidator(_not_too_many)
"""Holds messages given at once to as many as a thread may have; too many to be described, lest
programs that try out what is described send as many."""


class CreateMessage(Params):
    """``POST /threads/{thread_id}/messages``, and messages given with a thread or a run."""

    role: Literal["user", "assistant"]
    """Who speaks."""
    content: ContentParam
    """A text, or parts."""
    attachments: list[AttachmentParam] | None = None
    """Files that belong to it."""
    metadata: MetadataParam | None = None
    """The client's pairs."""

    def to_content(self) -> list[Content]:
        """The content as it is stored."""
        if isinstance(self.content, str):
            return [TextContent(text=Text(value=self.content))]
        return [part.to_content() for part in self.content]

    def to_attachments(self) -> list[Attachment]:
        """The attachments as they are stored."""
        return [attachment.to_attachment() for attachment in self.attachments or ()]

    def file_ids(self) -> list[tuple[str, str]]:
        """Every file the message names, with the parameter that names it."""
        found = [
            (f"attachments[{n}].file_id", attachment.file_id)
            for n, attachment in enumerate(self.attachments or ())
        ]
        if not isinstance(self.content, str):
            found += [
                (f"content[{n}].image_file.file_id", part.image_file.file_id)
                for n, part in enumerate(self.content)
                if isinstance(part, ImageFilePartParam)
            ]
        return found


MessagesParam = Annotated[list[CreateMessage], AT_ONCE]


class ModifyMessage(Params):
    """``POST /threads/{thread_id}/messages/{message_id}``."""

    metadata: MetadataParam | None = None
    """Replaces the client's pairs."""


class MessageListQuery(ListQuery):
    """``GET /threads/{thread_id}/messages``."""

    run_id: str | None = None
    """Only messages this run wrote."""
