"""From messages and steps to the prompt."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_ci_ext.engine.transcript import NO_OUTPUT, Background, first_turn, pictures_wanted
from jupyter_ci_ext.llm.base import (
    AssistantMessage,
    CallResult,
    CodeCall,
    FileNote,
    FunctionCall,
    FunctionTool,
    ImagePart,
    PromptMessage,
    TextPart,
    UserMessage,
)
from jupyter_ci_ext.wire.message import Message
from jupyter_ci_ext.wire.run import Run
from jupyter_ci_ext.wire.run_step import RunStep

PICTURE = ImagePart(data=b"png", mime="image/png")


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": {"value": value, "annotations": []}}


def picture(file_id: str) -> dict[str, Any]:
    return {"type": "image_file", "image_file": {"file_id": file_id, "detail": "low"}}


def said(id: str, *content: dict[str, Any] | str, run: str | None = None, **more: Any) -> Message:
    parts = [text(part) if isinstance(part, str) else part for part in content]
    fields = {"id": id, "created_at": 1, "thread_id": "t", "role": "user", "content": parts}
    if run is not None:
        fields |= {"role": "assistant", "run_id": run}
    return Message.model_validate({**fields, **more})


def a_run(id: str = "run_1", **more: Any) -> Run:
    fields = {"id": id, "created_at": 1, "assistant_id": "a", "thread_id": "t", "model": "m"}
    return Run.model_validate({**fields, **more})


def step(run: str, details: dict[str, Any], **more: Any) -> RunStep:
    fields = {
        "id": f"step_{id(details)}", "created_at": 1, "run_id": run, "assistant_id": "a",
        "thread_id": "t", "type": details["type"], "status": "completed", "step_details": details,
    }  # fmt: skip
    return RunStep.model_validate({**fields, **more})


def wrote(run: str, message_id: str) -> RunStep:
    details = {"type": "message_creation", "message_creation": {"message_id": message_id}}
    return step(run, details)


def ran(run: str, call: str, source: str, *outputs: dict[str, Any], **more: Any) -> RunStep:
    code = {"id": call, "type": "code_interpreter",
            "code_interpreter": {"input": source, "outputs": list(outputs)}}  # fmt: skip
    return step(run, {"type": "tool_calls", "tool_calls": [code]}, **more)


def called(run: str, *calls: tuple[str, str | None]) -> RunStep:
    found = [
        {"id": id, "type": "function", "function": {"name": "f", "arguments": "{}", "output": out}}
        for id, out in calls
    ]
    return step(run, {"type": "tool_calls", "tool_calls": found})


def logs(value: str) -> dict[str, Any]:
    return {"type": "logs", "logs": value}


def prompt(run: Run, background: Background, told: int = 1000) -> tuple[PromptMessage, ...]:
    return first_turn(run, background, model="m", environment="", told=told).messages


def user(value: str) -> UserMessage:
    return UserMessage((TextPart(value),))


def test_code_of_earlier_runs_is_remembered_in_its_place() -> None:
    background = Background(
        messages=[
            said("m1", "Plot it"),
            said("m2", "I will.", run="run_1"),
            said("m3", "Done.", run="run_1"),
            said("m4", "Again", created_at=2),
        ],
        runs=[a_run("run_1"), a_run("run_2", created_at=2)],
        steps={
            "run_1": [
                wrote("run_1", "m2"),
                ran(
                    "run_1",
                    "call_1",
                    "plot()",
                    logs("ok\n"),
                    {"type": "image", "image": {"file_id": "file-p"}},
                ),
                ran(
                    "run_1",
                    "call_2",
                    "1/0",
                    logs("ZeroDivisionError\n"),
                    metadata={"reason": "Why."},
                ),
                wrote("run_1", "m3"),
            ],
            "run_2": [],
        },
        pictures={"file-p": PICTURE},
    )
    assert prompt(a_run("run_2", created_at=2), background) == (
        user("Plot it"),
        AssistantMessage("I will.", (CodeCall("call_1", "plot()"),)),
        CallResult("call_1", "ok\n[1 picture was shown to the user]", (PICTURE,)),
        AssistantMessage("", (CodeCall("call_2", "1/0"),)),
        CallResult("call_2", "ZeroDivisionError\nWhy."),
        AssistantMessage("Done."),
        user("Again"),
    )


def test_functions_of_this_run_are_answered() -> None:
    background = Background(
        messages=[said("m1", "Weather?")],
        runs=[a_run()],
        steps={"run_1": [called("run_1", ("call_1", "sunny"), ("call_2", None))]},
    )
    assert prompt(a_run(), background) == (
        user("Weather?"),
        AssistantMessage(
            "", (FunctionCall("call_1", "f", "{}"), FunctionCall("call_2", "f", "{}"))
        ),
        CallResult("call_1", "sunny"),
        CallResult("call_2", NO_OUTPUT),
    )


def test_a_run_without_messages_stands_before_what_was_said_after_it() -> None:
    background = Background(
        messages=[said("m1", "One"), said("m2", "Two", created_at=9)],
        runs=[a_run("run_1", created_at=5), a_run("run_2", created_at=9)],
        steps={"run_1": [ran("run_1", "call_1", "x", logs("y"))], "run_2": []},
    )
    kinds = [type(m).__name__ for m in prompt(a_run("run_2", created_at=9), background)]
    assert kinds == ["UserMessage", "AssistantMessage", "CallResult", "UserMessage"]


def test_runs_without_messages_stand_after_their_question_in_one_second() -> None:
    background = Background(
        messages=[said("m1", "One"), said("m2", "Two"), said("m3", "Three")],
        runs=[a_run("run_1"), a_run("run_2"), a_run("run_3")],
        steps={
            "run_1": [ran("run_1", "c1", "1", logs("first"))],
            "run_2": [ran("run_2", "c2", "2", logs("second"))],
        },
    )
    assert prompt(a_run("run_3"), background) == (
        user("One"),
        AssistantMessage("", (CodeCall("c1", "1"),)),
        CallResult("c1", "first"),
        user("Two"),
        AssistantMessage("", (CodeCall("c2", "2"),)),
        CallResult("c2", "second"),
        user("Three"),
    )


def test_code_that_never_ran_is_forgotten() -> None:
    background = Background(
        messages=[said("m1", "One")],
        runs=[a_run()],
        steps={"run_1": [ran("run_1", "call_1", "x = [", status="failed")]},
    )
    assert prompt(a_run(), background) == (user("One"),)


def test_a_deleted_message_leaves_no_hole() -> None:
    background = Background(
        messages=[said("m1", "One")],
        runs=[a_run()],
        steps={"run_1": [wrote("run_1", "gone"), ran("run_1", "call_1", "x", logs("y"))]},
    )
    assert [type(m) for m in prompt(a_run(), background)] == [
        UserMessage,
        AssistantMessage,
        CallResult,
    ]


def test_long_outputs_are_shortened() -> None:
    background = Background(
        runs=[a_run()], steps={"run_1": [ran("run_1", "call_1", "x", logs("y" * 5000))]}
    )
    result = prompt(a_run(), background, told=300)[-1]
    assert isinstance(result, CallResult)
    assert len(result.text) < 400
    assert "[… 4700 characters left out …]" in result.text


def test_pictures_of_the_user() -> None:
    url = {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "high"}}
    background = Background(
        messages=[said("m1", "See", picture("file-p"), picture("file-q"), url, "and?")],
        pictures={"file-p": PICTURE},
    )
    assert prompt(a_run(), background) == (
        UserMessage(
            (
                TextPart("See"),
                ImagePart(data=b"png", mime="image/png", detail="low"),
                TextPart("[picture file-q, which you cannot see]"),
                ImagePart(url="https://x/y.png", detail="high"),
                TextPart("and?"),
            )
        ),
    )
    assert pictures_wanted(a_run(), background) == ["file-q", "file-p"]


def test_attachments_are_mentioned() -> None:
    tools = [{"type": "code_interpreter"}]
    attachments = [
        {"file_id": "file-a", "tools": tools},
        {"file_id": "file-a", "tools": tools},
        {"file_id": "file-b", "tools": [{"type": "file_search"}]},
        {"file_id": "file-c", "tools": []},
        {"file_id": "file-gone", "tools": tools},
    ]
    background = Background(
        messages=[said("m1", "Look", attachments=attachments)],
        files=[FileNote(f"file-{name}", f"{name}.csv", 1) for name in "abc"],
    )
    mentioned = "[Attached: /mnt/data/a.csv, /mnt/data/b.csv]"
    assert prompt(a_run(), background) == (user(f"Look\n\n{mentioned}"),)


@pytest.mark.parametrize(("most", "texts"), [(1, ["Three"]), (2, ["Answer", "Three"]), (9, None)])
def test_only_the_last_messages(most: int, texts: list[str] | None) -> None:
    background = Background(
        messages=[
            said("m1", "One"),
            said("m2", "Answer", run="run_1"),
            said("m3", "Three", created_at=2),
            said("m4", "Mine", run="run_2", created_at=2),
        ],
        runs=[a_run("run_1"), a_run("run_2", created_at=2)],
        steps={"run_1": [wrote("run_1", "m2")], "run_2": [wrote("run_2", "m4")]},
    )
    strategy = {"type": "last_messages", "last_messages": most}
    run = a_run("run_2", created_at=2, truncation_strategy=strategy)
    found = [
        m.text if isinstance(m, AssistantMessage) else m.parts[0].text  # type: ignore[union-attr]
        for m in prompt(run, background)
    ]
    assert found == [*(texts or ["One", "Answer", "Three"]), "Mine"]


def test_what_the_run_says_reaches_the_model() -> None:
    function = {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}
    run = a_run(
        instructions="Be brief.",
        tools=[{"type": "code_interpreter"}, {"type": "function", "function": function}],
        tool_choice={"type": "function", "function": {"name": "f"}},
        parallel_tool_calls=False,
        response_format={"type": "json_object"},
        temperature=0.2,
        reasoning_effort="high",
        max_completion_tokens=77,
    )
    turn = first_turn(run, Background(), model="other", environment="Here.", told=0)
    assert turn.model == "other"
    assert turn.system == "Be brief.\n\nHere."
    assert turn.code
    assert turn.functions == (FunctionTool("f", "d", {"type": "object"}, True),)
    assert turn.tool_choice == ("function", "f")
    assert not turn.parallel_tool_calls
    assert turn.response_format == {"type": "json_object"}
    assert (turn.temperature, turn.top_p, turn.reasoning_effort) == (0.2, None, "high")
    assert turn.max_tokens == 77
    code = a_run(tool_choice={"type": "code_interpreter"})
    assert first_turn(code, Background(), model="m", environment="", told=0).tool_choice == "code"


def test_an_assistants_message_of_the_client_is_the_assistants() -> None:
    background = Background(messages=[said("m1", "Hi", role="assistant"), said("m2", "Hello")])
    assert prompt(a_run(), background) == (AssistantMessage("Hi"), user("Hello"))
