"""Messages of a thread."""

from __future__ import annotations

from typing import Literal

from .common import Metadata, WireObject
from .content import Content

MessageStatus = Literal["in_progress", "incomplete", "completed"]

IncompleteReason = Literal[
    "content_filter", "max_tokens", "run_cancelled", "run_expired", "run_failed"
]


class AttachmentTool(WireObject):
    """A tool that may read an attached file."""

    type: Literal["code_interpreter", "file_search"]
    """Name of the tool."""


class Attachment(WireObject):
    """A file that belongs to a message."""

    file_id: str
    """Id of the file."""
    tools: list[AttachmentTool] = []
    """Tools that may read it."""


class MessageIncompleteDetails(WireObject):
    """Why a message was not finished."""

    reason: IncompleteReason
    """The reason."""


class Message(WireObject):
    """A message of the user or of the assistant."""

    id: str
    """``msg_…``."""
    object: Literal["thread.message"] = "thread.message"
    """Always ``thread.message``."""
    created_at: int
    """Unix time in seconds."""
    assistant_id: str | None = None
    """Which assistant wrote it; null when a client did."""
    thread_id: str
    """The thread it stands in."""
    run_id: str | None = None
    """The run that wrote it; null when a client did."""
    status: MessageStatus = "completed"
    """Whether it is being written, broken off or done."""
    incomplete_details: MessageIncompleteDetails | None = None
    """Why it was broken off."""
    incomplete_at: int | None = None
    """When it was broken off."""
    completed_at: int | None = None
    """When it was done."""
    role: Literal["user", "assistant"]
    """Who speaks."""
    content: list[Content] = []
    """What is said."""
    attachments: list[Attachment] = []
    """Files that belong to it."""
    metadata: Metadata = {}
    """The client's pairs."""
