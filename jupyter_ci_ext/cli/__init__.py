"""The command line: ``jupyter ci demo``, ``jupyter ci doctor`` and ``jupyter ci gc``."""

from __future__ import annotations

import importlib
import sys

# Each is a module of this folder with ``main(arguments) -> exit code``; loaded when it is called.
COMMANDS = {
    "demo": "ask the demo model about a table, through a real server, and save what comes of it",
    "doctor": "check model, sandbox, kernels, disk and database, and say what to fix",
    "gc": "delete what is older than the retention time, and what nothing refers to",
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code. 2 means that there is no such command."""
    words = sys.argv[1:] if arguments is None else arguments
    if words and words[0] in COMMANDS:
        module = importlib.import_module(f"{__name__}.{words[0]}")
        return int(module.main(words[1:]))
    asked_for = bool(words) and words[0] in ("-h", "--help")
    print(_usage(), file=sys.stdout if asked_for else sys.stderr)
    return 0 if asked_for else 2


def _usage() -> str:
    lines = ["usage: jupyter ci COMMAND [--help]", ""]
    return "\n".join([*lines, *(f"  {name:8}{what}" for name, what in COMMANDS.items())])
