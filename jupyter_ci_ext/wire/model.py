"""Models."""

from __future__ import annotations

from typing import Literal

from .common import WireObject


class Model(WireObject):
    """A language model that runs can use."""

    id: str
    """Its name."""
    object: Literal["model"] = "model"
    """Always ``model``."""
    created: int
    """Unix time in seconds; 0 where it is not known."""
    owned_by: str
    """Who runs it."""


class ModelList(WireObject):
    """All models; this list has no pages."""

    object: Literal["list"] = "list"
    """Always ``list``."""
    data: list[Model]
    """The models."""
