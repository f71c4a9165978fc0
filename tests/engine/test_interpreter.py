"""Code in its session, as the model, the client and the store see it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jupyter_ci_ext.engine.limits import RunLimits
from jupyter_ci_ext.engine.results import FRESH, NOTHING
from jupyter_ci_ext.errors import SandboxUnavailable, SessionLost, StoreError
from jupyter_ci_ext.kernels.outputs import DisplayData, ErrorOutput, ExecutionEnd, StreamText
from jupyter_ci_ext.llm.base import CallResult, Turn
from jupyter_ci_ext.wire.run_step import (
    CodeInterpreterOutput,
    CodeInterpreterToolCall,
    DisplayDataOutput,
    LogsOutput,
    RunStep,
    ToolCallsDetails,
)

from .house import house_in, runs
from .models import ScriptedLLM, codes, says
from .sessions import PNG, BrokenSessions, Cell, ScriptedSessions


def told(turn: Turn) -> str:
    """The result the model was told last."""
    result = next(m for m in reversed(turn.messages) if isinstance(m, CallResult))
    return result.text


def outputs(step: RunStep) -> list[CodeInterpreterOutput]:
    assert isinstance(step.step_details, ToolCallsDetails)
    [call] = step.step_details.tool_calls
    assert isinstance(call, CodeInterpreterToolCall)
    return call.code_interpreter.outputs


@runs
async def test_variables_that_are_gone_are_told_once(tmp_path: Path) -> None:
    llm = ScriptedLLM(
        *[codes(f"{n}") for n in range(3)], says("1"), codes("a"), codes("b"), says("2")
    )
    sessions = ScriptedSessions(tmp_path / "w", *[Cell() for _ in range(5)])
    async with house_in(tmp_path, llm, sessions) as house:
        thread = await house.thread()
        await house.finish(await house.start(thread))
        assert [told(turn) for turn in llm.asked[1:4]] == [NOTHING] * 3
        sessions.session.fresh = True
        await house.finish(await house.start(thread))
    assert told(llm.asked[5]).startswith(FRESH)
    assert told(llm.asked[6]) == NOTHING


@runs
async def test_a_lost_kernel_is_a_reason_and_the_run_goes_on(tmp_path: Path) -> None:
    lost = ExecutionEnd("lost", "It used more memory than 2 GiB. Variables are lost.", kept=False)
    llm = ScriptedLLM(codes("x = [0] * 10**12"), codes("x = 1"), says("Better."))
    sessions = ScriptedSessions(
        tmp_path / "w",
        Cell([StreamText("stdout", "so far")], end=lost),
        Cell([StreamText("stdout", "fine")]),
    )
    async with house_in(tmp_path, llm, sessions) as house:
        done = await house.go()
    assert done.run.status == "completed"
    assert told(llm.asked[1]) == "so far\nIt used more memory than 2 GiB. Variables are lost."
    assert told(llm.asked[2]) == "fine"
    assert done.steps[0].metadata["execution"] == "lost"
    assert done.steps[0].metadata["kept"] == "false"
    assert "more memory" in done.steps[0].metadata["reason"]
    outputs = done.steps[0].step_details.tool_calls[0].code_interpreter.outputs
    assert [output.logs for output in outputs] == [
        "so far",
        "[It used more memory than 2 GiB. Variables are lost.]\n",
    ]


@runs
async def test_a_session_that_cannot_be_had_is_a_reason_too(tmp_path: Path) -> None:
    llm = ScriptedLLM(codes("1"), says("I could not run it."))
    sessions = BrokenSessions(SessionLost("The kernel did not start."))
    async with house_in(tmp_path, llm, sessions) as house:
        done = await house.go()
    assert done.run.status == "completed"
    assert told(llm.asked[1]) == "The kernel did not start."


@runs
async def test_where_no_code_may_run_the_run_fails_and_says_what_to_do(tmp_path: Path) -> None:
    llm = ScriptedLLM(codes("1", before="Let me compute."))
    sessions = BrokenSessions(SandboxUnavailable("No bubblewrap here: install it."))
    async with house_in(tmp_path, llm, sessions) as house:
        done = await house.go()
    assert done.run.status == "failed"
    assert done.run.last_error is not None
    assert done.run.last_error.message == "No bubblewrap here: install it."
    assert done.steps[-1].status == "failed"
    assert done.steps[-1].last_error == done.run.last_error
    assert done.messages[0].status == "completed"


@runs
async def test_rich_outputs_stand_behind_the_plain_ones(tmp_path: Path) -> None:
    html = {"text/html": "<b>1</b>", "text/plain": "1"}
    llm = ScriptedLLM(codes("df"), says("Here."))
    sessions = ScriptedSessions(
        tmp_path / "w", Cell([DisplayData(html, result=True), StreamText("stdout", "after\n")])
    )
    async with house_in(tmp_path, llm, sessions) as house:
        done = await house.go()
    assert outputs(done.steps[0]) == [
        LogsOutput(logs="1\n"),
        LogsOutput(logs="after\n"),
        DisplayDataOutput(data=html, metadata={"replaces": 0}),
    ]
    assert told(llm.asked[1]) == "1\nafter"


@runs
async def test_a_flood_is_cheap_and_short_for_the_model(tmp_path: Path) -> None:
    lines = [StreamText("stdout", f"line {n}\n") for n in range(20_000)]
    llm = ScriptedLLM(codes("flood()"), says("Much."))
    sessions = ScriptedSessions(tmp_path / "w", Cell(lines))
    limits = RunLimits(log_characters=20_000, told_characters=500)
    async with house_in(tmp_path, llm, sessions, limits) as house:
        done = await house.go()
    assert len(done.deltas("run.step")) < 200
    [logs] = outputs(done.steps[0])
    assert isinstance(logs, LogsOutput)
    assert logs.logs.startswith("line 0\n")
    assert logs.logs.endswith("line 19999\n")
    assert len(logs.logs) < 20_100
    text = told(llm.asked[1])
    assert len(text) < 600
    assert re.search(r"\[… \d+ characters left out …\]", text)
    assert text.startswith("line 0\n")
    assert text.endswith("line 19999")


@runs
async def test_pictures_reach_a_model_that_sees_now_and_later(tmp_path: Path) -> None:
    llm = ScriptedLLM(codes("plot()"), says("Look."), says("As I said."), vision=True)
    sessions = ScriptedSessions(tmp_path / "w", Cell([DisplayData({"image/png": PNG})]))
    async with house_in(tmp_path, llm, sessions) as house:
        thread = await house.thread()
        await house.finish(await house.start(thread))
        await house.say(thread, "And?")
        await house.finish(await house.start(thread))
    for turn in llm.asked[1:]:
        result = next(m for m in turn.messages if isinstance(m, CallResult))
        assert result.text == "[1 picture was shown to the user]"
        [image] = result.images
        assert image.data is not None
        assert image.data.startswith(b"\x89PNG")
        assert image.mime == "image/png"


@runs
async def test_a_progress_bar_is_told_in_its_last_form(tmp_path: Path) -> None:
    bar = "".join(f"\r{n} %" for n in range(101)) + "\ndone\r\n"
    llm = ScriptedLLM(codes("bar()"), says("ok"))
    sessions = ScriptedSessions(tmp_path / "w", Cell([StreamText("stderr", bar)]))
    async with house_in(tmp_path, llm, sessions) as house:
        await house.go()
    assert told(llm.asked[1]) == "100 %\ndone"


@runs
async def test_a_picture_without_words_is_a_message(tmp_path: Path) -> None:
    llm = ScriptedLLM(codes("plot()"), says("  \n"))
    sessions = ScriptedSessions(tmp_path / "w", Cell([DisplayData({"image/png": PNG})]))
    async with house_in(tmp_path, llm, sessions) as house:
        done = await house.go()
    [message] = done.messages
    assert [part.type for part in message.content] == ["image_file"]


@runs
async def test_blanks_alone_are_no_answer(tmp_path: Path) -> None:
    llm = ScriptedLLM(codes("1", before="\n\n"), says(" \n "))
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w", Cell())) as house:
        done = await house.go()
    assert done.run.status == "completed"
    [message] = done.messages
    said = "The model ended its turn without an answer. The last result was:"
    assert message.content[0].text.value.strip().startswith(said)
    assert [step.type for step in done.steps] == ["tool_calls", "message_creation"]


@pytest.mark.parametrize("error", [StoreError("The disk is full."), ValueError("a bug")])
def test_what_goes_wrong_inside_fails_the_run(error: Exception, tmp_path: Path) -> None:
    @runs
    async def go() -> None:
        sessions = ScriptedSessions(tmp_path / "w", Cell())

        async def stage(files: object) -> None:
            raise error

        sessions.session.stage = stage  # type: ignore[method-assign]
        async with house_in(tmp_path, ScriptedLLM(codes("1")), sessions) as house:
            done = await house.go()
            assert sessions.held == 0
        assert done.run.status == "failed"
        assert done.run.last_error is not None
        assert ("disk is full" in done.run.last_error.message) == isinstance(error, StoreError)

    go()


@runs
async def test_an_attached_folder_where_it_really_is(tmp_path: Path) -> None:
    llm = ScriptedLLM(codes("open('/mnt/workspace/a.csv')"), says("ok"))
    sessions = ScriptedSessions(
        tmp_path / "w", Cell([StreamText("stdout", "/real/folder/a.csv\n")])
    )
    sessions.session.folder_path = "/real/folder"
    async with house_in(tmp_path, llm, sessions) as house:
        await house.go()
    assert sessions.session.executed == ["open('/real/folder/a.csv')"]
    assert told(llm.asked[1]) == "/mnt/workspace/a.csv"


@runs
async def test_mnt_data_where_there_is_none(tmp_path: Path) -> None:
    """A weaker sandbox has the workspace elsewhere; neither model nor client need to know."""
    source = "open('/mnt/data/a.csv'); '/mnt/database'; 'x/mnt/data'"
    real = str(tmp_path / "w")
    error = ErrorOutput("E", f"{real}/b", f"no {real}/b")
    html = {"text/html": f"<i>{real}/c</i>", "text/plain": f"{real}/c"}
    llm = ScriptedLLM(codes(source), says("ok"))
    cell = Cell([StreamText("stdout", f"{real}/a.csv\n"), error, DisplayData(html)])
    sessions = ScriptedSessions(tmp_path / "w", cell)
    sessions.session.data_path = real
    async with house_in(tmp_path, llm, sessions) as house:
        done = await house.go()
    [ran] = sessions.session.executed
    assert ran == f"open('{real}/a.csv'); '/mnt/database'; 'x/mnt/data'"
    assert told(llm.asked[1]) == "/mnt/data/a.csv\nno /mnt/data/b\n/mnt/data/c"
    assert real not in done.steps[0].model_dump_json()
    assert "/mnt/data/a.csv" in done.steps[0].model_dump_json()
