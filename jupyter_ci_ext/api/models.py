"""Verbs of models."""

from __future__ import annotations

from .auth import authorized
from .resource import ResourceHandler


class ModelsHandler(ResourceHandler):
    """``/models``"""

    @authorized("read", resource="code_interpreter")
    async def get(self) -> None:
        """List models."""
        self.reply(await self.services.models.list())


class ModelHandler(ResourceHandler):
    """``/models/{model}``"""

    @authorized("read", resource="code_interpreter")
    async def get(self, model: str) -> None:
        """Retrieve a model."""
        self.reply(await self.services.models.get(model))
