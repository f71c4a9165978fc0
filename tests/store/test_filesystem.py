"""Local or network: what /proc/self/mountinfo says about a directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_ci_ext.store.filesystem import filesystem_type, is_network

MOUNTINFO = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:40 / /home rw,relatime shared:2 master:3 - nfs4 nas:/home rw,vers=4.2
24 23 0:41 / /home/alice/local rw - xfs /dev/vdb rw
25 22 0:42 / /mnt/with\040blank\011and\134more rw - cifs //nas/share rw
26 22 0:43 / /scratch rw - ext4 /dev/vdc rw
27 22 0:44 / /scratch rw - fuse.sshfs me@host: rw
28 22 0:45 / /homework rw - tmpfs tmpfs rw
short line
29 22 0:46 / /broken
""".lstrip()


@pytest.mark.parametrize(
    ("directory", "fstype"),
    [
        ("/", "ext4"),
        ("/srv/data", "ext4"),
        ("/home", "nfs4"),
        ("/home/alice/.local/share/jupyter", "nfs4"),
        ("/home/alice/local/data", "xfs"),
        ("/homework/data", "tmpfs"),
        ("/mnt/with blank\tand\\more/data", "cifs"),
        ("/scratch/x", "fuse.sshfs"),
        ("/broken/x", "ext4"),
    ],
)
def test_the_nearest_mount_counts(tmp_path: Path, directory: str, fstype: str) -> None:
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(MOUNTINFO)
    assert filesystem_type(Path(directory), mountinfo) == fstype


def test_symlinks_are_followed(tmp_path: Path) -> None:
    mountinfo = tmp_path / "mountinfo"
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    mountinfo.write_text(f"1 0 0:1 / / rw - ext4 a rw\n2 1 0:2 / {real} rw - nfs b rw\n")
    assert filesystem_type(tmp_path / "link" / "not" / "yet", mountinfo) == "nfs"


def test_hosts_without_mountinfo(tmp_path: Path) -> None:
    assert filesystem_type(tmp_path, tmp_path / "missing") is None
    assert filesystem_type(tmp_path) is not None or not Path("/proc/self/mountinfo").exists()


@pytest.mark.parametrize(
    "fstype",
    ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "fuse.glusterfs", "lustre", "gpfs", "ceph"],
)
def test_shared_between_hosts(fstype: str) -> None:
    assert is_network(fstype)


@pytest.mark.parametrize(
    "fstype", ["ext4", "xfs", "btrfs", "overlay", "tmpfs", "zfs", "fuseblk", "apfs"]
)
def test_local(fstype: str) -> None:
    assert not is_network(fstype)
