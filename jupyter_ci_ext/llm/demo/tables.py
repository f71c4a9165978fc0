"""A table as the demo model knows it: the columns that code has printed."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace
from typing import Literal

from jupyter_ci_ext.llm.base import FileNote
from jupyter_ci_ext.llm.demo.talk import Talk

SHOWN_COLUMNS = 40

OVERVIEW = f"""\
def overview(df):
    named = "" if isinstance(df.index, pd.RangeIndex) else ", rows have names"
    print(f"{{len(df)}} rows, {{len(df.columns)}} columns{{named}}")
    for name in df.columns[:{SHOWN_COLUMNS}]:
        values = df[name]
        distinct = values.astype(str).nunique()
        shown = [str(value)[:30] for value in values.dropna().head(3)]
        print(f"{{name!r}}: {{values.dtype}}, {{distinct}} distinct, {{values.isna().sum()}} missing, e.g. {{shown}}")"""

NAMED = ", rows have names"
"""What the overview adds when pandas took a column for the rows' names."""
_SIZE = re.compile(rf"^(\d+) rows, (\d+) columns(?:{NAMED})?$", re.MULTILINE)
_COLUMN = re.compile(
    r"^('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^:\n]+): "
    r"(\S.*?), (\d+) distinct, (\d+) missing, e\.g\. (\[.*\])$",
    re.MULTILINE,
)
_NUMBERING = re.compile(
    r"(^|[\s_])(id|ids|index|key|code|zip|zipcode|plz|cert|phone|nr|no|number|fund|isbn|ean)"
    r"([\s_#.]|$)|^unnamed",
    re.IGNORECASE,
)

Kind = Literal["number", "numbering", "class", "year", "date", "bool", "text"]


@dataclass(frozen=True)
class Column:
    """A column as the code found it; ``examples`` are its first values as text."""

    name: str
    dtype: str
    distinct: int
    missing: int
    examples: tuple[str, ...]
    rows: int

    @property
    def kind(self) -> Kind:
        """What can be done with it; "class" is a number with few values, "numbering" no measure."""
        if self.dtype.startswith("datetime"):
            return "date"
        if self.dtype.startswith("bool"):
            return "bool"
        if not re.match(r"u?int|float|Int|Float|double", self.dtype):
            return "text"
        whole = not self.dtype.lower().startswith(("float", "double"))
        if whole and re.search(r"(^|[\s_])year", self.name, re.IGNORECASE):
            return "year"
        if _NUMBERING.search(self.name) or (
            whole and self.rows > 20 and self.distinct >= 0.98 * self.rows
        ):
            return "numbering"
        return "class" if whole and self.distinct <= 10 and self.rows > 20 else "number"

    @property
    def groups(self) -> bool:
        """Whether its values make groups worth counting."""
        if self.kind in ("class", "bool"):
            return True
        return self.kind == "text" and 1 < self.distinct < min(self.rows, max(21, 0.6 * self.rows))


@dataclass(frozen=True)
class Table:
    """A table that was read into ``df``; *setup* is the code that reads it again."""

    file: str
    rows: int
    columns: tuple[Column, ...]
    setup: tuple[str, ...]
    separator: str = ","
    cleaned: bool = False
    notes: tuple[str, ...] = ()
    """What is to be told about how it was read and cleaned."""

    @property
    def names(self) -> list[str]:
        """The columns' names."""
        return [column.name for column in self.columns]

    @property
    def slug(self) -> str:
        """The file's name for names of new files."""
        stem = self.file.rsplit(".", 1)[0] if "." in self.file else self.file
        return re.sub(r"[^A-Za-z0-9-]+", "_", stem).strip("_") or "table"

    def of_kind(self, *kinds: Kind) -> list[Column]:
        """Columns of these kinds, in their order."""
        return [column for column in self.columns if column.kind in kinds]


def read_overview(printed: str) -> tuple[int, tuple[Column, ...]] | None:
    """Rows and columns from what ``overview`` printed last, or None."""
    sizes = list(_SIZE.finditer(printed))
    if not sizes:
        return None
    rows = int(sizes[-1][1])
    columns = tuple(
        Column(_literal(m[1]), m[2], int(m[3]), int(m[4]), _examples(m[5]), rows)
        for m in _COLUMN.finditer(printed, sizes[-1].end())
    )
    return rows, columns


def remembered(talk: Talk, file: FileNote) -> Table | None:
    """The table as code of earlier requests left it in ``df``, or None; `df` may be another's."""
    table: Table | None = None
    for source, outcome in talk.before:
        head = source.split("\n", 1)[0]
        if not head.startswith(("# Load ", "# Clean ")):
            continue
        seen = None if outcome.failure else read_overview(outcome.printed)
        if head.removeprefix("# Load ").removeprefix("# Clean ") != file.name or seen is None:
            table = None if seen else table
            continue
        rows, columns = seen
        if head.startswith("# Load "):
            table = Table(file.name, rows, columns, (source,))
        elif table is not None:
            table = replace(
                table, rows=rows, columns=columns, setup=(*table.setup[:1], source), cleaned=True
            )
    return table


def _literal(text: str) -> str:
    try:
        return str(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return text


def _examples(text: str) -> tuple[str, ...]:
    try:
        return tuple(str(value) for value in ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return ()
