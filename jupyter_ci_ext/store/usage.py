"""How much a data directory takes on disk, for whoever watches over the server."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

FRESH_SECONDS = 30.0
"""Age up to which a measurement is not repeated."""


def measure(data_dir: Path) -> dict[str, int]:
    """Bytes of the contents (``blobs``) and of the ``database`` with its journal; blocks."""
    return {"blobs": tree_bytes(data_dir / "blobs"), "database": database_bytes(data_dir)}


def database_bytes(data_dir: Path) -> int:
    """Bytes of the database and its journals."""
    return sum(path.stat().st_size for path in data_dir.glob("state.db*") if path.exists())


def tree_bytes(directory: Path) -> int:
    """Bytes of all plain files below *directory*; what goes meanwhile counts for nothing."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except OSError:
                continue
    return total


class DiskUsage:
    """The sizes when they were last measured. To ask for them starts the next measurement, on a
    thread, so that asking costs nothing and nothing is measured that nobody asks for."""

    def __init__(self, data_dir: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._data_dir = data_dir
        self._clock = clock
        self._at = -math.inf
        self._known: dict[str, int] = {}
        self._measuring = threading.Lock()

    def bytes(self, kind: str) -> float:
        """Bytes of "blobs" or "database"; NaN before the first measurement is done."""
        if self._clock() - self._at > FRESH_SECONDS and self._measuring.acquire(blocking=False):
            self._at = self._clock()
            threading.Thread(
                target=self._measure, name="code-interpreter-disk", daemon=True
            ).start()
        return self._known.get(kind, math.nan)

    def _measure(self) -> None:
        try:
            self._known = measure(self._data_dir)
        except OSError:
            self._known = {}
        finally:
            self._measuring.release()
