"""Links are found whatever the text is cut into, and only where there is a file."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_ci_ext.engine.links import (
    LONGEST,
    PREFIX,
    Link,
    LinkScanner,
    Plain,
    Stretch,
    resolve,
)

FILES = {
    "a.csv": "file-a",
    "out/a.csv": "file-out",
    "my file.csv": "file-blank",
    "report (1).xlsx": "file-paren",
    "图.png": "file-cjk",
    "😀.txt": "file-astral",
    "100%.txt": "file-percent",
    "bob's.md": "file-quote",
}


def links(*chunks: str, files: dict[str, str] = FILES) -> list[Plain | Link]:
    """The text of *chunks* in pieces, neighbouring plain ones joined."""

    async def find(name: str) -> str | None:
        return files.get(name)

    async def go() -> list[Plain | Link]:
        scanner = LinkScanner()
        pieces = [piece for chunk in chunks for piece in scanner.feed(chunk)] + scanner.close()
        joined: list[Plain | Link] = []
        for piece in pieces:
            found = await resolve(piece.text, find) if isinstance(piece, Stretch) else [piece]
            for part in found:
                if isinstance(part, Plain) and joined and isinstance(joined[-1], Plain):
                    joined[-1] = Plain(joined[-1].text + part.text)
                else:
                    joined.append(part)
        return joined

    return asyncio.run(go())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[a](sandbox:/mnt/data/a.csv)", [("sandbox:/mnt/data/a.csv", "file-a")]),
        ("see sandbox:/mnt/data/a.csv.", [("sandbox:/mnt/data/a.csv", "file-a")]),
        ("sandbox:/mnt/data/a.csv, and", [("sandbox:/mnt/data/a.csv", "file-a")]),
        ("`sandbox:/mnt/data/a.csv`", [("sandbox:/mnt/data/a.csv", "file-a")]),
        ("**sandbox:/mnt/data/a.csv**", [("sandbox:/mnt/data/a.csv", "file-a")]),
        ("(sandbox:/mnt/data/a.csv)", [("sandbox:/mnt/data/a.csv", "file-a")]),
        ('[a](sandbox:/mnt/data/a.csv "A title")', [("sandbox:/mnt/data/a.csv", "file-a")]),
        ("[a](sandbox:/mnt/data/out/a.csv)", [("sandbox:/mnt/data/out/a.csv", "file-out")]),
        (
            "[a](sandbox:/mnt/data/my%20file.csv)",
            [("sandbox:/mnt/data/my%20file.csv", "file-blank")],
        ),
        ("[a](sandbox:/mnt/data/my file.csv)", [("sandbox:/mnt/data/my file.csv", "file-blank")]),
        ("[a](<sandbox:/mnt/data/my file.csv>)", [("sandbox:/mnt/data/my file.csv", "file-blank")]),
        (
            "[a](sandbox:/mnt/data/report (1).xlsx).",
            [("sandbox:/mnt/data/report (1).xlsx", "file-paren")],
        ),
        ("下载sandbox:/mnt/data/图.png，谢谢", [("sandbox:/mnt/data/图.png", "file-cjk")]),
        ("sandbox:/mnt/data/a.csv谢谢", [("sandbox:/mnt/data/a.csv", "file-a")]),
        ("😀 [x](sandbox:/mnt/data/😀.txt)", [("sandbox:/mnt/data/😀.txt", "file-astral")]),
        ("[x](sandbox:/mnt/data/100%.txt)", [("sandbox:/mnt/data/100%.txt", "file-percent")]),
        ("[x](sandbox:/mnt/data/bob's.md)", [("sandbox:/mnt/data/bob's.md", "file-quote")]),
        (
            "sandbox:/mnt/data/a.csv,sandbox:/mnt/data/图.png",
            [("sandbox:/mnt/data/a.csv", "file-a"), ("sandbox:/mnt/data/图.png", "file-cjk")],
        ),
        (
            "[x](sandbox:/mnt/data/none.csv sandbox:/mnt/data/a.csv)",
            [("sandbox:/mnt/data/a.csv", "file-a")],
        ),
        ("sandbox:/mnt/data/none.csv", []),
        ("sandbox:/mnt/data/", []),
        ("sandbox:/mnt/data/%ff%fe", []),
        ("sandbox:/mnt/dat", []),
        ("a.csv and /mnt/data/a.csv", []),
    ],
)
def test_finds_the_link(text: str, found: list[tuple[str, str]]) -> None:
    pieces = links(text)
    assert "".join(piece.text for piece in pieces) == text
    assert [tuple(piece) for piece in pieces if isinstance(piece, Link)] == found


def test_plain_text_is_not_held_back() -> None:
    scanner = LinkScanner()
    assert scanner.feed("It is a sand") == [Plain("It is a ")]
    assert scanner.feed("y beach") == [Plain("sandy beach")]
    assert scanner.feed("[x](sandbox:/mnt/data/a.c") == [Plain("[x](")]
    assert scanner.feed("sv") == []
    assert scanner.feed(") there") == [Stretch("sandbox:/mnt/data/a.csv"), Plain(") there")]
    assert scanner.close() == []


def test_what_never_ends_is_let_go() -> None:
    scanner = LinkScanner()
    pieces = scanner.feed(PREFIX + "x" * 5000)
    assert [len(piece.text) for piece in pieces] == [LONGEST, len(PREFIX) + 5000 - LONGEST]


fragments = st.sampled_from(
    [
        PREFIX, "sandbox:", "/mnt/data/", "a.csv", "out/", "my file.csv", "my%20file.csv",
        "report (1).xlsx", "图.png", "😀", ".", ",", "(", ")", "](", "<", ">", "\n", " ", "`", '"',
        "s", "100%.txt", "%", "**",
    ]
)  # fmt: skip
texts = st.lists(fragments | st.text(max_size=3), max_size=14).map("".join)


@given(text=texts, cuts=st.lists(st.integers(0, 200), max_size=12))
def test_any_cutting_gives_the_same(text: str, cuts: list[int]) -> None:
    marks = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    chunks = [text[a:b] for a, b in pairwise(marks)]
    assert links(*chunks) == links(text) == links(*text)
    assert "".join(piece.text for piece in links(text)) == text


@given(
    name=st.text(
        st.characters(exclude_characters="\n", exclude_categories=["Cs", "Cc"]),
        min_size=1,
        max_size=20,
    )
)
def test_any_name_is_found_percent_encoded_in_a_markdown_link(name: str) -> None:
    target = PREFIX + quote(name)
    pieces = links(f"[x]({target})!", files={name: "file-x"})
    assert Link(target, "file-x") in pieces
