"""Verbs of assistants."""

from __future__ import annotations

from ..wire.assistant_params import CreateAssistant, ModifyAssistant
from ..wire.azure import file_id_in
from ..wire.params import ListQuery
from ..wire.v1_params import CreateAssistantFile
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


class AssistantFilesHandler(ResourceHandler):
    """``/assistants/{assistant_id}/files``, only in the API's first version"""

    @authorized("read", resource="code_interpreter")
    async def get(self, assistant_id: str) -> None:
        """List an assistant's files."""
        query = self.query(ListQuery)
        self.reply(await self.services.assistants.list_files(assistant_id, query))

    @authorized("write", resource="code_interpreter")
    async def post(self, assistant_id: str) -> None:
        """Attach a file to an assistant."""
        params = self.params(CreateAssistantFile)
        self.reply(await self.services.assistants.add_file(assistant_id, params))


class AssistantFileHandler(ResourceHandler):
    """``/assistants/{assistant_id}/files/{file_id}``, only in the API's first version"""

    @authorized("read", resource="code_interpreter")
    async def get(self, assistant_id: str, file_id: str) -> None:
        """Retrieve one of an assistant's files."""
        self.reply(await self.services.assistants.get_file(assistant_id, file_id_in(file_id)))

    @authorized("write", resource="code_interpreter")
    async def delete(self, assistant_id: str, file_id: str) -> None:
        """Detach a file, which itself stays."""
        self.reply(await self.services.assistants.remove_file(assistant_id, file_id_in(file_id)))
