from __future__ import annotations

from typing import Any

import pytest

from jupyter_ci_ext.kernels.outputs import (
    MOST_LEVELS,
    ClearOutput,
    DisplayData,
    ErrorOutput,
    StreamText,
    from_message,
    plain_text,
)


@pytest.mark.parametrize(
    ("msg_type", "content", "value"),
    [
        ("stream", {"name": "stdout", "text": "a\n"}, StreamText("stdout", "a\n")),
        ("stream", {"name": "stderr", "text": "a"}, StreamText("stderr", "a")),
        (
            "display_data",
            {"data": {"text/plain": "x"}, "metadata": {"a": 1}, "transient": {}},
            DisplayData({"text/plain": "x"}, {"a": 1}),
        ),
        (
            "display_data",
            {"data": {"text/plain": "x"}, "metadata": {}, "transient": {"display_id": "d"}},
            DisplayData({"text/plain": "x"}, display_id="d"),
        ),
        (
            "update_display_data",
            {"data": {"text/plain": "x"}, "metadata": {}, "transient": {"display_id": "d"}},
            DisplayData({"text/plain": "x"}, display_id="d", update=True),
        ),
        (
            "execute_result",
            {"data": {"text/plain": "2"}, "metadata": {}, "execution_count": 1},
            DisplayData({"text/plain": "2"}, result=True),
        ),
        (
            "error",
            {"ename": "KeyError", "evalue": "'a'", "traceback": ["one", "two"]},
            ErrorOutput("KeyError", "'a'", "one\ntwo"),
        ),
        ("clear_output", {"wait": True}, ClearOutput(wait=True)),
        ("clear_output", {}, ClearOutput()),
        ("status", {"execution_state": "busy"}, None),
        ("comm_open", {"data": {}}, None),
    ],
)
def test_messages_become_values(msg_type: str, content: dict[str, Any], value: object) -> None:
    assert from_message(msg_type, content) == value


@pytest.mark.parametrize("levels", [50, 200, 2000])
def test_what_is_nested_too_deeply_is_no_output(levels: int) -> None:
    nested: Any = 1
    for _ in range(levels):
        nested = [nested]
    data = {"data": {"application/json": nested, "text/plain": "x"}, "metadata": {}}
    assert (from_message("display_data", data) is not None) == (levels < MOST_LEVELS)
    assert from_message("error", {"ename": nested, "traceback": []}) is None or levels < MOST_LEVELS


@pytest.mark.parametrize("msg_type", ["stream", "display_data", "execute_result", "clear_output"])
@pytest.mark.parametrize(
    "content",
    [None, [], "x", {}, {"name": [], "text": {}}, {"data": []}, {"data": {}}, {"wait": "no"}],
)
def test_messages_of_no_shape_are_no_output(msg_type: str, content: object) -> None:
    assert from_message(msg_type, content) in (None, ClearOutput())


def test_text_that_no_database_takes_is_replaced() -> None:
    assert from_message("stream", {"name": "stdout", "text": "a\ud800b"}) == StreamText(
        "stdout", "a?b"
    )
    shown = from_message("display_data", {"data": {"x/y": {"deep": ["\udfff"]}}, "metadata": {}})
    assert shown == DisplayData({"x/y": {"deep": ["?"]}})


def test_an_error_without_parts_is_still_an_error() -> None:
    assert from_message("error", {"traceback": 3}) == ErrorOutput("", "", "")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x1b\\", "link"),
        ("10%\r50%\r100%\ndone", "100%\ndone"),
        ("long line\rshort", "shortline"),
        ("dos\r\nlines\r\n", "dos\nlines\n"),
        ("abc\b\bX", "aXc"),
        ("\b\bab", "ab"),
        ("ab\rX\bY", "Yb"),
        ("", ""),
    ],
)
def test_plain_text_is_what_a_terminal_leaves(text: str, plain: str) -> None:
    assert plain_text(text) == plain
    assert plain_text(plain) == plain
