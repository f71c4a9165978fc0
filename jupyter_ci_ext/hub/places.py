"""How many requests of one caller are under way."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from .faults import TooManyAtOnce


class Places:
    """At most *limit* at a time for each caller; 0: any number."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: Counter[str] = Counter()
        self._free = asyncio.Event()
        self._free.set()

    async def all_free(self) -> None:
        """Wait until no request is under way."""
        await self._free.wait()

    @contextmanager
    def taken(self, caller: str) -> Iterator[None]:
        """Hold one of the caller's places for the block; raises `TooManyAtOnce`."""
        if self._limit and self._taken[caller] >= self._limit:
            raise TooManyAtOnce(self._limit)
        self._taken[caller] += 1
        self._free.clear()
        try:
            yield
        finally:
            self._taken[caller] -= 1
            if not self._taken[caller]:
                del self._taken[caller]
            if not self._taken:
                self._free.set()
