"""Verb of the API's description."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from .. import to_thread
from .auth import authorized
from .base import BaseHandler
from .resource import ResourceHandler

Addresses = Callable[[], Iterator[tuple[str, type[BaseHandler]]]]


class DescriptionHandler(ResourceHandler):
    """``/openapi.json``"""

    def initialize(self, *, addresses: Addresses, **kwargs: Any) -> None:  # type: ignore[override]
        """*addresses*: all that there is to describe."""
        super().initialize(**kwargs)
        self.addresses = addresses

    @authorized("read", resource="code_interpreter")
    async def get(self) -> None:
        """Describe the API."""
        server = self.base_url.rstrip("/") or "/"  # relative: proxies know where that is
        self.write_json(await to_thread.run_sync(_described, self.addresses, server))


@cache
def _described(addresses: Addresses, server: str) -> dict[str, Any]:
    from .openapi import describe  # takes a while, and few ever ask

    return describe(addresses(), server)
