"""What a sentence asks of a table: columns by name, also misspelt, and a dozen kinds of wishes."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Literal

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
Operator = Literal["==", "!=", ">", ">=", "<", "<=", "contains"]
Format = Literal["csv", "xlsx", "json", "parquet", "tsv"]


@dataclass(frozen=True)
class Mention:
    """A column named in the text, from *start* to *end*."""

    start: int
    end: int
    column: Column


@dataclass(frozen=True)
class Condition:
    """A filter; *value* is a number, a year of a date column, or text."""

    column: Column
    operator: Operator
    value: str | float
    year: bool = False


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
_SINCE: tuple[tuple[str, Operator], ...] = (
    ("in", "=="),
    ("since", ">="),
    ("after", ">"),
    ("before", "<"),
    ("until", "<="),
)
_BY = re.compile(
    r"\b(?:by|per|for each|for every|in each|grouped by|across|each|within|which)\s+(?:the\s+)?$"
)
_FOR = re.compile(r"\b(?:for|in|of|with|where|when)\s+(?:the\s+)?$", re.IGNORECASE)
_OPERATORS: tuple[tuple[str, Operator], ...] = (
    (r"(?:is not|isn't|!=|is different from)", "!="),
    (r"(?:is )?(?:>=|at least|not less than|no less than|from)", ">="),
    (r"(?:is )?(?:<=|at most|not more than|no more than|up to|until)", "<="),
    (
        r"(?:is |are )?(?:>|above|over|greater than|more than|larger than|bigger than|higher than|after)",
        ">",
    ),
    (r"(?:is |are )?(?:<|below|under|less than|smaller than|lower than|fewer than|before)", "<"),
    (r"(?:contains|containing|includes|including)", "contains"),
    (r"(?:is|are|was|were|==|=|equals|equal to|:|of)", "=="),
)
_VALUE = r"\s*(?:\"([^\"]+)\"|'([^']+)'|“([^”]+)”|`([^`]+)`|(-?\d[\d,]*(?:\.\d+)?)|([^\s,.;?!]+))"
_STOP_TEXT = """
plot chart bar line pie histogram scatter graph table tables rows columns column row data
show average mean sum count number many much with where only from over time trend save
export file values value first last most least highest lowest what which between please draw
make give list find correlation relationship against versus linear regression year month
week quarter boxplot image picture using does have there every each group grouped about
analyze analyse missing cleaned distribution total
"""
_STOP = frozenset(_STOP_TEXT.split())

_FORMATS: dict[Format, str] = {
    "xlsx": r"xlsx|excel|spreadsheet",
    "parquet": r"parquet",
    "json": r"json",
    "tsv": r"tsv",
    "csv": r"csv",
}
_PLACE = re.compile(
    r"\b(?:in|from|for|of|is|are|only|with)\s+(?:the\s+)?"
    r"(\"[^\"]+\"|'[^']+'|“[^”]+”|[A-Z][\w&.'-]*(?:\s+[A-Z][\w&.'-]*)*)"
)
_NO_PLACES = (
    "excel|xlsx|csv|json|parquet|png|pdf|tsv|python|pandas|i|a|january|february|march|april|may|"
    "june|july|august|september|october|november|december"
)
_SAVE = re.compile(
    r"\b(?:save|export|convert|write|download|store|turn)\b.*\b(?:as|to|into|in|a|an)\b"
)


def ask(text: str, table: Table) -> Question:
    """What *text* asks of *table*."""
    low = " ".join(text.lower().split())
    mentions = mentioned(text, table.columns)
    conditions, used = _conditions(text, mentions, table)
    free = [m for m in mentions if m not in used]
    by = next((m for m in free if _BY.search(text[: m.start].lower())), None)
    period = _period(low)
    date = next(iter(table.of_kind("date")), None)
    if by is not None and by.column.kind == "date":
        date, by, period = by.column, None, period or "year"
    rest = _without(text, mentions)
    columns = tuple(m.column for m in free if by is None or m.column != by.column)
    count = re.search(
        r"\b(?:top|first|last|bottom)\s+(\d+)|\b(\d+)\s+(?:first|last|random|rows|largest|highest|lowest|most)",
        low,
    )
    question = Question(
        wish="profile",
        columns=columns,
        by=by.column if by else None,
        how=_how(rest),
        chart=_chart(low),
        count=int(count[1] or count[2]) if count else 5,
        last=bool(re.search(r"\b(last|bottom|tail|lowest|smallest|least|fewest)\b", low)),
        conditions=conditions,
        save=_saved_as(low),
        places=_places(text, mentions, conditions),
        unknown=_unknown(text, table),
    )
    values = {name: getattr(question, name) for name in question.__dataclass_fields__}
    if period and date and not re.search(r"\b(last|this|next) (year|month|week)", low):
        values["by"], values["period"] = values["by"] or date, period if by is None else None
        values["columns"] = tuple(c for c in columns if c != date)
    values["wish"] = _wish(low, question, values["by"])
    return Question(**values)


def mentioned(text: str, columns: tuple[Column, ...]) -> list[Mention]:
    """The columns named in *text*, in their order: by their names, or by words close to them."""
    flat = _flat(text)
    found: list[Mention] = []
    for column in sorted(columns, key=lambda c: -len(c.name)):
        name = " ".join(_flat(column.name).split())
        if not name:
            continue
        pattern = r"\s+".join(map(re.escape, name.split()))
        for match in re.finditer(rf"(?<!\S){pattern}(?:e?s)?(?!\S)", flat):
            if not any(m.start < match.end() and match.start() < m.end for m in found):
                found.append(Mention(match.start(), match.end(), column))
    left = [c for c in columns if c not in {m.column for m in found}]
    for match in re.finditer(r"\S{4,}", flat):
        word = match[0]
        if word in _STOP or any(m.start < match.end() and match.start() < m.end for m in found):
            continue
        close = [
            c
            for c in left
            if len(parts := _flat(c.name).split()) <= 3 and any(_alike(word, p) for p in parts)
        ]
        if len(close) == 1:
            found.append(Mention(match.start(), match.end(), close[0]))
    return sorted(found, key=lambda m: m.start)


def _without(text: str, mentions: list[Mention]) -> str:
    """*text* in small letters without the columns named in it."""
    for mention in mentions:
        text = text[: mention.start] + " " * (mention.end - mention.start) + text[mention.end :]
    return " ".join(text.lower().split())


def _places(
    text: str, mentions: list[Mention], conditions: tuple[Condition, ...]
) -> tuple[str, ...]:
    """Names that may be values of a column: "in GA", "from New York", "for 'abc'"."""
    values = {str(condition.value) for condition in conditions}
    found = []
    for match in _PLACE.finditer(text):
        start, end = match.start(1), match.end(1)
        if not any(m.start < end and start < m.end for m in mentions):
            name = match[1].strip("\"'“”` .,?!")
            if name and name not in values and not re.fullmatch(_NO_PLACES, name, re.IGNORECASE):
                found.append(name)
    return tuple(found)


def _flat(text: str) -> str:
    """Small letters, everything else a blank, as long as *text*."""
    return "".join(c.lower() if c.isalnum() and len(c.lower()) == 1 else " " for c in text)


def _alike(word: str, part: str) -> bool:
    if len(part) < 3 or part in _STOP:
        return False
    singular = re.sub(r"ies$", "y", word)
    return singular == part or difflib.SequenceMatcher(None, word, part).ratio() >= 0.82


def _wish(low: str, question: Question, by: Column | None) -> Wish:
    """The wish: by what is asked to be drawn, by words, and else by what was named."""
    named = question.columns
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


def _unknown(text: str, table: Table) -> str | None:
    """A name in quotation marks or backticks, after the word column, that no column has."""
    names = {name.lower() for name in table.names}
    for match in re.finditer(r"(?:column\s+|`)[\"'`“]?([\w ]+?)[\"'`”]", text):
        if match[1].lower() not in names and len(match[1]) > 2:
            return match[1]
    return None


def _conditions(
    text: str, mentions: list[Mention], table: Table
) -> tuple[tuple[Condition, ...], list[Mention]]:
    found: list[Condition] = []
    used: list[Mention] = []
    for mention in mentions:
        condition = _condition(text[mention.end :], mention.column)
        number = re.match(r"\s+(\d+(?:\.\d+)?)\b", text[mention.end :])
        if condition is None and number and _FOR.search(text[: mention.start]):
            condition = _compared(mention.column, "==", None, number[1], None)
        if condition is not None:
            found.append(condition)
            used.append(mention)
    dates = table.of_kind("date")
    if dates and not any(c.column.kind == "date" for c in found):
        for word, operator in _SINCE:
            if year := re.search(rf"\b{word}\s+((?:19|20)\d\d)\b", text, re.IGNORECASE):
                found.append(Condition(dates[0], operator, float(year[1]), True))
    return tuple(found), used


def _condition(after: str, column: Column) -> Condition | None:
    for pattern, operator in _OPERATORS:
        match = re.match(rf"[\s`\"']*(?:{pattern})(?![A-Za-z]){_VALUE}", after, re.IGNORECASE)
        if match is None:
            continue
        quoted = next((g for g in match.groups()[:4] if g is not None), None)
        number, word = match.groups()[4:6]
        return _compared(column, operator, quoted, number, word)
    return None


def _compared(
    column: Column, operator: Operator, quoted: str | None, number: str | None, word: str | None
) -> Condition | None:
    if number is not None and quoted is None:
        value = float(number.replace(",", ""))
        if column.kind == "date":
            is_year = 1500 <= value <= 2200
            return Condition(column, operator, value, True) if is_year else None
        if column.kind != "text":
            return Condition(column, operator, value)
        return Condition(column, operator, number)
    text = quoted if quoted is not None else word
    if text is None or column.kind not in ("text", "bool", "date"):
        return None
    plain = quoted is None and (text.lower() in _STOP or len(text) < 2 or text.islower())
    if plain and operator != "contains" and text.lower() not in map(str.lower, column.examples):
        return None
    return Condition(column, operator, text)
