"""Verbs of threads and of their messages."""

from __future__ import annotations

from ..wire.azure import file_id_in
from ..wire.message_params import CreateMessage, MessageListQuery, ModifyMessage
from ..wire.params import ListQuery
from ..wire.thread_params import CreateThread, ModifyThread
from .auth import authorized
from .resource import ResourceHandler


class ThreadsHandler(ResourceHandler):
    """``/threads``"""

    @authorized("read", resource="code_interpreter")
    async def get(self) -> None:
        """List threads, as Foundry has it."""
        self.reply(await self.services.threads.list(self.query(ListQuery)))

    @authorized("write", resource="code_interpreter")
    async def post(self) -> None:
        """Create a thread."""
        self.reply(await self.services.threads.create(self.params(CreateThread)))


class ThreadHandler(ResourceHandler):
    """``/threads/{thread_id}``"""

    @authorized("read", resource="code_interpreter")
    async def get(self, thread_id: str) -> None:
        """Retrieve a thread."""
        self.reply(await self.services.threads.get(thread_id))

    @authorized("write", resource="code_interpreter")
    async def post(self, thread_id: str) -> None:
        """Modify a thread."""
        self.reply(await self.services.threads.modify(thread_id, self.params(ModifyThread)))

    @authorized("write", resource="code_interpreter")
    async def delete(self, thread_id: str) -> None:
        """Delete a thread with all that belongs to it."""
        self.reply(await self.services.threads.delete(thread_id))


class MessagesHandler(ResourceHandler):
    """``/threads/{thread_id}/messages``"""

    @authorized("read", resource="code_interpreter")
    async def get(self, thread_id: str) -> None:
        """List messages."""
        self.reply(await self.services.messages.list(thread_id, self.query(MessageListQuery)))

    @authorized("write", resource="code_interpreter")
    async def post(self, thread_id: str) -> None:
        """Add a message."""
        self.reply(await self.services.messages.create(thread_id, self.params(CreateMessage)))


class MessageHandler(ResourceHandler):
    """``/threads/{thread_id}/messages/{message_id}``"""

    @authorized("read", resource="code_interpreter")
    async def get(self, thread_id: str, message_id: str) -> None:
        """Retrieve a message."""
        self.reply(await self.services.messages.get(thread_id, message_id))

    @authorized("write", resource="code_interpreter")
    async def post(self, thread_id: str, message_id: str) -> None:
        """Modify a message."""
        params = self.params(ModifyMessage)
        self.reply(await self.services.messages.modify(thread_id, message_id, params))

    @authorized("write", resource="code_interpreter")
    async def delete(self, thread_id: str, message_id: str) -> None:
        """Delete a message."""
        self.reply(await self.services.messages.delete(thread_id, message_id))


class MessageFilesHandler(ResourceHandler):
    """``/threads/{thread_id}/messages/{message_id}/files``, only in the API's first version"""

    @authorized("read", resource="code_interpreter")
    async def get(self, thread_id: str, message_id: str) -> None:
        """List a message's files."""
        query = self.query(ListQuery)
        self.reply(await self.services.messages.list_files(thread_id, message_id, query))


class MessageFileHandler(ResourceHandler):
    """``…/messages/{message_id}/files/{file_id}``, only in the API's first version"""

    @authorized("read", resource="code_interpreter")
    async def get(self, thread_id: str, message_id: str, file_id: str) -> None:
        """Retrieve one of a message's files."""
        file_id = file_id_in(file_id)
        self.reply(await self.services.messages.get_file(thread_id, message_id, file_id))
