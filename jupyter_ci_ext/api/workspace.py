"""The user's own files: what comes from Jupyter's contents manager, and what goes there.

Paths are those of the contents manager, which says what may be read and written. Its errors are
HTTP errors already.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from jupyter_core.utils import ensure_async
from jupyter_server.services.contents.fileio import FileManagerMixin
from jupyter_server.services.contents.largefilemanager import (
    AsyncLargeFileManager,
    LargeFileManager,
)
from jupyter_server.utils import ApiPath, to_os_path
from nbformat import NotebookNode

from .. import to_thread
from ..errors import InvalidRequest
from ..services.bundle import Services
from ..services.notebook import safe_name
from ..store.database import Store
from ..store.files import StoredFile
from ..wire.extension import ImportFrom, Saved, SaveTo
from ..wire.file import File
from ..wire.file_params import CreateFile

# What is passed to a contents manager at a time; one that cannot append gets a file whole.
_PIECE_BYTES = 1024 * 1024
_MOST_WHOLE_BYTES = 64 * 1024 * 1024


class Workspace:
    """Moves files between the API and the contents manager."""

    def __init__(
        self, contents_manager: Any, services: Services, store: Store, upload_bytes: int | None
    ) -> None:
        self._manager = contents_manager
        self._services = services
        self._store = store
        self._upload_bytes = upload_bytes

    async def save(self, file_id: str, to: SaveTo) -> Saved:
        """Copy a file of the API into the workspace."""
        file = await self._services.files.content(file_id)
        path = await self._free_path(to, safe_name(file.file.filename))
        await self._write(path, file)
        return await self._saved(path, "file")

    async def import_file(self, source: ImportFrom) -> File:
        """Copy a file of the workspace into the API, as if it had been uploaded."""
        path = source.path.strip("/")
        model = await ensure_async(self._manager.get(path, content=False))
        if model["type"] == "directory":
            raise InvalidRequest(f"'{path}' is a folder, not a file.", param="path")
        content = await self._content(path)
        blob = await self._store.blobs.put(content, max_bytes=self._upload_bytes)
        params = CreateFile(purpose="assistants")
        return await self._services.files.create(params, filename=model["name"], blob=blob)

    async def export(self, thread_id: str, to: SaveTo) -> Saved:
        """Write a thread as a notebook, and its files into a folder beside it."""
        path = await self._free_path(to, "conversation.ipynb")
        if not path.endswith(".ipynb"):
            path += ".ipynb"
        parent, _, name = path.rpartition("/")
        export = await self._services.notebooks.export(thread_id, f"{name[:-6]}_files")
        folder = f"{parent}/{export.folder}".lstrip("/")
        if export.files and not await ensure_async(self._manager.dir_exists(folder)):
            await ensure_async(self._manager.save({"type": "directory"}, folder))
        for file_name, file in export.files.items():
            await self._write(f"{folder}/{file_name}", file)
        await self._write_notebook(path, export.notebook)
        return await self._saved(path, "notebook")

    # ---- the contents manager --------------------------------------------------------------

    async def _free_path(self, to: SaveTo, name: str) -> str:
        """Where *name* goes: a folder takes it, anything else is the name itself."""
        path = to.path.strip("/")
        if path and not await ensure_async(self._manager.dir_exists(path)):
            parent, _, name = path.rpartition("/")
            if parent and not await ensure_async(self._manager.dir_exists(parent)):
                raise InvalidRequest(f"There is no folder '{parent}'.", param="path")
            path = parent
        if not to.overwrite:
            name = await ensure_async(self._manager.increment_filename(name, path, insert="-"))
        return f"{path}/{name}".lstrip("/")

    async def _content(self, path: str) -> Path | bytes:
        if isinstance(self._manager, FileManagerMixin):
            root: str = self._manager.root_dir  # type: ignore[attr-defined]
            local = Path(to_os_path(ApiPath(path), root))
            return await to_thread.run_sync(local.resolve)
        model = await ensure_async(self._manager.get(path, type="file", format="base64"))
        return base64.b64decode(model["content"])

    async def _write(self, path: str, file: StoredFile) -> None:
        size = file.file.bytes
        appends = isinstance(self._manager, LargeFileManager | AsyncLargeFileManager)
        if size <= _PIECE_BYTES or not appends:
            if size > _MOST_WHOLE_BYTES:
                raise InvalidRequest("The workspace cannot take a file of this size.", param="path")
            whole = b"".join([piece async for piece in self._store.blobs.read(file.sha256)])
            await self._put(path, whole)
            return
        number = 0
        async for last, piece in _pieces(self._store.blobs.read(file.sha256), size):
            number += 1
            await self._put(path, piece, chunk=-1 if last else number)

    async def _put(self, path: str, content: bytes, **chunk: int) -> None:
        model = {
            "type": "file",
            "format": "base64",
            "content": base64.b64encode(content).decode(),
            **chunk,
        }
        await ensure_async(self._manager.save(model, path))

    async def _write_notebook(self, path: str, notebook: NotebookNode) -> None:
        model = {"type": "notebook", "format": "json", "content": notebook}
        await ensure_async(self._manager.save(model, path))

    async def _saved(self, path: str, kind: Any) -> Saved:
        model = await ensure_async(self._manager.get(path, content=False))
        return Saved(path=model["path"], name=model["name"], type=kind, size=model["size"] or 0)


async def _pieces(chunks: AsyncIterator[bytes], size: int) -> AsyncIterator[tuple[bool, bytes]]:
    """The content in pieces of some megabytes, and whether a piece is the last one."""
    gathered, seen = bytearray(), 0
    async for chunk in chunks:
        gathered += chunk
        seen += len(chunk)
        if len(gathered) >= _PIECE_BYTES or seen >= size:
            yield seen >= size, bytes(gathered)
            gathered.clear()
