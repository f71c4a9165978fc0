"""Errors as the log may have them: where they came from, but not what they say.

The words of an exception often repeat what it was about, a line of a table or the name of a file,
and a server's log is read by others than its users.
"""

from __future__ import annotations

import traceback


def trace(error: BaseException) -> str:
    """The traceback of *error* and of what caused it, with kinds in place of messages."""
    parts: list[str] = []
    each: BaseException | None = error
    seen: set[int] = set()
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        frames = "".join(traceback.format_tb(each.__traceback__))
        parts.append(f"{frames}{kind(each)}")
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
    return "\nThis came of:\n".join(parts)


def kind(error: BaseException) -> str:
    """What sort of error it is; of the operating system's also what that says, without names."""
    name = type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        return f"{name}: {error.strerror}"
    return name
