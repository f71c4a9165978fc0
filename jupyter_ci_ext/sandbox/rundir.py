"""Folders that live as long as a kernel: private, short-named, swept when their server is gone.

A lock on a file in the folder says that its server lives; the kernel of the operating system gives it
up when the server dies, however it dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

_PREFIX = "jci-"
_LOCK = "lock"
_UNLOCKED_SECONDS = 60  # a folder that young may be about to get its lock


class RunDirectory:
    """A new folder of mode 0700 that only this process claims."""

    def __init__(self, base: Path) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
        # It gets its name when it is held: a sweep beside this never sees it free.
        unnamed = self.path / f"{_LOCK}.new"
        self._lock = -1
        try:
            self._lock = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            unnamed.rename(self.path / _LOCK)
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Remove the folder and what is in it; never follows a link. May be called twice."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def socket_base() -> Path:
    """Where sockets go: their path may have 107 bytes at most, so never the workspace."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    with contextlib.suppress(OSError):
        usable = 0 < len(runtime) < 60 and os.access(runtime, os.W_OK | os.X_OK)
        if usable and os.stat(runtime).st_uid == os.getuid():
            return Path(runtime)
    return data_base() if len(str(data_base())) < 60 else Path("/tmp")  # noqa: S108


def data_base() -> Path:
    """Where private workspaces go: on disk, which XDG_RUNTIME_DIR is not."""
    return Path(tempfile.gettempdir())


def sweep() -> list[Path]:
    """Remove what servers that were killed left behind; what was removed."""
    removed = []
    for base in {socket_base(), data_base()}:
        for path in base.glob(f"{_PREFIX}*"):
            if _is_abandoned(path):
                shutil.rmtree(path, ignore_errors=True)
                removed.append(path)
    return removed


def sweep_connections(runtime: Path) -> list[Path]:
    """Remove the connection files in *runtime* of kernels whose folder is gone; what was removed.

    Jupyter leaves those of a server that was killed. A kernel's folder is there before its connection
    file is, and others than ours name none.
    """
    removed = []
    for path in runtime.glob("kernel-*.json"):
        try:
            said = json.loads(path.read_bytes())
            folder = Path(said["ip"]).parent
            ours = said["transport"] == "ipc" and folder.name.startswith(_PREFIX)
            if ours and folder.is_absolute() and not os.path.lexists(folder):
                path.unlink()
                removed.append(path)
        except (OSError, ValueError, LookupError, TypeError):
            continue  # being written, or not a connection file at all
    return removed


def _is_abandoned(path: Path) -> bool:
    try:
        status = path.lstat()
        if path.is_symlink() or status.st_uid != os.getuid():
            return False
    except OSError:
        return False  # its owner, or another sweep, has removed it just now
    try:
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return time.time() - status.st_mtime > _UNLOCKED_SECONDS
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True
