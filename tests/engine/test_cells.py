"""What an execution put out, as the numbered outputs of a call."""

from __future__ import annotations

import base64
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jupyter_ci_ext.engine.cells import (
    ERROR_MIME,
    MOST_OUTPUTS,
    MOST_PICTURES,
    STDOUT_MIME,
    Cell,
    Shown,
)
from jupyter_ci_ext.engine.values import Logs, Rich
from jupyter_ci_ext.kernels.outputs import DisplayData, ErrorOutput, Output, StreamText

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\nrest").decode()
HTML = {"text/html": "<b>1</b>", "text/plain": "1"}


def fold(*outputs: Output, **limits: int) -> list[Logs | Shown | Rich]:
    cell = Cell(**limits)
    shown: list[Logs | Shown | Rich] = []
    for output in outputs:
        shown += cell.feed(output)
    return shown + cell.close()


def printed(text: str) -> StreamText:
    return StreamText("stdout", text)


def text_of(shown: list[Logs | Shown | Rich]) -> str:
    return "".join(each.text for each in shown if isinstance(each, Logs))


def test_text_goes_on_until_something_else_comes() -> None:
    figure = DisplayData({"image/png": PNG, "text/plain": "<Figure>"})
    shown = fold(printed("a"), StreamText("stderr", "b"), figure, printed("c"), printed("d"))
    assert shown == [
        Logs(0, "a"),
        Logs(0, "b"),
        Shown(1, b"\x89PNG\r\n\x1a\nrest", "image/png", "png"),
        Logs(2, "c"),
        Logs(2, "d"),
    ]


def test_a_plain_result_goes_on_in_the_text() -> None:
    result = DisplayData({"text/plain": "1.0"}, result=True)
    assert fold(printed("a\n"), result) == [Logs(0, "a\n"), Logs(0, "1.0\n")]


def test_a_table_is_text_of_its_own_and_richer_at_the_end() -> None:
    shown = fold(printed("a\n"), DisplayData(HTML, {"x": 1}, result=True), printed("b\n"))
    assert shown == [
        Logs(0, "a\n"),
        Logs(1, "1\n"),
        Logs(2, "b\n"),
        Rich(3, 1, HTML, {"x": 1}),
    ]


def test_a_traceback_is_plain_and_coloured_at_the_end() -> None:
    error = ErrorOutput("ValueError", "no", "\x1b[0;31mValueError\x1b[0m: no")
    shown = fold(printed("a\n"), error)
    assert shown[:2] == [Logs(0, "a\n"), Logs(1, "ValueError: no\n")]
    data = {"ename": "ValueError", "evalue": "no", "traceback": error.traceback}
    assert shown[2:] == [Rich(2, 1, {ERROR_MIME: data}, {})]
    assert fold(ErrorOutput("E", "v", "")) == [Logs(0, "E: v\n")]


def test_printed_colours_come_at_the_end() -> None:
    red = "\x1b[31mred\x1b[0m\n"
    shown = fold(printed("a\n"), printed(red), DisplayData({"text/plain": "1"}))
    assert shown == [
        Logs(0, "a\n"),
        Logs(0, "red\n"),
        Logs(0, "1\n"),
        Rich(1, 0, {STDOUT_MIME: f"a\n{red}1\n"}, {}),
    ]


def test_colours_of_what_was_cut_are_given_up() -> None:
    red = "\x1b[31mred\x1b[0m"
    assert not any(isinstance(each, Rich) for each in fold(printed(red * 9), log_limit=20))
    assert not any(isinstance(each, Rich) for each in fold(printed(red * 9), rich_limit=20))


def test_a_display_that_is_updated_comes_once_in_its_last_form() -> None:
    shown = fold(
        DisplayData({"text/plain": "0 %"}, display_id="p"),
        printed("work\n"),
        *(DisplayData({"text/plain": f"{n} %"}, display_id="p", update=True) for n in range(100)),
        DisplayData({"text/plain": "lost"}, display_id="unknown", update=True),
    )
    assert text_of(shown) == "work\n99 %\n"


def test_the_best_picture_is_taken_and_only_if_it_is_one() -> None:
    svg = "<svg xmlns='http://www.w3.org/2000/svg'/>"
    both = fold(DisplayData({"image/svg+xml": svg, "image/png": [PNG[:5], PNG[5:]]}))
    assert [each.suffix for each in both if isinstance(each, Shown)] == ["png"]
    fake = base64.b64encode(b"no picture").decode()
    assert fold(DisplayData({"image/png": fake, "image/svg+xml": svg})) == [
        Shown(0, svg.encode(), "image/svg+xml", "svg")
    ]
    assert fold(DisplayData({"image/png": "!!", "text/plain": "x"}))[0] == Logs(0, "x\n")


def test_a_widget_is_its_text() -> None:
    widget = DisplayData({"application/vnd.jupyter.widget-view+json": {}, "text/plain": "Box()"})
    assert fold(widget) == [Logs(0, "Box()\n")]


def test_of_a_flood_head_and_tail_are_kept() -> None:
    shown = fold(*(printed(f"{n:06}\n") for n in range(10_000)), log_limit=1000)
    text = text_of(shown)
    assert text.startswith("000000\n000001\n")
    assert text.endswith("009999\n")
    assert "[… 69000 characters left out …]" in text
    assert len(text) < 1100
    assert {each.index for each in shown if isinstance(each, Logs)} == {0}


def test_pictures_and_outputs_are_counted() -> None:
    pictures = fold(*[DisplayData({"image/png": PNG})] * (MOST_PICTURES + 7))
    assert sum(isinstance(each, Shown) for each in pictures) == MOST_PICTURES
    assert "[7 more pictures left out]" in text_of(pictures)
    tables = fold(*[DisplayData(HTML)] * 1000)
    assert len({each.index for each in tables if isinstance(each, Logs)}) == MOST_OUTPUTS + 1
    assert sum(isinstance(each, Rich) for each in tables) == MOST_OUTPUTS
    assert text_of(tables) == "1\n" * 1000


def test_what_is_too_rich_is_plain() -> None:
    huge: dict[str, Any] = {"text/html": "x" * 2000, "text/plain": "1"}
    assert fold(DisplayData(huge), rich_limit=1000) == [Logs(0, "1\n")]
    nested: dict[str, Any] = {"application/json": {"a": ["x" * 2000]}, "text/plain": "1"}
    assert fold(DisplayData(nested), rich_limit=1000) == [Logs(0, "1\n")]


outputs = st.one_of(
    st.text(max_size=30).map(printed),
    st.sampled_from(
        [{"text/plain": "p"}, {"image/png": PNG}, HTML, {"text/html": "h"}, {}]
    ).flatmap(
        lambda data: st.builds(
            DisplayData,
            data=st.just(data),
            display_id=st.sampled_from([None, None, "a", "b"]),
            update=st.booleans(),
        )
    ),
    st.just(ErrorOutput("E", "v", "\x1b[1mE\x1b[0m")),
)


@given(st.lists(outputs, max_size=30), st.integers(1, 200))
def test_outputs_are_numbered_without_gaps_in_the_order_they_come(
    given_outputs: list[Output], limit: int
) -> None:
    shown = fold(*given_outputs, log_limit=limit)
    known = 0
    for each in shown:
        assert each.index <= known
        if each.index == known:
            known += 1
        else:
            assert isinstance(each, Logs)
        if isinstance(each, Rich):
            assert each.replaces < each.index
