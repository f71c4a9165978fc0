"""On what kind of file system a directory lies; SQLite's WAL needs memory shared by its users."""

from __future__ import annotations

import re
from pathlib import Path

MOUNTINFO = Path("/proc/self/mountinfo")

NETWORK_TYPES = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "smb3",
        "smbfs",
        "virtiofs",
    }
)


def is_network(fstype: str) -> bool:
    """Whether files of this type may be shared between hosts, so that WAL is not safe."""
    return fstype in NETWORK_TYPES or fstype.startswith(("nfs", "fuse."))


def filesystem_type(directory: Path, mountinfo: Path = MOUNTINFO) -> str | None:
    """The type of the file system *directory* lies on (``ext4``, ``nfs4``, …); None: not known.

    The directory need not exist yet. Where one mount covers another, the later line counts.
    """
    try:
        lines = mountinfo.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    where = directory.resolve()
    best: tuple[int, str] | None = None
    for line in lines:
        mount, _, rest = line.partition(" - ")
        fields = mount.split(" ")
        if len(fields) < 5 or not rest:
            continue
        point = Path(_unescape(fields[4]))
        if point != where and point not in where.parents:
            continue
        depth = len(point.parts)
        if best is None or depth >= best[0]:
            best = (depth, rest.split(" ")[0])
    return None if best is None else best[1]


def _unescape(text: str) -> str:
    """Mount points with blanks, tabs, line ends and backslashes as the kernel escapes them."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)
