"""Assistants as clients ask for them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .choice_params import ResponseFormatParam
from .params import MetadataParam, Params
from .tool_params import ToolResourcesParam, ToolsParam
from .tools import ReasoningEffort

ModelName = Annotated[str, Field(min_length=1, max_length=256, examples=["demo"])]
Instructions = Annotated[str, Field(max_length=256_000)]
Temperature = Annotated[float, Field(ge=0.0, le=2.0)]
TopP = Annotated[float, Field(ge=0.0, le=1.0)]


class ModifyAssistant(Params):
    """``POST /assistants/{assistant_id}``: what is given replaces, null sets the default."""

    model: ModelName | None = None
    """Name of the model; null leaves it as it is."""
    name: Annotated[str, Field(max_length=256)] | None = None
    """Its name."""
    description: Annotated[str, Field(max_length=512)] | None = None
    """What it is for."""
    instructions: Instructions | None = None
    """What the model is told first."""
    tools: ToolsParam | None = None
    """Tools the model may use."""
    tool_resources: ToolResourcesParam | None = None
    """What the tools can read."""
    metadata: MetadataParam | None = None
    """The client's pairs."""
    temperature: Temperature | None = None
    """Sampling temperature."""
    top_p: TopP | None = None
    """Nucleus sampling."""
    response_format: ResponseFormatParam | None = None
    """The form the answer must have."""
    reasoning_effort: ReasoningEffort | None = None
    """How much a reasoning model should think."""


class CreateAssistant(ModifyAssistant):
    """``POST /assistants``."""

    model: ModelName
    """Name of the model."""
