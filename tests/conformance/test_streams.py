"""Event streams, read without a client: order, shapes, sums, errors, slow readers, resuming."""

from __future__ import annotations

import json
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.conformance.playbook import Playbook, text_of
from tests.conformance.sequence import Event, Heard, check, parse
from tests.conformance.server import TOKEN, Api, LiveServer
from tests.fakes.answers import Answer, Call, Script, calls, code, cut, say, stall

FUNCTIONS = [{"type": "function", "function": {"name": name}} for name in ("weather", "people")]
CODE = [{"type": "code_interpreter"}]
CREATED = ["run.created", "run.queued", "run.in_progress"]
CODE_STEP = ["run.step.created", "run.step.in_progress", "run.step.delta", "run.step.completed"]
MESSAGE = [
    "run.step.created",
    "run.step.in_progress",
    "message.created",
    "message.in_progress",
    "message.delta",
    "message.completed",
    "run.step.completed",
]
END = ["run.completed", "done"]
SAVE = "open('/mnt/data/t.csv', 'w').write('a,b\\n')"
DRAW = """\
import base64
from IPython.display import Image, display
display(Image(base64.b64decode('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==')))
"""


def _assistant(api: Api, tools: list[dict[str, Any]]) -> str:
    made: str = api("POST", "/assistants", {"model": "scripted", "tools": tools})["id"]
    return made


def _thread(api: Api, text: str) -> str:
    messages = [{"role": "user", "content": text}]
    made: str = api("POST", "/threads", {"messages": messages})["id"]
    return made


def _run(api: Api, text: str, tools: list[dict[str, Any]], **fields: Any) -> str:
    """The stream of a run that answers *text*."""
    body = {"assistant_id": _assistant(api, tools), "stream": True} | fields
    return api.stream("POST", f"/threads/{_thread(api, text)}/runs", body)


def _kept(api: Api, heard: Heard) -> tuple[list[Any], list[Any], Any]:
    """Steps, messages and run as they are stored after the stream *heard*."""
    where = f"/threads/{heard.run['thread_id']}"
    run = f"{where}/runs/{heard.run['id']}"
    steps = api("GET", f"{run}/steps?order=asc")["data"]
    messages = api("GET", f"{where}/messages?order=asc&run_id={heard.run['id']}")["data"]
    return steps, messages, api("GET", run)


def test_chart_and_file_event_for_event(api: Api, playbook: Playbook) -> None:
    """The worked example: a picture is shown, a file is saved and linked."""
    text = "Here is 😀 the chart. [Download](sandbox:/mnt/data/t.csv)."
    phrase = playbook.teach("Chart and file", code(DRAW + SAVE), say(text))
    heard = check(_run(api, phrase, CODE))
    assert heard.folded == [*CREATED, *CODE_STEP, *MESSAGE, *END]
    [message] = heard.messages
    assert [part["type"] for part in message["content"]] == ["image_file", "text"]
    assert list(message["content"][0]["image_file"]) == ["file_id"]
    [note] = message["content"][1]["text"]["annotations"]
    assert list(note) == ["type", "text", "start_index", "end_index", "file_path"]
    assert message["attachments"] == [
        {"file_id": note["file_path"]["file_id"], "tools": [{"type": "code_interpreter"}]}
    ]
    outputs = heard.steps[0]["step_details"]["tool_calls"][0]["code_interpreter"]["outputs"]
    shown = message["content"][0]["image_file"]["file_id"]
    assert {"type": "image", "image": {"file_id": shown}} in outputs
    # What is stored is what was told.
    steps, messages, run = _kept(api, heard)
    assert run == heard.run
    assert messages == heard.messages
    assert [step | {"expires_at": None} for step in heard.steps] == steps
    sums = [step["usage"]["total_tokens"] for step in steps]
    assert sum(sums) == run["usage"]["total_tokens"] == 2 * 29


def test_text_around_code_makes_several_messages(api: Api, playbook: Playbook) -> None:
    phrase = playbook.teach(
        "Think aloud", code("1 / 0", text="First."), code("2 + 2", text="Then."), say("Last.")
    )
    heard = check(_run(api, phrase, CODE))
    assert heard.folded == [*CREATED, *(MESSAGE + CODE_STEP) * 2, *MESSAGE, *END]
    failed, worked = (
        step["step_details"]["tool_calls"][0]["code_interpreter"]["outputs"]
        for step in heard.steps
        if step["type"] == "tool_calls"
    )
    assert "ZeroDivisionError" in failed[0]["logs"]
    assert [output["type"] for output in worked] == ["logs"]
    assert worked[0]["logs"].strip() == "4"


def test_thread_and_run(api: Api, playbook: Playbook) -> None:
    phrase = playbook.teach("All at once", say("One answer."))
    thread = {"messages": [{"role": "user", "content": phrase}], "metadata": {"a": "b"}}
    body = {"assistant_id": _assistant(api, CODE), "thread": thread, "stream": True}
    heard = check(api.stream("POST", "/threads/runs", body), "thread")
    assert heard.folded == ["created", *CREATED, *MESSAGE, *END]
    assert heard.thread is not None
    assert heard.thread["id"] == heard.run["thread_id"]
    assert heard.thread["metadata"] == {"a": "b"}


def test_functions_and_their_outputs(api: Api, playbook: Playbook) -> None:
    phrase = playbook.teach(
        "Ask two functions",
        code("print('code first')"),
        calls(("weather", {"city": "Oslo"}), ("people", {"city": "Oslo"}), text="Asking."),
        say("Sunny."),
    )
    heard = check(_run(api, phrase, CODE + FUNCTIONS))
    asked = ["run.step.created", "run.step.in_progress", "run.step.delta", "run.requires_action"]
    assert heard.folded == [*CREATED, *CODE_STEP, *MESSAGE, *asked, "done"]
    run = heard.run
    action = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    outputs = [{"tool_call_id": c["id"], "output": c["function"]["name"]} for c in action]
    where = f"/threads/{run['thread_id']}/runs/{run['id']}"
    text = api.stream(
        "POST",
        f"{where}/submit_tool_outputs",
        {"tool_outputs": outputs[::-1], "stream": True},
    )
    after = check(text, "submit")
    assert after.folded == [
        "run.step.completed",
        "run.queued",
        "run.in_progress",
        *MESSAGE,
        *END,
    ]
    told = after.steps[0]["step_details"]["tool_calls"]
    assert [call["function"]["output"] for call in told] == ["weather", "people"]
    steps, _, stored = _kept(api, after)
    assert stored["status"] == "completed"
    assert [step["type"] for step in steps] == [
        "tool_calls",
        "message_creation",
        "tool_calls",
        "message_creation",
    ]


def test_code_and_a_function_in_one_turn(api: Api, playbook: Playbook) -> None:
    """The code runs at once and is a step of its own; the function waits for the caller."""
    both = Answer(
        text="Both.",
        calls=(
            Call("python", json.dumps({"code": "print('ran')"}), "call_of_the_code"),
            Call("weather", "{}", "call_of_the_function"),
        ),
    )
    # A turn of several calls may be told to the model as several: whatever comes next is the end.
    phrase = playbook.teach("Do both at once", both, *[say("The end.")] * 4)
    heard = check(_run(api, phrase, CODE + FUNCTIONS))
    asked = ["run.step.created", "run.step.in_progress", "run.step.delta", "run.requires_action"]
    assert heard.folded == [*CREATED, *MESSAGE, *CODE_STEP, *asked, "done"]
    [call] = heard.run["required_action"]["submit_tool_outputs"]["tool_calls"]
    assert call["function"]["name"] == "weather"
    run = f"/threads/{heard.run['thread_id']}/runs/{heard.run['id']}"
    outputs = [{"tool_call_id": call["id"], "output": "sunny"}]
    body = {"tool_outputs": outputs, "stream": True}
    after = check(api.stream("POST", f"{run}/submit_tool_outputs", body), "submit")
    assert after.folded == ["run.step.completed", "run.queued", "run.in_progress", *MESSAGE, *END]
    told = [m for m in playbook.asked(phrase)[-1]["messages"] if m["role"] == "tool"]
    assert [text_of(m).strip() for m in told] == ["ran", "sunny"]


def test_standard_streams_have_only_standard_records(api: Api, playbook: Playbook) -> None:
    rich = "from IPython.display import HTML\nHTML('<b>bold</b>')"
    phrase = playbook.teach("Something rich", code(rich), say("Bold."))
    text = _run(api, phrase, CODE)
    assert all(event.id is None for event in parse(text))
    assert not any(line.startswith(":") for line in text.splitlines())
    assert "display_data" not in text
    include = "step_details.tool_calls[*].code_interpreter.outputs[*].display_data"
    heard = check(text)
    steps = f"/threads/{heard.run['thread_id']}/runs/{heard.run['id']}/steps"
    assert "display_data" not in json.dumps(api("GET", steps))
    assert "<b>bold</b>" in json.dumps(api("GET", f"{steps}?include[]={include}"))


@pytest.mark.parametrize(
    ("script", "before"),
    [
        (cut(4), ["message.delta", "run.step.failed", "message.incomplete", "run.failed"]),
        (say("It ends in mid", finish="length"), None),
    ],
    ids=["failed", "incomplete"],
)
def test_streams_that_end_early(
    api: Api, playbook: Playbook, script: Script, before: list[str] | None
) -> None:
    phrase = playbook.teach(f"End early {before}", script)
    heard = check(_run(api, phrase, []))
    [message] = heard.messages
    assert message["status"] == "incomplete"
    if before:
        assert heard.folded[-3:-1] in (
            ["message.incomplete", "run.failed"],
            ["run.step.failed", "run.failed"],
        )
        assert message["incomplete_details"] == {"reason": "run_failed"}
        assert heard.run["last_error"]["code"] == "server_error"
    else:
        assert heard.folded[-4:] == [
            "message.incomplete",
            "run.step.completed",
            "run.incomplete",
            "done",
        ]
        assert message["incomplete_details"] == {"reason": "max_tokens"}
        assert heard.run["incomplete_details"] == {"reason": "max_completion_tokens"}


def test_a_cancelled_stream(api: Api, playbook: Playbook) -> None:
    phrase = playbook.teach("Cancel this stream", stall(after=4, text="I never come to an end"))
    body = {"assistant_id": _assistant(api, []), "stream": True}
    with api.open("POST", f"/threads/{_thread(api, phrase)}/runs", body) as response:
        text = ""
        while "thread.message.delta" not in text:
            text += response.readline().decode()
        run = parse(text[: text.index("\n\n") + 2])[0].data
        api("POST", f"/threads/{run['thread_id']}/runs/{run['id']}/cancel")
        text += response.read().decode()
    heard = check(text)
    ends = ["run.cancelling", "run.step.cancelled", "message.incomplete", "run.cancelled", "done"]
    assert sorted(heard.folded[-5:]) == sorted(ends)
    assert heard.folded.index("run.cancelling") < heard.folded.index("run.step.cancelled")
    assert heard.messages[0]["incomplete_details"] == {"reason": "run_cancelled"}
    assert heard.run["cancelled_at"] is not None


def test_printed_text_arrives_while_code_runs(api: Api, playbook: Playbook) -> None:
    source = "import time\nprint('early', flush=True)\ntime.sleep(1.5)\nprint('late')"
    phrase = playbook.teach("Print as you go", code(source), say("Printed."))
    body = {"assistant_id": _assistant(api, CODE), "stream": True}
    seen: dict[str, float] = {}
    with api.open("POST", f"/threads/{_thread(api, phrase)}/runs", body) as response:
        text = ""
        for line in response:
            text += line.decode()
            for word in ("early", "late"):
                if f'"logs":"{word}' in text:
                    seen.setdefault(word, time.monotonic())
    assert seen["late"] - seen["early"] > 0.8
    [step] = [step for step in check(text).steps if step["type"] == "tool_calls"]
    outputs = step["step_details"]["tool_calls"][0]["code_interpreter"]["outputs"]
    assert outputs == [{"type": "logs", "logs": "early\nlate\n"}]


def test_a_slow_reader_holds_nobody(api: Api, server: LiveServer, playbook: Playbook) -> None:
    """Two megabytes are printed to a client that does not read: the run ends all the same."""
    source = "for n in range(200): print('x' * 10_000)"
    phrase = playbook.teach("Print a lot", code(source), say("That was a lot."))
    thread = _thread(api, phrase)
    body = json.dumps({"assistant_id": _assistant(api, CODE), "stream": True}).encode()
    parts = urlsplit(f"{server.openai}/threads/{thread}/runs")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((parts.hostname, parts.port))
        client.sendall(
            f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n".encode()
            + body
        )
        run = _until_over(api, thread)
        assert run["status"] == "completed"
        client.settimeout(30)
        received = b""
        while b"[DONE]" not in received[-200:]:
            received += client.recv(65536)
    payload = received.partition(b"\r\n\r\n")[2]
    heard = check(_unchunked(payload))
    assert heard.run == run
    logs = heard.steps[0]["step_details"]["tool_calls"][0]["code_interpreter"]["outputs"][0]["logs"]
    assert logs.count("x") > 500_000


def _until_over(api: Api, thread: str) -> Any:
    until = time.monotonic() + 60
    while True:
        runs = api("GET", f"/threads/{thread}/runs")["data"]
        if runs and runs[0]["status"] not in ("queued", "in_progress", "cancelling"):
            return runs[0]
        assert time.monotonic() < until, runs
        time.sleep(0.1)


def _unchunked(payload: bytes) -> str:
    """The body of a chunked answer, whose last chunk may not have come yet."""
    text = b""
    while payload:
        size, _, payload = payload.partition(b"\r\n")
        length = int(size, 16)
        text, payload = text + payload[:length], payload[length + 2 :]
    return text.decode()


def test_a_client_that_leaves_does_not_stop_the_run(api: Api, playbook: Playbook) -> None:
    phrase = playbook.teach(
        "Leave early", code("import time; time.sleep(0.5); print('done')"), say("Finished alone.")
    )
    body = {"assistant_id": _assistant(api, CODE), "stream": True}
    thread = _thread(api, phrase)
    with api.open("POST", f"/threads/{thread}/runs", body) as response:
        response.readline()
    assert _until_over(api, thread)["status"] == "completed"
    newest = api("GET", f"/threads/{thread}/messages?limit=1")["data"][0]
    assert newest["content"][0]["text"]["value"] == "Finished alone."


def test_resuming(api: Api, playbook: Playbook) -> None:
    """What was missed is sent again, word for word; a run that goes on is followed."""
    phrase = playbook.teach(
        "Resume me",
        code("import time\nfor n in range(5):\n    print(n, flush=True)\n    time.sleep(0.2)"),
        say("Five of them."),
    )
    body = {"assistant_id": _assistant(api, CODE), "stream": True}
    thread = _thread(api, phrase)
    with api.open("POST", f"/threads/{thread}/runs", body) as response:
        text = ""
        while "logs" not in text:
            text += response.readline().decode()
        run = parse(text[: text.index("\n\n") + 2])[0].data
        events = f"/threads/{thread}/runs/{run['id']}/events"
        followed = parse(api.stream("GET", events))  # from the beginning, to the end
        rest = text + response.read().decode()
    assert _plain(followed) == _plain(parse(rest))
    ids = [event.id for event in followed if event.name != "done"]
    assert None not in ids
    assert ids == sorted(set(ids))
    middle = ids[len(ids) // 2]
    again = parse(api.stream("GET", events, Last_Event_ID=str(middle)))
    assert again == [e for e in followed if e.id is None or e.id > middle]
    assert parse(api.stream("GET", f"{events}?after={middle}")) == again
    assert [e.name for e in parse(api.stream("GET", events, Last_Event_ID=str(ids[-1])))] == [
        "done"
    ]


def _plain(events: list[Event]) -> list[tuple[str, Any]]:
    """The records that standard streams have, too."""
    return [(e.name, e.data) for e in events if e.name != "thread.run.step.execution"]


def test_errors_before_the_stream_are_plain(api: Api) -> None:
    body = {"assistant_id": "asst_" + "0" * 24, "stream": True}
    status, answer = api.ask("POST", f"/threads/{_thread(api, 'x')}/runs", body)
    assert status == 404
    assert answer["error"]["message"] == f"No assistant found with id 'asst_{'0' * 24}'."
