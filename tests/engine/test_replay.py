"""Half-written messages and steps, caught up with their events."""

from __future__ import annotations

from jupyter_ci_ext.engine.replay import caught_up
from jupyter_ci_ext.ids import new_id
from jupyter_ci_ext.wire.common import dump
from jupyter_ci_ext.wire.content import FilePath, ImageFile
from jupyter_ci_ext.wire.deltas import (
    CodeInterpreterDelta,
    CodeInterpreterPiece,
    DisplayDataDelta,
    FilePathDelta,
    FunctionDelta,
    FunctionPiece,
    ImageFileDelta,
    LogsDelta,
    MessageDelta,
    RefusalDelta,
    RunStepDelta,
    TextDelta,
    TextPiece,
    message_delta,
    step_delta,
)
from jupyter_ci_ext.wire.message import Message
from jupyter_ci_ext.wire.run_step import RunStep, ToolCallsDetails

Rows = list[tuple[int, str, str]]


def a_step() -> RunStep:
    return RunStep(
        id=new_id("step"),
        created_at=1,
        run_id="run_1",
        assistant_id="asst_1",
        thread_id="thread_1",
        type="tool_calls",
        step_details=ToolCallsDetails(),
    )


def a_message() -> Message:
    return Message(
        id=new_id("message"),
        created_at=1,
        thread_id="thread_1",
        run_id="run_1",
        status="in_progress",
        role="assistant",
    )


def told(made: Message | RunStep, *deltas: MessageDelta | RunStepDelta) -> Rows:
    """The events of making *made* and of *deltas*, among those of another object."""
    kind = "message" if isinstance(made, Message) else "run.step"
    other = a_message() if isinstance(made, Message) else a_step()
    events = [("created", dump(other)), ("created", dump(made)), ("in_progress", dump(made))]
    events += [("delta", dump(delta)) for delta in deltas]
    return [(number, f"thread.{kind}.{what}", data) for number, (what, data) in enumerate(events)]


def code(step: RunStep, piece: CodeInterpreterPiece, id: str | None = None) -> RunStepDelta:
    first = {} if id is None else {"id": id}
    return step_delta(step.id, CodeInterpreterDelta(index=0, code_interpreter=piece, **first))


def test_code_and_its_outputs() -> None:
    step, other = a_step(), a_step()
    value = {"index": 3, "id": "x", "list": [{"index": 7}, 1], "text": "a"}
    rich = DisplayDataDelta(index=1, data={"application/json": value}, metadata={"index": 5})
    now = caught_up(
        step,
        told(
            step,
            code(step, CodeInterpreterPiece(input="", outputs=[]), "call_1"),
            code(step, CodeInterpreterPiece(input="print")),
            code(other, CodeInterpreterPiece(input="not this")),
            code(step, CodeInterpreterPiece(input="(1)")),
            code(step, CodeInterpreterPiece(outputs=[LogsDelta(index=0, logs="one\n")])),
            code(step, CodeInterpreterPiece(outputs=[rich])),
            code(step, CodeInterpreterPiece(outputs=[LogsDelta(index=0, logs="two\n")])),
        ),
    )
    assert now.model_dump()["step_details"]["tool_calls"] == [
        {
            "id": "call_1",
            "type": "code_interpreter",
            "code_interpreter": {
                "input": "print(1)",
                "outputs": [
                    {"type": "logs", "logs": "one\ntwo\n"},
                    {
                        "type": "display_data",
                        "data": {"application/json": value},
                        "metadata": {"index": 5},
                    },
                ],
            },
        }
    ]
    assert now.model_copy(update={"step_details": step.step_details}) == step


def test_calls_of_functions() -> None:
    step = a_step()
    begun = [
        FunctionDelta(
            index=n, id=f"call_{n}", function=FunctionPiece(name="f", arguments="", output=None)
        )
        for n in range(2)
    ]
    more = [FunctionDelta(index=n, function=FunctionPiece(arguments=f'{{"n": {n}')) for n in (1, 0)]
    deltas = [step_delta(step.id, each) for each in (*begun, *more)]
    now = caught_up(step, told(step, *deltas))
    calls = now.model_dump()["step_details"]["tool_calls"]
    assert [call["function"]["arguments"] for call in calls] == ['{"n": 0', '{"n": 1']
    assert [call["id"] for call in calls] == ["call_0", "call_1"]
    assert all(call["function"]["output"] is None for call in calls)


def test_a_message_with_a_picture_a_link_and_a_refusal() -> None:
    message = a_message()
    picture = ImageFileDelta(index=0, image_file=ImageFile(file_id="file-1"))
    link = FilePathDelta(
        index=0,
        text="sandbox:/a",
        start_index=4,
        end_index=14,
        file_path=FilePath(file_id="file-2"),
    )
    now = caught_up(
        message,
        told(
            message,
            message_delta(message.id, picture),
            message_delta(
                message.id, TextDelta(index=1, text=TextPiece(value="See ", annotations=[]))
            ),
            message_delta(
                message.id,
                TextDelta(index=1, text=TextPiece(value="sandbox:/a", annotations=[link])),
            ),
            message_delta(message.id, TextDelta(index=1, text=TextPiece(value=" \U0001f600."))),
            message_delta(message.id, RefusalDelta(index=2, refusal="I ")),
            message_delta(message.id, RefusalDelta(index=2, refusal="won't.")),
        ),
    )
    image, text, refusal = now.model_dump()["content"]
    assert image["image_file"]["file_id"] == "file-1"
    assert text["text"]["value"] == "See sandbox:/a \U0001f600."
    [annotation] = text["text"]["annotations"]
    assert (annotation["start_index"], annotation["end_index"]) == (4, 14)
    assert refusal["refusal"] == "I won't."
    assert [each.file_id for each in now.attachments] == ["file-2"]


def test_without_events_it_stays_as_it_is() -> None:
    for half in (a_step(), a_message()):
        assert caught_up(half, []) == half
