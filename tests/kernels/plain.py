"""Real kernels of a real server's kernel manager, without the sandbox: that has its own tests."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager

from jupyter_ci_ext.kernels.config import SessionPool
from jupyter_ci_ext.kernels.launcher import Kernel, Launcher
from jupyter_ci_ext.kernels.outputs import ExecutionEnd, Output, StreamText
from jupyter_ci_ext.kernels.pool import Sessions
from jupyter_ci_ext.kernels.session import Session
from jupyter_ci_ext.lifecycle import Tell, unheard
from jupyter_ci_ext.sandbox.config import Sandbox
from jupyter_ci_ext.sandbox.policy import Launch


class PlainLauncher(Launcher):
    """Starts ordinary kernels whose working directory is the workspace."""

    async def start(self, launch: Launch) -> Kernel:
        kernel_id = await self._manager.start_kernel(
            kernel_name="python3", cwd=str(launch.workspace)
        )
        manager = self._manager.get_kernel(kernel_id)
        manager.stop_restarter()
        manager.autorestart = False
        return Kernel(self._manager, kernel_id, str(launch.workspace))


@contextlib.asynccontextmanager
async def pool(
    folder: Path,
    launcher: Launcher,
    sandbox: dict[str, Any] | None = None,
    tell: Tell = unheard,
    **config: Any,
) -> AsyncIterator[Sessions]:
    """A pool that keeps its files in *folder*; no spares unless asked for."""
    sessions = Sessions(
        SessionPool(**({"warm_spares": 0, "preload": []} | config)),
        Sandbox(**(sandbox or {})),
        None,
        folder / "workspaces",
        logging.getLogger("test"),
        launcher=launcher,
        tell=tell,
    )
    await sessions.start()
    try:
        yield sessions
    finally:
        await sessions.stop()


@contextlib.asynccontextmanager
async def plain_pool(
    folder: Path, sandbox: dict[str, Any] | None = None, **config: Any
) -> AsyncIterator[tuple[Sessions, Any]]:
    """A pool of unsandboxed kernels, and the kernel manager; nothing is left when it ends."""
    (folder / "run").mkdir(exist_ok=True)
    manager = AsyncMappingKernelManager(connection_dir=str(folder / "run"))
    async with pool(folder, PlainLauncher(manager, "python3"), sandbox, **config) as sessions:
        yield sessions, manager
    assert list(manager.list_kernel_ids()) == []


async def run(session: Session, code: str) -> list[Output]:
    """All outputs of *code*."""
    async with contextlib.aclosing(session.execute(code)) as outputs:
        return [output async for output in outputs]


async def end_of(session: Session, code: str) -> ExecutionEnd:
    """How *code* ended."""
    last = (await run(session, code))[-1]
    assert isinstance(last, ExecutionEnd)
    return last


async def printed(session: Session, code: str) -> str:
    """What *code* printed."""
    outputs = await run(session, code)
    return "".join(output.text for output in outputs if isinstance(output, StreamText))


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for something that happens in the background."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.02)
