"""The agent loop by itself: no run, no store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace

import pytest

from jupyter_ci_ext.engine.allowance import Allowance, Spent
from jupyter_ci_ext.engine.stop import Stop
from jupyter_ci_ext.engine.turn import converse
from jupyter_ci_ext.engine.values import (
    CodeDone,
    CodeDropped,
    CodeOutput,
    CodeReady,
    CodeResult,
    Ended,
    FunctionsWanted,
    Logs,
    Value,
)
from jupyter_ci_ext.errors import LLMError, SandboxUnavailable
from jupyter_ci_ext.llm.base import (
    LLM,
    AssistantMessage,
    CallResult,
    CodeCall,
    CodeDelta,
    CodeStarted,
    Delta,
    Finished,
    FunctionCall,
    FunctionDelta,
    FunctionStarted,
    FunctionTool,
    ImagePart,
    RefusalDelta,
    TextDelta,
    TextPart,
    Turn,
    Usage,
    UserMessage,
)

from .models import ParrotLLM, Script, ScriptedLLM, calls, codes, says

ASK = Turn("m", "", (UserMessage((TextPart("Go"),)),), code=True)
PICTURE = ImagePart(data=b"png")


class Codes:
    """Runs code by looking up what it gives; remembers what was run."""

    def __init__(self, gives: Callable[[str], str] = lambda source: f"ran {source}") -> None:
        self.ran: list[str] = []
        self.gives = gives

    async def __call__(self, call: CodeCall) -> AsyncGenerator[CodeOutput | CodeResult, None]:
        self.ran.append(call.source)
        text = self.gives(call.source)
        yield Logs(0, text)
        yield CodeResult(text, (PICTURE,))


def talk(
    llm: LLM,
    turn: Turn = ASK,
    run_code: Codes | None = None,
    allowance: Allowance | None = None,
    spent: Spent | None = None,
) -> list[Value]:
    """Everything the loop says."""

    async def go() -> list[Value]:
        values = converse(llm, turn, run_code or Codes(), Stop(), allowance or Allowance(20), spent)
        return [value async for value in values]

    return asyncio.run(go())


def text_of(values: list[Value]) -> str:
    return "".join(value.text for value in values if isinstance(value, TextDelta))


def last_result(turn: Turn) -> str:
    result = turn.messages[-1]
    assert isinstance(result, CallResult)
    return result.text


def test_code_runs_and_the_model_sees_what_it_gave() -> None:
    llm, run = ScriptedLLM(codes("1+1", before="Well, "), says("Two.")), Codes()
    values = talk(llm, run_code=run)
    assert run.ran == ["1+1"]
    assert values[-1] == Ended("answered")
    said, result = llm.asked[1].messages[-2:]
    assert isinstance(said, AssistantMessage)
    assert said.text == "Well, "
    assert isinstance(said.calls[0], CodeCall)
    assert result == CallResult(said.calls[0].id, "ran 1+1")


def test_several_pieces_of_code_of_one_turn_run_one_after_the_other() -> None:
    llm, run = ScriptedLLM(codes("aaa", "bbb"), says("Done.")), Codes()
    values = talk(llm, run_code=run)
    assert run.ran == ["aaa", "bbb"]
    order = [type(v).__name__ for v in values if isinstance(v, CodeStarted | CodeReady | CodeDone)]
    assert order == ["CodeStarted", "CodeReady", "CodeDone"] * 2
    source = "".join(value.source for value in values if isinstance(value, CodeDelta))
    assert source == "aaabbb"
    ids = [value.id for value in values if isinstance(value, CodeStarted)]
    assert len(set(ids)) == 2
    assert [m.text for m in llm.asked[1].messages if isinstance(m, CallResult)] == [
        "ran aaa",
        "ran bbb",
    ]


def test_ids_are_unique_whatever_the_server_sends() -> None:
    same: list[Delta] = [CodeStarted(0, "0"), CodeDelta(0, "a"), Finished("calls")]
    again: list[Delta] = [CodeStarted(0, "call_0"), CodeDelta(0, "b"), Finished("calls")]
    third: list[Delta] = [CodeStarted(0, "call_0"), CodeDelta(0, "c"), Finished("calls")]
    values = talk(ScriptedLLM(same, again, third, says("x")))
    ids = [value.id for value in values if isinstance(value, CodeStarted)]
    assert len(set(ids)) == 3
    assert all(id.startswith("call_") for id in ids)
    assert ids[1] == "call_0"


def test_text_after_code_comes_after_it() -> None:
    reply: list[Delta] = [
        CodeStarted(0, "call_1"),
        CodeDelta(0, "x"),
        TextDelta("I have run "),
        TextDelta("it."),
        Finished("calls"),
    ]
    values = talk(ScriptedLLM(reply, says("Yes.")))
    done = next(n for n, value in enumerate(values) if isinstance(value, CodeDone))
    assert text_of(values[:done]) == ""
    assert text_of(values[done:]) == "I have run it.Yes."


def test_the_same_code_with_the_same_result_is_stopped_politely() -> None:
    llm, run = ScriptedLLM(codes("x"), codes(" x\n"), says("I know enough.")), Codes()
    run.gives = lambda _: "same"
    values = talk(llm, run_code=run)
    assert len(run.ran) == 2
    assert "exactly this code before" in last_result(llm.asked[2])
    assert llm.asked[1].tool_choice == "auto"
    assert llm.asked[2].tool_choice == "none"
    assert text_of(values) == "I know enough."
    assert values[-1] == Ended("answered")


def test_a_model_that_only_repeats_itself_gets_an_end_with_what_is_known() -> None:
    llm, run = ParrotLLM(), Codes(lambda _: "the result")
    values = talk(llm, run_code=run)
    assert len(run.ran) == 2
    assert len(llm.asked) == 3
    assert "I stopped here: the same code gave the same result again." in text_of(values)
    assert "the result" in text_of(values)
    assert values[-1] == Ended("answered")


def test_a_model_that_says_nothing_is_told_of() -> None:
    values = talk(ScriptedLLM(says("")))
    assert text_of(values) == "The model ended its turn without an answer."
    assert values[-1] == Ended("answered")


def test_a_picture_or_a_refusal_is_an_answer() -> None:
    assert text_of(talk(ScriptedLLM(codes("plot()"), says(" ")))).isspace()
    assert text_of(talk(ScriptedLLM([RefusalDelta("No."), Finished("stop")]))) == ""


def test_the_same_code_with_another_result_goes_on() -> None:
    run = Codes(lambda _: f"{len(run.ran)}")
    talk(ScriptedLLM(*[codes("x")] * 5, says("ok")), run_code=run)
    assert len(run.ran) == 5


def test_code_calls_are_limited_and_the_model_is_told() -> None:
    llm = ScriptedLLM(codes("a"), codes("b", "c"), says("That is all."))
    run = Codes()
    values = talk(llm, run_code=run, allowance=Allowance(2))
    assert run.ran == ["a", "b"]
    assert "Not run" in last_result(llm.asked[2])
    assert "the last of 2 code executions" in last_result(llm.asked[2])
    assert llm.asked[2].tool_choice == "none"
    assert values[-1] == Ended("answered")


def test_code_calls_made_before_count() -> None:
    llm, run = ParrotLLM(), Codes()
    values = talk(llm, run_code=run, allowance=Allowance(3), spent=Spent(code_calls=3, turns=4))
    assert run.ran == []
    assert "limit of 3 code executions" in text_of(values)
    assert not any(isinstance(value, CodeStarted) for value in values)


def test_functions_stay_when_code_is_used_up() -> None:
    turn = replace(ASK, functions=(FunctionTool("f"),))
    llm = ScriptedLLM(codes("a"), calls(("call_f", "f", "{}")))
    values = talk(llm, turn, allowance=Allowance(1))
    assert not llm.asked[1].code
    assert llm.asked[1].tool_choice == "auto"
    assert values[-1] == Ended("functions")


def test_functions_end_the_loop_and_wait_behind_code() -> None:
    turn = replace(ASK, functions=(FunctionTool("f"), FunctionTool("g")))
    reply: list[Delta] = [
        FunctionStarted(0, "call_f", "f"),
        FunctionDelta(0, '{"a'),
        FunctionDelta(0, '":1}'),
        CodeStarted(1, "call_c"),
        CodeDelta(1, "x"),
        FunctionStarted(2, "call_g", "g"),
        FunctionDelta(2, "{}"),
        Finished("calls"),
    ]
    values = talk(ScriptedLLM(reply), turn)
    kinds = [v for v in values if isinstance(v, CodeDone | FunctionStarted | FunctionDelta)]
    assert [type(kind).__name__ for kind in kinds] == [
        "CodeDone", "FunctionStarted", "FunctionDelta", "FunctionDelta",
        "FunctionStarted", "FunctionDelta",
    ]  # fmt: skip
    wanted = next(value for value in values if isinstance(value, FunctionsWanted))
    assert wanted.calls == (
        FunctionCall("call_f", "f", '{"a":1}'),
        FunctionCall("call_g", "g", "{}"),
    )
    assert values[-1] == Ended("functions")


def test_functions_are_streamed_as_they_come_without_code_interpreter() -> None:
    turn = replace(ASK, code=False, functions=(FunctionTool("f"),))
    gate = asyncio.Event()

    async def go() -> None:
        begun: Script = [FunctionStarted(0, "call_f", "f"), FunctionDelta(0, "{"), gate]
        llm = ScriptedLLM([*begun, FunctionDelta(0, "}"), Finished("calls")])
        values = converse(llm, turn, Codes(), Stop(), Allowance(1))
        seen: list[Value] = []
        async for value in values:
            seen.append(value)
            if value == FunctionDelta(0, "{"):
                gate.set()
        assert FunctionStarted(0, "call_f", "f") in seen

    asyncio.run(asyncio.wait_for(go(), 30))


def test_one_call_at_a_time_where_the_caller_wants_that() -> None:
    turn = replace(ASK, parallel_tool_calls=False, functions=(FunctionTool("f"),))
    reply = calls(("call_1", "f", "{}"), ("call_2", "f", "{}"))
    values = talk(ScriptedLLM(reply), turn)
    wanted = next(value for value in values if isinstance(value, FunctionsWanted))
    assert [call.id for call in wanted.calls] == ["call_1"]


def test_a_function_that_does_not_exist_is_told_to_the_model_only() -> None:
    turn = replace(ASK, functions=(FunctionTool("f"),))
    llm = ScriptedLLM(calls(("call_1", "nope", "{}")), says("Sorry."))
    values = talk(llm, turn)
    assert last_result(llm.asked[1]) == "There is no function named 'nope'."
    assert not any(isinstance(value, FunctionStarted) for value in values)
    assert values[-1] == Ended("answered")


def test_code_without_code_interpreter_is_no_code() -> None:
    turn = replace(ASK, code=False)
    run = Codes()
    llm = ScriptedLLM(codes("x"), codes("x"), codes("x"), codes("x"))
    values = talk(llm, turn, run)
    assert run.ran == []
    assert values[-1] == Ended("answered")
    assert "no function of that name" in text_of(values)


@pytest.mark.parametrize("choice", ["code", "required", ("function", "f")])
def test_a_forced_tool_is_forced_once(choice: object) -> None:
    turn = replace(ASK, tool_choice=choice, functions=(FunctionTool("f"),))  # type: ignore[arg-type]
    llm = ScriptedLLM(codes("a"), says("b"))
    talk(llm, turn)
    assert llm.asked[0].tool_choice == choice
    assert llm.asked[1].tool_choice == "auto"
    resumed = ScriptedLLM(says("b"))
    talk(resumed, turn, spent=Spent(turns=1))
    assert resumed.asked[0].tool_choice == "auto"


def test_no_tools_stays_no_tools() -> None:
    llm = ScriptedLLM(says("b"))
    talk(llm, replace(ASK, tool_choice="none"), spent=Spent(turns=1))
    assert llm.asked[0].tool_choice == "none"


def test_code_that_was_cut_off_is_not_run() -> None:
    run = Codes()
    reply: list[Delta] = [CodeStarted(0, "call_1"), CodeDelta(0, "x = ["), Finished("length")]
    values = talk(ScriptedLLM(reply), run_code=run)
    assert run.ran == []
    assert any(isinstance(value, CodeDropped) for value in values)
    assert values[-1] == Ended("max_completion_tokens")


def test_completion_tokens_count_over_the_whole_run() -> None:
    llm = ScriptedLLM(codes("a", usage=Usage(5, 60)), codes("b", usage=Usage(5, 45)))
    values = talk(llm, allowance=Allowance(20, max_completion_tokens=100))
    assert [turn.max_tokens for turn in llm.asked] == [100, 40]
    assert values[-1] == Ended("max_completion_tokens")


def test_prompt_tokens_count_over_the_whole_run() -> None:
    llm = ScriptedLLM(codes("a", usage=Usage(90, 5)), says("too late"))
    values = talk(llm, allowance=Allowance(20, max_prompt_tokens=100))
    assert llm.left == 1
    assert values[-1] == Ended("max_prompt_tokens")


def test_an_answer_beyond_the_prompt_limit_is_given_but_not_complete() -> None:
    values = talk(
        ScriptedLLM(says("Answer", usage=Usage(300, 5))),
        allowance=Allowance(20, max_prompt_tokens=256),
    )
    assert text_of(values) == "Answer"
    assert values[-1] == Ended("max_prompt_tokens")


def test_tokens_are_estimated_where_the_server_does_not_count() -> None:
    llm = ScriptedLLM(codes("x" * 400, usage=Usage()), says("too late"))
    values = talk(llm, allowance=Allowance(20, max_completion_tokens=50))
    assert values[-1] == Ended("max_completion_tokens")


def test_a_prompt_that_is_too_large_is_made_smaller() -> None:
    old = [UserMessage((TextPart(f"{n} " + "long " * 200),)) for n in range(20)]
    turn = replace(ASK, messages=(*old, *ASK.messages))
    refused = [LLMError("context_length", "too large")]
    llm = ScriptedLLM(refused, refused, says("Fits."))
    values = talk(llm, turn)
    sizes = [len(asked.messages) for asked in llm.asked]
    assert sizes[0] == 21
    assert sizes[0] > sizes[1] > sizes[2]
    assert llm.asked[2].messages[-1] == ASK.messages[0]
    assert text_of(values) == "Fits."


def test_a_prompt_that_cannot_be_made_smaller_fails() -> None:
    values = talk(ScriptedLLM([LLMError("context_length", "too large")]))
    assert values[-1] == Ended("failed", "invalid_prompt", "too large")


def test_a_known_window_is_kept_to_beforehand() -> None:
    old = [UserMessage((TextPart("long " * 200),)) for _ in range(20)]
    llm = ScriptedLLM(says("ok"), window=2000)
    talk(llm, replace(ASK, messages=(*old, *ASK.messages)))
    assert 1 < len(llm.asked[0].messages) < 10
    assert llm.asked[0].messages[-1] == ASK.messages[0]


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("rate_limit", "rate_limit_exceeded"),
        ("quota", "rate_limit_exceeded"),
        ("invalid_prompt", "invalid_prompt"),
        ("server", "server_error"),
        ("authentication", "server_error"),
    ],
)
def test_failures_of_the_models_server(kind: str, code: str) -> None:
    error = LLMError(kind, "What happened.")  # type: ignore[arg-type]
    values = talk(ScriptedLLM([TextDelta("Half"), error]))
    assert text_of(values) == "Half"
    assert values[-1] == Ended("failed", code, "What happened.")  # type: ignore[arg-type]


def test_where_no_code_may_run_the_loop_fails_with_the_reason() -> None:
    class Refused(Codes):
        async def __call__(self, call: CodeCall) -> AsyncGenerator[CodeOutput | CodeResult, None]:
            raise SandboxUnavailable("Install bubblewrap.")
            yield

    values = talk(ScriptedLLM(codes("x")), run_code=Refused())
    assert values[-1] == Ended("failed", "server_error", "Install bubblewrap.")


@pytest.mark.parametrize("vision", [True, False])
def test_pictures_are_for_models_that_see(vision: bool) -> None:
    llm = ScriptedLLM(codes("plot()"), says("Nice."), vision=vision)
    talk(llm)
    result = llm.asked[1].messages[-1]
    assert isinstance(result, CallResult)
    assert result.images == ((PICTURE,) if vision else ())


def test_only_the_newest_pictures_are_sent() -> None:
    llm = ScriptedLLM(codes("a"), codes("b"), codes("c"), says("Nice."), vision=True)
    talk(llm, allowance=Allowance(20, pictures=2))
    results = [m for m in llm.asked[3].messages if isinstance(m, CallResult)]
    assert [len(result.images) for result in results] == [0, 1, 1]


def test_a_content_filter_ends_it() -> None:
    values = talk(ScriptedLLM([TextDelta("I "), Finished("content_filter")]))
    assert values[-1] == Ended("content_filter")


def test_broken_characters_do_not_get_through() -> None:
    values = talk(ScriptedLLM([TextDelta("a\ud83d"), Finished("stop")]))
    assert text_of(values) == "a\ufffd"
