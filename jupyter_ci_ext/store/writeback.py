"""Starting to write to the disk before somebody waits for it."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Final

STEP: Final = 8 * 2**20
"""Bytes after which it is worth while; what is shorter is left to the sync at the end."""

_SYNC_FILE_RANGE_WRITE: Final = 2


class WriteBack:
    """Has the operating system write out a growing file meanwhile, which makes its sync short.

    It is a hint: nothing is durable before the file has been synced, and what goes wrong is
    heard of then. The calls may block, so they are made on threads.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._begun = 0

    def reached(self, size: int) -> None:
        """The file is *size* bytes long by now."""
        if _sync_file_range is not None and size - self._begun >= STEP:
            _sync_file_range(
                self._descriptor, self._begun, size - self._begun, _SYNC_FILE_RANGE_WRITE
            )
            self._begun = size


def _found() -> Callable[[int, int, int, int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    call = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if call is None:
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    call.restype = ctypes.c_int
    found: Callable[[int, int, int, int], int] = call
    return found


_sync_file_range = _found()
