"""Containers: the API's word for sessions with the code interpreter."""

from __future__ import annotations

from typing import Any, Literal

from .common import Sparse, WireObject


class ExpiresAfter(WireObject):
    """When an idle session is closed."""

    anchor: Literal["last_active_at"] = "last_active_at"
    """What the minutes are counted from."""
    minutes: int
    """Minutes of idleness."""


class NetworkPolicy(WireObject):
    """What of the network can be reached."""

    type: Literal["disabled"] = "disabled"
    """Always ``disabled``: nothing."""


class Container(Sparse):
    """A session and its files: a thread's, or one that a client made."""

    id: str
    """``cntr_…``; that of a thread's container ends as the thread's id does."""
    object: Literal["container"] = "container"
    """Always ``container``."""
    created_at: int
    """Unix time in seconds; for a thread's container that of the thread."""
    status: Literal["running", "expired"]
    """``running`` while there is a kernel; ``expired`` when only the files are left."""
    expires_after: ExpiresAfter | None = None
    """When it is closed for idleness; absent: never."""
    last_active_at: int | None = None
    """When it was last used; absent where that is not known any more."""
    memory_limit: str | None = None
    """Most memory that is granted, as ``2g``; absent: no limit."""
    network_policy: NetworkPolicy = NetworkPolicy()
    """What of the network can be reached."""
    name: str
    """As the client has named it; the id of the thread it belongs to."""
    expires_at: int | None = None
    """When the kernel is closed if nothing happens, Unix time in seconds; an addition to the API."""
    kernel_id: str | None = None
    """The Jupyter kernel; an addition to the API."""
    isolation: dict[str, Any] | None = None
    """Which layers keep it apart from the host; an addition to the API."""
    usage: dict[str, Any] | None = None
    """Memory, processor, processes and disk in use, and their limits; an addition to the API."""


class ContainerFile(WireObject):
    """A file in a session's workspace."""

    id: str
    """``cfile_…``; stays the same as long as the path does."""
    object: Literal["container.file"] = "container.file"
    """Always ``container.file``."""
    created_at: int
    """When it was last written, Unix time in seconds."""
    bytes: int
    """Its size."""
    container_id: str
    """The container."""
    path: str
    """Where it is, from ``/mnt/data/``."""
    source: Literal["user", "assistant"]
    """Who put it there: ``user`` for uploaded files, ``assistant`` for what code wrote."""
