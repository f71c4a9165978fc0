"""What a data directory holds, read beside the server that works on it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from jupyter_ci_ext.store.usage import database_bytes, tree_bytes

TABLES = (
    "assistants",
    "threads",
    "messages",
    "runs",
    "steps",
    "events",
    "files",
    "uploads",
    "upload_parts",
    "containers",
)


@dataclass(frozen=True)
class Books:
    """Bytes on disk, rows by table, and which contents and workspaces there are for whom."""

    database: int
    blobs: int
    workspaces: int
    rows: dict[str, int]
    stored: frozenset[str]
    """Contents on disk, by hash."""
    referenced: frozenset[str]
    """Contents that rows refer to."""
    slots: int
    """Folders of workspaces, those of spares among them."""
    links: frozenset[str]
    """Threads and containers that have a workspace."""
    keys: frozenset[str]
    """Threads and containers there are."""

    @classmethod
    def read(cls, data: Path) -> Books:
        """Look at the data directory."""
        uri = f"file:{data / 'state.db'}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=60)) as db:
            db.execute("BEGIN")
            rows = {
                each: db.execute(f"SELECT count(*) FROM {each}").fetchone()[0] for each in TABLES
            }
            hashes = db.execute("SELECT sha256 FROM files UNION SELECT sha256 FROM upload_parts")
            referenced = frozenset(str(row[0]) for row in hashes)
            ids = db.execute("SELECT id FROM threads UNION SELECT id FROM containers")
            keys = frozenset(str(row[0]) for row in ids)
        workspaces = data / "workspaces"
        return cls(
            database_bytes(data),
            tree_bytes(data / "blobs"),
            tree_bytes(workspaces / "slots"),
            rows,
            frozenset(path.name for path in (data / "blobs").glob("??/*")),
            referenced,
            len(list((workspaces / "slots").glob("*"))),
            frozenset(
                path.name
                for path in workspaces.glob("*")
                if path.is_symlink() and not path.name.startswith(".")
            ),
            keys,
        )

    def wrong(self) -> list[str]:
        """What does not fit together; empty a moment after everybody has stopped working."""
        found = []
        if lost := self.referenced - self.stored:
            found.append(f"{len(lost)} contents are gone that files refer to")
        if left := self.stored - self.referenced:
            found.append(f"{len(left)} contents are there that no file refers to")
        if orphans := self.links - self.keys:
            found.append(f"workspaces are there of nobody: {sorted(orphans)}")
        if self.slots > len(self.links) + 1:
            found.append(f"{self.slots} folders of workspaces, and {len(self.links)} to have one")
        return found
