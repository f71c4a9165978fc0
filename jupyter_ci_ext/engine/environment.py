"""What the model is told about where its code runs: one template, filled in by `describe`."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from functools import lru_cache
from importlib import metadata
from typing import Final

from jupyter_ci_ext.engine.limits import RunLimits
from jupyter_ci_ext.engine.text import human_size
from jupyter_ci_ext.llm.base import FileNote

TEMPLATE: Final = """\
# Code interpreter
You can run Python in a Jupyter kernel, in a sandbox that belongs to this conversation. Variables, \
imports and files stay from one execution to the next. The working directory is /mnt/data.
- {network}
- Limits: {limits}.
- Packages present: {packages}. Nothing can be installed.
- Print what you need to see; the value of the last expression is shown as well. Long output is \
shortened in the middle, so print summaries, not whole tables.
- Matplotlib figures are shown to the user by themselves once plt.show() is called or the code ends: \
do not save them just to show them, and do not embed them in your answer.
- When code fails you see its traceback: repair the code and run it again.
- To give the user a file, write it to /mnt/data and link it in your answer as \
[its name](sandbox:/mnt/data/its-name), with blanks written as %20. Only such links can be opened.
{files}{folder}"""

FOLDER: Final = """
## The user's folder {name}
It is at /mnt/workspace, to be read only: list it with Python. It may be large; read what you need."""

FILES: Final = """\
## Files in /mnt/data
Each can be read under its name or its id:
{lines}"""

NO_FILES: Final = "- /mnt/data holds no files of the user."

MADE: Final = """
Written by earlier code of this conversation, there or in folders below:
{lines}"""

NO_SEARCH: Final = """\
# File search
Files cannot be searched here: nothing was searched, nothing can be cited. {instead} Where the \
question needs what is in them, say that file search is not available; never guess at it."""

READ_INSTEAD: Final = "Files attached for it are in /mnt/data: read them with Python."
CANNOT_READ: Final = "You cannot read files that were attached for it."

PACKAGES: Final = (
    "numpy",
    "pandas",
    "matplotlib",
    "scipy",
    "sympy",
    "scikit-learn",
    "openpyxl",
    "pyarrow",
    "seaborn",
    "plotly",
    "altair",
    "statsmodels",
    "pillow",
    "polars",
    "networkx",
    "duckdb",
    "reportlab",
    "python-docx",
    "python-pptx",
    "pypdf",
    "beautifulsoup4",
)
"""Packages that models like to use; those that are there are named."""

_ASK_SECONDS: Final = 30

UNKNOWN: Final = ("not known; import what you need and see",)
"""Said in place of packages where they cannot be looked up."""

MOST_FILES: Final = 100
"""Files that are named; of the others only the number is told."""


def describe(
    files: Sequence[FileNote],
    made: Sequence[tuple[str, int]],
    limits: RunLimits,
    packages: Sequence[str],
    folder: str = "",
) -> str:
    """The text for a model; *files* are the user's, *made* name and size of what code wrote.

    *folder* is the name of one of the user's that is attached, empty for none.
    """
    lines = [_line(file) for file in files[:MOST_FILES]]
    if len(files) > MOST_FILES:
        lines.append(f"- and {len(files) - MOST_FILES} more: list /mnt/data")
    text = FILES.format(lines="\n".join(lines)) if lines else NO_FILES
    if made:
        written = [f"- {_literal(name)} ({human_size(size)})" for name, size in made[-MOST_FILES:]]
        text += MADE.format(lines="\n".join(written))
    return TEMPLATE.format(
        network="The code can use the network."
        if limits.network
        else "There is no network: nothing can be downloaded, no service can be called.",
        limits=_limits(limits),
        packages=", ".join(packages) or "the standard library only",
        files=text,
        folder=FOLDER.format(name=_literal(folder)) if folder else "",
    )


def describe_search(*, code: bool) -> str:
    """The text for a model that was promised file search; *code*: it can run code."""
    return NO_SEARCH.format(instead=READ_INSTEAD if code else CANNOT_READ)


_ASK: Final = """
import sys
from importlib import metadata
for name in sys.argv[1:]:
    try:
        print(name, metadata.version(name))
    except metadata.PackageNotFoundError:
        pass
"""


@lru_cache(maxsize=4)
def installed(python: str = "") -> tuple[str, ...]:
    """Those of `PACKAGES` that the interpreter *python* (empty: ours) has, with versions.

    Reads the disk once, or runs that interpreter: call it in a thread.
    """
    if python:
        command = [python, "-I", "-c", _ASK, *PACKAGES]
        try:
            answer = subprocess.run(
                command,
                env={"LANG": "C.UTF-8"},
                capture_output=True,
                text=True,
                timeout=_ASK_SECONDS,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return ()  # the session will say what is wrong with it
        return tuple(answer.stdout.splitlines())
    found: list[str] = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return tuple(found)


def _line(file: FileNote) -> str:
    return f"- /mnt/data/{_literal(file.name)} (id {file.id}, {human_size(file.size)})"


def _literal(name: str) -> str:
    """A name, which is the user's text, so that it cannot break out of its line."""
    return name if name.isprintable() else ascii(name)[1:-1]


def _limits(limits: RunLimits) -> str:
    told: list[str] = []
    if limits.execution_time:
        told.append(f"{limits.execution_time:g} seconds for one execution")
    if limits.memory:
        told.append(f"{human_size(limits.memory)} of memory")
    if limits.disk:
        told.append(f"{human_size(limits.disk)} of files")
    told.append(f"{limits.code_calls} executions for one answer")
    return ", ".join(told)
