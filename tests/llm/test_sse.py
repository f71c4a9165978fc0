from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_ci_ext.llm.sse import DataReader

STREAM = (
    b': hello\n\nevent: x\ndata: {"a": 1}\nid: 7\n\ndata:two\n\n\n\ndata: three\ndata\ndata:  four\n\n'
    b"data: \xe2\x80\xa8\xc2\x85 inside\n\nretry: 5\n\ndatabase: none\n\ndata: [DONE]\n\ndata: cut off"
)
EVENTS = [
    b'{"a": 1}',
    b"two",
    b"three\n\n four",
    b"\xe2\x80\xa8\xc2\x85 inside",
    b"[DONE]",
    b"cut off",
]


def pieces_of(stream: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(stream) + 1) for cut in cuts} | {0, len(stream)})
    return [stream[start:end] for start, end in pairwise(places)]


@given(st.lists(st.integers(0, 10_000), max_size=20))
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_events_however_they_are_cut(end: bytes, cuts: list[int]) -> None:
    reader = DataReader()
    stream = STREAM.replace(b"\n", end)
    found = [data for piece in pieces_of(stream, cuts) for data in reader.feed(piece)]
    assert found == EVENTS[:-1]
    assert reader.close() == EVENTS[-1:]


def test_every_byte_by_itself_and_a_line_in_many_pieces() -> None:
    reader = DataReader()
    stream = b"data: " + b"x" * 300_000 + b"\n\n"
    found = [data for at in range(0, len(stream), 7) for data in reader.feed(stream[at : at + 7])]
    assert found == [b"x" * 300_000]
    assert reader.close() == []
