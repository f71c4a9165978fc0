"""The demo model beyond tables: sums, code as written, functions, and saying what it is."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from jupyter_ci_ext.llm.base import (
    AssistantMessage,
    CallResult,
    CodeCall,
    CodeDelta,
    FunctionCall,
    FunctionDelta,
    FunctionTool,
    TextDelta,
    TextPart,
    Turn,
    Usage,
    UserMessage,
)
from jupyter_ci_ext.llm.demo import DemoModel
from jupyter_ci_ext.llm.demo.formulas import qualified, to_python
from jupyter_ci_ext.llm.demo.functions import fill
from jupyter_ci_ext.llm.discovery import LocalServer
from tests.llm.demo_kernel import Conversation, function
from tests.llm.test_demo_tables import check_links

TEXT = {"type": "string"}


@pytest.fixture
def talk(tmp_path):
    return Conversation(tmp_path)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("I need to solve the equation `3x + 11 = 14`. Can you help me?", "**x = 1**"),
        ("I need to solve the equation `3x + 11 = 14`", "**x = 1**"),
        ("Solve 3x + 11 = 14", "**x = 1**"),
        ("what is x in the equation 3x + 11 = 14?", "**x = 1**"),
        ("Solve x^2 - 5x + 6 = 0", "2 solutions:\n\n- **x = 2**\n- **x = 3**"),
        ("Solve x² = 2", "≈ x = 1.4142136"),
        ("solve the system x + y = 10 and x - y = 2", "**x = 6, y = 4**"),
        ("solve for y: 2y + 4 = 10", "**y = 3**"),
        ("solve y = mx + b for m", "**m = (-b + y)/x**"),
        ("Solve 2/3 x = 4", "**x = 6**"),
        ("solve x + 1 = x", "no solution"),
        ("solve 2x + 3 > 7", "Interval.open(2, oo)"),
        ("find the roots of x^2 - 9", "**x = -3**"),
        ("solve cos(x) = x", "0.739085"),
        ("What is the derivative of x^2 sin(x)?", "x**2*cos(x) + 2*x*sin(x)"),
        ("integrate x^2 from 0 to 3", "**`9`**"),
        ("integral of 2x dx", "`x**2 + C`"),
        ("factor x^3 - x", "x*(x - 1)*(x + 1)"),
        ("limit of sin(x)/x as x -> 0", "**`1`**"),
        ("What is 17 * 23 + 4?", "**395**"),
        ("what's 15% of 80", "**12.0**"),
        ("1,000 * 3", "**3000**"),
        ("2^64", "**18446744073709551616**"),
        ("square root of 2", "1.41421356"),
        ("What is 6 times 7?", "**42**"),
        ("10!", "**3628800**"),
        ("is 97 prime?", "**True**"),
        ("first 5 primes", "[2, 3, 5, 7, 11]"),
        ("mean of 3, 5, 8 and 12", "mean 7"),
        ("Write 'hello there' to hello.txt", "12 bytes"),
        ("simulate 10000 dice rolls", "mean 3.5"),
        ("flip a coin 1000 times", "heads: "),
        ("roll two dice 5000 times", "mean 7.0"),
        ("estimate pi with 100000 points", "π ≈ 3.1"),
        ("random walk of 500 steps", "A random walk of 500 steps"),
        ("plot sin(x) from 0 to 2pi", "values from -1 to 1"),
        ("Make a bar chart of apples: 3, pears: 5", "2 values, together 8"),
    ],
)
async def test_what_it_computes_is_right(talk, question, words):
    answer = await talk.ask(question)
    assert words in answer
    assert 1 <= len(talk.sources) <= 2
    check_links(talk, answer)


@pytest.mark.parametrize(
    ("formula", "python"),
    [
        ("3x + 11", "3*x + 11"),
        ("2(x+1)", "2*(x+1)"),
        ("(x+1)(x-1)", "(x+1)*(x-1)"),
        ("xy", "x*y"),
        ("2πr", "2*pi*r"),
        ("sin(2x)", "sin(2*x)"),
        ("x sin(x)", "x*sin(x)"),
        ("2 sin x", "2*sin(x)"),
        ("import os", None),
        ("the sum", None),
        ("__class__", None),
        ("x +", None),
    ],
)
def test_formulas(formula, python):
    read = to_python(formula)
    assert (read and read.replace(" ", "")) == (python and python.replace(" ", ""))


def test_formulas_stay_exact():
    assert qualified("2/3*x + 0.5", "sp") == 'sp.Rational(2, 3)*x + sp.Rational("0.5")'
    assert qualified("x**2/3", "sp") == "x**2/3"
    assert qualified("e**x + exp(1)", "np") == "np.e**x + np.exp(1)"


async def test_a_block_runs_as_it_is_written(talk):
    answer = await talk.ask(
        "Please run\n```python\nfor i in range(2):\n    print('n', i)\n```\nthanks"
    )
    assert talk.sources == ["for i in range(2):\n    print('n', i)"]
    assert "n 0\nn 1" in answer


async def test_a_forgotten_import_is_added_and_said(talk):
    answer = await talk.ask("```python\nprint(np.arange(3))\n```")
    assert talk.errors == ["NameError"]
    assert "add `import numpy as np`" in talk.prefaces[1]
    assert "[0 1 2]" in answer


async def test_code_that_fails_is_not_hidden(talk):
    answer = await talk.ask("```python\n1 / 0\n```")
    assert len(talk.sources) == 1
    assert "ZeroDivisionError: division by zero" in answer


async def test_the_name_of_an_error_that_was_only_printed_is_no_failure(talk):
    answer = await talk.ask("```python\nprint('MemoryError')\nprint('alive')\n```")
    assert answer.startswith("It ran and gave:")


async def test_a_module_that_is_missing_is_named_with_what_is_there(talk):
    answer = await talk.ask("```python\nimport no_such_module\n```")
    assert "needs the Python module `no_such_module`" in answer
    assert "There is: numpy, pandas" in answer


@pytest.mark.parametrize("words", ["What is the capital of France?", "hello", "Who are you?", ""])
async def test_it_says_what_it_is(talk, words):
    answer = await talk.ask(words)
    assert "**demo model**: rules, not AI" in answer
    assert "OPENAI_BASE_URL" in answer
    assert "solve equations" in answer
    assert ("I cannot do what you ask" in answer) == ("France" in words)
    assert talk.sources == []


async def test_it_names_a_local_model_server():
    async def found() -> Sequence[LocalServer]:
        return [LocalServer("ollama", "http://127.0.0.1:11434/v1", ("a", "b", "c", "d"))]

    turn = Turn("demo", "", (UserMessage((TextPart("Tell me a joke"),)),), code=True)
    said = "".join(
        [d.text async for d in DemoModel(found).stream(turn) if isinstance(d, TextDelta)]
    )
    assert "answers on this machine at http://127.0.0.1:11434/v1" in said
    assert "`ollama/c` and 1 more" in said


async def test_without_an_interpreter_it_says_so(talk):
    assert "no code interpreter" in await talk.ask("Solve 3x + 11 = 14", code=False)
    assert "no code interpreter" in await talk.ask("Tell me a joke", code=False)


# ---- functions --------------------------------------------------------------------------------------


async def wanted(talk: Conversation, text: str, **turn) -> list[FunctionCall]:
    talk.messages = [UserMessage((TextPart(text),))]
    _, calls, finished = await talk.turn(**turn)
    assert finished.reason == ("calls" if calls else "stop")
    return [c for c in calls if isinstance(c, FunctionCall)]


WEATHER = function("get_current_weather", location=TEXT, unit={"enum": ["celsius", "fahrenheit"]})
RAIN = function("get_rain_probability", location=TEXT)


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("What's the weather in San Francisco?", {"location": "San Francisco", "unit": "celsius"}),
        ("The weather for Oslo today in fahrenheit", {"location": "Oslo", "unit": "fahrenheit"}),
        ("Call get_current_weather with 'Rome'", {"location": "Rome", "unit": "celsius"}),
    ],
)
async def test_a_function_that_is_plainly_asked_for_is_called(talk, text, arguments):
    (call,) = await wanted(talk, text, functions=(WEATHER, RAIN))
    assert call.name == "get_current_weather"
    assert json.loads(call.arguments) == arguments


async def test_a_function_nobody_asks_for_is_not_called(talk):
    assert await wanted(talk, "Tell me a joke", functions=(WEATHER,)) == []
    assert await wanted(talk, "weather in Oslo", functions=(WEATHER,), tool_choice="none") == []


async def test_two_functions_at_once_or_one_after_the_other(talk):
    text = "The weather in Oslo, and the rain probability there?"
    calls = await wanted(talk, text, functions=(WEATHER, RAIN))
    assert [c.name for c in calls] == ["get_current_weather", "get_rain_probability"]
    one = await wanted(talk, text, functions=(WEATHER, RAIN), parallel_tool_calls=False)
    assert len(one) == 1


async def test_it_answers_with_what_the_function_gave(talk):
    calls = await wanted(talk, "What's the weather in Oslo?", functions=(WEATHER,))
    talk.messages += [
        AssistantMessage("", tuple(calls)),
        CallResult(calls[0].id, '{"temperature": 7, "sky": "grey"}'),
    ]
    said, more, _ = await talk.turn(functions=(WEATHER,))
    assert more == []
    assert "- temperature: 7" in said


@pytest.mark.parametrize("choice", ["required", ("function", "get_current_weather")])
async def test_a_forced_function_is_called(talk, choice):
    (call,) = await wanted(talk, "Hm", functions=(WEATHER,), tool_choice=choice, code=False)
    assert call.name == "get_current_weather"


@pytest.mark.parametrize("choice", ["code", "required"])
async def test_forced_code_is_run_and_then_answered(talk, choice):
    for text in ("Hello", "Tell me a joke"):
        talk.messages = [UserMessage((TextPart(text),))]
        _, calls, _ = await talk.turn(tool_choice=choice)
        assert isinstance(calls[0], CodeCall)
        output = talk.run(calls[0].source)
        talk.messages += [AssistantMessage("", tuple(calls)), CallResult(calls[0].id, output)]
        said, more, _ = await talk.turn()
        assert more == []
        assert "Python 3" in said


async def test_where_no_more_code_may_run_it_tells_what_is_known(talk, tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n3,4\n")
    talk.attach(tmp_path / "a.csv")
    talk.messages = [UserMessage((TextPart("Analyse it"),))]
    _, calls, _ = await talk.turn()
    talk.messages += [
        AssistantMessage("", tuple(calls)),
        CallResult(calls[0].id, talk.run(calls[0].source)),
    ]
    said, more, _ = await talk.turn(tool_choice="none")
    assert more == []
    assert "2 rows, 2 columns" in said


def test_values_are_made_to_fit_a_schema():
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "integer"},
            "b": {"type": "array", "items": {"type": "number"}},
            "c": {"$ref": "#/$defs/c"},
            "d": {"type": ["string", "null"]},
            "e": {"type": "boolean"},
            "f": {"const": 7},
            "g": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["a", "b", "c", "d", "e", "f", "g"],
        "$defs": {"c": {"type": "object", "properties": {"n": {"$ref": "#/$defs/c"}}}},
    }
    value = fill(schema, "Take 3, then 4.5 and 6 of 'this'")
    assert (value["a"], value["b"], value["d"], value["e"], value["f"]) == (
        3,
        [4.5, 6.0],
        "this",
        True,
        7,
    )


# ---- how it streams -------------------------------------------------------------------------------


async def deltas(text: str, **turn):
    async def nobody() -> Sequence[LocalServer]:
        return []

    asked = Turn("demo", "", (UserMessage((TextPart(text),)),), **{"code": True, **turn})
    return [delta async for delta in DemoModel(nobody).stream(asked)]


async def test_it_streams_in_small_pieces_and_counts_them():
    got = await deltas("Solve 3x + 11 = 14")
    code = [d for d in got if isinstance(d, CodeDelta)]
    assert len(code) > 20
    assert got[-2] == Usage(5, len(code))


async def test_it_stops_at_the_limit_of_tokens():
    got = await deltas("Hello", max_tokens=5)
    assert len([d for d in got if isinstance(d, TextDelta)]) == 5
    assert got[-1].reason == "length"


async def test_it_answers_in_json_where_that_is_asked_for():
    schema = {"type": "object", "properties": {"answer": TEXT}, "required": ["answer"]}
    for format in (
        {"type": "json_object"},
        {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}},
    ):
        got = await deltas("Hello", response_format=format)
        value = json.loads("".join(d.text for d in got if isinstance(d, TextDelta)))
        assert set(value) == {"answer"}


async def test_arguments_stream_too():
    got = await deltas(
        "weather in Oslo", functions=(FunctionTool("weather", None, WEATHER.parameters),)
    )
    assert len([d for d in got if isinstance(d, FunctionDelta)]) > 2
