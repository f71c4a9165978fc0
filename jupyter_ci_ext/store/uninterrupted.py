"""Waiting for something to its end, whoever gives up waiting.

SQL statements and file operations run on threads and cannot be called back: when the task that
waits for one is cancelled the statement still happens. What must be known to have happened before
anything else may follow (BEGIN, COMMIT, ROLLBACK, a write to a file that is about to be removed)
is therefore awaited here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakSet

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from .. import to_thread
from .faults import disk_fault

T = TypeVar("T")

_tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
"""Those that run something to its end; nobody else knows them, so nobody cancels them."""


async def uninterrupted(work: Awaitable[T]) -> T:
    """Run *work* to its end; a cancellation that arrives before or meanwhile is raised afterwards.

    Holds against both kinds of cancellation, anyio's scopes and ``asyncio.Task.cancel()``. When
    *work* fails its error wins, with the cancellation as its context.
    """
    if asyncio.current_task() in _tasks:
        with anyio.CancelScope(shield=True):
            result = await work
        await checkpoint_if_cancelled()
        return result
    task = asyncio.ensure_future(work)
    if task is not work:  # it was a coroutine, and the task is ours
        _tasks.add(task)
    try:
        await _ended(task)
    except asyncio.CancelledError as error:
        cancelled = error
    else:
        return task.result()
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await _ended(task)
            except asyncio.CancelledError as error:
                cancelled = error
    try:
        task.result()
    except Exception as error:
        raise error from cancelled
    raise cancelled


async def _ended(task: asyncio.Task[Any]) -> None:
    """Wait until *task* has ended, and leave it alone when the waiting is cancelled."""
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake(_: object) -> None:
        if not waiter.done():
            waiter.set_result(None)

    task.add_done_callback(wake)
    await waiter


async def on_disk(work: Callable[[], T], where: Path) -> T:
    """Run *work*, which blocks on the disk that holds *where*, on a thread, to its end.

    What the operating system has to object comes out as `StoreError`.
    """
    try:
        return await uninterrupted(to_thread.run_sync(work))
    except OSError as error:
        raise disk_fault(error, where) from error
