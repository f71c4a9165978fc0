"""The traits: defaults, what is refused, and that each says what it means."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from traitlets import TraitError
from traitlets.config import Config

from jupyter_ci_ext.sandbox import limits
from jupyter_ci_ext.sandbox.config import Sandbox
from jupyter_ci_ext.sandbox.policy import GiB, MiB, Policy, human_size


def test_the_defaults_are_those_of_the_policy() -> None:
    assert Sandbox().policy() == Policy()


def test_every_limit_is_a_trait() -> None:
    asked_by_threads = {"workspace_folders"}  # no limit: whether a session may be given a folder
    traits = set(Sandbox.class_own_traits(config=True))
    assert {field.name for field in fields(Policy)} == traits - asked_by_threads


@pytest.mark.parametrize("name", sorted(Sandbox.class_own_traits(config=True)))
def test_every_trait_says_what_it_means(name: str) -> None:
    text = str(Sandbox.class_own_traits()[name].help)
    assert len(text) > 20
    assert text.endswith(".")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("memory", -1),
        ("memory", 1 * MiB),
        ("memory", "2 GiB"),
        ("processes", 0),
        ("processes", -5),
        ("open_files", 0),
        ("file_size", -1),
        ("disk", -1),
        ("files", -1),
        ("tmp_size", 0),
        ("shm_size", -1),
        ("home_size", 0),
        ("execution_seconds", -1.0),
        ("execution_seconds", float("nan")),
        ("grace_seconds", 0),
        ("start_seconds", 0),
        ("watch_seconds", 0),
        ("log_bytes", 0),
        ("message_bytes", 0),
        ("cpus", -1.0),
        ("minimum_level", 0),
        ("minimum_level", 4),
        ("maximum_level", "3"),
        ("python", "python3"),
        ("bubblewrap", "bin/bwrap"),
        ("read_only_paths", ["data"]),
        ("read_only_paths", ["/"]),
    ],
)
def test_values_without_a_meaning_are_refused(name: str, value: Any) -> None:
    with pytest.raises(TraitError, match=name):
        Sandbox(config=Config({"Sandbox": {name: value}}))


@pytest.mark.parametrize(
    "name", ["memory", "file_size", "disk", "files", "execution_seconds", "cpus"]
)
def test_nought_means_no_limit_where_it_says_so(name: str) -> None:
    assert "0: no limit" in str(Sandbox.class_own_traits()[name].help) or name == "cpus"
    assert getattr(Sandbox(**{name: 0}).policy(), name) == 0


def test_the_levels_must_not_contradict_each_other() -> None:
    with pytest.raises(TraitError, match="minimum_level"):
        Sandbox(minimum_level=3, maximum_level=2).policy()


def test_a_process_meets_its_limit_before_the_tree_does() -> None:
    assert Policy(memory=2 * GiB).data_limit < 2 * GiB
    assert Policy(memory=0).data_limit == 0
    assert "DATA" not in limits.resource_limits(Policy(memory=0))
    assert "FSIZE" not in limits.resource_limits(Policy(file_size=0))
    assert limits.resource_limits(Policy(processes=64), others=10)["NPROC"] == 74


def test_the_environment_is_made_from_a_list() -> None:
    server = {
        "OPENAI_API_KEY": "CANARY",
        "JUPYTERHUB_API_TOKEN": "CANARY",
        "AWS_SECRET_ACCESS_KEY": "CANARY",
        "PYTHONPATH": "/CANARY",
        "LD_PRELOAD": "CANARY",
        "LC_TIME": "de_DE.UTF-8",
        "TZ": "Europe/Berlin",
    }
    policy = Policy(environment=(("MY_SETTING", "1"),))
    environ = limits.environment(policy, "/env", "/home/sandbox", "/tmp", server)
    assert "CANARY" not in str(environ)
    assert environ["LC_TIME"] == "de_DE.UTF-8"
    assert environ["TZ"] == "Europe/Berlin"
    assert environ["MY_SETTING"] == "1"
    assert environ["PATH"].startswith("/env/bin:")
    assert environ["JPY_PARENT_PID"] == "1"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1 KiB"),
        (1536 * 1024, "1.5 MiB"),
        (2 * GiB, "2 GiB"),
        (4096 * GiB, "4096 GiB"),
    ],
)
def test_human_size(size: int, text: str) -> None:
    assert human_size(size) == text
