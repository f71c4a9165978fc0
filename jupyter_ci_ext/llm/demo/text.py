"""What the demo model says about itself, and when it cannot go on."""

from __future__ import annotations

from collections.abc import Sequence

from jupyter_ci_ext.llm.demo.script import Outcome, Run, Script
from jupyter_ci_ext.llm.discovery import LocalServer

ABOUT = (
    "I am the **demo model**: rules, not AI. I write real Python for the code interpreter, and "
    "that is all I am for."
)

ABILITIES = """\
What I can do:
- look at a table you attach (CSV, TSV, XLSX, JSON, Parquet): clean it, describe it, draw it, save it
- answer about its columns: shape, missing values, first rows, filters, group-by, top rows
- draw them: histogram, bar, line, scatter, box, correlations, a line fit
- save it as CSV, XLSX, JSON or Parquet
- solve equations (`3x + 11 = 14`), differentiate, integrate, do arithmetic, plot a function
- simulate coins, dice, random walks and π
- run what you put into a ```` ```python ```` block, as it is"""

CONNECT = """\
To connect a real model, start the Jupyter server with
```bash
export OPENAI_BASE_URL=https://api.openai.com/v1   # or any OpenAI-compatible server
export OPENAI_API_KEY=…
jupyter lab
```
and choose one of its models."""

FOOTER = "_Written by the demo model: rules, not AI._"

NO_INTERPRETER = (
    'I can only work with code, and this assistant has no code interpreter: add `{"type": '
    '"code_interpreter"}` to its tools.\n\n' + FOOTER
)


def cannot(asked: bool, *, code: bool, servers: Sequence[LocalServer]) -> str:
    """The answer to what the demo model does not understand, or to a greeting (not *asked*)."""
    parts = [ABOUT]
    if asked:
        parts[0] += " I cannot do what you ask."
    if not code:
        parts.append(NO_INTERPRETER.removesuffix("\n\n" + FOOTER))
    parts += [ABILITIES, CONNECT]
    parts += [_local(server) for server in servers]
    return "\n\n".join(parts)


def _local(server: LocalServer) -> str:
    names = ", ".join(f"`{server.name}/{name}`" for name in server.models[:3])
    more = f" and {len(server.models) - 3} more" if len(server.models) > 3 else ""
    return (
        f"A model server answers on this machine at {server.base_url}; choose {names}{more}, or "
        f"set `OPENAI_BASE_URL={server.base_url}`."
    )


def stopped(known: str) -> str:
    """The answer when no more code may run."""
    if not known:
        return "No code may run here, and without it I cannot answer.\n\n" + FOOTER
    return f"No more code may run, so this is as far as I got:\n\n{quoted(known)}"


def quoted(printed: str, lines: int = 20) -> str:
    """Output for an answer: a block, with what is over *lines* left out."""
    rows = printed.strip("\n").splitlines()
    if len(rows) > lines:
        rows = [*rows[:lines], f"… and {len(rows) - lines} more lines"]
    ticks = "````" if "```" in printed else "```"
    return "\n".join([f"{ticks}text", *rows, ticks])


def literal(text: str) -> str:
    """*text* as a literal in double quotes, where that is easy to read."""
    plain = text.isprintable() and '"' not in text and "\\" not in text
    return f'"{text}"' if plain else repr(text)


def link(file: str) -> str:
    """A link the user can click."""
    return f"[{file}](sandbox:/mnt/data/{file})"


def bullets(lines: list[str]) -> str:
    """Findings as a list; a single one as a sentence."""
    if len(lines) == 1:
        return lines[0][:1].upper() + lines[0][1:] + "."
    return "\n".join(f"- {line}" for line in lines)


def nothing_to_run() -> Script:
    """Where code is demanded and there is nothing to compute: show what is there."""
    outcome: Outcome = yield Run(
        "import os, platform\n\n"
        'print("Python", platform.python_version())\n'
        'print("Files:", sorted(os.listdir("/mnt/data")))'
    )
    return f"{ABOUT} I ran a piece of code that shows where it runs:\n\n{quoted(outcome.printed)}"
