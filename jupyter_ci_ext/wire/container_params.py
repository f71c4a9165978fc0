"""Containers and their files as clients send them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .params import FileId, ListQuery, Params

MemoryLimit = Literal["1g", "4g", "16g", "64g"]


class ContainerExpiry(Params):
    """When an idle container is to be closed."""

    anchor: Literal["last_active_at"]
    """What the minutes are counted from."""
    minutes: Annotated[int, Field(ge=1, le=525_600)]
    """Minutes of idleness; the server's own limit (``c.SessionPool.idle_timeout``) stays in force."""


class ContainerNetwork(Params):
    """What of the network a container may reach; here that is nothing."""

    type: Literal["disabled"]
    """Always ``disabled``."""


class CreateContainer(Params):
    """``POST /containers``."""

    name: Annotated[str, Field(min_length=1, max_length=512)]
    """For people, and for finding it in lists."""
    file_ids: Annotated[list[FileId], Field(max_length=100)] | None = None
    """Files to be copied into it."""
    expires_after: ContainerExpiry | None = None
    """When it is closed for idleness; none: as the server has it."""
    memory_limit: MemoryLimit | None = None
    """Most memory; more than the server's limit (``c.Sandbox.memory``) is cut to that."""
    network_policy: ContainerNetwork | None = None
    """What of the network it may reach."""


class CreateContainerFile(Params):
    """``POST /containers/{container_id}/files`` with a file that was uploaded before."""

    file_id: FileId
    """The file to be copied into the container."""


class ContainerListQuery(ListQuery):
    """``GET /containers``."""

    name: str | None = None
    """Only containers of this name; that of a thread's container is the thread's id."""
