"""Arguments of a `python` call become source, at any chunking and from any model."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_ci_ext.llm.folding import SourceReader, source_of
from jupyter_ci_ext.llm.pieces import FencedBody, Pairs, Unfenced, joined

SOURCES = st.text(max_size=60) | st.text(alphabet='"\\`{}[],:\n\t é€😀ux41d8', max_size=40)


def pieces_of(text: str, cuts: list[int]) -> list[str]:
    edges = sorted({0, len(text), *(c % (len(text) + 1) for c in cuts)})
    return [text[a:b] for a, b in itertools.pairwise(edges)]


def read(*fragments: str) -> str:
    reader = SourceReader()
    return "".join([reader.feed(f) for f in fragments]) + reader.close()


def plain(source: str) -> bool:
    """Not in a fence, and not itself an object that would be read as arguments once more."""
    return not source.lstrip().startswith("```")


@given(SOURCES.filter(plain), st.lists(st.integers(0, 500)), st.booleans(), st.sampled_from([0, 2]))
def test_valid_json_gives_exactly_the_string_at_any_cut(
    source: str, cuts: list[int], ascii_only: bool, indent: int
) -> None:
    arguments = json.dumps({"code": source}, ensure_ascii=ascii_only, indent=indent or None)
    assert read(*pieces_of(arguments, cuts)) == joined(source)


@given(SOURCES.filter(plain), st.lists(st.integers(0, 500)))
def test_other_keys_before_and_after_do_no_harm(source: str, cuts: list[int]) -> None:
    arguments = json.dumps({"language": "py", "n": [1, {"a": "}"}], "source": source, "x": "y"})
    assert read(*pieces_of(arguments, cuts)) == joined(source)


@given(st.text(max_size=80), st.lists(st.integers(0, 500)))
def test_any_input_reads_the_same_in_pieces_and_whole(text: str, cuts: list[int]) -> None:
    assert read(*pieces_of(text, cuts)) == read(text)


@given(st.text(max_size=40).filter(plain), st.integers(0, 300))
def test_arguments_cut_by_the_token_limit_give_the_beginning_of_the_source(
    source: str, cut: int
) -> None:
    arguments = json.dumps({"code": source})
    got = read(arguments[: cut % len(arguments)])
    assert joined(source).startswith(got.rstrip("�")) or got.rstrip("�") == ""


@pytest.mark.parametrize(
    ("arguments", "source"),
    [
        ("print(1)", "print(1)"),
        ("  x = {'a': 1}\nprint(x)", "  x = {'a': 1}\nprint(x)"),
        ("{1, 2}", "{1, 2}"),
        ("{'code': 'print(1)'}", "print(1)"),
        ('{"input": "print(1)"}', "print(1)"),
        ('{"file": "a.csv", "input": "print(1)"}', "print(1)"),
        ('{"expression": "1 + 1"}', "1 + 1"),
        ('{"code": ["a = 1", "print(a)\\n"]}', "a = 1\nprint(a)"),
        ('{"arguments": {"code": "1"}}', "1"),
        ('"print(1)"', "print(1)"),
        ('"{\\"code\\": \\"print(1)\\"}"', "print(1)"),
        ('"""doc"""\nx = 1', '"""doc"""\nx = 1'),
        ("```python\nprint(1)\n```", "print(1)"),
        ('{"code": "```py\\nprint(1)\\n\\n```\\n"}', "print(1)"),
        ('{"code": "print("a", "b")"}', 'print("a", "b")'),
        ('{"code": "a = 1\nb = 2"}', "a = 1\nb = 2"),
        ('{"code": "re.match(\'\\d\')"}', "re.match('\\d')"),
        ('{"code": "x"} and more', "x"),
        ("{}", ""),
        ("", ""),
        ("{", ""),
        ('{"co', ""),
        ('{"language": "pyth', ""),
        ('{"code": "print(1', "print(1"),
        ('{"code": "\\ud83d', "�"),
        ('{"input": "print(1', "print(1"),
    ],
)
def test_what_real_models_send(arguments: str, source: str) -> None:
    assert read(arguments) == source
    assert read(*arguments) == source


def test_source_streams_out_before_the_call_is_complete() -> None:
    reader = SourceReader()
    assert reader.feed('{"code": "import ma') == "import ma"
    assert reader.feed("th\\npri") == "th\npri"
    reader.feed("nt(1)")
    reader.close()
    assert not reader.complete


def test_a_complete_call_is_known_as_complete() -> None:
    reader = SourceReader()
    reader.feed('{"code": "1"}')
    reader.close()
    assert reader.complete


@given(st.text(), st.lists(st.integers(0, 500)))
def test_pairs_cut_between_pieces_are_joined(text: str, cuts: list[int]) -> None:
    units = text.encode("utf-16-le", "surrogatepass")
    halves = "".join(
        chr(int.from_bytes(units[i : i + 2], "little")) for i in range(0, len(units), 2)
    )
    pairs = Pairs()
    out = "".join(pairs.feed(piece) for piece in pieces_of(halves, cuts)) + pairs.close()
    assert out == joined(text)
    out.encode()


@given(st.lists(st.text(alphabet="ab `\t", max_size=6), max_size=5), st.lists(st.integers(0, 99)))
def test_a_fenced_body_is_the_lines_before_the_closing_fence(
    lines: list[str], cuts: list[int]
) -> None:
    lines = [line for line in lines if not line.strip().startswith("```")]
    text = "\n".join([*lines, "```", "and what follows"])
    body = FencedBody()
    out = "".join(body.feed(piece) for piece in pieces_of(text, cuts))
    assert body.closed
    assert out + body.close() == "\n".join(lines).rstrip("\n")


def test_a_longer_fence_and_an_indented_one() -> None:
    body = FencedBody(ticks=4, indent=2)
    assert body.feed("  a = '''\n  ```\n    b\n````\nrest") == "a = '''\n```\n  b"
    assert body.rest == "rest"


@given(st.text(alphabet="`py\n x", max_size=30), st.lists(st.integers(0, 99)))
def test_unfencing_is_the_same_in_pieces_and_whole(text: str, cuts: list[int]) -> None:
    def run(pieces: list[str]) -> str:
        reader = Unfenced()
        return "".join([reader.feed(p) for p in pieces]) + reader.close()

    assert run(pieces_of(text, cuts)) == run([text])


def test_hopeless_arguments_come_back_as_they_are() -> None:
    assert source_of("{nonsense: yes") == "{nonsense: yes"
