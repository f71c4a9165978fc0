from __future__ import annotations

import hashlib
import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupyter_ci_ext.kernels import collect
from jupyter_ci_ext.kernels.slots import remove_tree

SECRET = b"of the host"


@pytest.fixture(params=["openat2", "step by step"])
def opener(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to open: kernels before 5.6 and some containers have no openat2."""
    ways = {"openat2": collect._open_with_openat2, "step by step": collect._open_step_by_step}
    monkeypatch.setattr(collect, "_open", ways[request.param])


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    """A descriptor of a workspace that has been left in a state by somebody hostile."""
    (tmp_path / "host-secret").write_bytes(SECRET)
    (tmp_path / "host-folder").mkdir()
    (tmp_path / "host-folder" / "inner").write_bytes(SECRET)
    work = tmp_path / "work"
    work.mkdir()
    (work / "good.txt").write_bytes(b"result")
    (work / "folder").mkdir()
    (work / "folder" / "deep.txt").write_bytes(b"deep")
    (work / "link-to-file").symlink_to(tmp_path / "host-secret")
    (work / "link-to-folder").symlink_to(tmp_path / "host-folder")
    (work / "link-up").symlink_to("../host-secret")
    (work / "link-inside").symlink_to("good.txt")
    (work / "magic").symlink_to(f"/proc/{os.getpid()}/root/etc/passwd")
    os.mkfifo(work / "fifo")
    server = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(work)  # the path of a socket must be short
    server.bind("socket")
    os.chdir(here)
    os.link(tmp_path / "host-secret", work / "hard-link")
    with open(work / "sparse", "wb") as sparse:
        sparse.truncate(1 << 40)
    descriptor = os.open(work, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)
    server.close()


HOSTILE = [
    "link-to-file",
    "link-to-folder",
    "link-to-folder/inner",
    "link-up",
    "link-inside",
    "../host-secret",
    "folder/../../host-secret",
    "/etc/passwd",
    "magic",
    "fifo",
    "socket",
    "hard-link",
    "sparse",
    "folder",
    "",
    ".",
    "nul\0byte",
]


@pytest.mark.usefixtures("opener")
@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_refused_without_blocking(root: int, tmp_path: Path, name: str) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    with pytest.raises((collect.Refused, OSError, ValueError)):
        collect.copy_out(root, name, copies, 1 << 20)
    assert list(copies.iterdir()) == []


@pytest.mark.usefixtures("opener")
@pytest.mark.parametrize(("name", "data"), [("good.txt", b"result"), ("folder/deep.txt", b"deep")])
def test_plain_files_are_copied_and_hashed(
    root: int, tmp_path: Path, name: str, data: bytes
) -> None:
    copied = collect.copy_out(root, name, tmp_path, 1 << 20)
    assert copied.path.read_bytes() == data
    assert copied.size == len(data)
    assert copied.sha256 == hashlib.sha256(data).hexdigest()
    assert stat.S_IMODE(copied.path.stat().st_mode) == 0o600


def test_what_is_listed_are_regular_files_only(root: int) -> None:
    listed = collect.snapshot(root)
    assert sorted(listed.files) == ["folder/deep.txt", "good.txt", "hard-link", "sparse"]
    assert listed.complete


@pytest.mark.skipif(os.geteuid() != 0, reason="devices are made by root")
@pytest.mark.usefixtures("opener")
def test_devices_are_refused(root: int, tmp_path: Path) -> None:
    try:
        os.mknod("null", stat.S_IFCHR | 0o666, os.makedev(1, 3), dir_fd=root)
    except PermissionError:
        pytest.skip("this container makes no devices")
    with pytest.raises((collect.Refused, OSError)):
        collect.open_file(root, "null")


def test_a_file_that_grows_while_it_is_read_is_refused(
    root: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = collect._blocks

    def growing(descriptor: int) -> Iterator[bytes]:
        for block in blocks(descriptor):
            yield block
            yield b"more" * 1000

    monkeypatch.setattr(collect, "_blocks", growing)
    copies = tmp_path / "copies"
    copies.mkdir()
    with pytest.raises(collect.Refused, match="limit of 100 bytes"):
        collect.copy_out(root, "good.txt", copies, 100)
    assert list(copies.iterdir()) == []


def test_caches_and_dotfiles_are_not_listed(tmp_path: Path) -> None:
    for name in (".cache/x", "__pycache__/m.pyc", ".ipynb_checkpoints/n", ".hidden", "kept/.no"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "kept" / "yes").write_text("x")
    assert list(listed(tmp_path)) == ["kept/yes"]


def test_a_flood_of_files_is_walked_no_further_than_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "MAX_ENTRIES", 50)
    for number in range(60):
        (tmp_path / f"{number}").touch()
    root = os.open(tmp_path, os.O_RDONLY)
    found = collect.snapshot(root)
    os.close(root)
    assert not found.complete
    assert len(found.files) == 50


def test_a_bottomless_folder_ends_at_the_limit(tmp_path: Path) -> None:
    here = os.getcwd()
    os.chdir(tmp_path)
    for _ in range(1100):
        os.mkdir("d")
        os.chdir("d")
    Path("bottom").touch()
    os.chdir(here)
    assert listed(tmp_path) == {}
    remove_tree(tmp_path / "d")


@pytest.mark.usefixtures("opener")
@pytest.mark.timeout(60)
def test_names_that_change_while_they_are_opened_never_lead_out(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    work = tmp_path / "work"
    work.mkdir()
    stop = threading.Event()

    def swap() -> None:
        kinds: list[Callable[[Path], object]] = [
            lambda path: path.write_bytes(b"mine"),
            lambda path: path.symlink_to("../secret"),
            os.mkfifo,
        ]
        number = 0
        while not stop.is_set():
            number += 1
            fresh = work / f".{number}"
            kinds[number % len(kinds)](fresh)
            fresh.replace(work / "name")

    thread = threading.Thread(target=swap)
    thread.start()
    root = os.open(work, os.O_RDONLY)
    good = 0
    try:
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            try:
                copied = collect.copy_out(root, "name", tmp_path, 100)
            except (collect.Refused, OSError):
                continue
            good += 1
            assert copied.path.read_bytes() in (b"mine", b"")
            copied.path.unlink()
    finally:
        stop.set()
        thread.join()
        os.close(root)
    assert good


def listed(folder: Path) -> dict[str, collect.Signature]:
    root = os.open(folder, os.O_RDONLY)
    try:
        return collect.snapshot(root).files
    finally:
        os.close(root)
