"""Fixtures of Jupyter Server's own test kit: a real server in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

pytest_plugins = ["pytest_jupyter.jupyter_server"]


@pytest.fixture
def jp_asyncio_loop(
    jp_asyncio_loop: asyncio.AbstractEventLoop,
) -> Iterator[asyncio.AbstractEventLoop]:
    """The kit's loop, given time to close generators that were dropped: else Python 3.13 warns."""

    async def turns() -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    yield jp_asyncio_loop
    jp_asyncio_loop.run_until_complete(turns())
