from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_ci_ext.kernels.names import MAX_BYTES, free_name, printable, safe_name


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("data.csv", "data.csv"),
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\x.csv", "x.csv"),
        ("two\nlines.txt", "two_lines.txt"),
        ("evil\u202egnp.exe", "evil_gnp.exe"),
        ("Überblick 東京.xlsx", "Überblick 東京.xlsx"),
        ("..", "file"),
        ("", "file"),
        ("/", "file"),
        ("...", "file"),
        (".env", "env"),
        ("nul\0byte", "nul_byte"),
        ("-rf", "-rf"),
        ("a" * 300 + ".csv", "a" * (MAX_BYTES - 4) + ".csv"),
        ("<img src=x onerror=alert(1)>.png", "<img src=x onerror=alert(1)>.png"),
    ],
)
def test_names_are_made_safe(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@settings(database=None, deadline=None)
@given(st.text())
def test_any_name_becomes_one_component_that_a_file_system_takes(name: str) -> None:
    safe = safe_name(name)
    assert safe
    assert "/" not in safe
    assert not safe.startswith(".")
    assert len(os.fsencode(safe)) <= MAX_BYTES
    assert safe_name(safe) == safe


def test_a_name_that_is_taken_is_numbered_before_its_extension() -> None:
    assert free_name("data.csv", {"data.csv"}) == "data (2).csv"
    assert free_name("data.csv", {"data.csv", "data (2).csv"}) == "data (3).csv"
    assert free_name("a.tar.gz", {"a.tar.gz"}) == "a (2).tar.gz"
    assert free_name("README", {"README"}) == "README (2)"
    assert free_name("data.csv", set()) == "data.csv"


def test_bytes_that_are_no_text_can_be_shown() -> None:
    assert printable(os.fsdecode(b"a\xff.txt")) == "a\ufffd.txt"
