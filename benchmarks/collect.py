"""Collecting 50 new files of 10 MB after a cell, against ``cp`` of the same."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from jupyter_ci_ext.engine.interpreter import Interpreter
from jupyter_ci_ext.engine.limits import RunLimits
from jupyter_ci_ext.engine.stop import Stop
from jupyter_ci_ext.engine.values import CodeResult, FilesMade
from jupyter_ci_ext.kernels.outputs import ExecutionEnd, Output
from jupyter_ci_ext.kernels.slots import Slots
from jupyter_ci_ext.kernels.workspace import Collected, StagedFile, Workspace
from jupyter_ci_ext.llm.base import CodeCall
from jupyter_ci_ext.store.database import Store

from .measure import Measure, Result, at_most, interleaved

FILES, SIZE = 50, 10**7
ROUNDS = 3


def measure() -> Iterator[Result]:
    """From the end of the cell to its result, files stored; the cell itself is not timed."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        ours, cp = interleaved(ROUNDS, _ours(Path(folder)), _cp(Path(folder)))
    yield Result(
        f"collecting {FILES} new files of 10 MB",
        "ms",
        ours,
        cp,
        "`cp` and `sync`",
        at_most(1.5),
        "ours also verifies and hashes",
    )


def _write(folder: Path) -> None:
    for number in range(FILES):
        (folder / f"{number:02}.bin").write_bytes(os.urandom(4096) * (SIZE // 4096))
    os.sync()


def _cp(folder: Path) -> Measure:
    def measure() -> float:
        source, target = folder / "source", folder / "target"
        source.mkdir()
        _write(source)
        began = time.perf_counter()
        subprocess.run(["cp", "-r", source, target], check=True)
        subprocess.run(["sync", *target.iterdir()], check=True)
        took = time.perf_counter() - began
        shutil.rmtree(source)
        shutil.rmtree(target)
        return took * 1000

    return measure


class _WritingSession:
    """Runs no kernel: its "cell" writes the files, and what follows is the real thing."""

    fresh = True
    data_path = "/mnt/data"
    folder_path = ""
    id = "cntr_bench"

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.ended = 0.0

    @property
    def info(self) -> _WritingSession:
        return self

    @property
    def names(self) -> dict[str, str]:
        return self._workspace.names

    async def stage(self, files: Sequence[StagedFile]) -> None:
        await self._workspace.stage(files)

    async def execute(self, code: str) -> AsyncIterator[Output]:
        await asyncio.to_thread(_write, self._workspace.path)
        self.ended = time.perf_counter()
        yield ExecutionEnd("ok")

    async def interrupt(self) -> None:
        raise AssertionError("nothing to interrupt")

    async def collect(self) -> Collected:
        return await self._workspace.collect()

    def open_file(self, name: str) -> BinaryIO | None:
        return self._workspace.open_file(name)

    @asynccontextmanager
    async def use(self, key: str, *, folder: str = "") -> AsyncIterator[_WritingSession]:
        yield self


def _ours(folder: Path) -> Measure:
    async def measured() -> float:
        data_dir = folder / "data"
        store = await Store.open(data_dir)
        slots = Slots(data_dir / "workspaces")
        slots.prepare()
        slot = slots.open("thread_bench")
        workspace = Workspace(slot, slots.incoming, max_new_files=FILES, max_file_size=2 * SIZE)
        session = _WritingSession(workspace)
        interpreter = Interpreter(
            session, "thread_bench", store.blobs, Stop(), RunLimits(), files=()
        )
        made = 0
        async for value in interpreter.run(CodeCall("call_bench", "write()")):
            if isinstance(value, FilesMade):
                made = len(value.files)
            if isinstance(value, CodeResult):
                took = time.perf_counter() - session.ended
        await interpreter.close()
        slot.release()
        await store.close()
        shutil.rmtree(data_dir)
        if made != FILES:
            raise RuntimeError(f"{made} files were collected")
        return took * 1000

    return lambda: asyncio.run(measured())
