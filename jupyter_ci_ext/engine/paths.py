"""``/mnt/data`` where there is none; pure.

A sandbox without a file system of its own shows the workspace under its real path. The model, its
links and what people read stay with ``/mnt/data`` all the same: the code is given the real path, and
what it puts out is given back the familiar one. Text that is printed in two pieces right in the
middle of a path keeps the real one, which does no harm.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from jupyter_ci_ext.kernels.outputs import DisplayData, ErrorOutput, Output, StreamText

FAMILIAR: Final = "/mnt/data"

_IN_CODE: Final = re.compile(r"(?<![\w/])/mnt/data(?![\w-])")


def into_code(source: str, real: str) -> str:
    """*source* as it must read where the workspace is at *real*."""
    if real == FAMILIAR:
        return source
    # Within a string of the source, whatever its quotes.
    inner = real.replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'")
    return _IN_CODE.sub(lambda _: inner, source)


def out_of_output(output: Output, real: str) -> Output:
    """*output* as people know it, from a workspace at *real*."""
    if real == FAMILIAR:
        return output
    if isinstance(output, StreamText):
        return replace(output, text=output.text.replace(real, FAMILIAR))
    if isinstance(output, ErrorOutput):
        return replace(
            output,
            evalue=output.evalue.replace(real, FAMILIAR),
            traceback=output.traceback.replace(real, FAMILIAR),
        )
    if isinstance(output, DisplayData):
        data = {
            mime: value.replace(real, FAMILIAR)
            if mime.startswith("text/") and isinstance(value, str)
            else value
            for mime, value in output.data.items()
        }
        return replace(output, data=data)
    return output
