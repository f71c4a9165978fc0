"""A day of a busy user, told in a few seconds: nothing grows, nothing is left."""

from __future__ import annotations

from .shortly import passes


def test_a_day_leaves_nothing_behind() -> None:
    shown = passes("day", "--hour=0.2", "--share=0.05")
    assert shown.count(":59 |") == 24
