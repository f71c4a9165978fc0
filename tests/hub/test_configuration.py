"""Settings: of the service, and what `configure` makes of a Hub's."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from traitlets import TraitError
from traitlets.config import Config

from jupyter_ci_ext.hub import configure
from jupyter_ci_ext.hub.config import HubModelService
from jupyter_ci_ext.hub.identity import Caller
from jupyter_ci_ext.hub.rules import Allowance, Rules
from tests.hub.jupyterhub import PAGE

UPSTREAM = "http://127.0.0.1:1/v1"
SCOPE = "access:services!service=code-interpreter-models"


@pytest.mark.parametrize("name", sorted(HubModelService.class_own_traits(config=True)))
def test_every_setting_says_what_it_means(name: str) -> None:
    text = str(HubModelService.class_own_traits()[name].help)
    assert len(text) > 20
    assert text.endswith(".")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("upstream", "api.openai.com"),
        ("requests_per_day", -1),
        ("tokens_per_day", "many"),
        ("group_quotas", {"a": {"request": 3}}),
        ("group_quotas", {"a": {"requests": -3}}),
        ("time_zone", "Mars/Olympus"),
        ("keep_days", 0),
        ("token_cache_seconds", 0),
        ("max_body_bytes", 0),
    ],
)
def test_values_without_a_meaning_are_refused(name: str, value: Any) -> None:
    with pytest.raises(TraitError):
        HubModelService(**{name: value})
    with pytest.raises(TraitError):
        configure(Config(), **{"upstream": UPSTREAM, name: value})


@pytest.mark.parametrize("settings", [{}, {"upstream": UPSTREAM, "request_per_day": 3}])
def test_what_is_missing_or_misspelt_is_told_when_the_hub_starts(settings: dict[str, Any]) -> None:
    with pytest.raises(TraitError):
        configure(Config(), **settings)


def test_a_bare_hub_gets_service_role_and_environment() -> None:
    c = Config()
    configure(c, upstream=UPSTREAM, models=["m"], url="http://127.0.0.1:7")
    [service] = c.JupyterHub.services
    assert service["command"] == [sys.executable, "-m", "jupyter_ci_ext.hub"]
    assert json.loads(service["environment"]["JUPYTER_CI_EXT_HUB_SERVICE"]) == {
        "upstream": UPSTREAM,
        "models": ["m"],
    }
    assert c.JupyterHub.load_roles == [{"name": "user", "scopes": ["self", SCOPE]}]
    assert c.Spawner.server_token_scopes == [
        "users:activity!user",
        "access:servers!server",
        SCOPE,
    ]
    assert c.Spawner.environment == {"JUPYTER_CI_EXT_MODELS_URL": "http://127.0.0.1:7/v1"}


def test_what_a_configuration_has_stays() -> None:
    c = Config()
    c.JupyterHub.services = [{"name": "other"}]
    c.JupyterHub.load_roles = [
        {"name": "user", "scopes": ["self", "list:users"]},
        {"name": "server", "scopes": ["users:activity!user"]},
    ]
    c.Spawner.environment = {"A": "1"}
    configure(c, upstream=UPSTREAM, reach="http://hub:7/")
    assert [service["name"] for service in c.JupyterHub.services] == [
        "other",
        "code-interpreter-models",
    ]
    roles = {role["name"]: role["scopes"] for role in c.JupyterHub.load_roles}
    assert roles == {"user": ["self", "list:users", SCOPE], "server": ["users:activity!user"]}
    assert c.Spawner.server_token_scopes == ["users:activity!user", SCOPE]
    assert c.Spawner.environment == {"A": "1", "JUPYTER_CI_EXT_MODELS_URL": "http://hub:7/v1"}


def test_lists_that_were_only_added_to_stay() -> None:
    c = Config()
    c.JupyterHub.services.append({"name": "other"})
    c.Spawner.environment.update({"A": "1"})
    configure(c, upstream=UPSTREAM)
    assert c.JupyterHub.services[0] == {"name": "other"}
    assert c.Spawner.environment["A"] == "1"


def test_the_values_for_kubernetes_reach_its_spawner() -> None:
    """The chart sets KubeSpawner.environment, which takes the place of the general one."""
    found = re.search(r"```yaml\n(.*?)```", PAGE.read_text(), re.S)
    assert found is not None
    values = yaml.safe_load(found[1])
    c = Config()
    c.JupyterHub.services, c.JupyterHub.load_roles = [], []
    c.KubeSpawner.environment = {"A": "1"}
    exec(values["hub"]["extraConfig"]["models"], {"c": c})
    told = c.KubeSpawner.environment
    assert told["A"] == "1"
    [port] = values["hub"]["service"]["extraPorts"]
    assert told["JUPYTER_CI_EXT_MODELS_URL"] == f"http://hub:{port['port']}/v1"
    assert json.loads(told["JUPYTER_CI_EXT_LIMITS"])[0] == ["Sandbox.memory", 2**30]
    settings = json.loads(c.JupyterHub.services[0]["environment"]["JUPYTER_CI_EXT_HUB_SERVICE"])
    [mount] = values["hub"]["extraVolumeMounts"]
    assert settings["api_key_file"].startswith(mount["mountPath"])


def test_groups_get_a_role_of_their_own() -> None:
    c = Config()
    configure(c, upstream=UPSTREAM, name="llm", groups=["staff"])
    [role] = c.JupyterHub.load_roles
    assert (role["groups"], role["scopes"]) == (["staff"], ["access:services!service=llm"])


def test_limits_reach_servers_without_braces() -> None:
    """Which KubeSpawner takes for its own templates."""
    c = Config()
    configure(c, upstream=UPSTREAM, limits={"Sandbox": {"memory": 5, "read_only_paths": ["/d"]}})
    text = c.Spawner.environment["JUPYTER_CI_EXT_LIMITS"]
    assert not set(text) & set("{}")
    assert json.loads(text) == [["Sandbox.memory", 5], ["Sandbox.read_only_paths", ["/d"]]]
    with pytest.raises(TraitError, match="file"):
        configure(Config(), upstream=UPSTREAM, limits={"RemoteKernels": {"allowed": {}}})


def test_the_key_of_the_hubs_environment_goes_to_the_service_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    c = Config()
    configure(c, upstream=UPSTREAM)
    assert c.JupyterHub.services[0]["environment"]["OPENAI_API_KEY"] == "sk-1"
    assert "sk-1" not in str(c.Spawner)
    c = Config()
    configure(c, upstream=UPSTREAM, api_key_file="/k")
    assert "sk-1" not in str(c)


def test_settings_come_from_file_environment_and_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "service_config.py"
    file.write_text(f"c.HubModelService.upstream = {UPSTREAM!r}\nc.HubModelService.keep_days = 1\n")
    given = json.dumps({"keep_days": 2, "requests_per_day": 2, "config_file": str(file)})
    monkeypatch.setenv("JUPYTER_CI_EXT_HUB_SERVICE", given)
    monkeypatch.setenv("JUPYTERHUB_SERVICE_URL", "http://127.0.0.1:4321")
    service = HubModelService()
    service.initialize(["--HubModelService.requests_per_day=3"])
    assert (service.upstream, service.keep_days, service.requests_per_day) == (UPSTREAM, 2, 3)
    assert (service.ip, service.port) == ("127.0.0.1", 4321)


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), ("", "does not hold a key"), ("two keys\n", "does not hold a key")],
)
def test_a_file_that_is_no_key_is_told(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SystemExit, match=words):
        HubModelService(api_key_file=str(path)).api_key()


def test_a_missing_upstream_ends_the_service_with_a_sentence() -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")}
    done = subprocess.run(
        [sys.executable, "-m", "jupyter_ci_ext.hub"],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "HubModelService.upstream must be set" in done.stderr
    assert "Traceback" not in done.stderr


def caller(*groups: str) -> Caller:
    return Caller("user", "alice", frozenset(groups), frozenset())


def test_of_several_allowances_the_largest_counts() -> None:
    groups = {"a": Allowance(5, 10), "b": Allowance(3, 0), "c": Allowance(0, 20)}
    rules = Rules(allowance=Allowance(4, 15), group_allowances=groups)
    assert rules.allowance_of(caller()) == Allowance(4, 15)
    assert rules.allowance_of(caller("a")) == Allowance(5, 15)
    assert rules.allowance_of(caller("a", "b")) == Allowance(5, 0)
    assert rules.allowance_of(caller("c", "unknown")) == Allowance(0, 20)


def test_a_day_begins_where_the_site_is() -> None:
    rules = Rules(zone=ZoneInfo("Europe/Berlin"))
    # the night in which summer time ends has 25 hours
    day, following = rules.day(datetime(2026, 10, 24, 22, 30, tzinfo=timezone.utc))
    assert day == "2026-10-25"
    assert following.astimezone(timezone.utc) == datetime(2026, 10, 25, 23, tzinfo=timezone.utc)
