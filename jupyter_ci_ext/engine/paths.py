"""``/mnt/data`` and ``/mnt/workspace`` where there are none; pure.

A sandbox without a file system of its own shows the workspace under its real path. The model, its
links and what people read stay with ``/mnt/data`` all the same: the code is given the real path, and
what it puts out is given back the familiar one. Text that is printed in two pieces right in the
middle of a path keeps the real one, which does no harm.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from jupyter_ci_ext.kernels.outputs import DisplayData, ErrorOutput, Output, StreamText

FAMILIAR: Final = "/mnt/data"


def into_code(source: str, places: Mapping[str, str]) -> str:
    """*source* as it must read where the folders are; *places* maps a familiar path to the real one."""
    for familiar, real in places.items():
        if real != familiar:
            # Within a string of the source, whatever its quotes.
            inner = real.replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'")
            pattern = rf"(?<![\w/]){re.escape(familiar)}(?![\w-])"
            source = re.sub(pattern, lambda _, inner=inner: inner, source)  # type: ignore[misc]
    return source


def out_of_output(output: Output, places: Mapping[str, str]) -> Output:
    """*output* as people know it, from folders at the real paths of *places*."""
    for familiar, real in places.items():
        if real != familiar:
            output = _renamed(output, real, familiar)
    return output


def _renamed(output: Output, real: str, familiar: str) -> Output:
    if isinstance(output, StreamText):
        return replace(output, text=output.text.replace(real, familiar))
    if isinstance(output, ErrorOutput):
        return replace(
            output,
            evalue=output.evalue.replace(real, familiar),
            traceback=output.traceback.replace(real, familiar),
        )
    if isinstance(output, DisplayData):
        data = {
            mime: value.replace(real, familiar)
            if mime.startswith("text/") and isinstance(value, str)
            else value
            for mime, value in output.data.items()
        }
        return replace(output, data=data)
    return output
