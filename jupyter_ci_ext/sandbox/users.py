"""The throw-away user of a session where the server runs as root."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

# Far from the ids that distributions, directories of users and container tools give out.
_FIRST, _LAST = 1_600_000_000, 1_700_000_000
_FIRST_IN_CONTAINER = 20_000
_OVERFLOW = 65_534


def throw_away(level: int) -> int | None:
    """A user id nothing else runs as; None where the server is no root or the level keeps its user.

    Without a mount namespace (level 2) another user could not reach a workspace below a private
    folder such as /root.
    """
    if os.geteuid() != 0 or level != 3:
        return None
    first, last = _range()
    return first + secrets.randbelow(last - first)


def _range() -> tuple[int, int]:
    """Ids that exist here: in a container with a user namespace only some do."""
    try:
        text = Path("/proc/self/uid_map").read_text()
        rows = [tuple(map(int, row.split())) for row in text.splitlines()]
    except (OSError, ValueError):
        return _FIRST, _LAST
    if any(start <= _FIRST and start + count >= _LAST for start, _, count in rows):
        return _FIRST, _LAST
    last = min(_OVERFLOW, max(start + count for start, _, count in rows))
    return min(_FIRST_IN_CONTAINER, last - 1), last


def give(folder: Path, uid: int) -> None:
    """Make ``uid`` the owner of a folder and all in it, never through a link. May take a while."""
    os.chown(folder, uid, uid, follow_symlinks=False)
    for _, folders, files, fd in os.fwalk(folder, follow_symlinks=False):
        for name in (*folders, *files):
            try:
                os.chown(name, uid, uid, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
