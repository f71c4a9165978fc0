from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from jupyter_ci_ext.errors import SandboxUnavailable
from jupyter_ci_ext.kernels.slots import Slots, remove_tree


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    slots = Slots(tmp_path / "workspaces")
    slots.prepare()
    return slots


def folders(slots: Slots) -> set[str]:
    return {path.name for path in slots._slots.iterdir()}


def test_a_slot_is_found_again_with_its_files(slots: Slots) -> None:
    first = slots.open("thread_a")
    (first.data / "x").write_text("x")
    first.release()
    again = slots.open("thread_a")
    assert again.path == first.path
    assert (again.data / "x").read_text() == "x"
    assert (again.data.stat().st_mode & 0o777, again.path.stat().st_mode & 0o777) == (0o700, 0o700)


def test_two_keys_have_two_slots(slots: Slots) -> None:
    assert slots.open("thread_a").path != slots.open("thread_b").path


@pytest.mark.parametrize("key", ["../../etc", "slots", "incoming", "", ".", "a/b", "x" * 300, "é"])
def test_a_key_never_leads_elsewhere(slots: Slots, tmp_path: Path, key: str) -> None:
    slot = slots.open(key)
    slot.release()
    assert slot.path.parent == tmp_path / "workspaces" / "slots"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["workspaces"]
    assert slots.open(key).path == slot.path


def test_another_server_on_the_same_slot_is_refused(slots: Slots, tmp_path: Path) -> None:
    slot = slots.open("thread_a")
    other = Slots(tmp_path / "workspaces")
    with pytest.raises(SandboxUnavailable, match="another Jupyter server"):
        other.open("thread_a")
    slot.release()
    other.open("thread_a").release()


def test_a_spare_becomes_the_slot_of_a_new_key(slots: Slots) -> None:
    spare = slots.create()
    slots.bind(spare, "thread_a")
    spare.release()
    assert slots.open("thread_a").path == spare.path


def test_a_spare_takes_over_what_the_key_had(slots: Slots) -> None:
    old = slots.open("thread_a")
    (old.data / "kept.txt").write_text("kept")
    (old.data / "closed").mkdir()
    (old.data / "closed" / "inner").write_text("inner")
    (old.data / "closed").chmod(0o500)
    (old.data / "dangling").symlink_to("/nowhere")
    old.record.write_text("{}")
    old.release()
    spare = slots.create()
    slots.bind(spare, "thread_a")
    assert sorted(os.listdir(spare.data)) == ["closed", "dangling", "kept.txt"]
    assert (spare.data / "closed" / "inner").read_text() == "inner"
    assert spare.record.read_text() == "{}"
    assert folders(slots) == {spare.path.name}


def test_a_spare_is_not_bound_while_another_server_uses_the_key(
    slots: Slots, tmp_path: Path
) -> None:
    old = Slots(tmp_path / "workspaces").open("thread_a")
    with pytest.raises(SandboxUnavailable):
        slots.bind(slots.create(), "thread_a")
    old.release()
    assert slots.open("thread_a").path == old.path


def test_a_merge_that_was_cut_off_is_finished_at_the_next_use(
    slots: Slots, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = slots.open("thread_a")
    for name in ("a", "b", "c"):
        (old.data / name).write_text(name)
    old.release()
    spare = slots.create()
    rename, moved = os.rename, []

    def crash_after_one(source: str, target: str) -> None:
        if moved:
            raise KeyboardInterrupt
        moved.append(source)
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", crash_after_one)
        with pytest.raises(KeyboardInterrupt):
            slots.bind(spare, "thread_a")
    spare.release()
    slots.prepare()  # what a new server does first: nothing of it may be swept
    again = slots.open("thread_a")
    assert sorted(os.listdir(again.data)) == ["a", "b", "c"]
    assert folders(slots) == {spare.path.name}


def test_what_belongs_to_nobody_is_swept_but_not_what_a_live_server_holds(
    slots: Slots, tmp_path: Path
) -> None:
    spare, bound = slots.create(), slots.open("thread_a")
    bound.release()
    left = slots.create()
    left.release()
    Slots(tmp_path / "workspaces").prepare()
    assert folders(slots) == {spare.path.name, bound.path.name}


def test_copies_nobody_took_go_after_a_day(slots: Slots) -> None:
    for name, age in (("new", 60), ("old", 100_000)):
        (slots.incoming / name).touch()
        os.utime(slots.incoming / name, (time.time() - age,) * 2)
    slots.prepare()
    assert os.listdir(slots.incoming) == ["new"]


def test_forgetting_deletes_everything(slots: Slots, tmp_path: Path) -> None:
    slot = slots.open("thread_a")
    (slot.data / "x").write_text("x")
    slot.release()
    slots.forget("thread_a")
    slots.forget("thread_a")
    assert folders(slots) == set()
    assert not (tmp_path / "workspaces" / "thread_a").is_symlink()


def test_a_hostile_tree_is_removed_and_nothing_else(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("kept")
    tree = tmp_path / "tree"
    (tree / "closed" / "inner").mkdir(parents=True)
    (tree / "closed" / "inner" / "x").touch()
    (tree / "closed").chmod(0)
    (tree / "link").symlink_to(precious)
    (tree / "file-link").symlink_to(precious / "file")
    os.mkfifo(tree / "fifo")
    (tree / "bad\udcff").touch()
    here = os.getcwd()
    os.chdir(tree)
    for _ in range(1100):
        os.mkdir("d")
        os.chdir("d")
    Path("bottom").touch()
    os.chdir(here)
    remove_tree(tree)
    assert not tree.exists()
    assert (precious / "file").read_text() == "kept"
