"""Repairs the demo model knows, by the traceback it reads."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Generator, Sequence

from jupyter_ci_ext.llm.demo.script import Failure, Move, Outcome, Run
from jupyter_ci_ext.llm.demo.text import quoted

TRIES = 4
"""How often a piece of code is run at most, repaired in between."""

#: What people forget to import, by the name they use it under.
_IMPORTS = {
    "np": "import numpy as np",
    "pd": "import pandas as pd",
    "plt": "import matplotlib.pyplot as plt",
    "sp": "import sympy as sp",
    "sns": "import seaborn as sns",
    "datetime": "from datetime import datetime",
    "timedelta": "from datetime import timedelta",
    "date": "from datetime import date",
    "Counter": "from collections import Counter",
    "defaultdict": "from collections import defaultdict",
    "Path": "from pathlib import Path",
    "stats": "from scipy import stats",
    "sqrt": "from math import sqrt",
    "sin": "from math import sin",
    "cos": "from math import cos",
    "pi": "from math import pi",
}
_MODULES = [
    "math",
    "random",
    "re",
    "json",
    "csv",
    "os",
    "sys",
    "time",
    "itertools",
    "functools",
    "collections",
    "statistics",
    "string",
    "decimal",
    "fractions",
    "numpy",
    "pandas",
    "matplotlib",
    "scipy",
    "sympy",
    "sklearn",
    "calendar",
    "textwrap",
    "io",
]

_INSTALLED = """\
# What is installed here?
from importlib.metadata import distributions

names = {dist.metadata["Name"].lower() for dist in distributions() if dist.metadata["Name"]}
wanted = ["numpy", "pandas", "matplotlib", "scipy", "sympy", "scikit-learn", "openpyxl", "pyarrow"]
print("There is:", ", ".join(name for name in wanted if name in names) or "only the standard library")"""


class Stuck(Exception):
    """The demo model knows no further; the message is its answer."""


Attempt = Generator[Move, Outcome, Outcome]


def attempt(
    source: str, *, preface: str = "", names: Sequence[str] = (), setup: Sequence[str] = ()
) -> Attempt:
    """Run *source*, and what its tracebacks tell to run instead; raises `Stuck`.

    *names* are the columns of the table in question, *setup* the code that makes its variables,
    run again when a new session has lost them.
    """
    restored = False
    failure = None
    for _ in range(TRIES):
        outcome = yield Run(source, preface)
        failure = outcome.failure
        if failure is None:
            return outcome
        if failure.kind == "ModuleNotFoundError":
            raise Stuck((yield from without_module(failure)))
        if failure.kind == "NameError" and setup and not restored and _lost(failure, setup):
            restored = True
            preface = "The session is new and its variables are gone; I read the table again.\n\n"
            for source_before in setup:
                yield Run(source_before, preface)
                preface = ""
            continue
        repaired = repair(source, failure, names)
        if repaired is None:
            break
        source, why = repaired
        preface = f"{why}\n\n"
    raise Stuck(gave_up(failure))


def repair(source: str, failure: Failure, names: Sequence[str] = ()) -> tuple[str, str] | None:
    """The repaired source, and a sentence on what was wrong; None where no repair is known."""
    if failure.kind == "NameError":
        missing = _quoted_name(failure.message)
        line = _IMPORTS.get(missing) or (f"import {missing}" if missing in _MODULES else "")
        if line and line not in source:
            return f"{line}\n\n{source}", f"`{missing}` was not imported; I add `{line}`."
    if failure.kind == "KeyError" and names:
        return _nearest(source, failure.message, names)
    return None


def gave_up(failure: Failure | None) -> str:
    """The answer when no repair is known."""
    trace = failure.trace if failure else ""
    return f"The code failed, and I know no repair for this:\n\n{quoted(trace[-1500:])}"


def _nearest(source: str, message: str, names: Sequence[str]) -> tuple[str, str] | None:
    found = re.search(r"['\"](.+?)['\"](?!.*['\"])", message)
    wanted = found[1] if found else message
    close = difflib.get_close_matches(wanted.lower(), [n.lower() for n in names], 1, 0.5)
    name = next((n for n in names if close and n.lower() == close[0]), None)
    literal = next(
        (text for text in (json.dumps(wanted, ensure_ascii=False), repr(wanted)) if text in source),
        None,
    )
    if name is None or literal is None or name == wanted:
        return None
    better = source.replace(literal, json.dumps(name, ensure_ascii=False))
    return better, f"There is no column `{wanted}`; the nearest is `{name}`."


def _lost(failure: Failure, setup: Sequence[str]) -> bool:
    missing = re.escape(_quoted_name(failure.message))
    return any(re.search(rf"^(?:def )?{missing}\b", source, re.MULTILINE) for source in setup)


def _quoted_name(message: str) -> str:
    found = re.search(r"'([^']+)'", message)
    return found[1] if found else ""


def without_module(failure: Failure) -> Generator[Move, Outcome, str]:
    """The answer where a module is missing: what is there instead, as a look tells."""
    missing = _quoted_name(failure.message) or "a module"
    listed = yield Run(_INSTALLED, f"`{missing}` is not installed here; I check what is.\n\n")
    return (
        f"This needs the Python module `{missing}`, which is not installed where the code runs, "
        f"and nothing can be installed there. {listed.printed.strip()}."
    )
