"""One event loop for a whole module, so that its tests can share kernels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

T = TypeVar("T")


@pytest.fixture(scope="module")
def wait() -> Iterator[Callable[[Coroutine[Any, Any, T]], T]]:
    """Runs a coroutine on the module's loop, within a minute."""
    loop = asyncio.new_event_loop()

    def run(work: Coroutine[Any, Any, T]) -> T:
        return loop.run_until_complete(asyncio.wait_for(work, 60))

    yield run
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
