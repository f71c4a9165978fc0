"""Where workspaces lie on disk, and which process may use them.

A workspace's folder must be there before its kernel is started, and a warm spare is started before
anybody knows whose it will be. So folders have names of their own that never change while a kernel
lives, and a symbolic link of ours says which one is a thread's:

    workspaces/thread_abc -> slots/5f0c…      the thread's slot
    workspaces/slots/5f0c…/data/              what the code sees as /mnt/data
    workspaces/slots/5f0c…/staged.json        which files the server put there, under which names
    workspaces/slots/5f0c…/merge              present while files of an older slot are moved in
    workspaces/slots/5f0c…/lock               locked by the process that uses the slot

To give a spare to a thread that has a slot already, what lies there is moved over, entry by entry
within one file system; a crash in between is made good when the slot is opened next. Everything
here blocks and is called in threads, and only while no code runs in the folders concerned.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import math
import os
import re
import stat
import time
import uuid
from contextlib import suppress
from pathlib import Path

from jupyter_ci_ext.errors import SandboxUnavailable
from jupyter_ci_ext.kernels import record
from jupyter_ci_ext.quiet import kind

INCOMING_SECONDS = 86_400
"""Age at which a copy that nobody took is removed; copies are taken as soon as they are made."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


class Slot:
    """A workspace's folder; held by this process until `release`, if it was opened."""

    def __init__(self, path: Path, lock: int | None = None) -> None:
        self.path = path
        self.data = path / "data"
        self.record = path / "staged.json"
        self.put_bytes = record.taken(record.read(self.record))
        """Bytes the server itself has put into ``data``; kept up to date by the workspace."""
        self._lock = lock

    def release(self) -> None:
        """Let other processes have it; may be called twice."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


class Slots:
    """The slots below one directory."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._slots = root / "slots"
        self._log = logging.getLogger(__name__)
        self.incoming = root / "incoming"
        """Folder for copies of collected files, on the same file system as the workspaces."""

    def prepare(self) -> None:
        """Make the folders, and remove what processes that are gone left for nobody."""
        for folder in (self._root, self._slots, self.incoming):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for copy in self.incoming.iterdir():
            with suppress(OSError):
                if copy.stat().st_mtime < time.time() - INCOMING_SECONDS:
                    copy.unlink()
        for path in self.unclaimed():
            self.sweep(path)

    def unclaimed(self, before: float = math.inf) -> list[Path]:
        """Slots of no thread that were made before that time; a spare's is held by its process."""
        wanted = {self._target(link) for link in self._root.iterdir() if link.is_symlink()}
        wanted |= {self._merged(path) for path in list(wanted) if path is not None}
        return [
            path
            for path in self._slots.iterdir()
            if path not in wanted and path.stat().st_mtime < before
        ]

    def sweep(self, path: Path) -> bool:
        """Delete the slot at *path* unless a process holds it; whether it is gone."""
        with suppress(SandboxUnavailable, OSError):
            self.discard(self._hold(path))
        return not path.exists()

    def is_held(self, slot: Slot) -> bool:
        """Whether a process, be it this one, uses the slot."""
        try:
            self._hold(slot.path).release()
        except SandboxUnavailable:
            return True
        return False

    def create(self) -> Slot:
        """A new, empty slot that belongs to no thread yet."""
        path = self._slots / uuid.uuid4().hex
        path.mkdir(mode=0o700)
        slot = self._hold(path)
        slot.data.mkdir(mode=0o700)
        return slot

    def open(self, key: str) -> Slot:
        """The slot of *key*, made if there is none.

        Raises `SandboxUnavailable` while another server uses it.
        """
        path = self._target(self._link(key))
        if path is not None and path.is_dir():
            slot = self._hold(path)
            self._finish_merge(slot)
            slot.data.mkdir(mode=0o700, exist_ok=True)
            return slot
        slot = self.create()
        self._point(key, slot)
        return slot

    def find(self, key: str) -> Slot | None:
        """The slot of *key* for looking only, None if there is none; others may be using it."""
        path = self._target(self._link(key))
        return Slot(path) if path is not None and path.is_dir() else None

    def keys(self) -> list[str]:
        """The keys that have a slot."""
        return [
            link.name
            for link in self._root.iterdir()
            if not link.name.startswith(".") and link.is_symlink()
        ]

    def bind(self, spare: Slot, key: str) -> None:
        """Make *spare* the slot of *key*, with the files that are in the slot it had.

        Raises `SandboxUnavailable` while another server uses that.
        """
        before = self._target(self._link(key))
        if before is None or not before.is_dir():
            self._point(key, spare)
            return
        old = self._hold(before)
        try:
            self._finish_merge(old)
            (spare.path / "merge").write_text(before.name)
            self._point(key, spare)
        finally:
            old.release()
        self._finish_merge(spare)

    def forget(self, key: str) -> None:
        """Delete the workspace of *key* and all that is in it; nothing happens if there is none."""
        link = self._link(key)
        path = self._target(link)
        with suppress(FileNotFoundError):
            link.unlink()
        if path is not None and path.is_dir():
            self.discard(self._hold(path))

    def discard(self, slot: Slot) -> None:
        """Delete a slot that belongs to nobody; what cannot be deleted is swept another time."""
        try:
            remove_tree(slot.path)
        except OSError as error:
            self._log.warning("The workspace %s was not removed: %s", slot.path, kind(error))
        finally:
            slot.release()

    def _link(self, key: str) -> Path:
        if not _PLAIN_KEY.fullmatch(key) or key in ("slots", "incoming"):
            key = "key-" + hashlib.sha256(key.encode()).hexdigest()
        return self._root / key

    def _target(self, link: Path) -> Path | None:
        try:
            return self._slots / Path(os.readlink(link)).name
        except OSError:
            return None

    def _point(self, key: str, slot: Slot) -> None:
        link = self._link(key)
        fresh = self._root / f".{uuid.uuid4().hex}"
        fresh.symlink_to(Path("slots") / slot.path.name)
        fresh.replace(link)

    def _hold(self, path: Path) -> Slot:
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            raise SandboxUnavailable(
                "The files of this thread are in use by another Jupyter server on the same data "
                "directory. Stop that server, or close the thread's session there."
            ) from None
        return Slot(path, lock)

    def _finish_merge(self, slot: Slot) -> None:
        old = self._merged(slot.path)
        if old is None:
            return
        if old.is_dir() and old != slot.path:
            # before the files are there: the kernel of a spare is watched already
            slot.put_bytes = max(slot.put_bytes, Slot(old).put_bytes)
            slot.data.mkdir(mode=0o700, exist_ok=True)
            if (old / "data").is_dir():
                _move_entries(old / "data", slot.data)
            with suppress(FileNotFoundError):
                (old / "staged.json").replace(slot.record)
            remove_tree(old)
        (slot.path / "merge").unlink()

    def _merged(self, path: Path) -> Path | None:
        """The slot whose files are being moved into the slot at *path*."""
        try:
            return self._slots / Path((path / "merge").read_text()).name
        except OSError:
            return None


def _move_entries(source: Path, target: Path) -> None:
    source.chmod(0o700)
    for name in os.listdir(source):
        try:
            os.rename(source / name, target / name)
        except PermissionError:
            # A folder takes its ".." along, hence must be writable.
            os.chmod(source / name, 0o700)
            os.rename(source / name, target / name)


def remove_tree(path: Path) -> None:
    """Delete a folder in which hostile code was at home: any depth, any mode, no link followed."""
    path.chmod(0o700)
    number = 0
    pending = [path]
    while pending:
        folder = pending.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if not stat.S_ISDIR(entry.stat(follow_symlinks=False).st_mode):
                    os.unlink(entry.path)
                    continue
                os.chmod(entry.path, 0o700)
                # Moved to the top, so that no path gets too long and nothing recurses.
                number += 1
                flat = path / f".remove-{os.getpid()}-{number}"
                os.rename(entry.path, flat)
                pending.append(flat)
        if folder != path:
            os.rmdir(folder)
    os.rmdir(path)
