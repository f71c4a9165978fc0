"""What the database and the disk complain about, in sentences for the person who reads them.

SQLite's texts are matched rather than its codes: Python 3.10 does not pass the codes on.
"""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

from ..errors import DiskFull, StoreError

_DATABASE: tuple[tuple[str, str], ...] = (
    (
        "is locked",
        "The database {path} is in use by another process and did not become free in time. "
        "If another Jupyter server uses this data directory, stop it or give this one its own "
        "(CodeInterpreterApp.data_dir); otherwise try again.",
    ),
    (
        "is full",
        "The disk that holds {path} is full; nothing was changed. Free some space and try again.",
    ),
    (
        "readonly database",
        "The database {path} cannot be written: it or its directory is read-only.",
    ),
    (
        "unable to open database file",
        "The database {path} cannot be opened: its directory is missing, read-only or not yours.",
    ),
    (
        "disk image is malformed",
        "The database {path} is damaged. Move it away to start afresh, or restore a copy.",
    ),
    ("file is not a database", "The file {path} is not a database. Move it away to start afresh."),
    (
        "disk I/O error",
        "The disk that holds {path} failed to read or write (it may be full); nothing was changed.",
    ),
)

_DISK: dict[int, str] = {
    errno.ENOSPC: "The disk that holds {path} is full; nothing was kept.",
    errno.EDQUOT: "Your disk quota for {path} is used up; nothing was kept.",
    errno.EFBIG: "The file is larger than this host allows a file to be; nothing was kept.",
    errno.EROFS: "The disk that holds {path} is read-only.",
    errno.EACCES: "The directory {path} cannot be used: permission denied.",
    errno.EPERM: "The directory {path} cannot be used: operation not permitted.",
    errno.EMFILE: "The server has too many open files; try again later.",
}


def database_fault(error: sqlite3.Error, path: Path) -> StoreError:
    """The `StoreError` for what SQLite said about the database at *path*."""
    text = str(error)
    for words, sentence in _DATABASE:
        if words in text:
            kind = DiskFull if "full" in sentence else StoreError
            return kind(sentence.format(path=path))
    return StoreError(f"The database {path} cannot serve the request: {text}.")


def disk_fault(error: OSError, path: Path) -> StoreError:
    """The `StoreError` for what the operating system said about *path*."""
    sentence = _DISK.get(error.errno or 0)
    if sentence is None:
        return StoreError(f"The directory {path} cannot be used: {error.strerror or error}.")
    kind = DiskFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StoreError
    return kind(sentence.format(path=path))
