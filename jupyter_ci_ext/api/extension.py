"""Verbs of what only Jupyter users have: status, sessions, summaries of threads, the workspace."""

from __future__ import annotations

from ..wire.azure import file_id_in
from ..wire.extension import ImportFrom, SaveTo, StatusQuery, SummaryQuery
from .auth import authorized
from .resource import ResourceHandler


class StatusHandler(ResourceHandler):
    """``/status``"""

    @authorized("read", resource="code_interpreter")
    async def get(self) -> None:
        """Tell what is served and what its limits are; starts nothing."""
        self.reply(await self.rooms.status.report(self.query(StatusQuery)))


class SessionsHandler(ResourceHandler):
    """``/sessions``"""

    @authorized("read", resource="code_interpreter")
    async def get(self) -> None:
        """List live sessions."""
        self.reply(self.services.sessions.list())


class SessionHandler(ResourceHandler):
    """``/sessions/{thread_id}``"""

    @authorized("read", resource="code_interpreter")
    async def get(self, thread_id: str) -> None:
        """Retrieve a thread's session."""
        self.reply(await self.services.sessions.get(thread_id))

    @authorized("execute", resource="code_interpreter")
    async def delete(self, thread_id: str) -> None:
        """End a thread's session; its files stay."""
        self.reply(await self.services.sessions.close(thread_id))


class RestartHandler(ResourceHandler):
    """``/sessions/{thread_id}/restart``"""

    @authorized("execute", resource="code_interpreter")
    async def post(self, thread_id: str) -> None:
        """Throw a session's variables away."""
        self.reply(await self.services.sessions.restart(thread_id))


class InterruptHandler(ResourceHandler):
    """``/sessions/{thread_id}/interrupt``"""

    @authorized("execute", resource="code_interpreter")
    async def post(self, thread_id: str) -> None:
        """Stop the code that runs."""
        self.reply(await self.services.sessions.interrupt(thread_id))


class SummariesHandler(ResourceHandler):
    """``/threads``"""

    @authorized("read", resource="code_interpreter")
    async def get(self) -> None:
        """List threads with title, newest run and state of the session."""
        self.reply(await self.services.summaries.list(self.query(SummaryQuery)))


class SaveFileHandler(ResourceHandler):
    """``/files/{file_id}/save``"""

    @authorized("write", resource="code_interpreter")
    async def post(self, file_id: str) -> None:
        """Copy a file into the workspace."""
        self.reply(await self.rooms.workspace.save(file_id_in(file_id), self.params(SaveTo)))


class ImportFileHandler(ResourceHandler):
    """``/files/import``"""

    @authorized("write", resource="code_interpreter")
    async def post(self) -> None:
        """Copy a file of the workspace, as if it had been uploaded."""
        self.reply(await self.rooms.workspace.import_file(self.params(ImportFrom)))


class NotebookHandler(ResourceHandler):
    """``/threads/{thread_id}/notebook``"""

    @authorized("write", resource="code_interpreter")
    async def post(self, thread_id: str) -> None:
        """Write a thread as a notebook into the workspace."""
        self.reply(await self.rooms.workspace.export(thread_id, self.params(SaveTo)))
