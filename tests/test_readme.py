"""README and the pages it points to say what is so: targets, files, settings, entry points."""

from __future__ import annotations

import re
import runpy
from importlib.metadata import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake ([a-z-]+)", README))))
def test_every_target_that_is_named_is_there(target: str) -> None:
    assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)", README))))
def test_every_file_that_is_linked_is_there(link: str) -> None:
    assert (ROOT / link).is_file()


def test_the_tables_of_settings_are_those_of_the_traits() -> None:
    made = runpy.run_path(str(ROOT / "scripts" / "trait_table.py"))
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert made["render"](page) == page


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\bc\.([A-Z]\w+\.\w+)", README))))
def test_every_setting_that_is_named_exists(name: str) -> None:
    made = runpy.run_path(str(ROOT / "scripts" / "trait_table.py"))
    classes = {cls.__name__: cls for cls in made["CLASSES"]}
    owner, trait = name.split(".")
    assert trait in classes[owner].class_trait_names(config=True)


@pytest.mark.parametrize("command", sorted(set(re.findall(r"jupyter ci ([a-z]+)", README))))
def test_every_command_that_is_named_exists(command: str) -> None:
    assert (ROOT / "jupyter_ci_ext" / "cli" / f"{command}.py").is_file()


def test_the_extras_that_are_named_exist() -> None:
    named = set(re.findall(r"pip install '\.\[(\w+)\]'", README))
    assert named
    assert named <= set(metadata("jupyter-ci-ext").get_all("Provides-Extra") or ())
