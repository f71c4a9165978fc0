"""``jupyter ci doctor``: each check, with what it is there to find."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from traitlets.config import Config

from jupyter_ci_ext.cli import check_disk, check_kernels, check_model, main
from jupyter_ci_ext.cli.findings import Finding
from jupyter_ci_ext.llm.config import ModelProvider
from jupyter_ci_ext.store.database import Store
from jupyter_ci_ext.store.migrations import MIGRATIONS
from tests.fakes import answers
from tests.fakes import upstream as upstream
from tests.fakes.upstream import ScriptedUpstream


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "AZURE_OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def only(findings: list[Finding]) -> Finding:
    (finding,) = findings
    return finding


def models(**traits: Any) -> Finding:
    return only(check_model.check_model(ModelProvider(local_discovery=False, **traits)))


# ---- model -------------------------------------------------------------------------------------


def test_a_server_that_answers_lists_its_models(upstream: ScriptedUpstream) -> None:
    found = models(base_url=upstream.url, api_key="sk-secret")
    assert (found.state, found.fix) == ("ok", "")
    assert "lists 1 model: scripted" in found.text


def test_a_key_that_is_refused(upstream: ScriptedUpstream) -> None:
    upstream.models_error = answers.error(401, "Incorrect API key provided: sk-secret")
    found = models(base_url=upstream.url, api_key="sk-secret")
    assert found.state == "problem"
    assert "OPENAI_API_KEY" in found.fix
    assert "sk-secret" not in found.text


def test_a_server_that_is_not_there() -> None:
    found = models(base_url="http://127.0.0.1:9/v1")
    assert found.state == "problem"
    assert "127.0.0.1:9" in found.text
    assert "start that server" in found.fix


def test_a_server_that_is_not_asked() -> None:
    found = models(base_url="http://127.0.0.1:9/v1", models=["one"])
    assert (found.state, "not asked" in found.text) == ("note", True)


def test_without_a_server_it_says_how_to_connect_one() -> None:
    found = models()
    assert found.state == "note"
    assert "demo" in found.text
    assert "OPENAI_BASE_URL" in found.fix


def test_nonsense_in_the_settings() -> None:
    assert models(providers={"x": {"adress": "y"}}).state == "problem"


# ---- kernels -----------------------------------------------------------------------------------


def test_kernels_of_this_environment() -> None:
    found = check_kernels.check_kernels(Config(), sys.executable)
    assert [each.state for each in found] == ["ok"] * 3
    assert set(check_kernels.data_packages()) >= {"numpy", "pandas", "matplotlib"}


def test_an_environment_without_anything(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True, timeout=60)
    python = str(bare / "bin" / "python")
    kernel, data = list(check_kernels._environment(python))
    assert (kernel.state, kernel.fix) == ("problem", f"{python} -m pip install 'ipykernel>=7'")
    assert (data.state, "pandas" in data.text) == ("note", True)
    assert only(list(check_kernels._environment(str(tmp_path / "none")))).state == "problem"


def test_no_kernelspec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_kernels, "KERNELSPEC", "there-is-none")
    monkeypatch.setattr(check_kernels, "PROVISIONER", "there-is-none-either")
    found = check_kernels.check_kernels(Config(), sys.executable)
    assert [each.state for each in found] == ["problem", "problem", "ok"]


# ---- disk and database -------------------------------------------------------------------------


def test_a_directory_that_is_not_there_yet(tmp_path: Path) -> None:
    data = tmp_path / "not" / "yet"
    assert [each.state for each in check_disk.check_disk(data)] == ["ok", "ok"]
    assert only(check_disk.check_database(data)).text.startswith("not made yet")
    assert list(tmp_path.iterdir()) == []


class Usage:
    """A disk with so many bytes left."""

    def __init__(self, free: int) -> None:
        self.free = free


@pytest.mark.parametrize(("free", "state"), [(2**20, "problem"), (2**30, "note")])
def test_a_disk_that_is_full(tmp_path: Path, monkeypatch: Any, free: int, state: str) -> None:
    monkeypatch.setattr(check_disk.shutil, "disk_usage", lambda _: Usage(free))
    full = check_disk.check_disk(tmp_path / "data")[1]
    assert (full.state, "jupyter ci gc" in full.fix) == (state, True)


def test_a_network_file_system_and_open_doors(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(check_disk, "filesystem_type", lambda _: "nfs4")
    tmp_path.chmod(0o755)
    *_, network, doors = check_disk.check_disk(tmp_path)
    assert (network.state, "nfs4" in network.text, "local disk" in network.fix) == (
        "note",
        True,
        True,
    )
    assert doors.fix == f"chmod 700 {tmp_path}"


def test_a_directory_that_cannot_be_written(tmp_path: Path, monkeypatch: Any) -> None:
    def refuse(dir: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(check_disk.tempfile, "TemporaryFile", refuse)
    found = check_disk.check_disk(tmp_path)[0]
    assert (found.state, "Permission denied" in found.text) == ("problem", True)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    async def make() -> None:
        await (await Store.open(tmp_path / "data")).close()

    asyncio.run(make())
    return tmp_path / "data"


def test_a_sound_database(data: Path) -> None:
    before = (data / "state.db").read_bytes()
    found = only(check_disk.check_database(data))
    assert (found.state, found.text) == (
        "ok",
        f"sound, schema {len(MIGRATIONS)} of {len(MIGRATIONS)}",
    )
    assert (data / "state.db").read_bytes() == before


def test_a_database_that_a_server_has_open(data: Path) -> None:
    async def look() -> Finding:
        store = await Store.open(data)
        try:
            return only(check_disk.check_database(data))
        finally:
            await store.close()

    assert asyncio.run(look()).text.endswith("open in 1 server now")


def test_databases_of_other_versions(data: Path) -> None:
    with sqlite3.connect(data / "state.db") as db:
        db.execute("INSERT INTO migrations VALUES (99, 'm0099_future', 1)")
    db.close()
    newer = only(check_disk.check_database(data))
    assert (newer.state, "newer version" in newer.text) == ("problem", True)
    with sqlite3.connect(data / "state.db") as db:
        db.execute("DELETE FROM migrations WHERE number > 1")
    db.close()
    older = check_disk.check_database(data)
    assert [each.state for each in older] == ["ok", "note"]


def test_a_damaged_database(data: Path) -> None:
    database = data / "state.db"
    content = bytearray(database.read_bytes())
    content[4096:12288] = os.urandom(8192)
    database.write_bytes(content)
    assert only(check_disk.check_database(data)).state == "problem"
    database.write_text("no database at all, and long enough to be looked at " * 20)
    found = only(check_disk.check_database(data))
    assert "is not a database" in found.text
    assert "move it away" in found.fix


def test_a_locked_database(data: Path) -> None:
    """By something that is no server of ours; and by a server that must have it for itself."""
    with sqlite3.connect(data / "state.db", isolation_level=None) as db:
        db.execute("PRAGMA journal_mode=DELETE")
        db.execute("BEGIN EXCLUSIVE")
        found = only(check_disk.check_database(data))
        assert (found.state, "in use by another process" in found.text) == ("problem", True)
        with (data / "instances" / "other.lock").open("w") as sign:
            fcntl.flock(sign, fcntl.LOCK_EX)
            assert only(check_disk.check_database(data)).state == "ok"
        db.execute("ROLLBACK")
    db.close()


# ---- all of it ---------------------------------------------------------------------------------


def test_what_is_wrong_is_the_exit_code(capsys: Any, tmp_path: Path) -> None:
    (tmp_path / "state.db").write_text("no database, and long enough to be looked at " * 20)
    arguments = [
        "--json",
        "--Sandbox.minimum_level=1",
        "--Sandbox.maximum_level=1",
        "--ModelProvider.local_discovery=False",
        f"--CodeInterpreterApp.data_dir={tmp_path}",
    ]
    assert main(["doctor", *arguments]) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    wrong = [each for each in found if each["state"] == "problem"]
    assert [each["area"] for each in wrong] == ["database"]
    areas = {"model", "sandbox", "memory", "kernels", "disk", "database"}
    assert {each["area"] for each in found} == areas
    (tmp_path / "state.db").unlink()
    assert main(["doctor", *arguments[1:]]) == 0
    out = capsys.readouterr().out
    assert "NOT against hostile code" in out
    assert out.rstrip().endswith("everything works")
