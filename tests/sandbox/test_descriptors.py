"""A server that has more than a thousand descriptors open, as one with fifty kernels does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
from collections.abc import Iterator

import pytest

from .harness import kernel

_SELECT_TAKES = 1024


@contextlib.contextmanager
def crowded() -> Iterator[None]:
    """All numbers that select() takes are taken."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * _SELECT_TAKES
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"this user may open no more than {hard} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    taken: list[int] = []
    try:
        while not taken or taken[-1] < _SELECT_TAKES + 50:
            taken.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        yield
    finally:
        for fd in taken:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_session_starts_runs_and_ends(level: int) -> None:
    async def run() -> None:
        async with kernel(maximum_level=level, minimum_level=level) as running:
            assert (await running.run("print(6 * 7)")).text == "42\n"
            usage = running.provisioner.usage
            for _ in range(300):  # the watch takes its first sample
                if usage().memory_bytes:
                    break
                await asyncio.sleep(0.1)
            assert usage().memory_bytes

    with crowded():
        asyncio.run(run())
