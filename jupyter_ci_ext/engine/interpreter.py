"""Running a run's code in its thread's session, and making files of what it leaves.

The session is taken when the first code of a stretch of work is to run, and kept to the end of that
stretch, so that nobody else's run makes it give way in between. While somebody waits for a session,
or for code, a stop is heeded: the waiting ends, the code is interrupted and its outputs are kept.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from jupyter_ci_ext import to_thread
from jupyter_ci_ext.engine.cells import Cell, Shown
from jupyter_ci_ext.engine.limits import RunLimits
from jupyter_ci_ext.engine.paths import FAMILIAR, into_code, out_of_output
from jupyter_ci_ext.engine.results import FRESH, result_text
from jupyter_ci_ext.engine.stop import Stop, attend, either
from jupyter_ci_ext.engine.values import (
    CodeOutput,
    CodeResult,
    FilesMade,
    Logs,
    Made,
    Picture,
    Rich,
)
from jupyter_ci_ext.errors import SessionLost
from jupyter_ci_ext.kernels.attach import INSIDE
from jupyter_ci_ext.kernels.outputs import ExecutionEnd, Output
from jupyter_ci_ext.kernels.workspace import Collected, NewFile, StagedFile
from jupyter_ci_ext.llm.base import CodeCall, ImagePart
from jupyter_ci_ext.store.blobs import Blobs, OwnFile
from jupyter_ci_ext.wire.azure import AZURE_FILE, file_id_out


class SessionInfo(Protocol):
    """What the engine reads of a session's state."""

    @property
    def id(self) -> str:
        """Another one whenever variables have been lost."""
        ...


class CodeSession(Protocol):
    """What the engine uses of `jupyter_ci_ext.kernels.session.Session`."""

    fresh: bool

    @property
    def info(self) -> SessionInfo: ...
    @property
    def names(self) -> dict[str, str]: ...
    @property
    def data_path(self) -> str: ...
    @property
    def folder_path(self) -> str: ...
    async def stage(self, files: Sequence[StagedFile]) -> None: ...
    def execute(self, code: str) -> AsyncIterator[Output]: ...
    async def interrupt(self) -> None: ...
    async def collect(self) -> Collected: ...
    def open_file(self, name: str) -> BinaryIO | None: ...


class SessionSource(Protocol):
    """What the engine uses of `jupyter_ci_ext.kernels.pool.Sessions`."""

    def use(self, key: str, *, folder: str = "") -> AbstractAsyncContextManager[Any]: ...


class Interpreter:
    """Runs code for one stretch of a run; `close` gives the session back.

    *names* are those that the model was told of *files*, by id. *earlier* says whether code ran on
    the thread before, whose variables the model may count on. *folder* is attached to it. *number* is the number of the first
    execution, from which pictures take their names.
    """

    def __init__(
        self,
        sessions: SessionSource,
        key: str,
        blobs: Blobs,
        stop: Stop,
        limits: RunLimits,
        *,
        files: Sequence[StagedFile] = (),
        names: Mapping[str, str] | None = None,
        earlier: bool = False,
        folder: str = "",
        number: int = 1,
    ) -> None:
        self._sessions = sessions
        self._key = key
        self._blobs = blobs
        self._stop = stop
        self._limits = limits
        self._files = files
        self._told_names = dict(names or {})
        self._earlier = earlier
        self._folder = folder
        self._number = number
        self._held = AsyncExitStack()
        self._session: CodeSession | None = None
        self._known = ""  # id of the session in which the last code ran

    async def run(self, call: CodeCall) -> AsyncGenerator[CodeOutput | CodeResult, None]:
        """Run *call*; its outputs as they come, the `CodeResult` last.

        Raises `SandboxUnavailable` and `StoreError`; a session that is lost is a result.
        """
        number, self._number = self._number, self._number + 1
        cell = Cell(log_limit=self._limits.log_characters, rich_limit=self._limits.rich_characters)
        end = ExecutionEnd("interrupted", "The code was not run.")
        logs: list[str] = []
        images: list[ImagePart] = []
        pictures = 0
        notes: list[str] = []
        made: list[Made] = []
        try:
            session = await self._take(notes)
            if session is not None and not self._stop.asked:
                paths = {FAMILIAR: session.data_path}
                if session.folder_path:
                    paths[INSIDE] = session.folder_path
                source = into_code(call.source, paths)
                if AZURE_FILE in source:
                    await session.stage(list(map(_also_for_azure, self._files)))
                outputs = attend(session.execute(source), self._stop, session.interrupt)
                async with aclosing(outputs):
                    async for output in outputs:
                        if isinstance(output, ExecutionEnd):
                            end = output
                            break
                        for now in cell.feed(out_of_output(output, paths)):
                            value = await self._value(now, number, pictures, images)
                            pictures += isinstance(value, Picture)
                            if isinstance(value, Logs):
                                logs.append(value.text)
                            yield value
                self._note_session(session, end, notes)
                collected = await session.collect()
                notes += collected.notes
                made = await self._keep(collected.files)
        except SessionLost as error:
            end = ExecutionEnd("lost", error.message, kept=False)
        for late in cell.close():
            value = await self._value(late, number, pictures, images)
            pictures += isinstance(value, Picture)
            if isinstance(value, Logs):
                logs.append(value.text)
            yield value
        if end.status in ("timeout", "lost") and end.reason:
            # The model is told by the result; people and programs see it where output would be.
            for said in cell.say(f"[{end.reason}]\n"):
                yield said
        if made:
            yield FilesMade(tuple(made))
        text = result_text(
            "".join(logs),
            pictures=pictures,
            files=made,
            notes=notes,
            end=end,
            limit=self._limits.told_characters,
        )
        yield CodeResult(
            text,
            tuple(images),
            status=end.status,
            seconds=end.seconds,
            kept=end.kept,
            reason=" ".join(filter(None, [end.reason, *notes])),
        )

    @property
    def names(self) -> Mapping[str, str]:
        """File id → name below ``/mnt/data`` of the user's files, as far as is known."""
        return self._told_names if self._session is None else self._session.names

    @property
    def open(self) -> bool:
        """Whether it holds a session."""
        return self._session is not None

    async def take_file(self, name: str) -> Made | None:
        """The file of that name below ``/mnt/data`` as it is now, if the session is there."""
        session = self._session
        if session is None:
            return None
        file = await to_thread.run_sync(session.open_file, name)
        if file is None:
            return None
        try:
            blob = await self._blobs.put(file.fileno())
        finally:
            await to_thread.run_sync(file.close)
        return Made(os.path.basename(name) or name, blob.sha256, blob.size, name)

    async def close(self) -> None:
        """Give the session back; twice is fine."""
        self._session = None
        await self._held.aclose()

    async def _take(self, notes: list[str]) -> CodeSession | None:
        """The session with the user's files in it, or None when a stop came first."""
        if self._session is None:
            use = self._sessions.use(self._key, folder=self._folder)
            session: CodeSession | None = await either(
                self._held.enter_async_context(use), self._stop
            )
            if session is None:
                return None
            await session.stage(self._files)
            self._session = session
            for id, name in session.names.items():
                if self._told_names.get(id, name) != name:
                    notes.append(f"(File {id} is /mnt/data/{name} in this session.)")
        return self._session

    def _note_session(self, session: CodeSession, end: ExecutionEnd, notes: list[str]) -> None:
        """Tell the model when variables it counts on are gone, once."""
        if end.status == "lost":
            self._known, self._earlier = "", False  # the reason has told it
            return
        now = session.info.id
        renewed = session.fresh and self._earlier if not self._known else now != self._known
        if renewed:
            notes.insert(0, FRESH)
        self._known, self._earlier = now, True

    async def _value(
        self, shown: Logs | Shown | Rich, number: int, before: int, images: list[ImagePart]
    ) -> Logs | Picture | Rich:
        if not isinstance(shown, Shown):
            return shown
        blob = await self._blobs.put(shown.data)
        if shown.suffix != "svg" and len(shown.data) <= self._limits.picture_bytes:
            images.append(ImagePart(data=shown.data, mime=shown.mime))
        name = f"{number}-figure{f'-{before + 1}' if before else ''}.{shown.suffix}"
        return Picture(shown.index, Made(name, blob.sha256, blob.size))

    async def _keep(self, files: Sequence[NewFile]) -> list[Made]:
        own = [OwnFile(file.path, file.sha256, file.size) for file in files]
        try:
            blobs = await self._blobs.adopt(own)
        finally:
            await to_thread.run_sync(_discard, [file.path for file in files])
        return [
            Made(os.path.basename(file.name), blob.sha256, blob.size, file.name, file.replaces)
            for file, blob in zip(files, blobs, strict=True)
        ]


def _also_for_azure(file: StagedFile) -> StagedFile:
    """The file, to be found under the id that Azure's clients know as well.

    Only for code that speaks of such ids: nobody else is to meet each file a third time.
    """
    return replace(file, aliases=(file_id_out(file.id),))


def _discard(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
