"""Blocking work on threads that do not outlive the server.

anyio's own ``to_thread.run_sync`` keeps threads that Python waits for at its exit, and ends them
with the task that started them. A Jupyter server without a terminal is stopped by SIGINT: its loop
just breaks off, no task ends, and the process would hang for ever (JupyterHub stops its servers in
this way). The threads of a `ThreadPoolExecutor` end when the interpreter does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, ParamSpec, TypeVar

import anyio
import anyio.lowlevel

P = ParamSpec("P")
T = TypeVar("T")

# Of our own: asyncio's default pool has a handful of threads, and kernels that start take them all.
_POOL: Final = ThreadPoolExecutor(max_workers=32, thread_name_prefix="code-interpreter")


def start(work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
    """Begin to run *work* on a thread.

    Cheaper than `run_sync` for whoever does it often, but cancelling the future does not stop the
    work: it must be waited for in some way that cannot be cancelled.
    """
    return asyncio.get_running_loop().run_in_executor(_POOL, partial(work, *args, **kwargs))


async def run_sync(work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:  # type: ignore[return]
    """Run *work* on a thread and wait until it is done, also when a cancel scope is cancelled."""
    await anyio.lowlevel.checkpoint()
    with anyio.CancelScope(shield=True):
        return await start(work, *args, **kwargs)
