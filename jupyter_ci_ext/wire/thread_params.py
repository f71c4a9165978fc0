"""Threads as clients ask for them."""

from __future__ import annotations

from .message_params import MessagesParam
from .params import MetadataParam, Params
from .tool_params import ToolResourcesParam


class CreateThread(Params):
    """``POST /threads``; everything may be left out."""

    messages: MessagesParam | None = None
    """Messages to begin with."""
    tool_resources: ToolResourcesParam | None = None
    """What the tools can read in this thread."""
    metadata: MetadataParam | None = None
    """The client's pairs."""


class ModifyThread(Params):
    """``POST /threads/{thread_id}``: what is given replaces."""

    tool_resources: ToolResourcesParam | None = None
    """What the tools can read in this thread."""
    metadata: MetadataParam | None = None
    """The client's pairs."""
