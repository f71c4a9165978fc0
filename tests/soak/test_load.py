"""More threads than there may be sessions, all at once: all get their turn, nothing is left."""

from __future__ import annotations

from .shortly import passes


def test_everybody_has_their_turn_and_nothing_is_left() -> None:
    shown = passes("load", "--seconds=1", "--clients=5", "--sessions=2", "--turns=2")
    assert "| left after the server's end | 0 |" in shown
