"""Reading a table of any common format into ``df``, by code that is run and looked at."""

from __future__ import annotations

import ast
import re
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Literal

from jupyter_ci_ext.llm.base import FileNote
from jupyter_ci_ext.llm.demo.repair import Stuck, attempt, gave_up
from jupyter_ci_ext.llm.demo.script import Failure, Move, Outcome, Run
from jupyter_ci_ext.llm.demo.tables import NAMED, OVERVIEW, Column, Table, read_overview
from jupyter_ci_ext.llm.demo.text import literal, quoted

FORMATS: dict[str, Literal["csv", "excel", "json", "parquet"]] = {
    "csv": "csv",
    "tsv": "csv",
    "tab": "csv",
    "xlsx": "excel",
    "xlsm": "excel",
    "xls": "excel",
    "json": "json",
    "jsonl": "json",
    "ndjson": "json",
    "parquet": "parquet",
}
BIG = 300_000_000
"""Bytes above which only the first rows of a text table are read."""


@dataclass(frozen=True)
class How:
    """How a file is to be read; the defaults are what one tries first."""

    format: Literal["csv", "excel", "json", "parquet"]
    separator: str | None = None
    encoding: str | None = None
    decimal: str | None = None
    skip: int = 0
    lenient: bool = False
    trailing: bool = False
    """Whether each row ends with a separator the header does not have."""
    find_header: bool = False
    lines: bool = False
    nested: bool = False
    rows: int | None = None

    def source(self, path: str) -> str:
        """Statements that read *path* into ``df``."""
        where = literal(path)
        if self.format == "parquet":
            return f"df = pd.read_parquet({where})"
        if self.format == "excel":
            return self._excel(where)
        if self.format == "json":
            return self._json(where)
        options = [where]
        for name, value in (
            ("sep", self.separator),
            ("encoding", self.encoding),
            ("decimal", self.decimal),
        ):
            if value is not None:
                options.append(f"{name}={literal(value)}")
        if self.skip:
            options.append(f"skiprows={self.skip}")
        if self.trailing:
            options.append("index_col=False")
        if self.lenient:
            options.append('on_bad_lines="skip"')
        if self.rows:
            options.append(f"nrows={self.rows}")
        return f"df = pd.read_csv({', '.join(options)})"

    def _excel(self, where: str) -> str:
        if not self.find_header:
            return f"df = pd.read_excel({where})"
        return (
            f"df = pd.read_excel({where}, header=None)\n"
            "start = int(df.head(10).notna().sum(axis=1).idxmax())\n"
            f"df = pd.read_excel({where}, header=start)"
        )

    def _json(self, where: str) -> str:
        if not self.nested:
            return f"df = pd.read_json({where}{', lines=True' if self.lines else ''})"
        return (
            f"with open({where}, encoding='utf-8') as file:\n"
            "    data = json.load(file)\n"
            "if isinstance(data, dict):\n"
            "    data = next((v for v in data.values() if isinstance(v, list)), [data])\n"
            "df = pd.json_normalize(data)"
        )


Loading = Generator[Move, Outcome, Table]


def load(file: FileNote) -> Loading:
    """Read *file* and look at its columns, repairing what does not fit; raises `Stuck`."""
    path = f"/mnt/data/{file.name}"
    how, preface, notes = yield from _first_guess(file, path)
    tried: set[How] = set()
    while how not in tried and len(tried) < 6:
        tried.add(how)
        source = _look(file.name, path, how)
        outcome = yield Run(source, preface)
        failure = outcome.failure
        better: tuple[How, str] | None
        if failure is not None:
            better = yield from _repaired(how, failure, path, source)
        else:
            seen = read_overview(outcome.printed)
            if seen is None:
                raise Stuck(f"The table could not be read:\n\n{quoted(outcome.text)}")
            rows, columns = seen
            better = _better(how, columns)
            if how.format == "csv" and (len(columns) == 1 or NAMED in outcome.printed):
                better = yield from _compared(how, path)
            if better is None:
                return Table(
                    file.name, rows, columns, (source,), how.separator or ",", notes=tuple(notes)
                )
        how, why = better
        notes.append(why)
        preface = f"{why}\n\n"
    raise Stuck("I could not find out how this table is to be read.")


def _look(name: str, path: str, how: How) -> str:
    imports = "import json\n\nimport pandas as pd" if how.nested else "import pandas as pd"
    names = "" if how.format == "csv" else "df.columns = df.columns.map(str)\n"
    return (
        f"# Load {name}\n{imports}\n\n\n{OVERVIEW}\n\n\n"
        f"{how.source(path)}\n{names}overview(df)\ndf.head()"
    )


def _first_guess(file: FileNote, path: str) -> Generator[Move, Outcome, tuple[How, str, list[str]]]:
    preface = f"First I look at what is in `{file.name}`.\n\n"
    ending = file.name.rsplit(".", 1)[-1].lower() if "." in file.name else ""
    rows = 500_000 if file.size > BIG else None
    notes = [f"Only the first {rows:,} rows were read: the file is large."] if rows else []
    if ending in FORMATS:
        how = How(
            FORMATS[ending],
            separator="\t" if ending in ("tsv", "tab") else None,
            lines=ending in ("jsonl", "ndjson"),
            rows=rows,
        )
        return how, preface, notes
    head = yield from _peek(path, preface)
    if head.startswith(b"PAR1"):
        return How("parquet"), "", notes
    if head.startswith(b"PK") and b"xl/" in head:
        return How("excel"), "", notes
    if head.lstrip()[:1] in (b"{", b"["):
        return How("json"), "", notes
    how, why = _from_head(How("csv", rows=rows), head)
    if how.separator is None or b"\0" in head:
        raise Stuck(_no_table(file, head))
    return how, f"{why}\n\n", [*notes, why]


def _no_table(file: FileNote, head: bytes) -> str:
    known = "CSV, TSV, XLSX, JSON, Parquet"
    answer = f"`{file.name}` is no table I know how to read ({known})."
    text = head[:400].decode("utf-8", "replace")
    if not text.strip() or "\0" in text or "\ufffd" in text:
        return answer
    return f"{answer} It begins with:\n\n{quoted(text)}"


def _peek(path: str, preface: str = "") -> Generator[Move, Outcome, bytes]:
    """The first bytes of a file."""
    outcome = yield from attempt(
        f"with open({literal(path)}, 'rb') as file:\n    print(file.read(2000))", preface=preface
    )
    try:
        head = ast.literal_eval(outcome.printed.strip())
    except (ValueError, SyntaxError):
        head = b""
    return head if isinstance(head, bytes) else b""


def _compared(how: How, path: str) -> Generator[Move, Outcome, tuple[How, str] | None]:
    """What the raw text says of a table that came out with one column, or with named rows."""
    head = yield from _peek(path, "That looks wrong; I compare it with the raw text.\n\n")
    better, why = _from_head(how, head)
    return None if better == how else (better, why)


def _repaired(
    how: How, failure: Failure, path: str, source: str
) -> Generator[Move, Outcome, tuple[How, str]]:
    """A better way to read, by the traceback; raises `Stuck`."""
    message = failure.message
    if failure.kind in ("UnicodeDecodeError", "UnicodeError"):
        return _other_encoding(how, message)
    if failure.kind == "EmptyDataError":
        raise Stuck("The file is empty: there is no table in it.")
    if failure.kind == "ParserError" and how.format == "csv":
        head = yield from _peek(path, "The rows do not fit together; I look at the raw text.\n\n")
        better, why = _from_head(how, head)
        if better != how:
            return better, why
        return replace(how, lenient=True), "Some lines have too many fields; I leave them out."
    if failure.kind == "ValueError" and how.format == "json":
        if "Trailing data" in message and not how.lines:
            return replace(how, lines=True), "It has one JSON object per line."
        if not how.nested:
            return replace(how, nested=True, lines=False), "The JSON is nested; I flatten it."
    if failure.kind in ("ModuleNotFoundError", "ImportError"):
        yield from attempt(source)  # which says what is there instead
    raise Stuck(gave_up(failure))


def _other_encoding(how: How, message: str) -> tuple[How, str]:
    if re.search(r"byte 0xf[ef] in position 0", message) and how.encoding is None:
        return replace(how, encoding="utf-16"), "The file is UTF-16, not UTF-8."
    if how.encoding is None:
        return replace(how, encoding="cp1252"), "The file is not UTF-8; I read it as Windows-1252."
    return replace(how, encoding="latin-1"), "The file is not UTF-8; I read it as Latin-1."


def _from_head(how: How, head: bytes) -> tuple[How, str]:
    """Separator and number of lines before the header, from the raw text."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        how = replace(how, encoding="utf-16")
    text = head.decode(how.encoding or "utf-8", "replace")
    lines = text.splitlines()[:20]
    lines = lines[:-1] if len(lines) > 2 and len(head) >= 2000 else lines
    counts = {sep: [line.count(sep) for line in lines] for sep in (";", "\t", "|", ",")}
    regular = {
        sep: sum(1 for n in found if n and n == max(set(found), key=found.count))
        for sep, found in counts.items()
    }
    separator = max(regular, key=lambda sep: (regular[sep], max(counts[sep], default=0)))
    if not regular[separator]:
        return how, "There are no columns in the text."
    found = counts[separator]
    usual = max(set(found), key=found.count)
    if len(lines) > 1 and found[0] == usual - 1 and lines[1].rstrip().endswith(separator):
        return replace(how, trailing=True), "Each row ends with a separator too many."
    skip = next((n for n, count in enumerate(found) if count == usual), 0)
    if separator == (how.separator or ",") and skip == how.skip:
        return how, "The columns are as they were read."
    name = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}[separator]
    why = f"The columns are separated by {name}"
    why += f", and the header is in line {skip + 1}." if skip else "."
    return replace(how, separator=separator, skip=skip), why


def _better(how: How, columns: tuple[Column, ...]) -> tuple[How, str] | None:
    """A better way to read a table that was read without an error, but not well."""
    if how.separator == ";" and how.decimal is None and any(map(_decimal_comma, columns)):
        return replace(how, decimal=","), "Numbers are written with a decimal comma."
    unnamed = sum(column.name.startswith("Unnamed: ") for column in columns)
    if how.format == "excel" and not how.find_header and unnamed > len(columns) / 2:
        return replace(how, find_header=True), "The header is not in the first row; I look for it."
    nested = any(example.startswith(("{", "[{")) for c in columns for example in c.examples)
    if how.format == "json" and nested and not how.nested and not how.lines:
        return replace(how, nested=True), "The JSON is nested; I flatten it."
    return None


def _decimal_comma(column: Column) -> bool:
    return bool(column.examples) and all(
        re.fullmatch(r"-?\d+,\d+", example) for example in column.examples
    )
