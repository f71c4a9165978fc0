from __future__ import annotations

import asyncio
import sys
import tracemalloc

from jupyter_ci_ext.kernels.buffer import TAIL, OutputBuffer
from jupyter_ci_ext.kernels.outputs import (
    ClearOutput,
    DisplayData,
    ErrorOutput,
    ExecutionEnd,
    Output,
    StreamText,
)

END = ExecutionEnd("ok")


def out(text: str) -> StreamText:
    return StreamText("stdout", text)


def figure(name: str, display_id: str | None = None, update: bool = False) -> DisplayData:
    return DisplayData({"text/plain": name}, display_id=display_id, update=update)


def passed_on(
    *outputs: Output | ClearOutput, text_limit: int = 1000, display_limit: int = 1000
) -> list[Output]:
    """What a reader gets who comes when all is over."""
    buffer = OutputBuffer(text_limit, display_limit)
    for output in outputs:
        buffer.put(output)
    buffer.put(END)

    async def read() -> list[Output]:
        got: list[Output] = []
        while END not in got:
            got.append(await buffer.get())
        return got

    return asyncio.run(read())[:-1]


def test_text_that_waits_is_joined_by_stream() -> None:
    err = StreamText("stderr", "c")
    assert passed_on(out("a"), out("b"), err, out("d")) == [out("ab"), err, out("d")]


def test_a_reader_gets_text_as_it_comes() -> None:
    async def scenario() -> list[Output]:
        buffer = OutputBuffer(100, 100)
        reading = asyncio.create_task(buffer.get())
        await asyncio.sleep(0)
        buffer.put(out("a"))
        first = await reading
        buffer.put(out("b"))
        return [first, await buffer.get()]

    assert asyncio.run(scenario()) == [out("a"), out("b")]


def test_text_over_the_limit_keeps_its_beginning_and_end() -> None:
    lines = [out(f"{number:05}\n") for number in range(30_000)]
    text = "".join(
        part.text for part in passed_on(*lines, text_limit=600) if type(part) is StreamText
    )
    assert text.startswith("00000\n00001\n")
    assert text.endswith("29998\n29999\n")
    left_out = 180_000 - 600 - TAIL
    assert f"[… {left_out} characters left out …]" in text
    assert len(text) < 600 + TAIL + 100


def test_one_huge_text_is_cut_like_many_small_ones() -> None:
    parts = passed_on(out("a" * 1_000_000 + "end"), text_limit=600)
    text = "".join(part.text for part in parts if isinstance(part, StreamText))
    assert len(text) < 600 + TAIL + 100
    assert text.endswith("aend")


def test_a_text_a_little_over_the_limit_loses_nothing() -> None:
    text = "0123456789" * 70
    parts = passed_on(out(text), text_limit=600)
    assert "".join(part.text for part in parts if isinstance(part, StreamText)) == text


def test_a_flood_nobody_reads_costs_little_memory() -> None:
    buffer = OutputBuffer(1 << 20, 1 << 20)
    line = out("x" * 8192)
    tracemalloc.start()
    for _ in range(40_000):  # some 300 MB
        buffer.put(line)
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert size < (2 << 20) + TAIL * 4


def test_displays_over_the_limit_are_left_out_with_one_note() -> None:
    got = passed_on(*[figure("x" * 100) for _ in range(9)], display_limit=250)
    assert [type(part) for part in got] == [DisplayData, DisplayData, StreamText]
    assert isinstance(got[-1], StreamText)
    assert "250 bytes" in got[-1].text


def test_an_animation_leaves_its_last_picture() -> None:
    frames = [part for n in range(5) for part in (figure(str(n)), ClearOutput(wait=True))]
    assert passed_on(*frames, figure("last")) == [figure("last")]


def test_a_picture_cleared_while_waiting_stays_if_nothing_follows() -> None:
    assert passed_on(figure("a"), ClearOutput(wait=True)) == [figure("a")]


def test_clearing_at_once_drops_the_picture() -> None:
    assert passed_on(figure("a"), ClearOutput()) == []


def test_pictures_in_a_row_are_all_kept_in_order() -> None:
    error = ErrorOutput("E", "", "")
    assert passed_on(figure("a"), figure("b"), out("c"), error) == [
        figure("a"),
        figure("b"),
        out("c"),
        error,
    ]


def test_updates_of_a_picture_not_shown_yet_become_one() -> None:
    got = passed_on(
        figure("a", "id"), figure("b", "id", update=True), figure("c", "id", update=True)
    )
    assert got == [figure("c", "id")]


def test_an_update_of_a_picture_shown_is_passed_on() -> None:
    update = figure("b", "id", update=True)
    assert passed_on(figure("a", "id"), out("-"), update) == [figure("a", "id"), out("-"), update]


def test_pictures_without_an_id_do_not_replace_each_other() -> None:
    assert passed_on(figure("a"), figure("b", update=True)) == [
        figure("a"),
        figure("b", update=True),
    ]


def test_nothing_comes_after_the_end() -> None:
    buffer = OutputBuffer(10, 10)
    buffer.put(END)
    buffer.put(out("late"))
    assert asyncio.run(buffer.get()) == END
    assert buffer.ended
    assert sys.getsizeof(buffer._ready) < 1000
