"""Reading a file piece by piece without ever keeping the event loop waiting for a disk."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from typing import Final

from .. import to_thread
from .contents import CHUNK
from .uninterrupted import uninterrupted

_AT_ONCE: Final = getattr(os, "RWF_NOWAIT", None) if sys.platform.startswith("linux") else None


async def file_chunks(
    descriptor: int, start: int = 0, end: int | None = None
) -> AsyncGenerator[bytes, None]:
    """The bytes of the open file from *start* up to but not including *end*, or what is there.

    What the system has in memory is taken at once, everything else on a thread. The descriptor
    stays open, and must until the generator is closed. Raises OSError.
    """
    buffer = bytearray(CHUNK)
    at = start
    while end is None or at < end:
        count = CHUNK if end is None else min(CHUNK, end - at)
        chunk = _cached(descriptor, buffer, count, at)
        if chunk:
            await asyncio.sleep(0)  # others have their turn, though nothing was waited for
        else:
            # uninterrupted: the descriptor must not be closed under a thread that reads it
            chunk = await uninterrupted(to_thread.start(os.pread, descriptor, count, at))
        if not chunk:
            return
        at += len(chunk)
        yield chunk


def _cached(descriptor: int, buffer: bytearray, count: int, at: int) -> bytes:
    """As many of the bytes as can be had without waiting; none where that cannot be known."""
    if _AT_ONCE is None:
        return b""
    with memoryview(buffer) as view:
        try:
            read = os.preadv(descriptor, [view[:count]], at, _AT_ONCE)
        except OSError:  # not in memory, or a file system that cannot tell
            return b""
        return bytes(view[:read])
