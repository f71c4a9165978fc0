"""The main job, functions and files with openai-python 2.x and 3.x."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.conformance.playbook import Playbook, text_of
from tests.conformance.process import Client
from tests.fakes.answers import calls, code, say

CSV = "city,people\nOslo,709\nBergen,291\n"
FAILING = "total = sum(peopel)"
WORKING = """\
import csv, os
import matplotlib.pyplot as plt

name = "/mnt/data/städte (1).csv"
rows = list(csv.DictReader(open(name)))
by_id = [n for n in os.listdir("/mnt/data") if n.startswith("file-")]
print(len(rows), "rows", open("/mnt/data/" + by_id[0]).read() == open(name).read())
with open("/mnt/data/total.csv", "w") as out:
    out.write(f"total\\n{sum(int(r['people']) for r in rows)}\\n")
plt.bar([r["city"] for r in rows], [int(r["people"]) for r in rows])
plt.show()
"""
ANSWER = "Done 😀 – [the total](sandbox:/mnt/data/total.csv), again: sandbox:/mnt/data/total.csv."


def _main_job(playbook: Playbook, openai: Client, phrase: str, stream: bool) -> Any:
    playbook.teach(phrase, code(FAILING), code(WORKING, text="A typo."), say(ANSWER))
    name = "städte (1).csv"
    return openai("main_job", text=phrase, csv=CSV, name=name, stream=stream)


def _check_main_job(done: dict[str, Any], asked: list[dict[str, Any]]) -> None:
    assert done["run"]["status"] == "completed"
    assert done["run"]["usage"]["prompt_tokens"] == 3 * 21
    assert done["run"]["usage"]["completion_tokens"] == 3 * 8
    # Steps: code that fails, a message, code that works, the answer.
    details = [step["step_details"] for step in done["steps"]]
    assert [step["type"] for step in done["steps"]] == [
        "tool_calls",
        "message_creation",
        "tool_calls",
        "message_creation",
    ]
    failed, worked = (details[n]["tool_calls"][0]["code_interpreter"] for n in (0, 2))
    assert failed["input"] == FAILING
    assert "NameError" in failed["outputs"][0]["logs"]
    assert worked["input"] == WORKING
    assert worked["outputs"][0] == {"type": "logs", "logs": "2 rows True\n"}
    image = worked["outputs"][1]["image"]["file_id"]
    # The model saw the traceback, and knew of the file before.
    told = [m for m in asked[1]["messages"] if m["role"] == "tool"]
    assert "NameError" in text_of(told[0])
    first = "\n".join(text_of(m) for m in asked[0]["messages"])
    assert "städte (1).csv" in first
    assert done["upload"]["id"] in first
    # Messages: the question, what was said in between, the answer with chart and links.
    question, between, answer = done["messages"]
    assert question["role"] == "user"
    assert between["content"][0]["text"]["value"] == "A typo."
    assert [part["type"] for part in answer["content"]] == ["image_file", "text"]
    assert answer["content"][0]["image_file"]["file_id"] == image
    text = answer["content"][1]["text"]
    assert text["value"] == ANSWER
    notes = text["annotations"]
    assert len(notes) == 2
    for note in notes:
        assert note["type"] == "file_path"
        assert note["text"] == "sandbox:/mnt/data/total.csv"
        assert ANSWER[note["start_index"] : note["end_index"]] == note["text"]
    assert notes[0]["start_index"] < notes[1]["start_index"]
    saved = notes[0]["file_path"]["file_id"]
    assert answer["attachments"] == [{"file_id": saved, "tools": [{"type": "code_interpreter"}]}]
    # Files: what the code saved and what it drew.
    assert base64.b64decode(done["files"][saved]["content"]) == b"total\n1000\n"
    assert done["files"][saved]["filename"] == "total.csv"
    assert done["files"][saved]["purpose"] == "assistants_output"
    assert done["files"][saved]["bytes"] == 11
    assert base64.b64decode(done["files"][image]["content"]).startswith(b"\x89PNG")
    # The upload belongs to the thread now, under the name it came with.
    assert done["upload"]["filename"] == "städte (1).csv"
    assert done["upload"]["status"] == "processed"
    assert done["thread"]["tool_resources"] == {
        "code_interpreter": {"file_ids": [done["upload"]["id"]]}
    }
    assert done["assistant"]["metadata"] == {"team": "x"}


def test_main_job_polled(playbook: Playbook, openai: Client) -> None:
    phrase = f"Polled {id(openai)}"
    done = _main_job(playbook, openai, phrase, stream=False)
    _check_main_job(done, playbook.asked(phrase))


def test_main_job_streamed(playbook: Playbook, openai: Client) -> None:
    phrase = f"Streamed {id(openai)}"
    done = _main_job(playbook, openai, phrase, stream=True)
    _check_main_job(done, playbook.asked(phrase))
    heard = done["calls"]
    names = [call[0] for call in heard]
    assert names[names.index("tool_call_created") :].count("tool_call_done") >= 2
    assert "exception" not in names
    assert names[-1] == "end"
    assert ["event", "thread.run.completed"] in heard
    assert "".join(call[1] for call in heard if call[0] == "input") == FAILING + WORKING
    created = [call[1] for call in heard if call[0] == "text_created"]
    told = "".join(call[1] for call in heard if call[0] == "text")
    assert len(created) == 2
    assert told == "A typo." + ANSWER
    assert [call[1] for call in heard if call[0] == "text_done"] == ["A typo.", ANSWER]
    assert [call[1] for call in heard if call[0] == "image"] == [
        done["messages"][2]["content"][0]["image_file"]["file_id"]
    ]
    # The handler tells of a call more than once; what it told last counts.
    finished = {call[1]["id"]: call[1] for call in heard if call[0] == "tool_call_done"}
    assert [_bare(call["code_interpreter"]["outputs"]) for call in finished.values()] == [
        _bare(done["steps"][n]["step_details"]["tool_calls"][0]["code_interpreter"]["outputs"])
        for n in (0, 2)
    ]
    assert [m["id"] for m in done["final_messages"]] == [m["id"] for m in done["messages"][1:]]
    assert [s["id"] for s in done["final_steps"]] == [s["id"] for s in done["steps"]]


def _bare(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Outputs as they are told and as they are kept: with and without the numbers of deltas."""
    return [{k: v for k, v in output.items() if k != "index"} for output in outputs]


@pytest.mark.parametrize("stream", [False, True], ids=["polled", "streamed"])
def test_functions_beside_code(playbook: Playbook, openai: Client, stream: bool) -> None:
    phrase = f"Functions {stream} {id(openai)}"
    playbook.teach(
        phrase,
        code("kept = 6 * 7"),
        calls(("weather", {"city": "Oslo"}), ("people", {"city": "Oslo"})),
        code("print(kept + 1)"),
        say("Weather and people: 43."),
    )
    done = openai("functions", text=phrase, stream=stream)
    waiting = done["waiting"]["run"]
    assert waiting["status"] == "requires_action"
    assert waiting["usage"] is None
    wanted = waiting["required_action"]["submit_tool_outputs"]["tool_calls"]
    assert [call["function"] for call in wanted] == [
        {"name": "weather", "arguments": '{"city": "Oslo"}'},
        {"name": "people", "arguments": '{"city": "Oslo"}'},
    ]
    step = done["waiting"]["steps"][-1]
    assert step["status"] == "in_progress"
    assert [c["function"]["output"] for c in step["step_details"]["tool_calls"]] == [None, None]
    ids = [call["id"] for call in wanted]
    assert done["too_few"] == {
        "type": "BadRequestError",
        "status": 400,
        "message": f"Expected tool outputs for call_ids ['{ids[0]}', '{ids[1]}'], got ['{ids[0]}']",
        "code": None,
        "param": None,
    }
    thread, run = waiting["thread_id"], waiting["id"]
    assert done["locked"]["message"] == (
        f"Can't add messages to {thread} while a run {run} is active."
    )
    assert done["twice"]["status"] == 400
    assert done["twice"]["message"] == ('Runs in status "completed" do not accept tool outputs.')
    assert done["run"]["status"] == "completed"
    assert done["messages"][-1]["content"][0]["text"]["value"] == "Weather and people: 43."
    kinds = [step["step_details"].get("tool_calls", [{"type": "-"}]) for step in done["steps"]]
    assert [[call["type"] for call in kind] for kind in kinds] == [
        ["code_interpreter"],
        ["function", "function"],
        ["code_interpreter"],
        ["-"],
    ]
    outputs = [call["function"]["output"] for call in kinds[1]]
    assert outputs == ["weather!", "people!"]
    assert done["steps"][1]["status"] == "completed"
    # Variables outlived the wait, and the model got its outputs in order.
    assert kinds[2][0]["code_interpreter"]["outputs"] == [{"type": "logs", "logs": "43\n"}]
    told = [m for m in playbook.asked(phrase)[2]["messages"] if m["role"] == "tool"][-2:]
    assert [text_of(m) for m in told] == ["weather!", "people!"]
    if stream:
        first, second = done["events"]
        assert first[-2:] == ["thread.run.step.delta", "thread.run.requires_action"]
        assert second[:3] == [
            "thread.run.step.completed",
            "thread.run.queued",
            "thread.run.in_progress",
        ]
        assert second[-1] == "thread.run.completed"


def test_demo_model_solves_an_equation(openai: Client) -> None:
    done = openai("run_to_end", text="I need to solve the equation `3x + 11 = 14`", model="demo")
    assert done["run"]["status"] == "completed"
    assert done["steps"][0]["type"] == "tool_calls"
    assert "1" in done["messages"][-1]["content"][0]["text"]["value"]


def test_upload_in_parts(openai: Client) -> None:
    done = openai("chunked_upload", size=300_000, part=64_000)
    assert done["same"]
    upload = done["upload"]
    assert upload["status"] == "completed"
    assert upload["expires_at"] == upload["created_at"] + 3600
    assert upload["file"]["bytes"] == 300_000
    assert upload["file"]["filename"] == "chunked.bin"


def test_versions(openai: Client, newest: Client) -> None:
    assert int(openai("version").split(".")[0]) == (3 if openai is newest else 2)
