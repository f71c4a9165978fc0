"""What a table holds in general: the facts worth knowing, and the chart that tells most."""

from __future__ import annotations

from collections.abc import Generator

from jupyter_ci_ext.llm.demo import charts, cleaning
from jupyter_ci_ext.llm.demo.question import Question
from jupyter_ci_ext.llm.demo.repair import attempt
from jupyter_ci_ext.llm.demo.script import Move, Outcome
from jupyter_ci_ext.llm.demo.tables import Column, Table
from jupyter_ci_ext.llm.demo.text import FOOTER, bullets, link, literal


def profile(table: Table) -> Generator[Move, Outcome, str]:
    """Answer what is in *table*, with a chart."""
    chart = _telling_chart(table)
    source = _facts(table)
    if chart is not None:
        source = f"{source}\n\n{chart[0]}"
    outcome = yield from attempt(
        f"# Analyse {table.file}\n{source}", names=table.names, setup=table.setup
    )
    parts = [f"**{table.file}** has {table.rows:,} rows and {len(table.columns)} columns."]
    parts.append(bullets(outcome.findings))
    if table.notes:
        parts.append("\n".join(["How it was read and cleaned:", *(f"- {n}" for n in table.notes)]))
    files = f"The cleaned table is {link(cleaning.file_name(table))}"
    if chart is not None:
        files += f", the chart {link(chart[1])}"
    parts += [f"{files}.", FOOTER]
    return "\n\n".join(parts)


def _facts(table: Table) -> str:
    """Source that prints what is worth knowing of any table."""
    lines = ['print(f"- {df.isna().sum().sum()} of {df.size} cells are empty")']
    for date in table.of_kind("date")[:1]:
        name = literal(date.name)
        inner = charts.braces(date.name)
        lines.append(
            f"dates = df[{name}].dropna()\n"
            f'print(f"- {inner} runs from {{dates.min():%d %b %Y}} to {{dates.max():%d %b %Y}}")'
        )
    for column in [c for c in table.columns if c.groups and c.kind == "text"][:2]:
        inner = charts.braces(column.name)
        lines.append(
            f"top = df[{literal(column.name)}].value_counts().head(3)\n"
            f'print("- Most frequent {inner}:", ", ".join(f"{{k}} ({{n}})" for k, n in top.items()))'
        )
    measures = table.of_kind("number")
    for column in measures[:3]:
        inner = charts.braces(column.name)
        lines.append(
            f"values = df[{literal(column.name)}]\n"
            f'print(f"- {inner}: {{values.min():.4g}} to {{values.max():.4g}}, mean {{values.mean():.4g}}")'
        )
    return "\n".join(lines)


def _telling_chart(table: Table) -> tuple[str, str] | None:
    """The chart that tells most about the table, or None where there is nothing to draw."""
    measures = table.of_kind("number")
    groups = [c for c in table.columns if c.groups]
    dates = [c for c in table.of_kind("date") if c.distinct > 3]
    if dates:
        date = dates[0]
        if measures and date.distinct >= 0.9 * table.rows:
            return charts.series(table, date, measures[0])
        question = Question("group", by=date, period="year", chart="bar")
        source, file = charts.grouped(table, question, date)
        return source, file or ""
    years = table.of_kind("year")
    if years and measures and years[0].distinct > 3:
        question = Question("group", (measures[0],), by=years[0], how="mean", chart="line")
        source, file = charts.grouped(table, question, years[0])
        return source, file or ""
    few = next((c for c in groups if c.distinct <= 8), None)
    varied = [c for c in measures if c.distinct - bool(c.missing) > 1]  # others go with nothing
    if len(varied) >= 2:
        return _strongest_pair(table, varied, few)
    if measures and groups:
        question = Question("group", (measures[0],), by=groups[0], how="mean", chart="bar")
        source, file = charts.grouped(table, question, groups[0])
        return source, file or ""
    if measures or groups:
        return charts.histogram(table, (measures or groups)[0])
    return None


def _strongest_pair(table: Table, measures: list[Column], colour: Column | None) -> tuple[str, str]:
    """The two measures that go together most; which they are, the code finds out."""
    file = charts.png(table, "strongest correlation")
    names = [column.name for column in measures[:20]]
    draw = "ax.scatter(df[a], df[b], s=14, alpha=0.7)"
    if colour is not None:
        draw = (
            f"for value, part in df.groupby({literal(colour.name)}):\n"
            "    ax.scatter(part[a], part[b], s=14, alpha=0.7, label=value)\n"
            f"ax.legend(title={charts.label(colour.name)})"
        )
    return (
        f"{charts.IMPORT}\nimport numpy as np\n\n"
        f"corr = df[{names!r}].corr()\n"
        f"pairs = corr.where(np.triu(np.ones(corr.shape, dtype=bool), 1)).stack()\n"
        f"a, b = pairs.abs().idxmax()\n"
        f'print(f"- Strongest correlation: {{a}} and {{b}}, r = {{pairs[a, b]:.2f}}")\n\n'
        f"fig, ax = plt.subplots(figsize=(8, 4.5))\n{draw}\n"
        f'ax.set(title=f"{{b}} against {{a}}", xlabel=a, ylabel=b)\n'
        f"fig.tight_layout()\n"
        f'fig.savefig("/mnt/data/{file}", dpi=150)\n'
        f"plt.show()"
    ), file
