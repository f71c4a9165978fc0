"""Whether a data directory's database is sound, looked at without changing it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from .faults import database_fault
from .instances import InstanceLock
from .migrations import MIGRATIONS

DATABASE = "state.db"
_SECONDS = 1.0


@dataclass(frozen=True)
class DatabaseReport:
    """What was found; ``problem`` is empty where nothing is wrong.

    ``schema`` is 0 for a database that is not there yet. ``servers`` counts those that have it
    open now; one on a network file system keeps all others out, which is no fault.
    """

    path: Path
    schema: int = 0
    known: int = len(MIGRATIONS)
    servers: int = 0
    problem: str = ""


def examine(data_dir: Path) -> DatabaseReport:
    """Open the database for reading, and check it; blocks."""
    path = data_dir / DATABASE
    if not path.exists():
        return DatabaseReport(path)
    servers = _servers(data_dir / "instances")
    try:
        db = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=_SECONDS)
        try:
            schema = _schema(db)
            found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        finally:
            db.close()
    except sqlite3.Error as error:
        if servers and "is locked" in str(error):
            return DatabaseReport(path, len(MIGRATIONS), servers=servers)
        return DatabaseReport(path, servers=servers, problem=database_fault(error, path).message)
    problem = ""
    if found != "ok":
        problem = (
            f"The database {path} is damaged. Move it away to start afresh, or restore a copy."
        )
    elif schema > len(MIGRATIONS):
        problem = (
            f"The database {path} was written by a newer version of jupyter_ci_ext (schema "
            f"{schema}, this version knows {len(MIGRATIONS)}). Upgrade the package."
        )
    return DatabaseReport(path, schema, servers=servers, problem=problem)


def _schema(db: sqlite3.Connection) -> int:
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'migrations'").fetchone():
        return 0
    return int(db.execute("SELECT coalesce(max(number), 0) FROM migrations").fetchone()[0])


def _servers(directory: Path) -> int:
    lock = InstanceLock(directory, "", alone=False)
    return sum(lock.alive(path.stem) for path in directory.glob("*.lock"))
