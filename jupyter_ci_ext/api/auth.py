"""Jupyter Server's ``@authorized``, with the types of what it decorates kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeVar, cast

from jupyter_server.auth import decorator

Verb = TypeVar("Verb", bound=Callable[..., Awaitable[None]])


def authorized(
    action: Literal["read", "write", "execute"], *, resource: str
) -> Callable[[Verb], Verb]:
    """Let the verb run only where Jupyter's authorizer allows *action* on *resource*; else 403."""
    decorate: Any = decorator.authorized
    return cast(Callable[[Verb], Verb], decorate(action, resource=resource))
