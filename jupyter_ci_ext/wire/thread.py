"""Threads."""

from __future__ import annotations

from typing import Literal

from .common import Metadata, WireObject
from .tools import ToolResources


class Thread(WireObject):
    """A conversation."""

    id: str
    """``thread_…``."""
    object: Literal["thread"] = "thread"
    """Always ``thread``."""
    created_at: int
    """Unix time in seconds."""
    metadata: Metadata = {}
    """The client's pairs; ``title`` is the thread's name."""
    tool_resources: ToolResources = ToolResources()
    """What the tools can read in this thread."""
