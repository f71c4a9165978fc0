"""How the demo model works on a request: a script that is played again from the start each turn.

A script is a generator. It yields what it wants done (`Run`, `Ask`), is sent what came of it, and
returns its answer. The model keeps no state: what was done already is in the prompt, so each turn
the script is played anew with those results, and what it yields next is this turn's move.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass

_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_ERROR = re.compile(r"^((?:\w+\.)*\w*(?:Error|Exception|Interrupt|Warning|Exit))(?:: (.*))?$")
# What a traceback has besides its last line, which code may also print by itself.
_TRACE = re.compile(
    r"^(?:-{40,}$|Traceback \(most recent|\s*(?:Cell In\[|File )|-+> \d+ |UsageError: )",
    re.MULTILINE,
)
_NOTES = re.compile(r"^(?:\[\d+ pictures? w|Files written or changed:|\(This ran in a new session)")


@dataclass(frozen=True)
class Run:
    """Run *source*; *preface* is what the user is told before."""

    source: str
    preface: str = ""


@dataclass(frozen=True)
class Ask:
    """Call functions of the caller: names and arguments as JSON text."""

    calls: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Say:
    """The answer."""

    text: str


@dataclass(frozen=True)
class Failure:
    """The exception a piece of code ended with."""

    kind: str
    message: str
    trace: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}" if self.message else self.kind


@dataclass(frozen=True)
class Outcome:
    """What came of a move: the texts of its calls, in their order."""

    texts: tuple[str, ...]

    @property
    def text(self) -> str:
        """What was printed, without terminal colours."""
        return _ESCAPES.sub("", "\n".join(self.texts))

    @property
    def printed(self) -> str:
        """The text up to the notes on pictures and files that are put below it."""
        lines = self.text.splitlines()
        end = next((n for n, line in enumerate(lines) if _NOTES.match(line)), len(lines))
        return "\n".join(lines[:end]).strip("\n")

    @property
    def findings(self) -> list[str]:
        """The printed lines that begin with a dash: what the code found out."""
        return [line[2:] for line in self.printed.splitlines() if line.startswith("- ")]

    @property
    def failure(self) -> Failure | None:
        """The exception at the end of the text, if it ended with one."""
        lines = self.printed.rstrip().splitlines()
        if not _TRACE.search("\n".join(lines)):
            return None
        for number in range(len(lines) - 1, max(-1, len(lines) - 12), -1):
            if found := _ERROR.match(lines[number].strip()):
                kind = found[1].rsplit(".", 1)[-1]
                return Failure(kind, (found[2] or "").strip(), "\n".join(lines))
        return None


Move = Run | Ask
Script = Generator[Move, Outcome, str]


def play(script: Script, outcomes: Sequence[Outcome]) -> Move | Say:
    """The move after *outcomes*, or the answer."""
    try:
        move = next(script)
        for outcome in outcomes:
            move = script.send(outcome)
    except StopIteration as end:
        return Say(str(end.value))
    return move
