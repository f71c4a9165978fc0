from __future__ import annotations

import pytest

from jupyter_ci_ext.api.ranges import Span, Unsatisfiable, parse_range


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-0", Span(0, 1)),
        ("bytes=2-4", Span(2, 5)),
        ("bytes=5-", Span(5, 10)),
        ("bytes=-3", Span(7, 10)),
        ("bytes=-30", Span(0, 10)),
        ("bytes=0-999", Span(0, 10)),
        ("BYTES = 1 - 2", Span(1, 3)),
    ],
)
def test_one_range_is_honoured(header: str, span: Span) -> None:
    assert parse_range(header, 10) == span


@pytest.mark.parametrize(
    "header",
    [None, "", "bytes=-", "bytes=4-2", "bytes=0-1,3-4", "items=0-1", "bytes=a-b", "bytes=²-"],
)
def test_what_makes_no_sense_counts_as_not_asked(header: str | None) -> None:
    assert parse_range(header, 10) is None


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=11-20", "bytes=-0"])
def test_a_range_outside_of_the_file_cannot_be_satisfied(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        parse_range(header, 10)


def test_an_empty_file_has_no_ranges() -> None:
    with pytest.raises(Unsatisfiable):
        parse_range("bytes=0-", 0)


def test_absurdly_long_numbers_are_not_read() -> None:
    assert parse_range("bytes=" + "9" * 5000 + "-", 10) is None
