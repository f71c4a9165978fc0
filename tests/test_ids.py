"""Ids as clients know them, and nobody can guess."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from jupyter_ci_ext import ids
from jupyter_ci_ext.ids import PREFIX, Kind, new_id


@pytest.mark.parametrize("kind", PREFIX)
def test_ids_are_a_prefix_and_24_letters_or_digits(kind: Kind) -> None:
    made = {new_id(kind) for _ in range(200)}
    assert len(made) == 200
    pattern = "[0-9a-f]{32}" if kind == "request" else "[A-Za-z0-9]{24}"
    assert all(re.fullmatch(re.escape(PREFIX[kind]) + pattern, id) for id in made)


def test_no_letter_is_likelier_than_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the 256 bytes four stand for each letter, and eight for none."""
    found: Counter[str] = Counter()
    for byte in range(248):
        monkeypatch.setattr(ids.secrets, "token_bytes", lambda n, byte=byte: bytes([byte]) * n)
        found.update(set(new_id("run")[4:]))
    assert set(found.values()) == {4}
    assert len(found) == 62


def test_bytes_that_are_thrown_away_are_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = [b"\xff" * 32, bytes(20) + b"\xff" * 12, b"\x01" * 32]
    monkeypatch.setattr(ids.secrets, "token_bytes", lambda count: drawn.pop(0))
    assert new_id("run") == "run_" + "a" * 20 + "b" * 4
