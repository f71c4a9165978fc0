"""A folder of the user's shown to the code: which may be, and what the code sees of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_ci_ext.errors import SandboxUnavailable
from jupyter_ci_ext.kernels import attach

from .fakes import InstantLauncher
from .plain import end_of, pool, printed
from .test_sandboxed import sandboxed_pool

Wait = Callable[[Any], Any]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A server's root with data, hidden things and ways out of it."""
    root = tmp_path / "root"
    for folder in ("data/sub/.ipynb_checkpoints", ".ssh", "data/.git", "me/work", "me/runtime"):
        (root / folder).mkdir(parents=True)
    for file in ("data/a.csv", "data/sub/b.csv", "data/.env", "data/.git/config", ".ssh/id"):
        (root / file).write_text(file)
    (root / "data/sub/.ipynb_checkpoints/c").write_text("c")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("secret")
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "data/out").symlink_to(tmp_path / "outside")
    monkeypatch.setenv("HOME", str(root / "me/work"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(root / "me/runtime"))
    return root


@pytest.mark.parametrize("name", ["data", "/data/", "data/sub", "data//sub"])
def test_a_folder_below_the_root(root: Path, name: str) -> None:
    assert attach.resolve(root, name).path == root / name.strip("/").replace("//", "/")


def test_what_is_hidden_in_it_is_told(root: Path) -> None:
    found = attach.resolve(root, "data")
    names = [os.path.relpath(path, root / "data") for path in found.hidden]
    assert names == [".env", ".git", "sub/.ipynb_checkpoints"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("/", "below the one"),
        (" ", "no such file"),
        (".", "below the one"),
        ("..", "hidden"),
        ("data/../../outside", "hidden"),
        (".ssh", "hidden"),
        ("data/.git", "hidden"),
        ("link", "link"),
        ("data/out", "link"),
        ("data/a.csv", "no folder"),
        ("none", "no such file"),
        ("me", "home folder"),
        ("me/work", "home folder"),
        ("me/runtime", "Jupyter's own"),
        ("data\0", "below the one"),
    ],
)
def test_others_are_refused(root: Path, name: str, why: str) -> None:
    with pytest.raises(SandboxUnavailable, match=why):
        attach.resolve(root, name)


def test_too_many_hidden_files_are_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attach, "MOST_HIDDEN", 2)
    with pytest.raises(SandboxUnavailable, match="hidden files"):
        attach.resolve(root, "data")


def test_no_folder_is_attached_unless_the_admin_allows_it(wait: Wait, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pool(tmp_path, InstantLauncher()) as sessions:
            with pytest.raises(SandboxUnavailable, match="has not allowed it"):
                async with sessions.use("a", folder="data"):
                    pass

    wait(scenario())


_LOOK = """
import os
for folder in (WHERE, WHERE + '/sub'):
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        try:
            seen = os.listdir(path) if os.path.isdir(path) else open(path).read()
        except OSError as error:
            seen = type(error).__name__
        print(os.path.relpath(path, WHERE), seen or 'nothing')
try:
    open(WHERE + '/new', 'w')
except OSError as error:
    print('not written')
"""


@pytest.mark.parametrize("level", [3, 2])
def test_the_code_reads_what_is_not_hidden_and_changes_nothing(
    wait: Wait, tmp_path: Path, root: Path, level: int
) -> None:
    for path in (tmp_path, *tmp_path.parents):  # as root the code is another user
        if path.stat().st_uid == os.getuid() and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o011)

    async def scenario() -> None:
        levels = {"minimum_level": level, "maximum_level": level}
        async with sandboxed_pool(tmp_path, levels, root=root, warm_spares=1) as sessions:
            async with sessions.use("a", folder="data") as session:
                where = session.folder_path
                assert where == ("/mnt/workspace" if level == 3 else str(root / "data"))
                seen = (await printed(session, f"WHERE = {where!r}{_LOOK}")).splitlines()
                first = session.info.id
            assert "a.csv data/a.csv" in seen
            assert "sub/b.csv data/sub/b.csv" in seen
            assert seen[-1] == "not written"
            assert "secret" not in str(seen)
            hidden = {line.split()[0]: line.split()[1] for line in seen if "/." in f"/{line}"}
            assert set(hidden) == {".env", ".git", "sub/.ipynb_checkpoints"}
            assert hidden[".env"] in ("nothing", "PermissionError")
            if level == 3:
                assert hidden[".git"] == hidden["sub/.ipynb_checkpoints"] == "nothing"
            async with sessions.use("a", folder="data") as session:
                assert session.info.id == first
                for name in (".git/config", "sub/.ipynb_checkpoints/c"):
                    assert (await end_of(session, f"open('{where}/{name}')")).status == "error"
            async with sessions.use("a") as session:  # it was taken out of the metadata
                assert session.info.id != first
                end = await end_of(session, f"import os; os.listdir({where!r})")
                assert end.status == "error"
        assert not (root / "data/new").exists()

    try:
        wait(scenario())
    except SandboxUnavailable as error:
        pytest.skip(error.message)
