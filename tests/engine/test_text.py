"""Text between model, code and store."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_ci_ext.engine.results import settle
from jupyter_ci_ext.engine.text import human_size, plain, shorten, well_formed


@given(st.text(st.characters(), max_size=50))
def test_well_formed_text_can_be_encoded(text: str) -> None:
    assert well_formed(text).encode() == well_formed(well_formed(text)).encode()


def test_halves_of_a_character_that_meet_are_one() -> None:
    assert well_formed("\ud83d\ude00") == "😀"
    assert well_formed("a\ud83d") == "a\ufffd"


@given(st.text(max_size=300), st.integers(1, 100))
def test_shortened_text_keeps_head_and_tail(text: str, limit: int) -> None:
    short = shorten(text, limit)
    if len(text) <= limit:
        assert short == text
    else:
        head, _, rest = short.partition("\n[… ")
        number, _, tail = rest.partition(" characters left out …]\n")
        assert text.startswith(head)
        assert text.endswith(tail)
        assert len(head) + len(tail) + int(number) == len(text)


def test_colours_go() -> None:
    assert plain("\x1b[1;31mred\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x07") == "red link"


def test_carriage_returns_overwrite() -> None:
    assert settle("a\rb\rc\nd\r\ne\r") == "c\nd\ne"
    assert settle("\r" * 100_000 + "x" * 100_000) == "x" * 100_000


def test_sizes_as_people_read_them() -> None:
    sizes = [0, 1, 1023, 1024, 1536, 5 << 20, 3 << 30, 2 << 40]
    assert [human_size(size) for size in sizes] == [
        "0 bytes", "1 byte", "1023 bytes", "1.0 KiB", "1.5 KiB", "5.0 MiB", "3.0 GiB", "2.0 TiB",
    ]  # fmt: skip
