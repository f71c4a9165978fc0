"""Files kept alike here and in a kernel elsewhere, which may say whatever it likes."""

from __future__ import annotations

import asyncio
import json
import os
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_ci_ext.kernels.remote import helper
from jupyter_ci_ext.kernels.remote.asking import Asking, HelperFailed
from jupyter_ci_ext.kernels.remote.mirror import Mirror, MirrorLimits

Wait = Callable[[Any], Any]
Answer = tuple[dict[str, Any], bytes]


class HonestKernel(Asking):
    """The helper itself, in a folder of this machine; few bytes go with a message."""

    chunk = 1000  # type: ignore[assignment]

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.asked: list[str] = []
        self._slots = asyncio.Semaphore(4)
        self._helper: Any = types.ModuleType("helper")
        exec(Path(helper.__file__).read_text(), self._helper.__dict__)
        self._helper._folder = str(folder)

    async def ask(self, request: dict[str, Any], data: bytes = b"") -> Answer:
        self.asked.append(request["op"])
        assert len(data) <= self.chunk
        said, content = self._helper.ask(json.loads(json.dumps(request)), data)
        if "error" in said:
            raise HelperFailed(said["error"])
        return said, content


class LyingKernel(HonestKernel):
    """Lists what it is told to, and gives for each file what it is told to."""

    entries: Any = ()
    content = b""

    async def ask(self, request: dict[str, Any], data: bytes = b"") -> Answer:
        if request["op"] == "list":
            return {"complete": True}, json.dumps(self.entries).encode()
        if request["op"] == "get":
            return {}, self.content
        return await super().ask(request, data)


def entry(name: object, size: object = 3) -> list[object]:
    return [name, 1, 1, size, 1]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "slot" / "data"
    folder.mkdir(parents=True)
    return folder


def mirror(here: Path, files: int = 50, size: int = 1 << 20, disk: int = 1 << 20) -> Mirror:
    return Mirror(here, MirrorLimits(files, size, disk), int)


def left_over(here: Path) -> list[str]:
    return [path.name for path in here.parent.iterdir() if path != here]


def test_what_is_here_is_pushed_and_what_code_makes_is_fetched(
    wait: Wait, here: Path, tmp_path: Path
) -> None:
    content = os.urandom(5500)
    (here / "big.bin").write_bytes(content)
    (here / "empty").touch()
    (here / "inner").mkdir()
    (here / "inner" / "small.txt").write_text("small")
    (here / "file-1").symlink_to("big.bin")
    (here / "file-2").symlink_to("/etc/passwd")
    (here / ".hidden").touch()

    async def scenario() -> None:
        there = HonestKernel(tmp_path / "there")
        mirrored = mirror(here)
        await mirrored.push(there)
        assert (there.folder / "big.bin").read_bytes() == content
        assert (there.folder / "inner" / "small.txt").read_text() == "small"
        assert (there.folder / "empty").read_bytes() == b""
        assert os.readlink(there.folder / "file-1") == "big.bin"
        assert sorted(os.listdir(there.folder)) == ["big.bin", "empty", "file-1", "inner"]
        there.asked.clear()
        await mirrored.push(there)
        assert there.asked == []
        assert await mirrored.fetch(there) == []
        assert there.asked == ["list"]

        (there.folder / "made").mkdir()
        (there.folder / "made" / "new.bin").write_bytes(content[::-1])
        (there.folder / "inner" / "small.txt").write_text("changed")
        (there.folder / "empty").unlink()
        assert await mirrored.fetch(there) == []
        assert (here / "made" / "new.bin").read_bytes() == content[::-1]
        assert (here / "inner" / "small.txt").read_text() == "changed"
        assert not (here / "empty").exists()
        there.asked.clear()
        await mirrored.push(there)
        assert there.asked == []

        (here / "big.bin").unlink()
        await mirrored.push(there)
        assert not (there.folder / "big.bin").exists()
        assert not (there.folder / "file-1").is_symlink()
        assert left_over(here) == []

    wait(scenario())


@pytest.mark.parametrize(
    "name",
    [
        "../out",
        "/etc/out",
        "a/../../out",
        "a//b",
        "",
        ".",
        ".hidden",
        "a/.hidden/b",
        "__pycache__/x",
        "nul\0",
        "x" * 256,
        "d/" * 40 + "x",
        "\ud800",
        None,
        3,
        ["x"],
    ],
)
def test_names_that_are_not_allowed_are_not_written(
    wait: Wait, here: Path, tmp_path: Path, name: object
) -> None:
    async def scenario() -> None:
        there = LyingKernel(tmp_path / "there")
        there.entries, there.content = [entry(name)], b"abc"
        notes = await mirror(here).fetch(there)
        assert len(notes) == 1
        assert "names are not allowed" in notes[0]

    wait(scenario())
    assert list(here.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["slot", "there"]


@pytest.mark.parametrize("content", [b"no json", b"{}", b"3", b"\xff"])
def test_a_listing_that_makes_no_sense_is_refused(
    wait: Wait, here: Path, tmp_path: Path, content: bytes
) -> None:
    class Nonsense(HonestKernel):
        async def ask(self, request: dict[str, Any], data: bytes = b"") -> Answer:
            return {}, content

    async def scenario() -> None:
        with pytest.raises(HelperFailed):
            await mirror(here).fetch(Nonsense(tmp_path / "there"))

    wait(scenario())


@pytest.mark.parametrize("size", [-1, 1.5, "3", None, 1 << 65])
def test_a_size_that_makes_no_sense_is_none(
    wait: Wait, here: Path, tmp_path: Path, size: object
) -> None:
    async def scenario() -> None:
        there = LyingKernel(tmp_path / "there")
        there.entries = [entry("x", size)]
        assert len(await mirror(here).fetch(there)) == 1

    wait(scenario())
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"a" * 4])
def test_more_or_less_than_was_promised_is_not_taken(
    wait: Wait, here: Path, tmp_path: Path, content: bytes
) -> None:
    async def scenario() -> None:
        there = LyingKernel(tmp_path / "there")
        there.entries, there.content = [entry("x", 3)], content
        assert "it changed meanwhile" in (await mirror(here).fetch(there))[0]

    wait(scenario())
    assert list(here.iterdir()) == []
    assert left_over(here) == []


def test_nothing_is_written_through_a_link(wait: Wait, here: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (here / "folder").symlink_to(outside)
    (here / "file").symlink_to(outside / "target")

    async def scenario() -> list[str]:
        there = LyingKernel(tmp_path / "there")
        there.entries = [entry("folder/x"), entry("file")]
        there.content = b"abc"
        return await mirror(here).fetch(there)

    notes = wait(scenario())
    assert len(notes) == 1
    assert notes[0].startswith("folder/x was not saved")
    assert list(outside.iterdir()) == []
    assert not (here / "file").is_symlink()
    assert (here / "file").read_bytes() == b"abc"


def test_limits_hold_and_are_told(wait: Wait, here: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        there = HonestKernel(tmp_path / "there")
        for number in range(4):
            (there.folder / f"{number}.bin").write_bytes(b"x" * 100 * (number + 1))
            os.utime(there.folder / f"{number}.bin", (number, number))
        mirrored = mirror(here, files=3, size=250, disk=250)
        notes = await mirrored.fetch(there)
        assert os.listdir(here) == ["0.bin"]
        assert len(notes) == 3
        assert notes[0].startswith("4 files were made or changed; the first 3 were saved")
        assert "1.bin" in notes[1]
        assert "take more than 250 bytes" in notes[1]
        assert "2.bin" in notes[2]
        assert "larger than the limit of 250 bytes" in notes[2]
        assert await mirrored.fetch(there) == []  # said once

    wait(scenario())


def test_files_of_one_kernel_are_brought_to_the_next(
    wait: Wait, here: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        mirrored = mirror(here)
        first, second = HonestKernel(tmp_path / "first"), HonestKernel(tmp_path / "second")
        await mirrored.push(first)
        (first.folder / "kept").write_text("kept")
        await mirrored.fetch(first)
        mirrored.forget()
        await mirrored.push(second)
        assert (second.folder / "kept").read_text() == "kept"
        assert await mirrored.fetch(second) == []

    wait(scenario())
    assert (here / "kept").read_text() == "kept"
