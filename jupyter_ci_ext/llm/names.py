"""What names of models tell, and how they are matched; pure."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Container, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

from jupyter_ci_ext.llm.endpoint import Listed, Settings

_SIZE = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)\s?([bm])(?![a-z])", re.IGNORECASE)

T = TypeVar("T")


def name_of(settings: Settings, taken: Container[str]) -> str:
    """A name for the main server, for ``provider/model``."""
    host = urlsplit(settings.url).hostname or ""
    parts = host.split(".")
    if settings.azure_endpoint:
        name = "azure"
    elif settings.is_local or len(parts) < 2 or host.replace(".", "").isdigit():
        name = "main"
    else:
        name = parts[-2]
    return name if name not in taken else "main"


def named(name: str, models: tuple[Listed, ...]) -> Listed | None:
    """The listed model of that name, in the spellings servers take for the same."""
    spellings = (name, f"{name}:latest", f"models/{name}")
    return next((m for m in models if m.id in spellings), None)


def fits(name: str, pattern: str) -> bool:
    """Whether *pattern* fits the name, or what follows its last slash; case does not count."""
    low = pattern.lower()
    return any(fnmatch.fnmatchcase(n, low) for n in (name.lower(), name.lower().split("/")[-1]))


def match(table: Mapping[str, T], name: str) -> T | None:
    """The value of the first pattern of *table* that fits *name*."""
    return next((value for pattern, value in table.items() if fits(name, pattern)), None)


def size_of(name: str) -> int | None:
    """The number of parameters a model's name tells (``qwen2.5-coder-1.5b``), or None."""
    found = _SIZE.search(name.replace("_", "-"))
    if found is None:
        return None
    return int(float(found[1]) * (1_000_000_000 if found[2].lower() == "b" else 1_000_000))
