"""The record beside a workspace: which files the server itself has put there, and how large.

Their bytes are not the code's own, hence they do not count toward what the code may write. The record
is outside of what the code sees.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from jupyter_ci_ext.kernels.names import safe_name

_BLOCK = 4096


@dataclass(frozen=True)
class Entry:
    """A file that was put there: its name below /mnt/data, and its size in bytes."""

    name: str
    size: int = 0


def read(path: Path) -> dict[str, Entry]:
    """File id → entry, as written down; empty where nothing, or nonsense, is."""
    with suppress(OSError, ValueError):
        record = json.loads(path.read_text("utf-8"))
        if isinstance(record, dict):
            return {str(file_id): _entry(value) for file_id, value in record.items()}
    return {}


def write(path: Path, entries: dict[str, Entry]) -> None:
    """Write the record, at once or not at all."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({id: asdict(entry) for id, entry in entries.items()}), "utf-8")
    fresh.replace(path)


def taken(entries: dict[str, Entry]) -> int:
    """Bytes the files take on the disk, in whole blocks."""
    return sum(-(-entry.size // _BLOCK) * _BLOCK for entry in entries.values())


def _entry(value: object) -> Entry:
    if not isinstance(value, dict):
        return Entry(safe_name(str(value)))
    size = value.get("size")
    return Entry(safe_name(str(value.get("name"))), size if isinstance(size, int) else 0)
