from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jupyter_ci_ext.errors import StoreError
from jupyter_ci_ext.kernels import workspace as module
from jupyter_ci_ext.kernels.slots import Slots
from jupyter_ci_ext.kernels.workspace import Collected, StagedFile, Workspace

Wait = Callable[[Any], Any]


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    slots = Slots(tmp_path / "workspaces")
    slots.prepare()
    return slots


def workspace_of(slots: Slots, key: str = "thread_a") -> Workspace:
    slot = slots.open(key)
    slot.release()
    return Workspace(slot, slots.incoming, max_new_files=50, max_file_size=1 << 20)


@pytest.fixture
def work(slots: Slots, wait: Wait) -> Iterator[Workspace]:
    work = workspace_of(slots)
    wait(work.load())
    yield work
    assert not [path for path in slots.incoming.iterdir() if path.name.startswith("stage-")]


@pytest.fixture
def blob(tmp_path: Path) -> Callable[..., StagedFile]:
    def make(file_id: str, name: str, data: bytes = b"a,b\n1,2\n") -> StagedFile:
        path = tmp_path / f"blob-{file_id}"
        path.write_bytes(data)
        path.chmod(0o400)
        return StagedFile(file_id, name, path, len(data))

    return make


def by_name(collected: Collected) -> dict[str, bytes]:
    return {file.name: file.path.read_bytes() for file in collected.files}


def test_a_file_is_there_by_name_and_by_id(work: Workspace, blob: Any, wait: Wait) -> None:
    written = wait(work.stage([blob("file-1", "data.csv")]))
    assert written == [work.path / "data.csv"]
    assert work.names == {"file-1": "data.csv"}
    assert (work.path / "data.csv").read_bytes() == b"a,b\n1,2\n"
    assert (work.path / "file-1").read_bytes() == b"a,b\n1,2\n"
    assert (work.path / "data.csv").stat().st_mode & 0o777 == 0o644
    assert wait(work.collect()) == Collected()


def test_a_file_can_have_other_ids_as_well(work: Workspace, blob: Any, wait: Wait) -> None:
    file = blob("file-1", "data.csv")
    wait(work.stage([file]))
    wait(work.stage([replace(file, aliases=("assistant-1",))]))
    assert (work.path / "assistant-1").read_bytes() == b"a,b\n1,2\n"
    assert work.names == {"file-1": "data.csv"}
    assert wait(work.collect()) == Collected()


@pytest.mark.parametrize(
    "name", ["../../x.csv", "a\nb.csv", "n" * 300 + ".csv", "東京.csv", "", "file-1", "file-2"]
)
def test_any_name_lands_in_the_workspace(work: Workspace, blob: Any, wait: Wait, name: str) -> None:
    wait(work.stage([blob("file-1", name), blob("file-2", name, b"second")]))
    first, second = work.names["file-1"], work.names["file-2"]
    assert first != second
    assert (work.path / first).read_bytes() == b"a,b\n1,2\n"
    assert (work.path / second).read_bytes() == b"second"
    assert (work.path / "file-2").read_bytes() == b"second"


def test_files_of_one_name_are_all_there(work: Workspace, blob: Any, wait: Wait) -> None:
    files = [blob(f"file-{number}", "data.csv", b"%d" % number) for number in range(3)]
    wait(work.stage(files))
    assert work.names == {
        "file-0": "data.csv",
        "file-1": "data (2).csv",
        "file-2": "data (3).csv",
    }
    assert [(work.path / name).read_bytes() for name in work.names.values()] == [b"0", b"1", b"2"]


def test_what_code_made_is_not_overwritten(work: Workspace, blob: Any, wait: Wait) -> None:
    (work.path / "data.csv").write_bytes(b"mine")
    (work.path / "link.csv").symlink_to("/etc/passwd")
    wait(work.stage([blob("file-1", "data.csv"), blob("file-2", "link.csv")]))
    assert (work.path / "data.csv").read_bytes() == b"mine"
    assert work.names == {"file-1": "data (2).csv", "file-2": "link (2).csv"}


def test_staging_again_changes_nothing(work: Workspace, blob: Any, wait: Wait) -> None:
    files = [blob("file-1", "data.csv")]
    wait(work.stage(files))
    (work.path / "data.csv").write_bytes(b"changed by code")
    assert wait(work.stage(files)) == []
    assert (work.path / "data.csv").read_bytes() == b"changed by code"


def test_a_file_that_code_deleted_comes_back(work: Workspace, blob: Any, wait: Wait) -> None:
    files = [blob("file-1", "data.csv")]
    wait(work.stage(files))
    (work.path / "data.csv").unlink()
    (work.path / "file-1").unlink()
    wait(work.stage(files))
    assert work.names == {"file-1": "data.csv"}
    assert (work.path / "file-1").read_bytes() == b"a,b\n1,2\n"


def test_a_file_that_is_deleted_before_it_is_staged_is_left_out(
    work: Workspace, blob: Any, wait: Wait
) -> None:
    gone, there = blob("file-1", "gone.csv"), blob("file-2", "there.csv", b"second")
    gone.path.unlink()
    assert wait(work.stage([gone, there])) == [work.path / "there.csv"]
    assert work.names == {"file-2": "there.csv"}
    assert sorted(os.listdir(work.path)) == ["file-2", "there.csv"]


def test_names_are_the_same_in_the_next_session(
    slots: Slots, work: Workspace, blob: Any, wait: Wait
) -> None:
    files = [blob("file-1", "data.csv"), blob("file-2", "data.csv", b"2")]
    wait(work.stage(files))
    later = workspace_of(slots)
    wait(later.load())
    assert wait(later.stage(files)) == []
    assert later.names == {"file-1": "data.csv", "file-2": "data (2).csv"}


@pytest.mark.parametrize("record", ["", "[]", "{", '{"file-1": "../../x"}', '{"file-1": 3}'])
def test_a_broken_record_does_no_harm(slots: Slots, wait: Wait, blob: Any, record: str) -> None:
    slot = slots.open("thread_a")
    slot.record.write_text(record)
    slot.release()
    work = workspace_of(slots)
    wait(work.load())
    wait(work.stage([blob("file-1", "data.csv")]))
    assert (work.path / work.names["file-1"]).read_bytes() == b"a,b\n1,2\n"
    written = json.loads(slot.record.read_text())["file-1"]
    assert written == {"name": work.names["file-1"], "size": 8}


def test_a_full_disk_is_said_so_and_leaves_nothing_half(
    work: Workspace, blob: Any, wait: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_clone", full)
    with pytest.raises(StoreError, match=r"no room on the disk for data\.csv"):
        wait(work.stage([blob("file-1", "data.csv")]))
    assert os.listdir(work.path) == []
    assert work.names == {}


def test_new_and_changed_files_are_collected_once(work: Workspace, blob: Any, wait: Wait) -> None:
    wait(work.stage([blob("file-1", "data.csv")]))
    (work.path / "out").mkdir()
    (work.path / "out" / "chart.png").write_bytes(b"png")
    (work.path / "data.csv").write_bytes(b"cleaned")
    collected = wait(work.collect())
    assert by_name(collected) == {"out/chart.png": b"png", "data.csv": b"cleaned"}
    assert {file.name: file.replaces for file in collected.files} == {
        "out/chart.png": None,
        "data.csv": "file-1",
    }
    for file in collected.files:
        assert file.sha256 == hashlib.sha256(file.path.read_bytes()).hexdigest()
        assert file.size == len(file.path.read_bytes())
    assert wait(work.collect()) == Collected()
    (work.path / "data.csv").write_bytes(b"cleaned more")
    assert by_name(wait(work.collect())) == {"data.csv": b"cleaned more"}


def test_an_input_changed_through_its_id_is_known_by_its_name(
    work: Workspace, blob: Any, wait: Wait
) -> None:
    wait(work.stage([blob("file-1", "data.csv"), blob("file-2", "other.csv")]))
    (work.path / "file-1").write_bytes(b"through the link")
    (work.path / "file-2").unlink()
    (work.path / "file-2").write_bytes(b"instead of the link")
    collected = wait(work.collect())
    assert by_name(collected) == {
        "data.csv": b"through the link",
        "other.csv": b"instead of the link",
    }
    assert [file.replaces for file in collected.files] == ["file-1", "file-2"]


def test_the_same_bytes_written_again_are_no_new_file(
    work: Workspace, blob: Any, wait: Wait
) -> None:
    wait(work.stage([blob("file-1", "data.csv", b"same")]))
    (work.path / "chart.png").write_bytes(b"png")
    (work.path / "data.csv").write_bytes(b"same")
    assert by_name(wait(work.collect())) == {"chart.png": b"png"}
    (work.path / "chart.png").write_bytes(b"png")
    assert wait(work.collect()) == Collected()


def test_files_given_to_another_user_are_not_new(work: Workspace, blob: Any, wait: Wait) -> None:
    wait(work.stage([blob("file-1", "data.csv")]))
    for name in ("left.txt", "changed.txt"):
        (work.path / name).write_text("before")
    wait(work.collect())
    (work.path / "changed.txt").write_text("after, not yet collected")
    for name in ("left.txt", "changed.txt", "data.csv"):
        before = (work.path / name).stat().st_ctime_ns
        while (work.path / name).stat().st_ctime_ns == before:
            os.chown(work.path / name, os.getuid(), os.getgid())
    work._hashes.clear()  # as in a session that begins
    wait(work.adopted())
    assert [file.name for file in wait(work.collect()).files] == ["changed.txt"]


def test_what_was_there_before_the_session_is_not_new(slots: Slots, wait: Wait) -> None:
    work = workspace_of(slots)
    (work.path / "old.txt").write_text("old")
    wait(work.load())
    assert wait(work.collect()) == Collected()


def test_hostile_leftovers_cost_a_note_at_most(
    slots: Slots, work: Workspace, tmp_path: Path, wait: Wait
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of the host")
    (work.path / "link").symlink_to(secret)
    os.mkfifo(work.path / "fifo")
    os.link(secret, work.path / "hard")
    with open(work.path / "huge", "wb") as huge:
        huge.truncate(1 << 40)
    (work.path / "bad\udcff\n<b>.txt").write_text("named badly")
    (work.path / "good.txt").write_text("good")
    collected = wait(work.collect())
    assert by_name(collected) == {"bad\ufffd\n<b>.txt": b"named badly", "good.txt": b"good"}
    assert sorted(collected.notes) == [
        "hard was not saved: it is a hard link.",
        "huge was not saved: it is larger than the limit of 1048576 bytes.",
    ]
    assert len(list(slots.incoming.iterdir())) == 2


def test_files_over_the_number_stay_with_a_note(slots: Slots, wait: Wait) -> None:
    slot = slots.open("thread_a")
    work = Workspace(slot, slots.incoming, max_new_files=3, max_file_size=1 << 20)
    wait(work.load())
    for number in range(5):
        (work.path / f"{number}.txt").write_text(f"{number}")
        os.utime(work.path / f"{number}.txt", ns=(0, number))
    collected = wait(work.collect())
    assert [file.name for file in collected.files] == ["0.txt", "1.txt", "2.txt"]
    assert len(collected.notes) == 1
    assert collected.notes[0].startswith("5 files were made or changed; the first 3 were saved")
    assert wait(work.collect()) == Collected()


def test_a_file_is_opened_for_a_link_only_if_it_is_one(
    work: Workspace, blob: Any, tmp_path: Path, wait: Wait
) -> None:
    (tmp_path / "secret").write_text("of the host")
    (work.path / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(work.path / "fifo")
    wait(work.stage([blob("file-1", "data.csv")]))
    for name in ("link", "fifo", "../staged.json", "/etc/passwd", "", ".", "none", "nul\0"):
        assert work.open_file(name) is None
    for name in ("data.csv", "file-1"):
        opened = work.open_file(name)
        assert opened is not None
        with opened:
            assert opened.read() == b"a,b\n1,2\n"


def test_a_workspace_that_code_closed_to_everybody_is_opened_again(
    work: Workspace, wait: Wait
) -> None:
    (work.path / "x.txt").write_text("x")
    work.path.chmod(0)
    assert by_name(wait(work.collect())) == {"x.txt": b"x"}
