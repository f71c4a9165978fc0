"""Code that computes and draws what was asked of a table; text in, source out."""

from __future__ import annotations

import re

from jupyter_ci_ext.llm.demo.mentions import Condition
from jupyter_ci_ext.llm.demo.question import Question
from jupyter_ci_ext.llm.demo.tables import Column, Table
from jupyter_ci_ext.llm.demo.text import literal

IMPORT = "import matplotlib.pyplot as plt"
PERIODS = {"year": "Y", "quarter": "Q", "month": "M", "week": "W", "day": "D"}


def label(text: str) -> str:
    """*text* as a literal for a title or an axis, where ``$`` would begin a formula."""
    return literal(text.replace("$", "\\$"))


def png(table: Table, *words: str) -> str:
    """The name a chart is saved under."""
    slug = re.sub(r"[^a-z0-9]+", "_", " ".join(words).lower()).strip("_")
    return f"{table.slug}_{slug or 'chart'}.png"


def figure(body: str, *, title: str, x: str, y: str, file: str, width: float = 8) -> str:
    """Source that draws *body* on ``ax``, labels it, saves it and shows it."""
    return (
        f"fig, ax = plt.subplots(figsize=({width:g}, 4.5))\n"
        f"{body}\n"
        f"ax.set(title={label(title)}, xlabel={label(x)}, ylabel={label(y)})\n"
        f"fig.tight_layout()\n"
        f'fig.savefig("/mnt/data/{file}", dpi=150)\n'
        f"plt.show()"
    )


def rows_where(conditions: tuple[Condition, ...]) -> tuple[str, str]:
    """The expression for the rows that fulfil *conditions*, and what it selects in words."""
    if not conditions:
        return "df", ""
    masks = [f"({_mask(c)})" for c in conditions]
    words = [f"{c.column.name} {_word(c)} {_shown(c.value)}" for c in conditions]
    return f"df[{' & '.join(masks)}]", " where " + " and ".join(words)


def _mask(condition: Condition) -> str:
    column = f"df[{literal(condition.column.name)}]"
    if condition.year:
        return f"{column}.dt.year {condition.operator} {_shown(condition.value)}"
    if not isinstance(condition.value, str):
        return f"{column} {condition.operator} {_shown(condition.value)}"
    value = condition.value
    if condition.operator == "contains":
        return f"{column}.astype(str).str.contains({literal(value)}, case=False, regex=False)"
    if condition.operator in ("==", "!="):
        small = literal(value.casefold())
        return f"{column}.astype(str).str.casefold() {condition.operator} {small}"
    if condition.column.kind == "date":
        return f"{column} {condition.operator} {literal(value)}"
    return f"{column}.astype(str) {condition.operator} {literal(value)}"


def _word(condition: Condition) -> str:
    return "is" if condition.operator == "==" else condition.operator


def _shown(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}" if abs(value) < 1e6 else f"{value:.0f}"


def grouped(table: Table, question: Question, by: Column) -> tuple[str, str | None]:
    """Source for a value per group or period, with its chart; and the chart's file."""
    data, where = rows_where(question.conditions)
    how = question.how or "count"
    numeric = ("number", "year", "numbering", "class")
    value = next((c for c in question.columns if c.kind in numeric and c != by), None)
    if value is None and how not in ("count", "nunique"):
        value = next(iter(table.of_kind("number")), None)
    if how in ("count",) and value is not None:
        how = "mean" if question.how is None else "count"
    if how == "nunique" and value is None:
        value = next((c for c in question.columns if c != by), None)
    key, axis = f"data[{literal(by.name)}]", by.name
    if by.kind == "date":
        period = question.period or "year"
        key, axis = f'{key}.dt.to_period("{PERIODS[period]}")', period
    counting = how == "count" or value is None
    measured = "size()" if value is None or counting else f"[{literal(value.name)}].{how}()"
    joint = "." if measured.startswith("size") else ""
    what = "Rows" if value is None or counting else f"{how.capitalize()} of {value.name}"
    ordered = by.kind in ("date", "year", "class", "number")
    sort = "" if ordered else ".sort_values(ascending=False)"
    line = question.chart == "line" or (
        question.chart is None
        and by.kind in ("date", "year")
        and question.period not in (None, "year")
    )
    title = f"{what} by {axis}{where}"
    file = png(table, what, "by", axis)
    shown = f"result.head({max(question.count, 15)})" if not ordered else "result"
    draw = {
        "line": "shown.plot.line(ax=ax, marker='o', markersize=3)",
        "bar": "shown.plot.bar(ax=ax)",
        "pie": 'shown.plot.pie(ax=ax, autopct="%.0f%%")',
    }["pie" if question.chart == "pie" else "line" if line else "bar"]
    source = (
        f"{IMPORT}\n\n"
        f"data = {data}\n"
        f"result = data.groupby({key}){joint}{measured}{sort}\n"
        f'print(f"- {braces(what)} by {braces(axis)}: highest for {{result.idxmax()}} ({{result.max():.6g}}), '
        f'lowest for {{result.idxmin()}} ({{result.min():.6g}})")\n'
        f"print(result.{'tail' if ordered else 'head'}(12).to_string())\n\n"
        f"shown = {shown}\n"
    )
    y = "" if question.chart == "pie" else what
    return source + figure(draw, title=title, x=axis if y else "", y=y, file=file), file


def histogram(table: Table, column: Column, data: str = "df") -> tuple[str, str]:
    """Source for the distribution of a column, and the chart's file."""
    file = png(table, "histogram", column.name)
    name = literal(column.name)
    head = f"{IMPORT}\n\ndata = {data}\n"
    if column.kind in ("text", "bool", "class", "year"):
        order = ".sort_index()" if column.kind in ("class", "year") else ""
        source = (
            f"{head}counts = data[{name}].value_counts().head(20){order}\n"
            f'print(f"- Most frequent {braces(column.name)}: {{counts.idxmax()}} ({{counts.max()}} of '
            f'{{len(data)}} rows)")\n'
            f"print(counts.to_string())\n\n"
        )
        drawn = figure("counts.plot.bar(ax=ax)", title=column.name, x="", y="Rows", file=file)
        return source + drawn, file
    if column.kind == "date":
        source = (
            f"{head}counts = data[{name}].dt.year.value_counts().sort_index()\n"
            f'print(f"- Most rows in {{counts.idxmax()}}: {{counts.max()}}")\n\n'
        )
        drawn = figure(
            "counts.plot.bar(ax=ax)",
            title=f"Rows per year of {column.name}",
            x="",
            y="Rows",
            file=file,
        )
        return source + drawn, file
    source = (
        f"{head}values = data[{name}].dropna()\n"
        f'print(f"- {braces(column.name)}: mean {{values.mean():.4g}}, median {{values.median():.4g}}, '
        f'from {{values.min():.4g}} to {{values.max():.4g}}")\n\n'
    )
    drawn = figure(
        'ax.hist(values, bins="auto", edgecolor="white")',
        title=f"Distribution of {column.name}",
        x=column.name,
        y="Rows",
        file=file,
    )
    return source + drawn, file


def scatter(
    table: Table,
    x: Column,
    y: Column,
    *,
    fit: bool = False,
    colour: Column | None = None,
    data: str = "df",
) -> tuple[str, str]:
    """Source for two columns against each other, with a line fitted where asked."""
    file = png(table, "fit" if fit else "scatter", y.name, "vs", x.name)
    columns = ", ".join(literal(c.name) for c in (x, y, colour) if c is not None)
    source = (
        f"{IMPORT}\nimport numpy as np\n\n"
        f"points = {data}[[{columns}]].dropna()\n"
        f"x, y = points[{literal(x.name)}], points[{literal(y.name)}]\n"
        f"slope, intercept = np.polyfit(x, y, 1)\n"
        f"r = x.corr(y)\n"
        f'print(f"- {braces(y.name)} = {{slope:.4g}} * {braces(x.name)} {{intercept:+.4g}}")\n'
        f'print(f"- Correlation r = {{r:.3f}}, r² = {{r * r:.3f}}, {{len(points)}} points")\n\n'
    )
    draw = "ax.scatter(x, y, s=14, alpha=0.7)"
    if colour is not None:
        draw = (
            f"for value, part in points.groupby({literal(colour.name)}):\n"
            f"    ax.scatter(part[{literal(x.name)}], part[{literal(y.name)}], s=14, alpha=0.7, label=value)\n"
            f"ax.legend(title={label(colour.name)})"
        )
    ends = 'ends = np.array([x.min(), x.max()])\nax.plot(ends, slope * ends + intercept, color="black", lw=1)'
    drawn = figure(
        f"{draw}\n{ends}", title=f"{y.name} against {x.name}", x=x.name, y=y.name, file=file
    )
    return source + drawn, file


def correlations(table: Table, columns: list[Column]) -> tuple[str, str]:
    """Source for the correlations of all measures, and the chart's file."""
    file = png(table, "correlations")
    names = [column.name for column in columns]
    source = (
        f"{IMPORT}\nimport numpy as np\n\n"
        f"corr = df[{names!r}].corr()\n"
        f"pairs = corr.where(np.triu(np.ones(corr.shape, dtype=bool), 1)).stack()\n"
        f"for (a, b), r in pairs[pairs.abs().sort_values(ascending=False).index].head(5).items():\n"
        f'    print(f"- {{a}} and {{b}}: r = {{r:.2f}}")\n\n'
        f"size = 2 + 0.45 * len(corr)\n"
        f"fig, ax = plt.subplots(figsize=(size + 1, size))\n"
        f'picture = ax.imshow(corr, cmap="RdBu_r", vmin=-1, vmax=1)\n'
        f"ax.set_xticks(range(len(corr)), corr.columns, rotation=90)\n"
        f"ax.set_yticks(range(len(corr)), corr.columns)\n"
        f"fig.colorbar(picture, ax=ax)\n"
        f'ax.set_title("Correlations")\n'
        f"fig.tight_layout()\n"
        f'fig.savefig("/mnt/data/{file}", dpi=150)\n'
        f"plt.show()"
    )
    return source, file


def box(table: Table, column: Column, by: Column | None) -> tuple[str, str]:
    """Source for a box plot, per group where there is one; and the chart's file."""
    file = png(table, "box", column.name)
    name = literal(column.name)
    if by is None:
        draw = f"ax.boxplot(df[{name}].dropna())"
    else:
        draw = (
            f"groups = {{key: part.dropna() for key, part in df.groupby({literal(by.name)})[{name}]}}\n"
            f"ax.boxplot(list(groups.values()))\n"
            f"ax.set_xticks(range(1, len(groups) + 1), [str(key) for key in groups], rotation=45)"
        )
    source = (
        f"{IMPORT}\n\n"
        f"q1, q2, q3 = df[{name}].quantile([0.25, 0.5, 0.75])\n"
        f'print(f"- {braces(column.name)}: quartiles {{q1:.4g}}, {{q2:.4g}}, {{q3:.4g}}")\n\n'
    )
    return source + figure(
        draw, title=column.name, x=by.name if by else "", y=column.name, file=file
    ), file


def series(table: Table, date: Column, value: Column) -> tuple[str, str]:
    """Source for a measure over the dates it was taken at, and the chart's file."""
    file = png(table, value.name, "over time")
    source = (
        f"{IMPORT}\n\n"
        f"values = df.set_index({literal(date.name)})[{literal(value.name)}].sort_index().dropna()\n"
        f'print(f"- {braces(value.name)}: highest on {{values.idxmax():%d %b %Y}} ({{values.max():.6g}}), '
        f'lowest on {{values.idxmin():%d %b %Y}} ({{values.min():.6g}})")\n'
        f'print(f"- From {{values.iloc[0]:.6g}} at the start to {{values.iloc[-1]:.6g}} at the end")\n\n'
    )
    return source + figure(
        "values.plot.line(ax=ax)", title=f"{value.name} over time", x="", y=value.name, file=file
    ), file


def braces(text: str) -> str:
    """*text* for the inside of an f-string in double quotes."""
    return literal(text.replace("{", "{{").replace("}", "}}"))[1:-1].replace('"', "'")
