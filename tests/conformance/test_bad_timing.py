"""What comes too late, twice, or in the middle of a run: one answer, and nothing half-written."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from tests.conformance.playbook import Playbook
from tests.conformance.server import Api, LiveServer
from tests.fakes.answers import call, calls, code, say, stall

CODE = {"type": "code_interpreter"}
FUNCTION = {"type": "function", "function": {"name": "weather"}}
BUSY = "print('on', flush=True)\nimport time\nwhile True: time.sleep(0.05)"


def until(look: Callable[[], Any], seconds: float = 60) -> Any:
    """What *look* sees once it sees something."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return seen


def begin(api: Api, text: str, **run: Any) -> tuple[str, str]:
    """The path of a thread and that of a run on it."""
    assistant = api("POST", "/assistants", {"model": "scripted", "tools": [CODE, FUNCTION]})["id"]
    thread = api("POST", "/threads", {"messages": [{"role": "user", "content": text}]})["id"]
    started = api("POST", f"/threads/{thread}/runs", {"assistant_id": assistant, **run})
    return f"/threads/{thread}", f"/threads/{thread}/runs/{started['id']}"


def reached(api: Api, run: str, *statuses: str) -> Any:
    """The run once it is in one of the statuses."""

    def look() -> Any:
        found = api("GET", run)
        return found if found["status"] in statuses else None

    return until(look)


def rows(server: LiveServer, thread: str) -> dict[str, list[Any]]:
    """Every row of every table in which the thread occurs."""
    id = thread.rpartition("/")[2]
    with closing(sqlite3.connect(server.database)) as database:
        tables = database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        return {
            name: found
            for (name,) in tables
            if (
                found := [
                    row for row in database.execute(f"SELECT * FROM {name}") if id in str(row)
                ]
            )
        }


def tell(run: Any) -> dict[str, Any]:
    """Outputs of all calls a run waits for."""
    pending = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    return {"tool_outputs": [{"tool_call_id": each["id"], "output": "18"} for each in pending]}


def test_outputs_are_taken_once(playbook: Playbook, api: Api, server: LiveServer) -> None:
    phrase = playbook.teach(
        "Twice the outputs", calls(("weather", {}), ("weather", {})), say("18.")
    )
    thread, run = begin(api, phrase)
    outputs = tell(reached(api, run, "requires_action"))
    before = rows(server, thread)
    half = {"tool_outputs": outputs["tool_outputs"][:1]}
    refused = api.ask("POST", f"{run}/submit_tool_outputs", half)
    assert refused[0] == 400
    assert rows(server, thread) == before
    with ThreadPoolExecutor() as pool:
        answers = list(
            pool.map(lambda _: api.ask("POST", f"{run}/submit_tool_outputs", outputs), range(5))
        )
    assert sorted(status for status, _ in answers) == [200, 400, 400, 400, 400]
    for status, body in answers:
        if status == 400:
            assert "do not accept tool outputs." in body["error"]["message"]
    assert reached(api, run, "completed")["usage"]["prompt_tokens"] == 2 * 21
    assert len(playbook.asked(phrase)) == 2
    late = api.ask("POST", f"{run}/submit_tool_outputs", outputs)
    assert late[0] == 400
    assert late[1]["error"]["message"] == 'Runs in status "completed" do not accept tool outputs.'


def test_one_of_many_runs_at_once_gets_the_thread(playbook: Playbook, api: Api) -> None:
    phrase = playbook.teach("Many at once", stall())
    assistant = api("POST", "/assistants", {"model": "scripted"})["id"]
    thread = api("POST", "/threads", {"messages": [{"role": "user", "content": phrase}]})["id"]
    more = {"additional_messages": [{"role": "user", "content": phrase}]}
    body = {"assistant_id": assistant, **more}
    with ThreadPoolExecutor() as pool:
        answers = list(
            pool.map(lambda _: api.ask("POST", f"/threads/{thread}/runs", body), range(5))
        )
    assert sorted(status for status, _ in answers) == [200, 400, 400, 400, 400]
    (run,) = [answer["id"] for status, answer in answers if status == 200]
    for status, answer in answers:
        if status == 400:
            text = f"Thread {thread} already has an active run {run}."
            assert answer["error"]["message"] == text
    assert len(api("GET", f"/threads/{thread}/messages")["data"]) == 2
    api("POST", f"/threads/{thread}/runs/{run}/cancel")
    reached(api, f"/threads/{thread}/runs/{run}", "cancelled")


def test_a_run_is_cancelled_once(playbook: Playbook, api: Api) -> None:
    phrase = playbook.teach("Cancel me again and again", code(BUSY))
    _thread, run = begin(api, phrase)
    until(lambda: "on" in str(api("GET", f"{run}/steps")))
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda _: api.ask("POST", f"{run}/cancel"), range(5)))
    taken = [body for status, body in answers if status == 200]
    assert taken
    assert {body["status"] for body in taken} <= {"cancelling", "cancelled"}
    refused = {body["error"]["message"] for status, body in answers if status == 400}
    assert refused <= {"Cannot cancel run with status 'cancelled'."}
    first = reached(api, run, "cancelled")
    again = api.ask("POST", f"{run}/cancel")
    assert again[0] == 400
    assert again[1]["error"]["message"] == "Cannot cancel run with status 'cancelled'."
    assert api("GET", run) == first


SCRIPTS = {"model": stall(after=2), "code": code(BUSY), "functions": call("weather", {})}


@pytest.mark.parametrize("where", SCRIPTS)
def test_a_thread_is_deleted_in_the_middle(
    playbook: Playbook, api: Api, server: LiveServer, where: str
) -> None:
    phrase = playbook.teach(f"Deleted while in {where}", SCRIPTS[where])
    thread, run = begin(api, phrase)
    status = "requires_action" if where == "functions" else "in_progress"
    reached(api, run, status)
    if where == "code":
        until(lambda: "on" in str(api("GET", f"{run}/steps")))
    id = thread.rpartition("/")[2]
    with api.open("GET", f"{run}/events", Last_Event_ID="1") as stream:
        assert stream.readline() == b"id: 2\n"
        gone = {"id": id, "object": "thread.deleted", "deleted": True}
        assert api("DELETE", thread) == gone
        events = stream.read().decode()
    # Whoever follows the run hears of its end; a stream ends where functions are called.
    last = "requires_action" if where == "functions" else "cancelled"
    assert f"event: thread.run.{last}\n" in events
    assert events.endswith("event: done\ndata: [DONE]\n\n")
    assert rows(server, thread) == {}
    for verb, path in ("GET", thread), ("DELETE", thread), ("GET", run), ("POST", f"{run}/cancel"):
        answer = api.ask(verb, path)
        assert answer[0] == 404, (verb, path)
        assert answer[1]["error"]["message"] == f"No thread found with id '{id}'."
    assert id not in json.dumps(Api(server.url)("GET", "/code-interpreter/sessions"))


def test_what_a_run_uses_is_deleted_in_the_middle(
    playbook: Playbook, api: Api, server: LiveServer
) -> None:
    """The run goes on with what it began with, or without what is gone."""
    phrase = playbook.teach("All is taken away", call("weather", {}), say("Still here."))
    thread, run = begin(api, phrase)
    waiting = reached(api, run, "requires_action")
    message = api("GET", f"{thread}/messages")["data"][0]["id"]
    assert api.ask("DELETE", f"/assistants/{waiting['assistant_id']}")[0] == 200
    assert api.ask("DELETE", f"{thread}/messages/{message}")[0] == 200
    answer = api.ask("POST", f"{run}/submit_tool_outputs", tell(waiting))
    assert answer[0] == 200
    ended = reached(api, run, "completed", "failed", "incomplete")
    assert ended["expires_at"] is None
    assert api.ask("GET", f"{thread}/messages/{message}")[0] == 404
    assert ended["assistant_id"] == waiting["assistant_id"]
    assert "Traceback" not in server.log.read_text()
