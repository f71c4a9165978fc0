"""What a check has found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Area = Literal["model", "sandbox", "memory", "kernels", "disk", "database"]

State = Literal["ok", "note", "problem"]
"""A note is worth knowing; a problem keeps something from working."""


@dataclass(frozen=True)
class Finding:
    """One sentence, and what to do about it where there is something to be done."""

    area: Area
    state: State
    text: str
    fix: str = ""
