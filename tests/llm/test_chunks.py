"""Chunks as no server should send them: what can be read is read, and nothing else gets through."""

from __future__ import annotations

import json
from dataclasses import astuple, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_ci_ext.errors import LLMError
from jupyter_ci_ext.llm.base import (
    CodeDelta,
    CodeStarted,
    Delta,
    Finished,
    FunctionDelta,
    FunctionStarted,
    FunctionTool,
    RefusalDelta,
    TextDelta,
    Usage,
)
from jupyter_ci_ext.llm.chunks import ChunkReader, merged
from tests.llm.conftest import TURN

LOOK = replace(TURN, code=True, functions=(FunctionTool("look"),))

texts = st.text(max_size=6) | st.sampled_from(
    ["look", "python", '{"code": "1"}', "```python\n1\n```", "\ud83d", "\ude00", "call_1", "<think>", "stop"]
)  # fmt: skip
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


def shaped(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """An object with some of these fields, or something else; so may each of its fields be."""
    good = st.fixed_dictionaries({}, optional={name: each | junk for name, each in fields.items()})
    return st.one_of(good, good, good, good, junk)


calls = st.lists(
    shaped(index=st.integers(0, 2), id=texts, function=shaped(name=texts, arguments=texts)),
    max_size=3,
)
deltas = shaped(content=texts, refusal=texts, tool_calls=calls)
choices = st.lists(shaped(delta=deltas, finish_reason=st.sampled_from(["stop", "length"])))
counts = shaped(prompt_tokens=st.integers(), completion_tokens=st.integers())
chunks = shaped(choices=choices, usage=counts)

DONE: dict[str, Any] = {"choices": [{"delta": {}, "finish_reason": "stop"}]}


@settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(chunks, max_size=6), st.booleans())
def test_whatever_comes_makes_deltas_that_can_be_told(
    given_chunks: list[Any], fenced: bool
) -> None:
    reader = ChunkReader(LOOK, fenced=fenced)
    found = [delta for chunk in [*given_chunks, DONE] for delta in reader.feed(chunk)]
    found += reader.close()
    started: list[int] = []
    for delta in found:
        json.dumps(astuple(delta), ensure_ascii=False).encode()
        if isinstance(delta, CodeStarted | FunctionStarted):
            assert delta.index == len(started)
            assert delta.id
            started.append(delta.index)
        elif isinstance(delta, CodeDelta | FunctionDelta):
            assert delta.index in started
        elif isinstance(delta, Usage):
            assert all(0 <= count <= 2**53 for count in astuple(delta))
        assert all(type(value) in (str, int) for value in astuple(delta))
    assert isinstance(found[-1], Finished)
    assert sum(isinstance(delta, Usage | Finished) for delta in found) <= 2


@settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(chunks, max_size=3))
def test_an_answer_without_an_end_is_none(given_chunks: list[Any]) -> None:
    reader = ChunkReader(LOOK, fenced=False)
    for chunk in given_chunks:
        reader.feed(chunk)
    if not reader.finished:
        with pytest.raises(LLMError):
            reader.close()


def read(*pieces: dict[str, Any], usage: Any = None) -> list[Delta]:
    """What comes of deltas as a server sends them."""
    reader = ChunkReader(LOOK, fenced=False)
    found = [d for piece in pieces for d in reader.feed({"choices": [{"delta": piece}]})]
    found += reader.feed({**DONE, "usage": usage})
    return found + reader.close()


def test_a_refusal_cut_within_a_character_is_whole() -> None:
    assert read({"refusal": "No \ud83d"}, {"refusal": "\ude00"})[:-1] == [
        RefusalDelta("No "),
        RefusalDelta("😀"),
    ]
    assert read({"refusal": "No \ud83d"})[:-1] == [RefusalDelta("No "), RefusalDelta("\ufffd")]


@pytest.mark.parametrize("id", [5, ["x"], {}, None, "", "\ud83d"])
def test_an_id_that_is_no_text_is_made(id: object) -> None:
    call = {"index": 0, "id": id, "function": {"name": "look", "arguments": "{}"}}
    started = read({"tool_calls": [call]})[0]
    assert isinstance(started, FunctionStarted)
    assert started.id.encode()


@pytest.mark.parametrize("name", [5, ["look"], {"a": 1}, True])
def test_a_call_of_something_that_is_no_name_is_none(name: object) -> None:
    call = {"index": 0, "id": "call_1", "function": {"name": name, "arguments": "{}"}}
    assert read({"tool_calls": [call]}) == [Finished("stop")]


@pytest.mark.parametrize("count", [-5, True, 2**60, 10**400, 1.5, "7", None])
def test_counts_that_cannot_be_are_none(count: object) -> None:
    usage = {"prompt_tokens": count, "completion_tokens": 7}
    assert read(usage=usage)[0] == Usage(0, 7)


def test_a_flood_is_made_few_pieces_and_says_the_same() -> None:
    few = [TextDelta("a"), TextDelta("b"), Finished("stop")]
    assert merged(few) == few
    flood: list[Delta] = [TextDelta(str(n)) for n in range(40)]
    flood += [CodeStarted(0, "call_a"), *(CodeDelta(0, f"{n};") for n in range(40))]
    flood += [FunctionStarted(1, "call_b", "f"), FunctionDelta(1, "{"), FunctionDelta(1, "}")]
    flood += [FunctionStarted(2, "call_c", "f"), FunctionDelta(2, "[]"), FunctionDelta(1, " ")]
    flood += [RefusalDelta("N"), RefusalDelta("o"), Usage(1, 2), Usage(3, 4), Finished("stop")]
    assert merged(flood) == [
        TextDelta("".join(map(str, range(40)))),
        CodeStarted(0, "call_a"),
        CodeDelta(0, "".join(f"{n};" for n in range(40))),
        FunctionStarted(1, "call_b", "f"),
        FunctionDelta(1, "{}"),
        FunctionStarted(2, "call_c", "f"),
        FunctionDelta(2, "[]"),
        FunctionDelta(1, " "),
        RefusalDelta("No"),
        Usage(1, 2),
        Usage(3, 4),
        Finished("stop"),
    ]
