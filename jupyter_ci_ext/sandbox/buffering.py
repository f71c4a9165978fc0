"""Keep Jupyter Server from hoarding what a sandboxed kernel says to nobody.

When the last page on a kernel is closed the server keeps its messages, without a bound, for a page that
may come back. Code that prints for ever would fill the server's memory so. The server has a switch for
that, ``buffer_offline_messages``, but for all kernels at once, and for notebooks people want it on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_MARK = "_code_interpreter_forgoes_buffering"


def forgo(kernels: Any, is_sandboxed: Callable[[str], bool]) -> None:
    """Turn buffering off for the kernels for which ``is_sandboxed(kernel_id)``; once per manager.

    ``kernels`` is whatever manages the kernels; one that does not buffer is left as it is.
    """
    buffer = getattr(kernels, "start_buffering", None)
    if buffer is None or getattr(kernels, _MARK, False):
        return

    def start_buffering(kernel_id: str, session_key: str, channels: Mapping[str, Any]) -> Any:
        if not is_sandboxed(kernel_id):
            return buffer(kernel_id, session_key, channels)
        for stream in channels.values():
            stream.close()
        return None

    kernels.start_buffering = start_buffering
    setattr(kernels, _MARK, True)
