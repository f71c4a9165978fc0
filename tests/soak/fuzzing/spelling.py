"""Values no client should send, and JSON that says more than JSON can.

`changed` bends a valid value somewhere; `spelled` writes it as bytes. What no JSON library writes
(NaN, keys that come twice, half surrogates, numbers of thousands of digits) is `Raw` text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import Random
from typing import Any


@dataclass(frozen=True)
class Raw:
    """Text that is written as it stands."""

    text: str


@dataclass(frozen=True)
class Twice:
    """An object one of whose keys comes twice, with different values."""

    pairs: tuple[tuple[str, Any], ...]


TEXTS = (
    "", " ", "\x00", "a\x00b", "\r\n", "\u2028\u2029\x85", "\u202egpj.exe", "e\u0301\u0327" * 40,
    "👩‍👩‍👧‍👦" * 20, "\ufeff", "\ufffe\uffff", "x" * 70_000, "../../../etc/passwd", "/etc/passwd", "~",
    "%00", "%2e%2e%2f", "%s%n%x", "{}", "{0}", "' OR 1=1 --", '"', "\\", "null", "<script>", "\x1b[31m",
    "auto", "code_interpreter", "file_search", "sandbox:/mnt/data/", "thread_", "asst_", "file-", "run_",
    "demo", "*", "\U0010ffff", "1e999", "-1", "NaN", "true", "CON", ".", "..", "a/b", "a\\b", "é", "文",
)  # fmt: skip
"""Strings of which programs have stumbled over each."""

NUMBERS = (
    0, -1, 1, 2, 17, 101, 2**31 - 1, 2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 2**64, 10**40,
    0.1, -0.0, 1.5, 1e308, 5e-324, 1e-7,
)  # fmt: skip

RAW = (
    "NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 400, "9" * 5000, "-0", "01", "+1", "1.", ".5",
    "0x10", "tru", "undefined", "'a'", '"\\ud800"', '"\\udc00\\ud800"', '"a\\u0000b"', '"\\x41"', '"\t"',
    '"\\ud83d\\ude00"', "[1,]", '{"a":1,}', "// x", '{1: 2}', '"unended', "{", "]",
    "[" * 60 + "]" * 60, "[" * 300 + "]" * 300, "[" * 50_000 + "]" * 50_000,
    '{"a":' * 150 + "1" + "}" * 150, '{"a":' * 5000 + "1" + "}" * 5000,
)  # fmt: skip
"""Pieces of text in the place of a value."""

CHARSETS = ("utf-16", "utf-32", "latin-1", "utf-8-sig", "cp037")


def nasty(rng: Random, depth: int = 2) -> Any:
    """Any value in the place of another; at most *depth* levels of it are made here."""
    kind = rng.randrange(7 if depth else 3)
    if kind == 0:
        return rng.choice((None, True, False, [], {}, [[]], {"": ""}, [None], {"type": None}))
    if kind == 1:
        return rng.choice(NUMBERS)
    if kind == 2:
        return Raw(rng.choice(RAW))
    if kind == 3:
        return [nasty(rng, depth - 1) for _ in range(rng.choice((1, 2, 20)))]
    if kind == 4:
        return {rng.choice(TEXTS)[:300]: nasty(rng, depth - 1) for _ in range(rng.choice((1, 17)))}
    return text(rng)


def text(rng: Random) -> str:
    """Some text, known to be nasty or of any characters."""
    if rng.random() < 0.7:
        return rng.choice(TEXTS)
    ranges = ((0, 0x20), (0x20, 0x7F), (0x80, 0x250), (0x600, 0x6FF), (0x1F000, 0x1FAFF))
    low, high = rng.choice(ranges)
    return "".join(chr(rng.randint(low, high)) for _ in range(rng.randrange(12)))


def changed(rng: Random, value: Any) -> Any:
    """*value* with one thing wrong somewhere in it; the value itself stays as it is."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        return _changed_object(rng, value)
    if isinstance(value, list) and value and rng.random() < 0.7:
        at = rng.randrange(len(value))
        kind = rng.random()
        if kind < 0.7:
            return [*value[:at], changed(rng, value[at]), *value[at + 1 :]]
        if kind < 0.85:
            return value * rng.choice((2, 20, 600))
        return [*value[:at], *value[at + 1 :]]
    if isinstance(value, str) and rng.random() < 0.5:
        at = rng.randrange(len(value) + 1)
        return value[:at] + text(rng) + value[at:]
    return nasty(rng)


def readable(rng: Random, value: Any) -> Any:
    """*value* with one thing wrong, yet such that a parser of JSON takes it, as long as one is found."""
    for _ in range(5):
        bent = changed(rng, value)
        try:
            json.loads(_json(bent))
        except (ValueError, RecursionError):
            continue
        return bent
    return value


def _changed_object(rng: Random, value: dict[str, Any]) -> Any:
    key = rng.choice(list(value))
    kind = rng.random()
    if kind < 0.6:
        return {**value, key: changed(rng, value[key])}
    if kind < 0.72:
        return {k: v for k, v in value.items() if k != key}
    if kind < 0.86:
        pairs = [*value.items(), (key, changed(rng, value[key]))]
        return Twice(tuple(rng.sample(pairs, len(pairs))))
    return {**value, text(rng)[:300]: nasty(rng)}


def spelled(rng: Random, value: Any, broken: float = 0.25) -> bytes:
    """*value* as the bytes of a body, *broken* as bytes too with that probability."""
    body = _json(value).encode("utf-8", "surrogatepass")
    if rng.random() >= broken:
        return body
    kind = rng.randrange(6)
    at = rng.randrange(len(body) + 1)
    if kind == 0:
        return body[:at]
    if kind == 1:
        return body[:at] + bytes(rng.randrange(256) for _ in range(rng.randint(1, 4))) + body[at:]
    if kind == 2:
        return body[:at] + b"\xed\xa0\x80\xff\xc0\x80" + body[at:]
    if kind == 3:
        return body.decode("utf-8", "replace").encode(rng.choice(CHARSETS), "replace")
    if kind == 4:
        return body + rng.choice((b"\x00", b" " * 70_000, b"{}", b"\n\n", b"garbage"))
    return rng.choice((b"\x00", b"\xef\xbb\xbf", b" ", b"\n")) + body


def _json(value: Any) -> str:
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, Twice):
        return "{" + ",".join(f"{json.dumps(k)}:{_json(v)}" for k, v in value.pairs) + "}"
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{_json(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
