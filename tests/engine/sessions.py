"""Sessions that do what a script says, named by how they behave; workspaces on the real disk."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from jupyter_ci_ext.errors import CodeInterpreterError
from jupyter_ci_ext.kernels.outputs import ExecutionEnd, Output
from jupyter_ci_ext.kernels.workspace import Collected, NewFile, StagedFile

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""A picture of one pixel."""


@dataclass(frozen=True)
class Info:
    id: str


@dataclass
class Cell:
    """What one execution does: files it writes, what it puts out, what it waits for, its end."""

    outputs: Sequence[Output] = ()
    files: dict[str, bytes] = field(default_factory=dict)
    waits: asyncio.Event | None = None
    end: ExecutionEnd = field(default_factory=lambda: ExecutionEnd("ok", seconds=0.5))
    notes: Sequence[str] = ()


class ScriptedSession:
    """Runs one `Cell` after the other; by an interrupt a waiting one ends."""

    def __init__(self, folder: Path, cells: Sequence[Cell]) -> None:
        self.folder = folder
        self.fresh = True
        self.names: dict[str, str] = {}
        self.aliases: dict[str, str] = {}
        self.data_path = "/mnt/data"
        self.folder_path = ""
        self.executed: list[str] = []
        self.interrupts = 0
        self.running = asyncio.Event()
        self._id = "cntr_1"
        self._cells = list(cells)
        self._changed: set[str] = set()
        self._interrupted = asyncio.Event()
        self._notes: list[str] = []
        folder.mkdir(exist_ok=True)

    @property
    def info(self) -> Info:
        return Info(self._id)

    async def stage(self, files: Sequence[StagedFile]) -> None:
        for file in files:
            self.names[file.id] = file.name
            self.aliases |= dict.fromkeys(file.aliases, file.name)
            (self.folder / file.name).write_bytes(file.path.read_bytes())

    async def execute(self, code: str) -> AsyncIterator[Output]:
        assert self._cells, "more code is run than the test expects"
        cell = self._cells.pop(0)
        self.executed.append(code)
        for name, content in cell.files.items():
            path = self.folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
            self._changed.add(name)
        self._notes = list(cell.notes)
        for output in cell.outputs:
            yield output
        end = cell.end
        if cell.waits is not None:
            self.running.set()
            waiting = [asyncio.ensure_future(e.wait()) for e in (cell.waits, self._interrupted)]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for each in waiting:
                each.cancel()
            if self._interrupted.is_set():
                end = ExecutionEnd("interrupted", "The code was stopped. Variables are kept.")
        if not end.kept:
            self._id += "x"
        yield end

    async def interrupt(self) -> None:
        self.interrupts += 1
        self._interrupted.set()

    async def collect(self) -> Collected:
        files = []
        for name in sorted(self._changed):
            content = (self.folder / name).read_bytes()
            copy = self.folder / f".copy-{len(name)}-{name.replace('/', '_')}"
            copy.write_bytes(content)
            sha256 = hashlib.sha256(content).hexdigest()
            files.append(NewFile(name, copy, len(content), sha256))
        self._changed.clear()
        return Collected(files, self._notes)

    def open_file(self, name: str) -> BinaryIO | None:
        path = self.folder / name
        return path.open("rb") if path.is_file() else None


class ScriptedSessions:
    """One session for all; counts how often it is taken and given back."""

    def __init__(self, folder: Path, *cells: Cell) -> None:
        self.session = ScriptedSession(folder, cells)
        self.taken = 0
        self.held = 0

    @asynccontextmanager
    async def use(self, key: str, *, folder: str = "") -> AsyncIterator[ScriptedSession]:
        self.taken += 1
        self.held += 1
        try:
            yield self.session
        finally:
            self.held -= 1
            self.session.fresh = False


class FullSessions:
    """All sessions are in use, for ever."""

    def __init__(self) -> None:
        self.waiting = asyncio.Event()

    @asynccontextmanager
    async def use(self, key: str, *, folder: str = "") -> AsyncIterator[ScriptedSession]:
        self.waiting.set()
        await asyncio.Event().wait()
        raise AssertionError
        yield


class BrokenSessions:
    """Raises an error whenever a session is wanted."""

    def __init__(self, error: CodeInterpreterError) -> None:
        self._error = error

    @asynccontextmanager
    async def use(self, key: str, *, folder: str = "") -> AsyncIterator[ScriptedSession]:
        raise self._error
        yield


Sessions = ScriptedSessions | FullSessions | BrokenSessions
MakeSessions = Callable[[Path], Sessions]
