"""The server instances that use a data directory, and which of them are alive.

Each `Store` that is open is an instance: a row here and a file ``instances/<id>.lock`` that it
holds an flock on. The kernel drops the lock when the process ends, however it ends, so a lock that
can be taken belonged to a dead one. Runs name the instance that works on them; only those of dead
instances may be recovered by another.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from pathlib import Path

from .access import Access


class InstanceLock:
    """This instance's sign of life, and a look at the others'. Its calls block, briefly."""

    def __init__(self, directory: Path, id: str, *, alone: bool) -> None:
        """*alone*: the database keeps other processes out, so no other instance can be alive."""
        self.id = id
        self._directory = directory
        self._alone = alone
        self._fd: int | None = None

    def acquire(self) -> None:
        """Show this instance as alive until `release` or the end of the process."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        fd = os.open(self._path(self.id), flags, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if not self._alone:  # some network file systems have no flock; there it is not needed
                os.close(fd)
                raise
        self._fd = fd

    def release(self) -> None:
        """Take the sign of life away; twice is fine."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            self.remove(self.id)
            os.close(fd)

    def alive(self, id: str) -> bool:
        """Whether the instance's process still runs with its store open."""
        if id == self.id:
            return self._fd is not None
        if self._alone:
            return False
        try:
            fd = os.open(self._path(id), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            # shared: two that look at the same time do not take each other for the owner
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def remove(self, id: str) -> None:
        """Remove the file of an instance."""
        self._path(id).unlink(missing_ok=True)

    def _path(self, id: str) -> Path:
        return self._directory / f"{os.path.basename(id)}.lock"


class Instances:
    """The table of instances: who they say they are; whether they live only the lock tells."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def insert(self, id: str) -> None:
        """Add this process under *id*."""
        await self._access.execute(
            "INSERT INTO instances (id, started_at, pid, host) VALUES (?, ?, ?, ?)",
            (id, int(time.time()), os.getpid(), socket.gethostname()),
        )

    async def delete(self, id: str) -> bool:
        """Forget an instance; its runs keep its id as their owner."""
        return await self._access.execute("DELETE FROM instances WHERE id = ?", (id,)) > 0

    async def ids(self) -> list[str]:
        """All instances that were not closed, and all that own a run that is not over."""
        rows = await self._access.fetch(
            "SELECT id FROM instances UNION SELECT owner FROM runs WHERE active = 1"
        )
        return [str(row[0]) for row in rows]
