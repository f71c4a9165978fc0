"""Columns and filters named in a sentence: also misspelt ones, and values without a column."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Literal

from jupyter_ci_ext.llm.demo.tables import Column, Table

Operator = Literal["==", "!=", ">", ">=", "<", "<=", "contains"]


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


_SINCE: tuple[tuple[str, Operator], ...] = (
    ("in", "=="),
    ("since", ">="),
    ("after", ">"),
    ("before", "<"),
    ("until", "<="),
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

_PLACE = re.compile(
    r"\b(?:in|from|for|of|is|are|only|with)\s+(?:the\s+)?"
    r"(\"[^\"]+\"|'[^']+'|“[^”]+”|[A-Z][\w&.'-]*(?:\s+[A-Z][\w&.'-]*)*)"
)
_NO_PLACES = (
    "excel|xlsx|csv|json|parquet|png|pdf|tsv|python|pandas|i|a|january|february|march|april|may|"
    "june|july|august|september|october|november|december"
)


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


def text_without(text: str, mentions: list[Mention]) -> str:
    """*text* in small letters without the columns named in it."""
    for mention in mentions:
        text = text[: mention.start] + " " * (mention.end - mention.start) + text[mention.end :]
    return " ".join(text.lower().split())


def loose_values(
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


def misnamed(text: str, table: Table) -> str | None:
    """A name in quotation marks or backticks, after the word column, that no column has."""
    names = {name.lower() for name in table.names}
    for match in re.finditer(r"(?:column\s+|`)[\"'`“]?([\w ]+?)[\"'`”]", text):
        if match[1].lower() not in names and len(match[1]) > 2:
            return match[1]
    return None


def filters(
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
