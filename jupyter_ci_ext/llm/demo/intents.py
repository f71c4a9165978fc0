"""Which script a request gets."""

from __future__ import annotations

import re
from collections.abc import Generator

from jupyter_ci_ext.llm.base import FileNote
from jupyter_ci_ext.llm.demo import maths, simulation
from jupyter_ci_ext.llm.demo.question import ask
from jupyter_ci_ext.llm.demo.reading import FORMATS
from jupyter_ci_ext.llm.demo.repair import Stuck, gave_up, repair, without_module
from jupyter_ci_ext.llm.demo.script import Move, Outcome, Run, Script
from jupyter_ci_ext.llm.demo.tables import remembered
from jupyter_ci_ext.llm.demo.tablework import about_table
from jupyter_ci_ext.llm.demo.talk import Talk
from jupyter_ci_ext.llm.demo.text import quoted

_BLOCK = re.compile(
    r"^([ \t]*)(`{3,})[ \t]*(?:python|py|python3)\b[^\n]*\n(.*?)^\1\2[ \t]*$",
    re.DOTALL | re.MULTILINE,
)
_SMALL_TALK = re.compile(
    r"\W*(?:hi|hello|hey|hallo|good (?:morning|day|evening)|thanks?|thank you|help|who are you|what can you do|what are you|ok|okay|bye)\b[\w\s,!.?']{0,30}",
    re.IGNORECASE,
)
_MEANS_FILE = re.compile(
    r"\b(?:file|table|data ?set|data|csv|xlsx|excel|spreadsheet|parquet|attach\w*|upload\w*|columns?|rows?)\b",
    re.IGNORECASE,
)
_MEANS_ANALYSIS = re.compile(
    r"analy[sz]\w+|explor\w+|overview|summar\w+|profile|insights?|clean\w*|chart|plot|draw|graph"
    r"|visuali[sz]\w+|again|more",
    re.IGNORECASE,
)
NO_FILE = (
    "There is no table here yet: attach one (CSV, TSV, XLSX, JSON or Parquet) for the code "
    "interpreter, and ask again."
)


def script_for(talk: Talk) -> Script | None:
    """How to work on the request; None: this is beyond the demo model."""
    if block := _BLOCK.search(talk.text):
        return _unstuck(_as_written(block[3].rstrip("\n")))
    if is_small_talk(talk):
        return None
    file = _file(talk)
    script = maths.find(talk.text, sure=file is not None)
    if script is None and (file is None or not _MEANS_FILE.search(talk.text)):
        script = simulation.find(talk.text) if file is None or _plainly(talk.text) else None
    if script is None and file is not None and not _is_off_topic(talk, file):
        script = about_table(talk, file)
    if script is None and _MEANS_FILE.search(talk.text):
        return _said(NO_FILE)
    return None if script is None else _unstuck(script)


def _is_off_topic(talk: Talk, file: FileNote) -> bool:
    """Whether a table was talked about before, and this is about something else.

    A table that is new is profiled with nothing more specific asked.
    """
    known = None if talk.attached else remembered(talk, file)
    if known is None or _MEANS_FILE.search(talk.text) or _MEANS_ANALYSIS.search(talk.text):
        return False
    return ask(talk.text, known).wish == "profile"


def is_small_talk(talk: Talk) -> bool:
    """Whether nothing is asked: a greeting, thanks, or no word at all."""
    if not talk.text:
        return not talk.attached
    return _SMALL_TALK.fullmatch(talk.text) is not None


def _plainly(text: str) -> bool:
    return re.search(r"simulat|monte.?carlo|\bdice\b|\bcoin", text, re.IGNORECASE) is not None


def _file(talk: Talk) -> FileNote | None:
    """The table that is meant: named in the text, attached to the message, read before, or newest."""
    known = {file.name: file for file in talk.files}
    low = talk.text.lower()
    named = [f for f in talk.files if f.name.lower() in low or f.id.lower() in low]
    attached = [known.get(name, FileNote(name, name, 0)) for name in talk.attached]
    own = [f for f in talk.files if not re.search(r"_(?:cleaned|selected)\.\w+$", f.name)]
    earlier = [f for f in own if remembered(talk, f) is not None]
    for choice in (named, attached, earlier, own, list(talk.files)):
        tables = [f for f in choice if f.name.rsplit(".", 1)[-1].lower() in FORMATS]
        if tables or choice:
            return (tables or choice)[-1]
    return None


def _said(text: str) -> Script:
    yield from ()
    return text


def _unstuck(script: Script) -> Script:
    try:
        return (yield from script)
    except Stuck as stuck:
        return str(stuck)


def _as_written(source: str) -> Generator[Move, Outcome, str]:
    """Run the user's own code; only what its traceback plainly tells is repaired, and said."""
    outcome = yield Run(source)
    told = ""
    failure = outcome.failure
    if failure is not None and (better := repair(source, failure)) is not None:
        told = f"As written it failed with `{failure}`. {better[1]}\n\n"
        outcome = yield Run(better[0], told)
        failure = outcome.failure
    if failure is not None and failure.kind == "ModuleNotFoundError":
        return (yield from without_module(failure))
    if failure is not None:
        return gave_up(failure)
    printed = outcome.text.strip("\n")
    return f"It ran and gave:\n\n{quoted(printed)}" if printed else "It ran and printed nothing."
