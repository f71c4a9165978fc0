"""Memory set aside for the kernel itself."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import resource
import sys
import traceback
from typing import Any

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


OUT_OF_MEMORY = (
    "The session may not have more memory. Its variables are kept, results that no variable holds are "
    "not: delete large variables (del name), work on less at a time (pieces, smaller types), and try again."
)


def forget_what_filled_memory(shell: Any) -> None:
    """After a MemoryError, let go of all that is not the code's own variables.

    The interpreter and the shell keep the last exception, and with its traceback the large values of
    functions that did not fit beside others; the shell keeps every result that was shown. The code that
    follows would find no memory either.
    """
    error: BaseException | None = getattr(sys, "last_value", None)
    if not _for_memory(error):
        return
    for name in ("last_value", "last_traceback", "last_exc"):
        if hasattr(sys, name):
            setattr(sys, name, None)
    for name in ("etype", "evalue", "tb"):
        if hasattr(shell.InteractiveTB, name):
            setattr(shell.InteractiveTB, name, None)
    shell.last_execution_result = None
    shell.displayhook.flush()
    for name in ("_", "__", "___"):  # which that forgets
        shell.user_ns_hidden.pop(name, None)
    let_go_of_frames(error)
    del error
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # the allocator is not glibc's
        ctypes.CDLL(None).malloc_trim(0)


def let_go_of_frames(error: BaseException | None) -> None:
    """Clear the local variables of the functions in which memory ran out; they are over."""
    if not _for_memory(error):
        return
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def say_what_to_do(shell: Any) -> None:
    """Add to the traceback of a MemoryError what can be done about it."""
    show = shell._showtraceback

    def show_traceback(kind: Any, value: Any, lines: list[str]) -> None:
        show(kind, value, [*lines, OUT_OF_MEMORY] if _for_memory(value) else lines)

    shell._showtraceback = show_traceback


def _for_memory(error: object) -> bool:
    """Whether it is a MemoryError, or one came of it."""
    seen: set[int] = set()
    while isinstance(error, BaseException) and id(error) not in seen:
        if isinstance(error, MemoryError):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False
