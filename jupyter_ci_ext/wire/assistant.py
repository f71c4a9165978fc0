"""Assistants."""

from __future__ import annotations

from typing import Literal

from .common import Metadata, WireObject
from .tools import ReasoningEffort, ResponseFormat, Tool, ToolResources


class Assistant(WireObject):
    """A model with instructions, tools and files."""

    id: str
    """``asst_…``."""
    object: Literal["assistant"] = "assistant"
    """Always ``assistant``."""
    created_at: int
    """Unix time in seconds."""
    name: str | None = None
    """Its name."""
    description: str | None = None
    """What it is for."""
    model: str
    """Name of the model."""
    instructions: str | None = None
    """What the model is told first."""
    tools: list[Tool] = []
    """Tools the model may use."""
    top_p: float | None = 1.0
    """Nucleus sampling."""
    temperature: float | None = 1.0
    """Sampling temperature."""
    reasoning_effort: ReasoningEffort | None = None
    """How much a reasoning model should think; null: its default."""
    tool_resources: ToolResources = ToolResources()
    """What the tools can read."""
    metadata: Metadata = {}
    """The client's pairs."""
    response_format: ResponseFormat = "auto"
    """The form the answer must have."""
