"""Containers: the API's word for a thread's session with the code interpreter."""

from __future__ import annotations

from typing import Any, Literal

from .common import Sparse, WireObject


class ExpiresAfter(WireObject):
    """When an idle session is closed."""

    anchor: Literal["last_active_at"] = "last_active_at"
    """What the minutes are counted from."""
    minutes: int
    """Minutes of idleness."""


class Container(Sparse):
    """A live session."""

    id: str
    """``cntr_…``."""
    object: Literal["container"] = "container"
    """Always ``container``."""
    created_at: int
    """Unix time in seconds."""
    status: str
    """``running`` while there is a kernel."""
    expires_after: ExpiresAfter | None = None
    """When it is closed for idleness; absent: never."""
    last_active_at: int | None = None
    """When code last ran."""
    memory_limit: str | None = None
    """Most memory, as ``2g``; absent: no limit."""
    name: str
    """The thread it belongs to."""
    expires_at: int | None = None
    """When it is closed at the latest, Unix time in seconds; an addition to the API."""
    kernel_id: str | None = None
    """The Jupyter kernel; an addition to the API."""
    isolation: dict[str, Any] | None = None
    """Which layers keep it apart from the host; an addition to the API."""
    usage: dict[str, Any] | None = None
    """Memory, processor, processes and disk in use, and their limits; an addition to the API."""


class ContainerFile(WireObject):
    """A file in a session's workspace."""

    id: str
    """``cfile_…``, stable for a path."""
    object: Literal["container.file"] = "container.file"
    """Always ``container.file``."""
    created_at: int
    """When it was last written, Unix time in seconds."""
    bytes: int
    """Its size."""
    container_id: str
    """The session."""
    path: str
    """Where it is, from ``/mnt/data/``."""
    source: Literal["user", "assistant"]
    """Who put it there: ``user`` for uploaded files, ``assistant`` for what code wrote."""
