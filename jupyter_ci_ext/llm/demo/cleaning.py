"""The cleaning of a table: code made for what was seen in its columns."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import replace

from jupyter_ci_ext.llm.demo.repair import attempt
from jupyter_ci_ext.llm.demo.script import Move, Outcome
from jupyter_ci_ext.llm.demo.tables import Column, Table, read_overview

#: What dates look like as text, and the formats to try.
_DATES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"\d{1,2}-[A-Za-z]{3}-\d{2}", ("%d-%b-%y",)),
    (r"\d{1,2}-[A-Za-z]{3}-\d{4}", ("%d-%b-%Y",)),
    (r"\d{1,2} [A-Za-z]{3} \d{4}", ("%d %b %Y",)),
    (r"\d{1,2} [A-Za-z]{4,} \d{4}", ("%d %B %Y",)),
    (r"[A-Za-z]{3} \d{1,2}, \d{4}", ("%b %d, %Y",)),
    (r"[A-Za-z]{4,} \d{1,2}, \d{4}", ("%B %d, %Y",)),
    (r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d.*)?", ("ISO8601",)),
    (r"\d{4}/\d{1,2}/\d{1,2}", ("%Y/%m/%d",)),
    (r"\d{1,2}\.\d{1,2}\.\d{4}", ("%d.%m.%Y",)),
    (r"\d{1,2}/\d{1,2}/\d{4}", ("%m/%d/%Y", "%d/%m/%Y")),
    (r"\d{1,2}/\d{1,2}/\d{2}", ("%m/%d/%y", "%d/%m/%y")),
)
_AMOUNT = re.compile(r"[-+(]?\s*[$€£]?\s*\d{1,3}(?:,\d{3})*(?:\.\d+)?\s*%?\)?")

_DATE_CODE = """\
for name in {names}:
    tries = [pd.to_datetime(df[name], format=format, errors="coerce") for format in {formats}]
    dates = max(tries, key=lambda values: values.notna().sum())
    if dates.notna().sum() >= 0.9 * df[name].notna().sum():
        df[name] = dates
        print(f"- {{name}} read as dates")"""

_AMOUNT_CODE = """\
for name in {names}:
    numbers = pd.to_numeric(df[name].astype(str).str.replace(r"[^\\d.\\-]", "", regex=True), errors="coerce")
    if numbers.notna().sum() >= 0.9 * df[name].notna().sum():
        df[name] = numbers
        print(f"- {{name}} read as numbers")"""


def clean(table: Table) -> Generator[Move, Outcome, Table]:
    """Clean ``df`` and save it; returns the table as it is then."""
    source = _source(table)
    outcome = yield from attempt(source, names=table.names, setup=table.setup)
    seen = read_overview(outcome.printed)
    rows, columns = seen if seen else (table.rows, table.columns)
    return replace(
        table,
        rows=rows,
        columns=columns,
        setup=(*table.setup, source),
        cleaned=True,
        notes=(*table.notes, *outcome.findings),
    )


def file_name(table: Table) -> str:
    """The name the cleaned table is saved under."""
    return f"{table.slug}_cleaned.csv"


def _source(table: Table) -> str:
    parts = [f"# Clean {table.file}"]
    odd = [name for name in table.names if _tidy(name) != name]
    if odd:
        blanks = "no-break spaces" if any("\xa0" in name for name in odd) else "stray blanks"
        parts.append(
            f"# {len(odd)} column names have {blanks}\n"
            'df.columns = [" ".join(str(name).split()) for name in df.columns]\n'
            f'print("- {blanks} removed from {len(odd)} column names")'
        )
    columns = [replace(column, name=_tidy(column.name)) for column in table.columns]
    texts = [column.name for column in columns if column.kind == "text"]
    if texts:
        parts.append(
            f"for name in {texts!r}:\n"
            "    df[name] = df[name].map(lambda v: v.strip() if isinstance(v, str) else v)"
        )
    parts += _dates(columns)
    amounts = [c.name for c in columns if c.kind == "text" and _is_amount(c)]
    if amounts:
        parts.append(_AMOUNT_CODE.format(names=amounts))
    if not any(e.startswith(("[", "{")) for c in columns for e in c.examples):
        parts.append(
            "rows = len(df)\n"
            'df = df.dropna(how="all").drop_duplicates().reset_index(drop=True)\n'
            'print(f"- {rows - len(df)} empty or repeated rows removed")'
        )
    parts.append(f'df.to_csv("/mnt/data/{file_name(table)}", index=False)\noverview(df)')
    return "\n\n".join(parts)


def _dates(columns: list[Column]) -> list[str]:
    found: dict[tuple[str, ...], list[str]] = {}
    for column in columns:
        if column.kind == "text" and (formats := _date_formats(column)):
            found.setdefault(formats, []).append(column.name)
    return [
        _DATE_CODE.format(names=names, formats=list(formats)) for formats, names in found.items()
    ]


def _date_formats(column: Column) -> tuple[str, ...]:
    examples = [example.strip() for example in column.examples]
    for pattern, formats in _DATES:
        if examples and all(re.fullmatch(pattern, example) for example in examples):
            return formats
    return ()


def _is_amount(column: Column) -> bool:
    return bool(column.examples) and all(_AMOUNT.fullmatch(e.strip()) for e in column.examples)


def _tidy(name: str) -> str:
    return " ".join(name.split())
