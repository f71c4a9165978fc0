"""Checks of the data directory: room, rights, the kind of file system, and the database in it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..sandbox.policy import human_size
from ..store.examine import examine
from ..store.filesystem import filesystem_type, is_network
from .findings import Finding

_LEAST = 100 * 2**20
_ENOUGH = 2 * 2**30
_ELSEWHERE = "point c.CodeInterpreterApp.data_dir elsewhere"


def check_disk(data_dir: Path) -> list[Finding]:
    """Whether files can be kept in *data_dir*, which need not be there yet."""
    return list(_disk(data_dir))


def _disk(data_dir: Path) -> Iterator[Finding]:
    there = data_dir
    while not there.exists() and there != there.parent:
        there = there.parent
    problem = _unwritable(there)
    if problem:
        fix = f"make it yours and writable, or {_ELSEWHERE}"
        yield Finding("disk", "problem", f"{there} cannot be written: {problem}", fix)
    else:
        yield Finding("disk", "ok", f"data are kept in {data_dir}")
    free = shutil.disk_usage(there).free
    if free < _ENOUGH:
        text = f"only {human_size(free)} are free at {there}"
        fix = f"free some, run `jupyter ci gc`, set a retention time, or {_ELSEWHERE}"
        yield Finding("disk", "problem" if free < _LEAST else "note", text, fix)
    else:
        yield Finding("disk", "ok", f"{human_size(free)} are free")
    kind = filesystem_type(there)
    if kind is not None and is_network(kind):
        text = f"{there} is on a network file system ({kind}): slower, and for one server at a time"
        yield Finding("disk", "note", text, f"{_ELSEWHERE}, to a local disk")
    if there == data_dir and data_dir.stat().st_mode & 0o077:
        yield Finding("disk", "note", f"others may look into {data_dir}", f"chmod 700 {data_dir}")


def _unwritable(directory: Path) -> str:
    try:
        with tempfile.TemporaryFile(dir=directory):
            return ""
    except OSError as error:
        return error.strerror or type(error).__name__


def check_database(data_dir: Path) -> list[Finding]:
    """Whether the database opens, is sound, and of a schema that this version knows."""
    if not os.access(data_dir, os.X_OK) and data_dir.exists():
        return [
            Finding("database", "problem", f"{data_dir} cannot be entered", f"chmod 700 {data_dir}")
        ]
    found = examine(data_dir)
    if found.problem:
        fix = "stop what uses it, restore a copy, or move it away to start afresh"
        return [Finding("database", "problem", found.problem, fix)]
    if not found.schema and not found.servers:
        return [Finding("database", "ok", "not made yet; the first request makes it")]
    used = f", open in {found.servers} server{'s' if found.servers > 1 else ''} now"
    text = f"sound, schema {found.schema} of {found.known}{used if found.servers else ''}"
    findings = [Finding("database", "ok", text)]
    if found.schema < found.known:
        findings.append(Finding("database", "note", "the next start brings its schema up to date"))
    return findings
