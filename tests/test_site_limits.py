"""What a site says holds, whatever a user sets; and nothing is served on limits that make no sense."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from traitlets.config import Config

from jupyter_ci_ext import site_limits
from jupyter_ci_ext.app import CodeInterpreterApp
from jupyter_ci_ext.kernels.config import SessionPool
from jupyter_ci_ext.kernels.remote.config import RemoteKernels
from jupyter_ci_ext.sandbox.config import Sandbox
from jupyter_ci_ext.sandbox.policy import GiB
from jupyter_ci_ext.site_limits import BadLimits, Limited


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The two directories that are looked at, empty."""
    found = (tmp_path / "first", tmp_path / "second")
    for each in found:
        each.mkdir()
    monkeypatch.setattr(site_limits, "DIRECTORIES", found)
    monkeypatch.delenv("JUPYTER_CI_EXT_LIMITS", raising=False)
    return found


def write(directory: Path, **limits: Any) -> None:
    (directory / "jupyter_ci_ext_limits.json").write_text(json.dumps(limits))


@pytest.mark.parametrize(
    ("name", "own", "limit", "held"),
    [
        ("memory", 8 * GiB, GiB, GiB),
        ("memory", 0, GiB, GiB),  # 0: no limit of the user's own
        ("memory", GiB, 4 * GiB, GiB),
        ("memory", 8 * GiB, 0, 8 * GiB),  # 0: no limit of the site's
        ("execution_seconds", 0.0, 60.0, 60.0),
        ("cpus", 0.0, 2.0, 2.0),
        ("processes", 500, 100, 100),
        ("minimum_level", 1, 2, 2),
        ("minimum_level", 3, 2, 3),
        ("workspace_folders", True, False, False),
        ("workspace_folders", False, True, False),
        ("use_cgroups", False, True, True),
        ("python", "/srv/me/python", "/opt/python", "/opt/python"),
    ],
)
def test_a_user_can_only_be_stricter(
    places: tuple[Path, Path], name: str, own: Any, limit: Any, held: Any
) -> None:
    write(places[0], Sandbox={name: limit})
    assert getattr(Sandbox(config=Config({"Sandbox": {name: own}})), name) == held
    assert getattr(Sandbox(**{name: own}), name) == held
    late = Sandbox()
    setattr(late, name, own)
    assert getattr(late, name) == held


def test_what_is_left_as_it_is_is_limited_too(places: tuple[Path, Path]) -> None:
    write(places[0], Sandbox={"memory": GiB}, SessionPool={"max_sessions": 2, "max_life": 60})
    assert Sandbox().policy().memory == GiB
    pool = SessionPool(config=Config({"SessionPool": {"max_life": 0}}))
    assert (pool.max_sessions, pool.max_life) == (2, 60)


def test_other_machines_are_those_of_the_site(places: tuple[Path, Path]) -> None:
    own = {"mine": {"isolation": "none to speak of"}}
    assert RemoteKernels(allowed=own).allowed == own
    write(places[0], RemoteKernels={"allowed": {}})
    assert RemoteKernels(allowed=own).specs() == {}


def test_paths_are_those_within_the_sites(places: tuple[Path, Path], tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "sub").mkdir(parents=True)
    (tmp_path / "data-of-others").mkdir()
    (data / "way-out").symlink_to("/etc")
    write(places[0], Sandbox={"read_only_paths": [str(data)]})
    own = [data / "sub", data, tmp_path / "data-of-others", data / "way-out", data / "../first"]
    sandbox = Sandbox(read_only_paths=[str(path) for path in own])
    assert sandbox.read_only_paths == [str(data / "sub"), str(data)]
    write(places[0], Sandbox={"read_only_paths": []})
    assert Sandbox(read_only_paths=[str(data)]).read_only_paths == []


def test_of_several_places_the_strictest_counts(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(places[0], Sandbox={"memory": 3 * GiB, "python": "/first/python"})
    write(places[1], Sandbox={"memory": 2 * GiB, "processes": 50, "python": "/second/python"})
    sandbox = Sandbox()
    assert (sandbox.memory, sandbox.processes) == (2 * GiB, 50)
    assert sandbox.python == "/first/python"
    # a variable can add to them, never take away, whichever form it has
    third = tmp_path / "third"
    third.mkdir()
    write(third, Sandbox={"memory": GiB, "processes": 999})
    for given in (
        str(third / "jupyter_ci_ext_limits.json"),
        '{"Sandbox": {"memory": 1073741824, "processes": 999}}',
        '[["Sandbox.memory", 1073741824], ["Sandbox.processes", 999]]',
    ):
        monkeypatch.setenv("JUPYTER_CI_EXT_LIMITS", given)
        sandbox = Sandbox()
        assert (sandbox.memory, sandbox.processes) == (GiB, 50)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1]",
        '"Sandbox"',
        '{"Sandbox": 3}',
        '{"Sandbox": {"memroy": 1073741824}}',
        '{"Sandbox": {"environment": {}}}',
        '{"Sandbox": {"memory": "1 GiB"}}',
        '{"Sandbox": {"memory": null}}',
        '{"Sandbox": {"memory": -5}}',
        '{"Sandbox": {"memory": NaN}}',
        '{"Sandbox": {"minimum_level": 4}}',
        '{"Sandbox": {"read_only_paths": 3}}',
        '{"Sandbox": {"python": "python3"}}',
        '{"SandBox": {"memory": 1073741824}}',
    ],
)
def test_limits_that_make_no_sense_are_no_absence_of_limits(
    places: tuple[Path, Path], text: str
) -> None:
    (places[1] / "jupyter_ci_ext_limits.json").write_text(text)
    with pytest.raises(BadLimits, match="limit"):
        Sandbox()


def test_a_file_that_is_named_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for given in ("/nowhere/limits.json", "limits.json"):
        monkeypatch.setenv("JUPYTER_CI_EXT_LIMITS", given)
        with pytest.raises(BadLimits, match="names no file"):
            SessionPool()


@pytest.mark.parametrize("cls", [Sandbox, SessionPool, RemoteKernels, CodeInterpreterApp])
def test_what_can_be_limited_is_a_setting(cls: type[Limited]) -> None:
    assert set(cls.tightened) <= set(cls.class_trait_names(config=True))
    assert cls.__name__ in site_limits.LIMITABLE


class TestServer:
    """The application's own limits, and what a person is told of bad ones."""

    @pytest.fixture
    def jp_server_config(self, tmp_path: Path) -> dict[str, Any]:
        return {
            "ServerApp": {"jpserver_extensions": {"jupyter_ci_ext": True}},
            "CodeInterpreterApp": {"data_dir": str(tmp_path / "state"), "run_expiry": 0},
        }

    async def test_the_servers_settings_are_limited(
        self, places: tuple[Path, Path], jp_fetch: Any
    ) -> None:
        write(places[0], CodeInterpreterApp={"run_expiry": 60, "max_code_calls": 3})
        reply = await jp_fetch("code-interpreter", "status")
        limits = json.loads(reply.body)["limits"]
        assert (limits["run_expiry_seconds"], limits["code_calls_per_run"]) == (60, 3)

    async def test_bad_limits_are_told_and_nothing_is_served(
        self, places: tuple[Path, Path], jp_fetch: Any
    ) -> None:
        (places[0] / "jupyter_ci_ext_limits.json").write_text("{")
        reply = await jp_fetch("openai", "v1", "models", raise_error=False)
        assert reply.code == 503
        assert "jupyter_ci_ext_limits.json" in json.loads(reply.body)["error"]["message"]
        # once they are right the server goes on
        write(places[0], Sandbox={"memory": GiB})
        assert (await jp_fetch("openai", "v1", "models")).code == 200
