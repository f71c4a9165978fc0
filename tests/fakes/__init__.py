"""Fakes the rooms' tests share: real little servers, named by how they misbehave.

A room takes the fixture into its own ``conftest.py`` with
``from tests.fakes import upstream as upstream``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.upstream import ScriptedUpstream


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    """A language-model server on loopback that answers what the test queued."""
    with ScriptedUpstream() as server:
        yield server
