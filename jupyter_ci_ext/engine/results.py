"""What the model is told of an execution; pure. Live and from the steps of earlier runs alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from jupyter_ci_ext.engine.text import human_size, shorten
from jupyter_ci_ext.engine.values import Made
from jupyter_ci_ext.kernels.outputs import ExecutionEnd
from jupyter_ci_ext.wire.run_step import CodeInterpreterOutput

NOTHING: Final = "(The code ran and printed nothing.)"

FRESH: Final = (
    "(This ran in a new session: variables and imports of earlier code are gone, files in "
    "/mnt/data are kept.)"
)


def settle(text: str) -> str:
    """*text* as a terminal would leave it after carriage returns."""
    if "\r" not in text:
        return text
    # What a progress bar wrote over and over: only its last form is read.
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in lines)


def outputs_text(outputs: Sequence[CodeInterpreterOutput]) -> str:
    """The outputs of a stored call in words."""
    parts: list[str] = []
    pictures = 0
    for output in outputs:
        if output.type == "logs":
            parts.append(output.logs)
        elif output.type == "image":
            pictures += 1
    text = settle("".join(parts)).strip("\n")
    return "\n".join(filter(None, [text, shown_text(pictures)]))


def shown_text(pictures: int) -> str:
    """How the model is told of pictures that were shown to the user."""
    if not pictures:
        return ""
    return f"[{pictures} picture{'s were' if pictures > 1 else ' was'} shown to the user]"


def result_text(
    logs: str,
    *,
    pictures: int,
    files: Sequence[Made],
    notes: Sequence[str],
    end: ExecutionEnd,
    limit: int,
) -> str:
    """What the model is told; *limit* in characters is for what the code printed."""
    parts = [shorten(settle(logs).strip("\n"), limit), shown_text(pictures)]
    if files:
        lines = [f"- /mnt/data/{file.path} ({human_size(file.size)})" for file in files]
        parts.append("Files written or changed:\n" + "\n".join(lines))
    parts += notes
    parts.append(end.reason)
    return "\n".join(filter(None, parts)) or NOTHING
