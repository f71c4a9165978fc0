"""Options, ends, locks and failures of runs, as the newest openai-python sees them."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest

from tests.conformance.playbook import Playbook, text_of
from tests.conformance.process import Client
from tests.fakes.answers import Script, call, calls, code, cut, error, say, stall

FUNCTION = {"type": "function", "function": {"name": "weather"}}
CODE = {"type": "code_interpreter"}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def _tools(body: dict[str, Any]) -> list[str]:
    return [tool["function"]["name"] for tool in body.get("tools", ())]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("none", "none"),
        ("auto", "auto"),
        ("required", "required"),
        ({"type": "code_interpreter"}, {"type": "function", "function": {"name": "python"}}),
        (
            {"type": "function", "function": {"name": "weather"}},
            {"type": "function", "function": {"name": "weather"}},
        ),
    ],
    ids=["none", "auto", "required", "code", "function"],
)
def test_tool_choice(playbook: Playbook, newest: Client, choice: Any, sent: Any) -> None:
    phrase = playbook.teach(f"Choice {sent}", say("Chosen."))
    done = newest("run_to_end", text=phrase, tools=[CODE, FUNCTION], run={"tool_choice": choice})
    assert done["run"]["tool_choice"] == choice
    [body] = playbook.asked(phrase)
    assert body.get("tool_choice", "auto") == sent
    assert sorted(_tools(body)) == ["python", "weather"]


def test_a_forced_choice_holds_once(playbook: Playbook, newest: Client) -> None:
    phrase = playbook.teach("Force it once", code("print(1)"), say("It was 1."))
    done = newest("run_to_end", text=phrase, run={"tool_choice": CODE})
    assert done["run"]["status"] == "completed"
    first, second = playbook.asked(phrase)
    assert first["tool_choice"] == {"type": "function", "function": {"name": "python"}}
    assert second.get("tool_choice", "auto") == "auto"


def test_no_parallel_calls(playbook: Playbook, newest: Client) -> None:
    phrase = playbook.teach("One by one", calls(("weather", {"city": "A"}), ("weather", {})))
    done = newest("run_to_end", text=phrase, tools=[FUNCTION], run={"parallel_tool_calls": False})
    assert done["run"]["status"] == "requires_action"
    assert done["run"]["parallel_tool_calls"] is False
    assert len(done["run"]["required_action"]["submit_tool_outputs"]["tool_calls"]) == 1
    assert playbook.asked(phrase)[0]["parallel_tool_calls"] is False


def test_token_limit_makes_a_run_incomplete(playbook: Playbook, newest: Client) -> None:
    phrase = playbook.teach("Be brief", say("This sentence has no", finish="length"))
    done = newest("run_to_end", text=phrase, run={"max_completion_tokens": 300})
    run, message = done["run"], done["messages"][-1]
    assert run["status"] == "incomplete"
    assert run["incomplete_details"] == {"reason": "max_completion_tokens"}
    assert run["max_completion_tokens"] == 300
    assert run["last_error"] is None
    assert run["expires_at"] is None
    assert isinstance(run["completed_at"], int)
    assert run["failed_at"] is None
    assert message["status"] == "incomplete"
    assert message["incomplete_details"] == {"reason": "max_tokens"}
    assert message["content"][0]["text"]["value"] == "This sentence has no"
    body = playbook.asked(phrase)[0]
    assert 300 in (body.get("max_completion_tokens"), body.get("max_tokens"))


def test_overrides_and_additional_messages(playbook: Playbook, newest: Client) -> None:
    phrase = playbook.teach("The second question", say("Both answered."))
    extra = [
        {"role": "assistant", "content": "An earlier answer."},
        {"role": "user", "content": phrase, "metadata": {"k": "v"}},
    ]
    done = newest(
        "run_to_end",
        text="The first question",
        instructions="Of the assistant.",
        temperature=0.1,
        run={
            "model": "other/scripted",
            "instructions": "Of the run.",
            "additional_instructions": "And more.",
            "additional_messages": extra,
            "tools": [FUNCTION],
            "temperature": 0.5,
            "top_p": 0.25,
            "metadata": {"run": "7"},
            "truncation_strategy": {"type": "last_messages", "last_messages": 2},
        },
    )
    run = done["run"]
    assert run["status"] == "completed"
    assert run["model"] == "other/scripted"
    assert run["instructions"].startswith("Of the run.")
    assert (run["temperature"], run["top_p"]) == (0.5, 0.25)
    assert run["metadata"] == {"run": "7"}
    assert [tool["type"] for tool in run["tools"]] == ["function"]
    assert run["truncation_strategy"] == {"type": "last_messages", "last_messages": 2}
    texts = [message["content"][0]["text"]["value"] for message in done["messages"]]
    assert texts == ["The first question", "An earlier answer.", phrase, "Both answered."]
    assert done["messages"][1]["role"] == "assistant"
    assert done["messages"][2]["metadata"] == {"k": "v"}
    [body] = playbook.asked(phrase)
    assert (body["model"], body["temperature"], body["top_p"]) == ("other/scripted", 0.5, 0.25)
    assert _tools(body) == ["weather"]
    system = [m for m in body["messages"] if m["role"] in ("system", "developer")]
    told = "\n".join(text_of(m) for m in system)
    assert "Of the run." in told
    assert "And more." in told
    assert "Of the assistant." not in told
    rest = [text_of(m) for m in body["messages"] if m not in system]
    assert rest == ["An earlier answer.", phrase]


def test_response_format_and_effort_are_passed_on(playbook: Playbook, newest: Client) -> None:
    phrase = playbook.teach("Answer in JSON", say('{"a":1}'))
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    wanted = {
        "type": "json_schema",
        "json_schema": {"name": "thing", "schema": schema, "strict": True},
    }
    done = newest(
        "run_to_end",
        text=phrase,
        tools=[],
        response_format=wanted,
        run={"reasoning_effort": "low"},
    )
    assert done["run"]["response_format"] == wanted
    assert done["run"]["reasoning_effort"] == "low"
    [body] = playbook.asked(phrase)
    assert body["response_format"] == wanted
    assert body["reasoning_effort"] == "low"
    assert done["messages"][-1]["content"][0]["text"]["value"] == '{"a":1}'


def test_pictures_reach_the_model(playbook: Playbook, newest: Client) -> None:
    phrase = playbook.teach("What is on it?", say("A dot."))
    url = f"data:image/png;base64,{PNG}"
    done = newest("picture_parts", text=phrase, png=PNG, url=url)
    assert done["run"]["status"] == "completed"
    [body] = playbook.asked(phrase)
    asked = next(m for m in body["messages"] if m["role"] == "user")
    images = [part["image_url"] for part in asked["content"] if part["type"] == "image_url"]
    assert len(images) == 2
    assert [image["url"] for image in images] == [url, url]
    assert images[0]["detail"] == "low"
    kept = done["messages"][0]["content"]
    assert [part["type"] for part in kept] == ["text", "image_file", "image_url"]
    assert kept[1]["image_file"] == {"file_id": done["file_id"], "detail": "low"}
    assert kept[2]["image_url"] == {"url": url, "detail": "auto"}


@pytest.mark.parametrize(
    ("script", "code_", "says"),
    [
        (error(401, "Incorrect API key provided: sk-of-the-upstream"), "server_error", "key"),
        (error(429, "Slow down", retry_after=900), "rate_limit_exceeded", "try again in 900s"),
        (
            error(429, "You exceeded your current quota.", code="insufficient_quota"),
            "rate_limit_exceeded",
            "quota",
        ),
        (error(500, "Out of order"), "server_error", "."),
        (
            error(
                400,
                "Your messages exceed the maximum context length.",
                code="context_length_exceeded",
            ),
            "invalid_prompt",
            "long|context",
        ),
        (cut(3), "server_error", "."),
    ],
    ids=["key", "rate", "quota", "crash", "context", "cut"],
)
def test_failures_of_the_model(
    playbook: Playbook, newest: Client, script: Script, code_: str, says: str
) -> None:
    phrase = playbook.teach(f"Fail with {script!r}"[:100], script)
    done = newest("run_to_end", text=phrase)
    run = done["run"]
    assert run["status"] == "failed"
    assert isinstance(run["failed_at"], int)
    assert run["expires_at"] is None
    assert run["last_error"]["code"] == code_
    assert re.search(says, run["last_error"]["message"], re.IGNORECASE), run["last_error"]
    assert "sk-of-the-upstream" not in run["last_error"]["message"]
    for step in done["steps"]:
        assert step["status"] == "failed"


def test_a_short_wait_is_waited_out(playbook: Playbook, newest: Client) -> None:
    phrase = "Come back in a second"
    scripts: list[Script] = [error(429, "Slow down", retry_after=1), say("Here I am.")]
    playbook.teach(phrase, lambda: scripts.pop(0))
    done = newest("run_to_end", text=phrase)
    assert done["run"]["status"] == "completed"
    assert not scripts


@pytest.mark.parametrize("where", ["model", "code", "functions"])
def test_cancel(playbook: Playbook, newest: Client, where: str) -> None:
    phrase = f"Cancel while in {where}"
    playbook.teach(f"{phrase}: after", code("print(kept)"), say("Still there."))
    loop = "kept = 'kept'\nprint('on', flush=True)\nimport time\nwhile True: time.sleep(0.05)"
    script = {
        "model": stall(after=3, text="One moment, please"),
        "code": code(loop),
        "functions": call("weather", {"city": "Oslo"}),
    }[where]
    playbook.teach(f"{phrase}!", script)
    done = newest(
        "cancelled",
        text=f"{phrase}!",
        tools=[CODE, FUNCTION],
        when="requires_action" if where == "functions" else "in_progress",
        step="on" if where == "code" else None,
    )
    run = done["run"]
    thread = run["thread_id"]
    assert done["answer"]["status"] in ("cancelling", "cancelled")
    assert run["status"] == "cancelled"
    assert isinstance(run["cancelled_at"], int)
    assert run["expires_at"] is None
    assert run["required_action"] is None
    assert done["seconds"] < 10
    message, another, modify = done["locks"]
    assert {lock["status"] for lock in done["locks"]} == {400}
    assert message["message"] == (
        f"Can't add messages to {thread} while a run {run['id']} is active."
    )
    assert another["message"] == f"Thread {thread} already has an active run {run['id']}."
    status = "requires_action" if where == "functions" else "in_progress"
    assert modify["message"] == f"Cannot update run with status '{status}'."
    assert done["again"]["status"] == 400
    assert done["again"]["message"] == "Cannot cancel run with status 'cancelled'."
    if where == "model":
        assert done["messages"][-1]["incomplete_details"] in ({"reason": "run_cancelled"}, None)
    else:
        assert done["steps"][-1]["status"] == "cancelled"
        assert isinstance(done["steps"][-1]["cancelled_at"], int)
    after = newest(
        "next_run", thread_id=thread, assistant_id=run["assistant_id"], text=f"{phrase}: after"
    )
    assert after["run"]["status"] == "completed"
    if where == "code":  # the variables of code that was interrupted live on
        outputs = after["steps"][0]["step_details"]["tool_calls"][0]["code_interpreter"]["outputs"]
        assert outputs == [{"type": "logs", "logs": "kept\n"}]


def test_a_stream_of_a_failing_run(playbook: Playbook, openai: Client) -> None:
    phrase = playbook.teach("Break off in the middle", cut(4))
    done = openai("run_stream_error", text=phrase)
    names = [call[1] for call in done["calls"] if call[0] == "event"]
    assert names[-1] == "thread.run.failed"
    assert "thread.message.incomplete" in names
    assert "exception" not in [call[0] for call in done["calls"]]
    assert done["final"]["last_error"]["code"] == "server_error"


def test_deletion(playbook: Playbook, newest: Client) -> None:
    phrase = playbook.teach("To be deleted", say("Gone soon."))
    done = newest("deletion", text=phrase)
    message, file, assistant, thread, _run = done["ids"]
    assert done["message"] == {"id": message, "object": "thread.message.deleted", "deleted": True}
    assert done["messages_left"] == 1
    assert done["file"] == {"object": "file", "deleted": True, "id": file}
    assert done["assistant_files"] == {"code_interpreter": {"file_ids": []}}
    assert done["assistant"] == {"id": assistant, "object": "assistant.deleted", "deleted": True}
    assert done["run_still"]
    assert done["run_anew"]["message"] == f"No assistant found with id '{assistant}'."
    assert done["thread"] == {"id": thread, "object": "thread.deleted", "deleted": True}
    assert {(each["type"], each["status"]) for each in done["gone"]} == {("NotFoundError", 404)}
    assert [each["message"] for each in done["gone"]][1] == f"No such File object: {file}"
    assert done["gone"][1]["param"] == "id"
    assert done["gone"][3]["message"] == f"No assistant found with id '{assistant}'."
    assert done["gone"][4]["message"] == f"No thread found with id '{thread}'."


BAD: dict[str, tuple[str, str, str | None, str | None]] = {
    "model": ("NotFound", "The model 'no-such-model' does not exist", "model_not_found", "model"),
    "key": ("Authentication", "Incorrect API key provided: wron", "invalid_api_key", None),
    "invalid_id": ("NotFound", "No assistant found with id 'invalid-assistant-id'.", None, None),
    "assistant": ("NotFound", f"No assistant found with id 'asst_{'0' * 24}'.", None, None),
    "prefix": (
        "BadRequest",
        "Invalid 'assistant_id': 'foo'. Expected an ID that begins with 'asst'.",
        "invalid_value",
        "assistant_id",
    ),
    "no_message": (
        "BadRequest",
        "Run creation requires a Thread with a user message or an assistant with instructions.",
        "invalid_thread",
        None,
    ),
    "purpose": (
        "BadRequest",
        "'world_domination' is not one of ['fine-tune', 'assistants', 'batch', 'user_data', "
        "'vision', 'evals'] - 'purpose'",
        None,
        "purpose",
    ),
    "name": (
        "BadRequest",
        "Invalid 'name': string too long. Expected a string with maximum length 256, but got a "
        "string with length 257 instead.",
        "string_above_max_length",
        "name",
    ),
    "metadata": (
        "BadRequest",
        "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, "
        "but got an object with 17 properties instead.",
        "object_above_max_properties",
        "metadata",
    ),
    "limit": (
        "BadRequest",
        "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 101 "
        "instead.",
        "integer_above_max_value",
        "limit",
    ),
    "unknown": ("BadRequest", "Unknown parameter: 'foo'.", "unknown_parameter", "foo"),
    "type": (
        "BadRequest",
        "Invalid type for 'metadata.modified': expected a string, but got a boolean instead.",
        "invalid_type",
        "metadata.modified",
    ),
    "file": ("NotFound", "No such File object: file-nope", None, "id"),
    "role": (
        "BadRequest",
        "Invalid value: 'system'. Supported values are: 'user' and 'assistant'.",
        "invalid_value",
        "role",
    ),
}
STATUS = {"BadRequest": 400, "Authentication": 401, "NotFound": 404}


def test_refusals(newest: Client) -> None:
    done = newest("bad_input")
    for name, (kind, message, code_, param) in BAD.items():
        got = done[name]
        assert (got["type"], got["status"]) == (f"{kind}Error", STATUS[kind]), (name, got)
        assert got["message"].startswith(message), (name, got)
        assert (got["code"], got["param"]) == (code_, param), (name, got)
    assert done["step"]["status"] == 404


def test_pictures_of_code_are_shown_to_a_model_that_sees(
    playbook: Playbook, newest: Client
) -> None:
    draw = f"import base64\nfrom IPython.display import Image, display\ndisplay(Image(base64.b64decode({PNG!r})))"
    phrase = playbook.teach("Draw a dot", code(draw), say("A dot."))
    done = newest("run_to_end", text=phrase)
    assert done["run"]["status"] == "completed"
    image = done["messages"][-1]["content"][0]["image_file"]["file_id"]
    second = playbook.asked(phrase)[1]
    urls = [
        part["image_url"]["url"]
        for message in second["messages"]
        if isinstance(message["content"], list)
        for part in message["content"]
        if part["type"] == "image_url"
    ]
    assert len(urls) == 1
    assert urls[0].startswith("data:image/png;base64,")
    assert base64.b64decode(urls[0].partition(",")[2]).startswith(b"\x89PNG")
    assert image.startswith("file-")
