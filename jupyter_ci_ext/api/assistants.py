"""Verbs of assistants."""

from __future__ import annotations

from ..wire.assistant_params import CreateAssistant, ModifyAssistant
from ..wire.params import ListQuery
from .auth import authorized
from .resource import ResourceHandler


class AssistantsHandler(ResourceHandler):
    """``/assistants``"""

    @authorized("read", resource="code_interpreter")
    async def get(self) -> None:
        """List assistants."""
        self.reply(await self.services.assistants.list(self.query(ListQuery)))

    @authorized("write", resource="code_interpreter")
    async def post(self) -> None:
        """Create an assistant."""
        self.reply(await self.services.assistants.create(self.params(CreateAssistant)))


class AssistantHandler(ResourceHandler):
    """``/assistants/{assistant_id}``"""

    @authorized("read", resource="code_interpreter")
    async def get(self, assistant_id: str) -> None:
        """Retrieve an assistant."""
        self.reply(await self.services.assistants.get(assistant_id))

    @authorized("write", resource="code_interpreter")
    async def post(self, assistant_id: str) -> None:
        """Modify an assistant."""
        params = self.params(ModifyAssistant)
        self.reply(await self.services.assistants.modify(assistant_id, params))

    @authorized("write", resource="code_interpreter")
    async def delete(self, assistant_id: str) -> None:
        """Delete an assistant."""
        self.reply(await self.services.assistants.delete(assistant_id))
