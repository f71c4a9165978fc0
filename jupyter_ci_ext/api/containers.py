"""Verbs of containers and of the files in them."""

from __future__ import annotations

from ..errors import PayloadTooLarge
from ..wire import azure
from ..wire.container_params import ContainerListQuery, CreateContainer, CreateContainerFile
from ..wire.params import ListQuery
from ..wire.validation import parse
from .auth import authorized
from .resource import ResourceHandler
from .transfer import Content, DownloadHandler, UploadHandler


class ContainersHandler(ResourceHandler):
    """``/containers``"""

    @authorized("read", resource="code_interpreter")
    async def get(self) -> None:
        """List containers."""
        self.reply(await self.services.containers.list(self.query(ContainerListQuery)))

    @authorized("execute", resource="code_interpreter")
    async def post(self) -> None:
        """Create a container and start it."""
        self.reply(await self.services.containers.create(self.params(CreateContainer)))


class ContainerHandler(ResourceHandler):
    """``/containers/{container_id}``"""

    @authorized("read", resource="code_interpreter")
    async def get(self, container_id: str) -> None:
        """Retrieve a container."""
        self.reply(await self.services.containers.get(container_id))

    @authorized("execute", resource="code_interpreter")
    async def delete(self, container_id: str) -> None:
        """End a container and remove its files."""
        self.reply(await self.services.containers.delete(container_id))


class RestartContainerHandler(ResourceHandler):
    """``/containers/{container_id}/restart``"""

    @authorized("execute", resource="code_interpreter")
    async def post(self, container_id: str) -> None:
        """Throw a container's variables away, or start it again."""
        self.reply(await self.services.containers.restart(container_id))


class InterruptContainerHandler(ResourceHandler):
    """``/containers/{container_id}/interrupt``"""

    @authorized("execute", resource="code_interpreter")
    async def post(self, container_id: str) -> None:
        """Stop the code that runs."""
        self.reply(await self.services.containers.interrupt(container_id))


class ContainerFilesHandler(UploadHandler):
    """``/containers/{container_id}/files``"""

    _json: bytearray | None = None

    @property
    def max_bytes(self) -> int | None:  # type: ignore[override]
        """The configured limit."""
        return self.api.upload_bytes

    @authorized("read", resource="code_interpreter")
    async def get(self, container_id: str) -> None:
        """List the files of a container."""
        query = self.query(ListQuery)
        self.reply(await self.services.container_files.list(container_id, query))

    @authorized("write", resource="code_interpreter")
    async def post(self, container_id: str) -> None:
        """Put a file into a container: one that is sent, or one that was uploaded before."""
        files, named = self.services.container_files, self._named()
        if named is not None:
            self.reply(await files.add(container_id, named))
            return
        name = self.form().filename or ""
        self.reply(await files.upload(container_id, name, await self.blob()))

    async def _open(self) -> None:
        kind = self.request.headers.get("Content-Type", "").partition(";")[0]
        if kind.strip().lower() == "multipart/form-data":
            await super()._open()
        else:
            self._json = bytearray()

    async def data_received(self, chunk: bytes) -> None:
        """Called by tornado with each piece of the body."""
        if self._json is None or self._refused:
            await super().data_received(chunk)
            return
        self.body.add(chunk)
        if self.body.exceeded:
            limit = self.body.limit
            await self._refuse(PayloadTooLarge(f"Request body too large: at most {limit} bytes."))
        else:
            self._json += chunk

    def _named(self) -> CreateContainerFile | None:
        """The file that the body names; None if it brings one along."""
        if self._json is not None:
            self.request.body = bytes(self._json)
            return self.params(CreateContainerFile)
        assert self._reader is not None
        form = self._reader.finish()
        if form.has_file:
            return None
        return parse(CreateContainerFile, azure.incoming(dict(form.fields)))


class ContainerFileHandler(ResourceHandler):
    """``/containers/{container_id}/files/{file_id}``"""

    @authorized("read", resource="code_interpreter")
    async def get(self, container_id: str, file_id: str) -> None:
        """Retrieve what is known of a file in a container."""
        self.reply(await self.services.container_files.get(container_id, file_id))

    @authorized("write", resource="code_interpreter")
    async def delete(self, container_id: str, file_id: str) -> None:
        """Remove a file from a container."""
        self.reply(await self.services.container_files.delete(container_id, file_id))


class ContainerFileContentHandler(DownloadHandler):
    """``/containers/{container_id}/files/{file_id}/content``"""

    @authorized("read", resource="code_interpreter")
    async def get(self, container_id: str, file_id: str) -> None:
        """Download a file of a container, or a range of it."""
        opened = await self.services.container_files.content(container_id, file_id)
        try:
            await self.send(Content(opened.name, opened.size, opened.version, opened.read))
        finally:
            await opened.close()
