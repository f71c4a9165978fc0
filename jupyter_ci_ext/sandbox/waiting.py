"""Waiting for pipes in a server that may have any number of descriptors.

``select.select`` takes none from 1024 on, and a server with some fifty kernels has that many.
"""

from __future__ import annotations

import math
import select
from collections.abc import Iterable


def readable(fds: Iterable[int], seconds: float) -> set[int]:
    """Those of *fds* that have something to read or are at their end, after at most that long."""
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return {fd for fd, _ in poll.poll(math.ceil(max(0.0, seconds) * 1000))}
