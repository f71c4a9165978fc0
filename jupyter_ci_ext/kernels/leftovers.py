"""Workspaces that nobody needs any more, found and removed beside a server that may be at work.

A workspace that a session uses is locked by its process, be it this one, and is left alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from jupyter_ci_ext import to_thread
from jupyter_ci_ext.errors import SandboxUnavailable
from jupyter_ci_ext.kernels.slots import Slots
from jupyter_ci_ext.sandbox.monitor import Count

T = TypeVar("T")

UNCLAIMED_SECONDS = 86_400.0
"""Age from which on a workspace that is nobody's was left by a process that died."""


class Workspaces:
    """The workspaces below *root*, by the id of their thread or container."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._slots = Slots(root)

    async def keys(self) -> list[str]:
        """Whose workspaces there are."""
        return await self._there(self._slots.keys, [])

    async def in_use(self, key: str, since: float) -> bool:
        """Whether a session has it, or files were put there after *since* (Unix seconds)."""
        return await to_thread.run_sync(self._in_use, key, since)

    async def size(self, key: str) -> int:
        """Bytes of its files; 0 if there is none."""
        return await to_thread.run_sync(self._size, key)

    async def remove(self, key: str) -> int:
        """Delete it unless it is in use; the bytes that were freed."""
        return await to_thread.run_sync(self._remove, key)

    async def unclaimed(self) -> int:
        """Bytes of workspaces that processes left for nobody, `UNCLAIMED_SECONDS` ago."""
        return await self._there(lambda: sum(map(_bytes, self._slots.unclaimed(_old()))), 0)

    async def remove_unclaimed(self) -> int:
        """Delete what `unclaimed` counts; the bytes that were freed."""
        return await self._there(self._remove_unclaimed, 0)

    async def _there(self, look: Callable[[], T], otherwise: T) -> T:
        def looked() -> T:
            with suppress(FileNotFoundError):  # no code has ever run
                return look()
            return otherwise

        return await to_thread.run_sync(looked)

    def _in_use(self, key: str, since: float) -> bool:
        slot = self._slots.find(key)
        if slot is None:
            return False
        with suppress(FileNotFoundError):  # where no code can reach it
            if slot.record.stat().st_mtime >= since:
                return True
        return self._slots.is_held(slot)

    def _size(self, key: str) -> int:
        slot = self._slots.find(key)
        return _bytes(slot.path) if slot is not None else 0

    def _remove(self, key: str) -> int:
        slot = self._slots.find(key)
        if slot is None:
            self._slots.forget(key)  # a link to nothing
            return 0
        size = _bytes(slot.path)
        try:
            if self._slots.is_held(slot):
                return 0
            self._slots.forget(key)
        except SandboxUnavailable:
            return 0  # somebody was faster
        return 0 if slot.path.exists() else size

    def _remove_unclaimed(self) -> int:
        freed = 0
        for path in self._slots.unclaimed(_old()):
            size = _bytes(path)
            if self._slots.sweep(path):
                freed += size
        return freed


def _old() -> float:
    return time.time() - UNCLAIMED_SECONDS


def _bytes(folder: Path) -> int:
    count = Count()
    count.add(folder)
    return count.size
