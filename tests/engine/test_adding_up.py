"""Whatever a model says and its code puts out, in whatever pieces: the deltas add up to what is stored.

Whole runs are made up: turns of words and refusals, of one piece of code or several with logs, pictures,
rich outputs and files, of functions whose outputs are submitted, in text of every script. `House.finish`
adds every stream up as clients do; here the result is also compared with what was said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from jupyter_ci_ext.kernels.outputs import (
    DisplayData,
    ErrorOutput,
    ExecutionEnd,
    Output,
    StreamText,
)
from jupyter_ci_ext.llm.base import (
    CodeDelta,
    CodeStarted,
    Delta,
    Finished,
    FunctionDelta,
    FunctionStarted,
    RefusalDelta,
    TextDelta,
    Usage,
)
from jupyter_ci_ext.wire.content import FilePathAnnotation, TextContent
from jupyter_ci_ext.wire.message import Message
from jupyter_ci_ext.wire.run import Run
from jupyter_ci_ext.wire.run_step import CodeInterpreterToolCall, RunStep, ToolCallsDetails

from .folding import check_stream
from .house import CODE, House, function, house_in, runs
from .models import ScriptedLLM
from .sessions import PNG, Cell, ScriptedSessions

MADE = {"t.csv": "sandbox:/mnt/data/t.csv", "图 😀.txt": "sandbox:/mnt/data/图%20😀.txt"}
"""Files that code makes, and how a model links to them."""

SCRIPTS = [
    "Plain words. ", "👩‍👩‍👧‍👦", "e\u0301\u0327", "שלום", "\u202eمرحبا\u202c", "𝔘𝔫𝔦", "\U0010ffff", "\u2028", "\x00", "\r\n", "\n",
    "s", "sand", "sandbox:", "sandbox:/mnt/data/", "sandbox:/mnt/data/none.csv", "](", ")", "<", "`", " ", "【1†a】",
]  # fmt: skip
"""Of what text consists here: scripts, marks that join or turn, and beginnings of links."""

fragment = st.sampled_from([*SCRIPTS, *MADE.values(), f"[x]({MADE['t.csv']})"])
words = st.lists(
    fragment | st.text(st.characters(exclude_categories=["Cs"]), max_size=4), max_size=8
).map("".join)
cuts = st.lists(st.integers(0, 60), max_size=5)


def cut(text: str, at: Sequence[int]) -> list[str]:
    """*text* in pieces, none of them empty."""
    marks = sorted({0, len(text), *(each % (len(text) + 1) for each in at)})
    return [text[a:b] for a, b in pairwise(marks)]


@dataclass
class Said:
    """One turn of the model: what comes of it, and what it will be known by."""

    deltas: list[Delta]
    text: str = ""
    refusal: str = ""
    sources: Sequence[str] = ()
    calls: Sequence[tuple[str, str]] = ()


@st.composite
def speech(draw: st.DrawFn, *, refuse: bool = False) -> Said:
    """Words, and perhaps a refusal behind them."""
    text = draw(words)
    deltas: list[Delta] = [*map(TextDelta, cut(text, draw(cuts)))]
    refusal = draw(st.sampled_from(["I cannot.", "😀"])) if refuse and draw(st.booleans()) else ""
    deltas += map(RefusalDelta, cut(refusal, draw(cuts)))
    return Said(deltas, text, refusal)


@st.composite
def coding(draw: st.DrawFn) -> Said:
    """Code, one call or several, perhaps after words."""
    before = draw(speech())
    sources = draw(
        st.lists(
            st.sampled_from(["x = 1", "print('é😀')\n", "1", "\u2028"]), min_size=1, max_size=3
        )
    )
    deltas = list(before.deltas)
    for index, source in enumerate(sources):
        deltas.append(CodeStarted(index, f"call_{index}"))
        deltas += [CodeDelta(index, piece) for piece in cut(source, draw(cuts))]
    return Said([*deltas, Usage(7, 3), Finished("calls")], before.text, sources=sources)


@st.composite
def calling(draw: st.DrawFn) -> Said:
    """Functions, one or several."""
    before = draw(speech())
    calls = draw(
        st.lists(st.tuples(st.sampled_from(["look", "weather"]), words), min_size=1, max_size=3)
    )
    deltas = list(before.deltas)
    for index, (name, arguments) in enumerate(calls):
        deltas.append(FunctionStarted(index, f"call_{index}", name))
        deltas += [FunctionDelta(index, piece) for piece in cut(arguments, draw(cuts))]
    return Said([*deltas, Usage(5, 2), Finished("calls")], before.text, calls=calls)


outputs: st.SearchStrategy[Output] = st.one_of(
    st.builds(StreamText, st.sampled_from(["stdout", "stderr"]), words.filter(bool)),
    st.sampled_from(
        [
            DisplayData({"image/png": PNG, "text/plain": "<Figure>"}),
            DisplayData({"text/html": "<b>😀</b>", "text/plain": "x"}),
            DisplayData({"application/json": {"a": [1, None, 2.5]}}),
            DisplayData({"text/plain": "42"}, result=True),
            DisplayData({"text/html": "1", "text/plain": "1"}, display_id="d"),
            DisplayData({"text/html": "2", "text/plain": "2"}, display_id="d", update=True),
            ErrorOutput("KeyError", "'é'", "\x1b[31mKeyError\x1b[0m: 'é'"),
            StreamText("stdout", "\x1b[1mbold\x1b[0m"),
        ]
    ),
)
cell = st.builds(
    Cell,
    outputs=st.lists(outputs, max_size=6),
    files=st.sampled_from([{}, {"t.csv": b"1"}, {"图 😀.txt": b"2"}, dict.fromkeys(MADE, b"3")]),
    end=st.just(ExecutionEnd("ok", seconds=0.5)),  # after a failure what is left is not run
)


@st.composite
def talks(draw: st.DrawFn) -> tuple[list[Said], list[Cell]]:
    """A run's turns, the last an answer, and what the code does."""
    turns = draw(st.lists(coding() | calling(), max_size=3))
    answer = draw(speech(refuse=True))
    answer.deltas += [Usage(3, 1), Finished("stop")]
    cells = draw(st.lists(cell, min_size=9, max_size=9))
    return [*turns, answer], cells


@settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # to make a failure smaller takes minutes: it is told as it is
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(talks())
def test_whole_runs_add_up(
    tmp_path_factory: pytest.TempPathFactory, talk: tuple[list[Said], list[Cell]]
) -> None:
    turns, cells = talk
    folder = tmp_path_factory.mktemp("run")

    @runs
    async def go() -> None:
        llm = ScriptedLLM(*(turn.deltas for turn in turns))
        sessions = ScriptedSessions(folder / "w", *cells)
        async with house_in(folder, llm, sessions) as house:
            await check_run(house, turns)
        assert llm.left == 0

    go()


async def check_run(house: House, turns: Sequence[Said]) -> None:
    """Go through a run, and compare what is left of it with *turns*."""
    tools = [CODE, function("look"), function("weather")]
    run = await house.start(await house.thread(), tools=tools)
    done = await house.finish(run, check=False)
    for turn in turns:
        if turn.calls:
            assert done.run.required_action is not None
            wanted = done.run.required_action.submit_tool_outputs.tool_calls
            given_back = {call.id: "ok" for call in wanted}
            await house.supervisor.submit_outputs(run.thread_id, run.id, given_back)
            done = await house.finish(run, check=False)
    assert done.run.status == "completed", done.run.last_error
    check_stream(deepcopy(done.events))
    check_steps(done.steps, turns)
    check_messages(done.messages, turns)
    last = {data["id"]: data for _, data in done.events if "delta" not in data}
    everything: list[Run | Message | RunStep] = [done.run, *done.messages, *done.steps]
    for stored in everything:
        told = last[stored.id]
        if "expires_at" in told:
            told["expires_at"] = None
        assert stored.model_dump(mode="json") == told


def check_steps(steps: Sequence[RunStep], turns: Sequence[Said]) -> None:
    """Assert that code and functions stand there as they were written."""
    sources: list[str] = []
    calls: list[tuple[str, str]] = []
    for step in steps:
        if isinstance(step.step_details, ToolCallsDetails):
            for call in step.step_details.tool_calls:
                if isinstance(call, CodeInterpreterToolCall):
                    sources.append(call.code_interpreter.input)
                elif call.type == "function":
                    calls.append((call.function.name, call.function.arguments))
    assert sources == [source for turn in turns for source in turn.sources]
    assert calls == [call for turn in turns for call in turn.calls]


def check_messages(messages: Sequence[Message], turns: Sequence[Said]) -> None:
    """Assert that all was said, once, and that exactly the links that lead somewhere are annotated."""
    said = [part for message in messages for part in message.content]
    texts = [part.text for part in said if isinstance(part, TextContent)]
    refused = "".join(part.refusal for part in said if part.type == "refusal")
    assert refused == turns[-1].refusal
    expected = [turn.text for turn in turns if turn.text.strip()]
    answer = turns[-1]
    if not answer.text.strip() and not answer.refusal:
        expected.append(f"{answer.text}The model ended its turn without an answer.")
        assert texts[-1].value.startswith(expected[-1])
        texts[-1] = texts[-1].model_copy(update={"value": expected[-1]})
    assert [text.value for text in texts] == expected
    for text in texts:
        for each in text.annotations:
            assert isinstance(each, FilePathAnnotation)
            assert text.value[each.start_index : each.end_index] == each.text
            assert each.text in MADE.values()
        ends = [each.end_index for each in text.annotations]
        starts = [each.start_index for each in text.annotations]
        assert all(a <= b for a, b in zip([0, *ends], starts, strict=False))
    links = [each for text in texts for each in text.annotations]
    files = {each.file_path.file_id for each in links if isinstance(each, FilePathAnnotation)}
    assert files == {a.file_id for message in messages for a in message.attachments}


def linked(text: str) -> list[tuple[int, int]]:
    """Where the links to files stand in *text*, in code points, found without the scanner."""
    places: list[tuple[int, int]] = []
    for target in MADE.values():
        places += [(found.start(), found.end()) for found in re.finditer(re.escape(target), text)]
    return sorted(places)


@settings(max_examples=30, deadline=None, derandomize=True, phases=[Phase.generate])
@given(
    st.lists(
        st.sampled_from([script for script in SCRIPTS if "sand" not in script and script != "s"]),
        max_size=6,
    ),
    st.lists(st.sampled_from(sorted(MADE)), min_size=1, max_size=4),
    cuts,
    st.booleans(),
)
def test_links_are_annotated_where_they_stand(
    tmp_path_factory: pytest.TempPathFactory,
    around: list[str],
    names: list[str],
    at: list[int],
    one_by_one: bool,
) -> None:
    """Links among any characters, cut over any number of deltas."""
    between = "".join(around)
    text = "".join(f"{between}[{name}](<{MADE[name]}>)" for name in names) + between
    folder = tmp_path_factory.mktemp("links")
    pieces = list(text) if one_by_one else cut(text, [place * 3 for place in at])
    script: list[Any] = [*map(TextDelta, pieces), Finished("stop")]
    code: list[Delta] = [CodeStarted(0, "call"), CodeDelta(0, "x"), Finished("calls")]

    @runs
    async def go() -> None:
        sessions = ScriptedSessions(folder / "w", Cell(files=dict.fromkeys(MADE, b"1")))
        async with house_in(folder, ScriptedLLM(code, script), sessions) as house:
            done = await house.go()
            stored = await house.store.files.of_thread(done.run.thread_id)
        [part] = done.messages[-1].content
        assert isinstance(part, TextContent)
        assert part.text.value == text
        found = [(each.start_index, each.end_index) for each in part.text.annotations]
        assert found == linked(text)
        ids = {file.file.filename: file.id for file in stored}
        assert [
            each.file_path.file_id
            for each in part.text.annotations
            if isinstance(each, FilePathAnnotation)
        ] == [ids[name] for name in names]

    go()
