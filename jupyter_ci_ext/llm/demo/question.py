"""What a sentence asks of a table: a dozen kinds of wishes, told apart by their words."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from jupyter_ci_ext.llm.demo.mentions import (
    Condition,
    filters,
    loose_values,
    mentioned,
    misnamed,
    text_without,
)
from jupyter_ci_ext.llm.demo.tables import Column, Table

Wish = Literal[
    "profile",
    "shape",
    "columns",
    "missing",
    "duplicates",
    "rows",
    "describe",
    "correlation",
    "fit",
    "scatter",
    "histogram",
    "box",
    "group",
    "top",
    "number",
    "filter",
    "save",
]
Chart = Literal["bar", "line", "pie"]
Period = Literal["year", "quarter", "month", "week", "day"]
Format = Literal["csv", "xlsx", "json", "parquet", "tsv"]


@dataclass(frozen=True)
class Question:
    """What is asked of a table."""

    wish: Wish
    columns: tuple[Column, ...] = ()
    by: Column | None = None
    period: Period | None = None
    how: str | None = None
    """An aggregate of pandas: mean, sum, median, min, max, std, count or nunique."""
    chart: Chart | None = None
    count: int = 5
    last: bool = False
    conditions: tuple[Condition, ...] = ()
    save: Format | None = None
    places: tuple[str, ...] = ()
    """Names after "in", "from" or "for" that are no columns; perhaps values of one."""
    unknown: str | None = None
    """A column in quotation marks that the table does not have, as it was written."""


_WORDS = {
    "chart": r"plot\w*|charts?|graphs?|draw|diagrams?|visuali[sz]\w+",
    "correlation": r"correlat\w+|heat ?map",
    "fit": r"(?:linear )?fit|regress\w*|trend ?line|best line|predict",
    "scatter": r"scatter\w*|versus|vs|against|relationship",
    "histogram": r"histograms?|distribut\w+",
    "box": r"box ?-?plots?|box and whisker",
    "missing": r"missing|nulls?|nans?|empty (?:cells|values)|incomplete|blanks?",
    "duplicates": r"duplicates?|duplicated|repeated rows",
    "shape": r"shape|dimensions?|how many (?:rows|columns|records|lines|entries)"
    r"|number of (?:rows|columns)|how (?:big|large) is",
    "columns": r"columns? names?|(?:which|what|list|name|show)(?: are)?(?: all)?(?: the)? columns"
    r"|data ?types?|dtypes?|header|variables",
    "top": r"top|largest|highest|biggest|lowest|smallest|most|least|fewest|sort\w*|rank\w*",
    "rows": r"(?:first|last|top|random|some)(?: \d+)? (?:rows|lines|records|entries)"
    r"|\d+ (?:first |last |random )?(?:rows|lines)|head|tail|preview|sample"
    r"|show me the (?:data|table)",
    "describe": r"describe|statistics|stats|summary statistics|quartiles?|std",
}

_HOW = (
    (r"average|mean|avg", "mean"),
    (r"median", "median"),
    (r"total|sum", "sum"),
    (r"standard deviation|std", "std"),
    (r"how many (?:different|distinct|unique)|(?:distinct|unique)", "nunique"),
    (r"maximum|max|highest|largest|biggest|most expensive|oldest|latest", "max"),
    (r"minimum|min|lowest|smallest|cheapest|youngest|earliest", "min"),
    (r"how many|number of|count|counts|how often|frequenc\w+|most|least", "count"),
)
#: Periods: after "by" or "per", and as words of their own.
_PERIODS: dict[Period, tuple[str, str]] = {
    "year": ("years?", "yearly|annual(?:ly)?"),
    "quarter": ("quarters?", "quarterly"),
    "month": ("months?", "monthly"),
    "week": ("weeks?", "weekly"),
    "day": ("days?", "daily"),
}
_COUNT = re.compile(
    r"\b(?:top|first|last|bottom)\s+(\d+)"
    r"|\b(\d+)\s+(?:first|last|random|rows|largest|highest|lowest|most)"
)
_RELATIVE = re.compile(r"\b(?:last|this|next) (?:year|month|week)")
_BY = re.compile(
    r"\b(?:by|per|for each|for every|in each|grouped by|across|each|within|which)\s+(?:the\s+)?$"
)
_FORMATS: dict[Format, str] = {
    "xlsx": r"xlsx|excel|spreadsheet",
    "parquet": r"parquet",
    "json": r"json",
    "tsv": r"tsv",
    "csv": r"csv",
}
_SAVE = re.compile(
    r"\b(?:save|export|convert|write|download|store|turn)\b.*\b(?:as|to|into|in|a|an)\b"
)


def ask(text: str, table: Table) -> Question:
    """What *text* asks of *table*."""
    low = " ".join(text.lower().split())
    named = mentioned(text, table.columns)
    conditions, used = filters(text, named, table)
    free = [mention for mention in named if mention not in used]
    group = next((m.column for m in free if _BY.search(text[: m.start].lower())), None)
    by, period = _grouping(low, group, table)
    count = _COUNT.search(low)
    question = Question(
        wish="profile",
        columns=tuple(m.column for m in free if m.column not in (group, by)),
        by=by,
        period=period,
        how=_how(text_without(text, named)),
        chart=_chart(low),
        count=int(count[1] or count[2]) if count else 5,
        last=re.search(r"\b(?:last|bottom|tail|lowest|smallest|least|fewest)\b", low) is not None,
        conditions=conditions,
        save=_saved_as(low),
        places=loose_values(text, named, conditions),
        unknown=misnamed(text, table),
    )
    return replace(question, wish=_wish(low, question))


def _grouping(low: str, group: Column | None, table: Table) -> tuple[Column | None, Period | None]:
    """The column to group by, and the period where it is a date."""
    period = _period(low)
    if group is not None:
        return group, (period or "year") if group.kind == "date" else None
    date = next(iter(table.of_kind("date")), None)
    if period is None or date is None or _RELATIVE.search(low):
        return None, None
    return date, period


def _wish(low: str, question: Question) -> Wish:
    """The wish: by what is asked to be drawn, by words, and else by what was named."""
    named, by = question.columns, question.by
    filtered = bool(question.conditions or question.places)

    def says(wish: str) -> bool:
        return re.search(rf"\b(?:{_WORDS[wish]})\b", low) is not None

    draws = says("chart")
    numbers = len(named) > 1 and all(c.kind in ("number", "numbering") for c in named[:2])
    whole = not filtered and by is None
    rules: tuple[tuple[Wish, bool], ...] = (
        ("correlation", says("correlation") and len(named) != 2),
        ("fit", says("fit")),
        ("scatter", says("scatter") or says("correlation")),
        ("group", question.chart in ("bar", "pie") and len(named) == 1 and named[0].groups),
        ("histogram", says("histogram")),
        ("box", says("box")),
        ("missing", says("missing")),
        ("duplicates", says("duplicates")),
        ("shape", says("shape") and whole),
        ("columns", says("columns")),
        ("group", by is not None and not (question.how in ("max", "min") and wants_top(low))),
        ("top", says("top") and bool(named)),
        ("rows", says("rows") and not filtered),
        ("describe", says("describe")),
        ("scatter", draws and numbers),
        ("group", draws and len(named) > 1),
        ("histogram", draws and len(named) == 1),
        ("number", question.how is not None and (bool(named) or filtered)),
        ("save", question.save is not None and _SAVE.search(low) is not None and not draws),
        ("filter", filtered),
    )
    return next((wish for wish, holds in rules if holds), "profile")


def wants_top(low: str) -> bool:
    """Whether single rows are asked for ("which … has the highest …"), not a value per group."""
    return (
        re.search(
            r"\bwhich\b.*\b(?:has|have|had|is|with)\b.*\b(?:highest|lowest|largest|smallest|most|least)",
            low,
        )
        is not None
    )


def _how(low: str) -> str | None:
    return next((how for pattern, how in _HOW if re.search(rf"\b(?:{pattern})\b", low)), None)


def _chart(low: str) -> Chart | None:
    if re.search(r"\bpie\b", low):
        return "pie"
    if re.search(r"\b(?:line|over time|time ?series|trend|develop\w*)\b", low):
        return "line"
    return "bar" if re.search(r"\bbars?\b|\bcolumn chart\b", low) else None


def _period(low: str) -> Period | None:
    for period, (noun, adverb) in _PERIODS.items():
        if re.search(
            rf"\b(?:by|per|each|every|a|over the|across)\s+(?:{noun})\b|\b(?:{adverb})\b", low
        ):
            return period
    return "year" if re.search(r"\bover time\b|\btime ?series\b|\btrend over\b", low) else None


def _saved_as(low: str) -> Format | None:
    if not re.search(
        r"\b(?:save|export|convert|write|download|store|turn)\b|\bas (?:an? )?(?:excel|xlsx|csv|json|parquet|tsv)\b",
        low,
    ):
        return None
    for format, words in _FORMATS.items():
        if re.search(rf"\b(?:as|to|into|in)\b[^.]*\b(?:{words})\b", low):
            return format
    return None
