"""The events of whole runs, one for one; every stream is also added up as clients do."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_ci_ext.errors import LLMError, NotFound
from jupyter_ci_ext.kernels.outputs import DisplayData, ErrorOutput, ExecutionEnd, StreamText
from jupyter_ci_ext.llm.base import (
    LLM,
    AssistantMessage,
    CallResult,
    CodeDelta,
    CodeStarted,
    Delta,
    Finished,
    FunctionDelta,
    FunctionStarted,
    RefusalDelta,
    TextDelta,
    Usage,
    UserMessage,
)
from jupyter_ci_ext.wire.content import RefusalContent, Text, TextContent
from jupyter_ci_ext.wire.tools import Tool

from .house import CODE as CODE_TOOL
from .house import function, house_in, runs
from .models import OneModel, ScriptedLLM, codes, pieces, says
from .sessions import PNG, Cell, ScriptedSessions

MESSAGE = [
    "run.step.created", "run.step.in_progress", "message.created", "message.in_progress",
    "message.delta", "message.completed", "run.step.completed",
]  # fmt: skip
CODE = ["run.step.created", "run.step.in_progress", "run.step.delta", "run.step.completed"]
BEGIN = ["run.created", "run.queued", "run.in_progress"]


@runs
async def test_a_model_faster_than_the_store_makes_fewer_and_longer_deltas(tmp_path: Path) -> None:
    words = [f"word{n} " for n in range(1500)]
    llm = ScriptedLLM([*map(TextDelta, words), Usage(1, 1), Finished("stop")])
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w")) as house:
        done = await house.go("Write!")
    deltas = [content["text"] for data in done.deltas("message") for content in data["content"]]
    assert "".join(delta["value"] for delta in deltas) == "".join(words) == done.text
    assert ["annotations" in delta for delta in deltas] == [True] + [False] * (len(deltas) - 1)
    assert len(deltas) < len(words)


@runs
async def test_a_plain_answer(tmp_path: Path) -> None:
    llm = ScriptedLLM(says("The answer is 42."))
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w")) as house:
        done = await house.go("What?", instructions="Be brief.", tools=[])
    assert done.names == [*BEGIN, *MESSAGE, "run.completed"]
    assert done.text == "The answer is 42."
    assert done.run.usage is not None
    assert done.run.usage.total_tokens == 15
    assert done.run.expires_at is None
    assert llm.asked[0].system == "Be brief."
    assert not llm.asked[0].code
    [asked] = llm.asked[0].messages
    assert isinstance(asked, UserMessage)


@runs
async def test_the_worked_example_event_for_event(tmp_path: Path) -> None:
    """Protocol, appendix A: a chart is drawn, a CSV saved, and both are in the answer."""
    source = "import matplotlib\nplt.show()"
    answer = "Here is the chart. [Download](sandbox:/mnt/data/t.csv)."
    llm = ScriptedLLM(codes(source), says(answer))
    figure = DisplayData({"image/png": PNG, "text/plain": "<Figure>"})
    sessions = ScriptedSessions(tmp_path / "w", Cell([figure], files={"t.csv": b"a,b\n"}))
    async with house_in(tmp_path, llm, sessions) as house:
        done = await house.go("Draw")
        stored = await house.store.files.of_thread(done.run.thread_id)
    assert done.names == [*BEGIN, *CODE, *MESSAGE, "run.completed"]
    names = [name for name, _ in done.events]
    data = [each for _, each in done.events]
    assert data[0] == data[1]
    assert data[0]["started_at"] is None
    assert data[2]["started_at"] is not None
    assert data[3] == data[4]
    assert data[3]["step_details"] == {"type": "tool_calls", "tool_calls": []}
    assert data[3]["usage"] is None
    steps = done.deltas("run.step")
    call = {"index": 0, "type": "code_interpreter"}
    id = steps[0]["step_details"]["tool_calls"][0]["id"]
    assert steps[0]["step_details"] == {
        "type": "tool_calls",
        "tool_calls": [
            {"index": 0, "id": id, "type": "code_interpreter",
             "code_interpreter": {"input": "", "outputs": []}}
        ],
    }  # fmt: skip
    for delta in steps[1:-1]:
        [piece] = delta["step_details"]["tool_calls"]
        assert set(piece) == {*call, "code_interpreter"}
        assert set(piece["code_interpreter"]) == {"input"}
    picture, table = [file.id for file in stored]
    assert [file.file.filename for file in stored] == ["1-figure.png", "t.csv"]
    assert stored[0].file.bytes == 70
    assert steps[-1]["step_details"]["tool_calls"] == [
        {**call, "code_interpreter": {
            "outputs": [{"index": 0, "type": "image", "image": {"file_id": picture}}]}}
    ]  # fmt: skip
    ended = data[names.index("thread.run.step.completed")]
    assert ended["step_details"]["tool_calls"] == [
        {"id": id, "type": "code_interpreter", "code_interpreter": {
            "input": source, "outputs": [{"type": "image", "image": {"file_id": picture}}]}}
    ]  # fmt: skip
    assert ended["usage"]["total_tokens"] == 28
    assert ended["expires_at"] == data[0]["expires_at"]
    assert ended["metadata"] == {"execution": "ok", "seconds": "0.500", "kept": "true"}
    created = data[names.index("thread.message.created")]
    assert created["status"] == "in_progress"
    assert created["content"] == created["attachments"] == []
    pieces = [delta["content"] for delta in done.deltas("message")]
    assert pieces[0] == [{"index": 0, "type": "image_file", "image_file": {"file_id": picture}}]
    assert pieces[1] == [
        {"index": 1, "type": "text", "text": {"value": "Here i", "annotations": []}}
    ]
    link = next(piece for [piece] in pieces if piece.get("text", {}).get("annotations"))
    start = answer.index("sandbox:")
    target = "sandbox:/mnt/data/t.csv"
    assert link == {"index": 1, "type": "text", "text": {
        "value": target,
        "annotations": [{
            "index": 0, "type": "file_path", "text": target,
            "start_index": start, "end_index": start + len(target),
            "file_path": {"file_id": table}}]}}  # fmt: skip
    message = data[names.index("thread.message.completed")]
    assert message["content"][0] == {"type": "image_file", "image_file": {"file_id": picture}}
    assert message["content"][1]["text"]["value"] == answer
    assert message["attachments"] == [{"file_id": table, "tools": [{"type": "code_interpreter"}]}]
    last = data[-1]
    assert last["expires_at"] is None
    assert last["usage"]["total_tokens"] == 28 + 15
    assert all(step.expires_at is None for step in done.steps)


@runs
async def test_a_failing_cell_goes_back_to_the_model(tmp_path: Path) -> None:
    error = ErrorOutput("KeyError", "'x'", "\x1b[31mKeyError\x1b[0m: 'x'")
    llm = ScriptedLLM(codes("df['x']", before="Let me look."), codes("df['y']"), says("It is 1."))
    sessions = ScriptedSessions(
        tmp_path / "w",
        Cell([error], end=ExecutionEnd("error")),
        Cell([StreamText("stdout", "1\n")]),
    )
    async with house_in(tmp_path, llm, sessions) as house:
        done = await house.go("Look")
    assert done.names == [*BEGIN, *MESSAGE, *CODE, *CODE, *MESSAGE, "run.completed"]
    assert done.run.status == "completed"
    told = llm.asked[1].messages[-2:]
    assert isinstance(told[0], AssistantMessage)
    assert told[0].text == "Let me look."
    assert isinstance(told[1], CallResult)
    assert told[1].text == "KeyError: 'x'"
    failed = done.steps[1]
    assert failed.status == "completed"
    assert failed.last_error is None
    assert failed.metadata["execution"] == "error"
    outputs = failed.step_details.tool_calls[0].code_interpreter.outputs  # type: ignore[union-attr]
    assert [output.type for output in outputs] == ["logs", "display_data"]
    assert outputs[0].logs == "KeyError: 'x'\n"  # type: ignore[union-attr]
    assert done.run.usage is not None
    spent = [step.usage.total_tokens for step in done.steps if step.usage is not None]
    assert sum(spent) == done.run.usage.total_tokens == 28 + 28 + 15


@runs
async def test_tokens_run_out_in_a_message(tmp_path: Path) -> None:
    llm = ScriptedLLM([TextDelta("Once upon a "), Usage(9, 16), Finished("length")])
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w")) as house:
        done = await house.go(max_completion_tokens=16)
    assert llm.asked[0].max_tokens == 16
    assert done.names[-3:] == ["message.incomplete", "run.step.completed", "run.incomplete"]
    assert done.run.incomplete_details is not None
    assert done.run.incomplete_details.reason == "max_completion_tokens"
    assert done.run.completed_at is not None
    assert done.messages[0].incomplete_details is not None
    assert done.messages[0].incomplete_details.reason == "max_tokens"


@runs
async def test_tokens_run_out_in_code_and_in_a_function(tmp_path: Path) -> None:
    cut: list[Delta] = [
        CodeStarted(0, "call_1"),
        CodeDelta(0, "x = ["),
        Usage(1, 1),
        Finished("length"),
    ]
    call: list[Delta] = [
        FunctionStarted(0, "call_1", "f"),
        FunctionDelta(0, '{"a'),
        Finished("length"),
    ]
    cases: list[tuple[list[Delta], list[Tool]]] = [(cut, [CODE_TOOL]), (call, [function("f")])]
    for reply, tools in cases:
        llm = ScriptedLLM(reply)
        async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w")) as house:
            done = await house.go(tools=tools)
        assert done.names[-2:] == ["run.step.failed", "run.incomplete"]
        assert done.steps[0].last_error is not None
        assert "cut off" in done.steps[0].last_error.message
        assert done.run.last_error is None


@runs
async def test_the_model_breaks_off(tmp_path: Path) -> None:
    error = LLMError("connection", "The model's server closed the connection.")
    llm = ScriptedLLM([TextDelta("Half a "), error])
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w")) as house:
        done = await house.go()
    assert done.names[-3:] == ["run.step.failed", "message.incomplete", "run.failed"]
    assert done.run.last_error is not None
    assert done.run.last_error.message == error.message
    assert done.steps[0].last_error == done.run.last_error
    assert done.text == "Half a "
    assert done.run.usage is not None


@runs
async def test_a_refusal_is_a_part_of_its_own(tmp_path: Path) -> None:
    llm = ScriptedLLM([RefusalDelta("I can"), RefusalDelta("not."), Finished("stop")])
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w")) as house:
        done = await house.go()
    assert done.messages[0].content == [RefusalContent(refusal="I cannot.")]


@pytest.mark.parametrize("before", ["s", "Words sand", "sandbox:/mnt/data/t.c"])
@runs
async def test_a_refusal_behind_words_that_may_begin_a_link(tmp_path: Path, before: str) -> None:
    """What was held back comes before the refusal, and does not take its number."""
    reply = [TextDelta(before), RefusalDelta("I can"), RefusalDelta("not."), Finished("stop")]
    async with house_in(tmp_path, ScriptedLLM(reply), ScriptedSessions(tmp_path / "w")) as house:
        done = await house.go()
    text = TextContent(text=Text(value=before))
    assert done.messages[0].content == [text, RefusalContent(refusal="I cannot.")]


@runs
async def test_a_content_filter(tmp_path: Path) -> None:
    llm = ScriptedLLM([TextDelta("I "), Finished("content_filter")])
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w")) as house:
        done = await house.go()
    assert done.names[-3:] == ["message.incomplete", "run.step.completed", "run.failed"]
    assert done.messages[0].incomplete_details is not None
    assert done.messages[0].incomplete_details.reason == "content_filter"
    assert done.run.last_error is not None
    assert done.run.last_error.code == "invalid_prompt"


@runs
async def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    class NoModels(OneModel):
        """Knows no model at all."""

        def resolve(self, model: str) -> tuple[LLM, str]:
            raise NotFound(f"The model '{model}' does not exist", code="model_not_found")

    async with house_in(tmp_path, ScriptedLLM(), ScriptedSessions(tmp_path / "w")) as house:
        house.supervisor._models = NoModels(house.model.llm)
        done = await house.go()
    assert done.names == ["run.created", "run.queued", "run.in_progress", "run.failed"]
    assert done.run.last_error is not None
    assert done.run.last_error.message == "The model 'scripted' does not exist"


@given(
    st.lists(
        st.sampled_from(["Hi ", "😀", "\n", "[a](sandbox:/mnt/data/t.csv)", "sand", "b"])
        | st.text(max_size=4),
        max_size=8,
    ),
    st.integers(1, 9),
)
@settings(max_examples=15, deadline=None)
def test_whatever_the_model_says_adds_up(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], size: int
) -> None:
    folder = tmp_path_factory.mktemp("house")
    text = "".join(words)
    reply: list[Delta] = [*map(TextDelta, pieces(text, size)), Finished("stop")]

    @runs
    async def go() -> None:
        sessions = ScriptedSessions(folder / "w", Cell(files={"t.csv": b"1"}))
        async with house_in(folder, ScriptedLLM(codes("x"), reply), sessions) as house:
            done = await house.go()
        said = "".join(
            part.text.value
            for message in done.messages
            for part in message.content
            if isinstance(part, TextContent)
        )
        if not text or text.isspace():
            assert said.startswith(f"{text}The model ended its turn without an answer.")
        else:
            assert said == text
        links = [
            each
            for message in done.messages
            for part in message.content
            if isinstance(part, TextContent)
            for each in part.text.annotations
        ]
        assert len(links) == text.count("sandbox:/mnt/data/t.csv")

    go()
