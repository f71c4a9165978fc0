"""Waiting for something to its end, whoever gives up waiting.

SQL statements and file operations run on threads and cannot be called back: when the task that
waits for one is cancelled the statement still happens. What must be known to have happened before
anything else may follow (BEGIN, COMMIT, ROLLBACK, a write to a file that is about to be removed)
is therefore awaited here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import anyio

T = TypeVar("T")


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Run *work* to its end; a cancellation that arrives meanwhile is raised afterwards.

    Holds against both kinds of cancellation, anyio's scopes and ``asyncio.Task.cancel()``. When
    *work* fails its error wins, with the cancellation as its context.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError as error:
                cancelled = error
    if cancelled is None:
        return task.result()
    try:
        task.result()
    except Exception as error:
        raise error from cancelled
    raise cancelled
