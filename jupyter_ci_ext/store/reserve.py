"""A little disk space put aside for the moment when there is none left.

Code may fill the disk that holds the database, above all where a home folder has a quota. Nothing
could be stored then: not the end of the run that did it, not even the deletion that would free
space. So a file holds some space, which is given back to the disk when it is full, and taken again
when there is plenty.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

_BYTES: Final = 8 * 2**20
_PLENTY: Final = 4 * _BYTES
_PAUSE: Final = 60.0


class Reserve:
    """The file at *path*, which stays when the store is closed: a full disk could not be opened.

    Calls block, briefly. Where it cannot be had that is no failure.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next_try = 0.0

    @property
    def due(self) -> bool:
        """Whether it is time to `hold`; changes at most once a minute."""
        return time.monotonic() >= self._next_try

    def hold(self) -> None:
        """Put the space aside, if it is not yet and the disk has plenty."""
        self._next_try = time.monotonic() + _PAUSE
        try:
            if self._path.exists() or shutil.disk_usage(self._path.parent).free < _PLENTY:
                return
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(fd, "wb") as file:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(fd, 0, _BYTES)
                else:
                    file.write(bytes(_BYTES))
        except OSError:
            self.release()

    def release(self) -> None:
        """Give the space back to the disk; twice is fine."""
        self._next_try = time.monotonic() + _PAUSE
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
