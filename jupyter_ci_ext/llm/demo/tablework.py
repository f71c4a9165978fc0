"""Scripts for requests about a table: look, clean, compute, draw, answer."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import replace

from jupyter_ci_ext.llm.base import FileNote
from jupyter_ci_ext.llm.demo import charts, cleaning
from jupyter_ci_ext.llm.demo.charts import rows_where
from jupyter_ci_ext.llm.demo.mentions import Condition
from jupyter_ci_ext.llm.demo.profile import profile
from jupyter_ci_ext.llm.demo.question import Question, ask
from jupyter_ci_ext.llm.demo.reading import load
from jupyter_ci_ext.llm.demo.repair import Stuck, attempt
from jupyter_ci_ext.llm.demo.script import Move, Outcome, Script
from jupyter_ci_ext.llm.demo.tables import Column, Table, remembered
from jupyter_ci_ext.llm.demo.talk import Talk
from jupyter_ci_ext.llm.demo.text import bullets, link, literal, quoted

Answer = Generator[Move, Outcome, str]

_OF_RAW = ("shape", "columns", "missing", "duplicates")
"""Wishes that are about the table as it was attached, before it is cleaned."""

_WRITERS = {
    "csv": 'to_csv("{path}", index=False)',
    "tsv": 'to_csv("{path}", sep="\\t", index=False)',
    "xlsx": 'to_excel("{path}", index=False)',
    "json": 'to_json("{path}", orient="records", indent=1, date_format="iso")',
    "parquet": 'to_parquet("{path}", index=False)',
}


def about_table(talk: Talk, file: FileNote) -> Script:
    """Answer a request about *file*."""
    table = remembered(talk, file)
    if table is None:
        table = yield from load(file)
    question = ask(talk.text, table)
    if not table.cleaned and question.wish not in _OF_RAW:
        table = yield from cleaning.clean(table)
        question = ask(talk.text, table)
    if question.wish == "profile":
        return (yield from profile(table))
    if question.places:
        question = yield from _placed(table, question)
    answer = yield from _answered(table, question)
    if question.save and question.wish != "save":
        answer += "\n\n" + (yield from _saved(table, question))
    return answer


def _placed(table: Table, question: Question) -> Generator[Move, Outcome, Question]:
    """*question* with a filter for each name in it that is a value of some column."""
    texts = [column.name for column in table.of_kind("text")]
    places = [place.casefold() for place in question.places]
    outcome = yield from attempt(
        f"# Which columns hold these values?\n"
        f"for place in {places!r}:\n"
        f"    for name in {texts!r}:\n"
        f"        if (df[name].astype(str).str.casefold() == place).any():\n"
        f'            print(f"- {{name}}: {{place}}")\n'
        f"            break",
        names=table.names,
        setup=table.setup,
    )
    columns = {column.name: column for column in table.columns}
    found = [line.rsplit(": ", 1) for line in outcome.findings]
    written = dict(zip(places, question.places, strict=True))
    conditions = tuple(
        Condition(columns[name], "==", written.get(place, place))
        for name, place in found
        if name in columns
    )
    if not conditions and question.how == "count":
        raise Stuck(f"No column of {table.file} holds {' or '.join(question.places)}.")
    return replace(question, conditions=(*question.conditions, *conditions), places=())


# ---- single questions -----------------------------------------------------------------------------


def _answered(table: Table, question: Question) -> Answer:
    data, where = rows_where(question.conditions)
    chart: str | None = None
    wish = question.wish
    measures = [c for c in question.columns if c.kind in ("number", "year", "class", "numbering")]
    others = [c for c in table.of_kind("number") if c not in measures]
    if wish == "save":
        return (yield from _saved(table, question))
    if wish == "group" and (by := question.by or _group_of(table, question)) is not None:
        source, chart = charts.grouped(table, question, by)
    elif wish in ("scatter", "fit") and len(pair := (measures + others)[:2]) == 2:
        y, x = pair if _y_first(question) else pair[::-1]
        source, chart = charts.scatter(table, x, y, fit=wish == "fit", data=data)
    elif wish == "histogram" and (
        column := next(iter([*question.columns, *table.of_kind("number"), *table.columns]), None)
    ):
        source, chart = charts.histogram(table, column, data)
    elif (
        wish == "correlation"
        and len(columns := measures if len(measures) > 1 else table.of_kind("number")) > 1
    ):
        source, chart = charts.correlations(table, columns[:25])
    elif wish == "box" and (measures or others):
        groups = [c for c in question.columns if c.groups]
        by_group = question.by or (groups[0] if groups else None)
        source, chart = charts.box(table, (measures or others)[0], by_group)
    else:
        source = _plain(table, question, data, where)
    if question.unknown is not None:
        source = _as_written(source, question)
    outcome = yield from attempt(source, names=table.names, setup=table.setup)
    return _told(table, outcome, where, chart)


def _plain(table: Table, question: Question, data: str, where: str) -> str:
    """Source for the wishes that need no chart."""
    wish = question.wish
    named = question.columns
    if wish == "shape":
        return 'print(f"- {len(df)} rows and {len(df.columns)} columns")'
    if wish == "columns":
        return 'for name, kind in df.dtypes.items():\n    print(f"- {name}: {kind}")'
    if wish == "missing":
        return (
            "missing = df.isna().sum()\n"
            'print(f"- {missing.sum()} of {df.size} cells are empty, in {(missing > 0).sum()} columns")\n'
            "print(missing[missing > 0].sort_values(ascending=False).to_string())"
            " if missing.any() else None"
        )
    if wish == "duplicates":
        return 'print(f"- {df.duplicated().sum()} of {len(df)} rows repeat an earlier one")'
    if wish == "rows":
        end = "tail" if question.last else "head"
        return f"print({data}.{end}({question.count}).to_string(max_cols=12))"
    if wish == "describe":
        chosen = f"[{[c.name for c in named]!r}]" if named else ""
        return f"print({data}{chosen}.describe().T.to_string())"
    if wish == "top":
        return _top(table, question, data)
    if wish == "number":
        return _number(question, data, where)
    columns = f"[{[c.name for c in named]!r}]" if len(named) > 1 else ""
    return (
        f"rows = {data}{columns}\n"
        f'print(f"- {{len(rows)}} of {{len(df)}} rows{charts.braces(where)}")\n'
        f"print(rows.head(15).to_string(max_cols=9))"
    )


def _top(table: Table, question: Question, data: str) -> str:
    measure = next((c for c in question.columns if c.kind in ("number", "year", "date")), None)
    ascending = ", ascending=True" if question.last else ", ascending=False"
    if measure is not None:
        texts = [c.name for c in table.columns if c.kind == "text"][:3]
        names = list(dict.fromkeys([c.name for c in question.columns] + (texts or table.names[:5])))
        return (
            f"rows = {data}.sort_values({literal(measure.name)}{ascending})[{names!r}]\n"
            f"print(rows.head({question.count}).to_string(index=False))"
        )
    column = question.columns[0]
    return (
        f"rows = {data}\n"
        f"counts = rows[{literal(column.name)}].value_counts(ascending={question.last})\n"
        f'print(f"- {{counts.index[0]}}: {{counts.iloc[0]}} of {{len(rows)}} rows")\n'
        f"print(counts.head({question.count}).to_string())"
    )


def _number(question: Question, data: str, where: str) -> str:
    how = question.how or "count"
    inner = charts.braces(where)
    if how == "count" or not question.columns:
        return f'rows = {data}\nprint(f"- {{len(rows)}} rows{inner}")'
    lines = [f"rows = {data}"]
    for column in question.columns:
        if how not in ("min", "max", "nunique") and column.kind == "text":
            how_here = "nunique"
        else:
            how_here = how
        shown = "" if column.kind in ("text", "date") or how_here == "nunique" else ":.8g"
        told = (
            "{value} different values" if how_here == "nunique" else f"{how_here} {{value{shown}}}"
        )
        lines.append(
            f"value = rows[{literal(column.name)}].{how_here}()\n"
            f'print(f"- {charts.braces(column.name)}{inner}: {told}")'
        )
    return "\n".join(lines)


def _saved(table: Table, question: Question) -> Answer:
    data, where = rows_where(question.conditions)
    format = question.save or "csv"
    name = f"{table.slug}{'_selected' if where else '_cleaned'}.{format}"
    writer = _WRITERS[format].format(path=f"/mnt/data/{name}")
    outcome = yield from attempt(
        f'rows = {data}\nrows.{writer}\nprint(f"- {{len(rows)}} rows written to {name}")',
        names=table.names,
        setup=table.setup,
    )
    return f"{bullets(outcome.findings)}\n\nThe file is {link(name)}."


def _told(table: Table, outcome: Outcome, where: str, chart: str | None) -> str:
    """The answer from what was printed: findings as sentences, tables as blocks."""
    rest = [line for line in outcome.printed.splitlines() if not line.startswith("- ")]
    parts = [bullets(outcome.findings)]
    if where and not outcome.findings:
        parts.insert(0, f"Rows of {table.file}{where}:")
    if any(line.strip() for line in rest):
        parts.append(quoted("\n".join(rest)))
    if chart:
        parts.append(f"The chart is saved as {link(chart)}.")
    return "\n\n".join(filter(None, parts))


def _y_first(question: Question) -> bool:
    """ "y against x", "y vs x" and "y from x" name what goes up first."""
    return question.wish in ("fit", "scatter") and len(question.columns) == 2


def _group_of(table: Table, question: Question) -> Column | None:
    named = [c for c in question.columns if c.groups or c.kind in ("date", "year")]
    return named[0] if named else next((c for c in table.columns if c.groups), None)


def _as_written(source: str, question: Question) -> str:
    """*source* with the column as the user wrote it, for pandas to say whether it is there."""
    if not question.columns or question.unknown is None:
        return source
    return re.sub(re.escape(literal(question.columns[0].name)), literal(question.unknown), source)
