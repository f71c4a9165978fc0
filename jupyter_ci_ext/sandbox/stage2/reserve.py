"""Memory set aside for the kernel itself."""

from __future__ import annotations

import resource

_LARGEST = 48 << 20


class Reserve:
    """Memory the code cannot take, so that the kernel can still say that there is none left.

    Variables that fill the limit stay after a MemoryError; without a reserve the messages that end
    the execution could not be built, and whoever waits for them would wait in vain.
    """

    def __init__(self) -> None:
        _, self._hard = resource.getrlimit(resource.RLIMIT_DATA)
        unlimited = self._hard == resource.RLIM_INFINITY
        self._soft = self._hard if unlimited else self._hard - min(_LARGEST, self._hard // 8)

    def hold(self) -> None:
        """Before the code runs."""
        resource.setrlimit(resource.RLIMIT_DATA, (self._soft, self._hard))

    def release(self) -> None:
        """After it, or when the kernel needs the memory meanwhile."""
        resource.setrlimit(resource.RLIMIT_DATA, (self._hard, self._hard))
