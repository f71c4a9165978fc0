"""The fence protocol: blocks in text become calls, at any chunking."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_ci_ext.llm.base import (
    AssistantMessage,
    CallResult,
    CodeCall,
    CodeDelta,
    CodeStarted,
    Delta,
    FunctionCall,
    FunctionDelta,
    FunctionStarted,
    FunctionTool,
    TextDelta,
    TextPart,
    UserMessage,
)
from jupyter_ci_ext.llm.endpoint import Endpoint, Patience, Settings
from jupyter_ci_ext.llm.fence import FenceReader, block
from jupyter_ci_ext.llm.openai_chat import OpenAIChat
from tests.fakes.answers import say
from tests.llm.conftest import collect

LINE = st.text(alphabet="ab=(`)' \t", max_size=8)


def read(*pieces: str, functions: tuple[str, ...] = ()) -> tuple[str, str | None, str | None]:
    """Text, source and function call that come of an answer."""
    reader = FenceReader(code=True, functions=functions)
    deltas: list[Delta] = [d for piece in pieces for d in reader.feed(piece)]
    deltas += reader.close()
    text = "".join(d.text for d in deltas if isinstance(d, TextDelta))
    source = "".join(d.source for d in deltas if isinstance(d, CodeDelta))
    called = [d for d in deltas if isinstance(d, FunctionStarted)]
    arguments = "".join(d.arguments for d in deltas if isinstance(d, FunctionDelta))
    ran = any(isinstance(d, CodeStarted) for d in deltas)
    return text, source if ran else None, f"{called[0].name} {arguments}" if called else None


def pieces_of(text: str, cuts: list[int]) -> list[str]:
    edges = sorted({0, len(text), *(c % (len(text) + 1) for c in cuts)})
    return [text[a:b] for a, b in itertools.pairwise(edges)]


@given(st.lists(LINE, max_size=4), st.lists(LINE, max_size=5), st.lists(st.integers(0, 200)))
def test_text_and_block_come_apart_at_any_cut(
    before: list[str], source: list[str], cuts: list[int]
) -> None:
    before = [line for line in before if not line.lstrip().startswith("```")]
    source = [line for line in source if not line.strip().startswith("```")]
    text = "".join(f"{line}\n" for line in before)
    answer = text + "\n".join(["```python", *source, "```", "Output: 5"])
    expected = (text, "\n".join(source).rstrip("\n"), None)
    assert read(*pieces_of(answer, cuts)) == expected


@given(st.text(alphabet="`py\n x", max_size=40), st.lists(st.integers(0, 99)))
def test_any_answer_reads_the_same_in_pieces_and_whole(answer: str, cuts: list[int]) -> None:
    assert read(*pieces_of(answer, cuts)) == read(answer)


@given(st.text(alphabet="ab\n` ", max_size=40))
def test_an_answer_without_a_block_to_run_is_all_text(answer: str) -> None:
    assert read(answer) == (answer, None, None) or "```" in answer


def test_other_blocks_are_part_of_the_answer() -> None:
    answer = "See:\n```json\n```python\nx\n```\nand\n```py\n1\n```"
    assert read(*answer) == ("See:\n```json\n```python\nx\n```\nand\n", "1", None)


def test_an_indented_block_is_dedented() -> None:
    assert read("1. So:\n   ```python\n   if x:\n       y()\n   ```") == (
        "1. So:\n",
        "if x:\n    y()",
        None,
    )


def test_a_block_that_is_not_closed_runs() -> None:
    assert read("```python\nprint(1)") == ("", "print(1)", None)


def test_a_call_of_a_function() -> None:
    answer = '```call\n{"name": "f", "arguments": {"a": 1}}\n```\nmade up'
    assert read(*answer, functions=("f",)) == ("", None, 'f {"a": 1}')


@pytest.mark.parametrize("inside", ["no json", '{"name": "other", "arguments": {}}', "[1]"])
def test_a_call_of_nothing_known_is_text(inside: str) -> None:
    answer = f"```call\n{inside}\n```\nafter"
    assert read(answer, functions=("f",)) == (answer, None, None)


def test_source_with_fences_in_it_is_fenced_longer() -> None:
    source = 'text = """\n```\n"""'
    assert read(block(CodeCall("a", source)))[1] == source


async def test_the_protocol_over_the_wire(upstream):
    upstream.enqueue(
        say("I compute.\n\n```python\nprint(6 * 7)\n```\n" + "Output: 41 " * 300, delay=0.002)
    )
    settings = Settings(base_url=upstream.url)
    llm = OpenAIChat(Endpoint("main", settings, Patience()), code_protocol="fence")
    messages = (
        UserMessage((TextPart("6 times 7?"),)),
        AssistantMessage("First try.", (CodeCall("a", "6 * 7"), FunctionCall("b", "f", "{}"))),
        CallResult("a", ""),
        CallResult("b", "fine"),
    )
    deltas = await collect(
        llm,
        messages=messages,
        functions=(FunctionTool("f"),),
        response_format={"type": "json_object"},
    )
    assert "".join(d.source for d in deltas if isinstance(d, CodeDelta)) == "print(6 * 7)"
    body = upstream.chats[0].body
    assert not {"tools", "tool_choice", "response_format"} & set(body)
    assert [m["role"] for m in body["messages"]] == ["system", "user", "assistant", "user"]
    assert "```python" in body["messages"][0]["content"]
    assert '"name": "f"' in body["messages"][2]["content"]
    assert "(nothing was printed)" in body["messages"][3]["content"]
    assert "fine" in body["messages"][3]["content"]
    # what the model makes up behind its block is not waited for
    assert await asyncio.to_thread(upstream.wait_for, lambda up: up.left_early == 1)


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("none", "Do not run code"),
        ("code", "must hold a ```python block"),
        ("required", "must hold a block"),
        (("function", "f"), "calls f"),
    ],
)
async def test_choices_are_put_in_words(upstream, choice, words):
    upstream.enqueue(say("ok\n```python\n1\n```"))
    settings = Settings(base_url=upstream.url)
    llm = OpenAIChat(Endpoint("main", settings, Patience()), code_protocol="fence")
    deltas = await collect(llm, functions=(FunctionTool("f"),), tool_choice=choice)
    assert words in upstream.chats[0].body["messages"][0]["content"]
    assert any(isinstance(d, CodeStarted) for d in deltas) == (choice != "none")
