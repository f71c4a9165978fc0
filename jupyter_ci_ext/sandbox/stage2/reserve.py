"""Memory set aside for the kernel itself."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import resource
import sys
import traceback

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


def forget_what_filled_memory() -> None:
    """After a MemoryError, let go of what the frames of its traceback hold.

    The interpreter keeps the last traceback, and with it the large values that did not fit beside
    others; the code that follows would find no memory either.
    """
    error: BaseException | None = getattr(sys, "last_value", None)
    if not isinstance(error, MemoryError):
        return
    sys.last_value = None
    sys.last_traceback = None
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # the allocator is not glibc's
        ctypes.CDLL(None).malloc_trim(0)
