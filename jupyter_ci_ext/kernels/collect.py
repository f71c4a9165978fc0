"""Reading what code left in a workspace, as the hostile thing it is.

Every name is opened beneath the workspace's own descriptor, through no symlink, onto no other
file system and without waiting for a FIFO; what was opened must be a regular file with one name
only, and is read up to a limit, whatever its size claims to be. Sizes and kinds are believed of
open descriptors alone. All of this blocks, so it is called in threads.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from jupyter_ci_ext.store.writeback import WriteBack

MAX_ENTRIES = 20_000
"""Directory entries looked at in one walk; a flood of files costs no more than this."""
MAX_DEPTH = 32
SKIPPED = frozenset({"__pycache__", "node_modules"})
"""Names never collected, beside all that begin with a dot."""

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_NOCTTY", 0)
_FOLDER = _FLAGS | os.O_DIRECTORY
_BLOCK = 1 << 20

_SYS_OPENAT2 = 437  # the same on every architecture
_RESOLVE = 0x01 | 0x02 | 0x04 | 0x08  # NO_XDEV, NO_MAGICLINKS, NO_SYMLINKS, BENEATH

_REFUSALS = {
    errno.ELOOP: "a symbolic link",
    errno.EXDEV: "outside of the workspace",
    errno.ENXIO: "a socket or a device",
}


class Refused(Exception):
    """A name in the workspace is not a plain file of its own; says what it is."""


class Signature(NamedTuple):
    """What changes when a file does."""

    mtime_ns: int
    ctime_ns: int
    size: int
    inode: int


class Snapshot(NamedTuple):
    """The regular files of a workspace by relative path; ``complete`` unless there were too many."""

    files: dict[str, Signature]
    complete: bool = True


class Copied(NamedTuple):
    """A private copy of a file, and what was really read."""

    path: Path
    size: int
    sha256: str


def snapshot(root: int) -> Snapshot:
    """The regular files below the directory *root* (a descriptor), dotfiles and caches left out."""
    files: dict[str, Signature] = {}
    budget = MAX_ENTRIES
    device = os.fstat(root).st_dev
    pending = [("", 0)]
    while pending:
        prefix, depth = pending.pop()
        try:
            folder = open_beneath(root, prefix, _FOLDER) if prefix else os.dup(root)
        except OSError:
            continue  # gone, or no folder any more
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    budget -= 1
                    if budget < 0:
                        return Snapshot(files, complete=False)
                    if entry.name.startswith(".") or entry.name in SKIPPED:
                        continue
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except OSError:
                        continue
                    path = prefix + entry.name
                    if stat.S_ISREG(status.st_mode):
                        files[path] = signature(status)
                    elif (
                        stat.S_ISDIR(status.st_mode)
                        and status.st_dev == device
                        and depth < MAX_DEPTH
                    ):
                        pending.append((path + "/", depth + 1))
        except OSError:
            continue
        finally:
            os.close(folder)
    return Snapshot(files)


def signature(status: os.stat_result) -> Signature:
    """The signature of a file as it stands."""
    return Signature(status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)


def open_file(root: int, path: str) -> int:
    """A descriptor of the regular file *path* below *root*, verified; raises `Refused`, OSError."""
    try:
        descriptor = open_beneath(root, path, _FLAGS)
    except OSError as error:
        what = _REFUSALS.get(error.errno or 0)
        if what is None:
            raise
        raise Refused(what) from None
    try:
        _verify(os.fstat(descriptor))
    except Refused:
        os.close(descriptor)
        raise
    return descriptor


def remove(root: int, path: str) -> bool:
    """Delete the regular file *path* below *root*; False if there is none. Raises OSError."""
    parent, _, name = path.rpartition("/")
    try:
        folder = open_beneath(root, parent, _FOLDER) if parent else os.dup(root)
    except FileNotFoundError:
        return False
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            return False
        # A name that code has changed into something else meanwhile is deleted all the same: it
        # is in the workspace, and no link is followed.
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    finally:
        os.close(folder)
    return True


def copy_out(root: int, path: str, folder: Path, limit: int) -> Copied:
    """Copy *path* into a new private file in *folder*, hashing; at most *limit* bytes.

    Raises `Refused` for anything but a plain file of at most *limit* bytes, OSError if it cannot
    be read or the copy cannot be written; no copy is left then.
    """
    source = open_file(root, path)
    try:
        if os.fstat(source).st_size > limit:
            raise Refused(f"larger than the limit of {limit} bytes")
        target = folder / os.urandom(12).hex()
        out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        digest, size, writeback = hashlib.sha256(), 0, WriteBack(out)
        try:
            with open(out, "wb", buffering=0) as copy:
                for block in _blocks(source):
                    size += len(block)
                    if size > limit:
                        raise Refused(f"larger than the limit of {limit} bytes")
                    digest.update(block)
                    _write_all(copy.fileno(), block)
                    writeback.reached(size)
        except BaseException:
            target.unlink()
            raise
        return Copied(target, size, digest.hexdigest())
    finally:
        os.close(source)


def hash_file(path: Path) -> str | None:
    """The SHA-256 of a file of our own; None if it cannot be read."""
    digest = hashlib.sha256()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        for block in _blocks(descriptor):
            digest.update(block)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return digest.hexdigest()


def open_beneath(root: int, path: str, flags: int) -> int:
    """Open *path*, which cannot leave *root* by any kind of link, ``..`` or mount."""
    parts = [part for part in path.split("/") if part]
    if not parts or path.startswith("/") or ".." in parts or "\0" in path:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
    return _open("/".join(parts), root, flags)


def _verify(status: os.stat_result) -> None:
    """Refuse all but a regular file with one name.

    The number of names is a second line of defence: a link that is removed at the very moment it
    is opened goes unnoticed, but no sandbox lets code link what lies outside of its workspace.
    """
    if not stat.S_ISREG(status.st_mode):
        raise Refused("a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file")
    if status.st_nlink != 1:
        raise Refused("a hard link")


def _blocks(descriptor: int) -> Iterator[bytes]:
    while block := os.read(descriptor, _BLOCK):
        yield block


def _write_all(descriptor: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(descriptor, view) :]


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def _open_with_openat2(path: str, root: int, flags: int) -> int:
    how = _OpenHow(flags, 0, _RESOLVE)
    number = errno.EAGAIN
    for _ in range(100):  # EAGAIN: something was renamed meanwhile, and may be for ever
        result = int(
            _libc.syscall(
                ctypes.c_long(_SYS_OPENAT2),
                ctypes.c_int(root),
                ctypes.c_char_p(os.fsencode(path)),
                ctypes.byref(how),
                ctypes.c_size_t(ctypes.sizeof(how)),
            )
        )
        if result >= 0:
            return result
        number = ctypes.get_errno()
        if number not in (errno.EINTR, errno.EAGAIN):
            break
    raise OSError(number, os.strerror(number), path)


def _open_step_by_step(path: str, root: int, flags: int) -> int:
    """The same by hand, one component at a time, where the kernel has no openat2."""
    device = os.fstat(root).st_dev
    *folders, name = path.split("/")
    current = os.dup(root)
    try:
        for folder in folders:
            inner = os.open(folder, _FOLDER, dir_fd=current)
            os.close(current)
            current = inner
        descriptor = os.open(name, flags, dir_fd=current)
    finally:
        os.close(current)
    if os.fstat(descriptor).st_dev != device:
        os.close(descriptor)
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
    return descriptor


def _choose() -> Callable[[str, int, int], int]:
    if not sys.platform.startswith("linux"):
        return _open_step_by_step
    root = os.open("/", _FOLDER)
    try:
        os.close(_open_with_openat2(".", root, _FOLDER))
    except OSError:
        return _open_step_by_step  # an old kernel, or a container that forbids the call
    finally:
        os.close(root)
    return _open_with_openat2


_libc = ctypes.CDLL(None, use_errno=True)
_open = _choose()
