"""The older and the sibling forms: version 1, Azure, Azure AI Foundry, Node and LangChain."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conformance.playbook import Playbook, text_of
from tests.conformance.process import Client
from tests.conformance.sequence import without_index
from tests.conformance.server import Api, LiveServer
from tests.fakes.answers import call, calls, code, cut, say

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SAVE = "open('/mnt/data/out.txt', 'w').write('42')"
DRAW = f"""\
import base64
from IPython.display import Image, display
display(Image(base64.b64decode('{PNG}')))
"""
LINK = "Saved: [out](sandbox:/mnt/data/out.txt)."


# ---- version 1 -------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True], ids=["polled", "streamed"])
@pytest.mark.parametrize("flavour", ["openai", "azure"])
def test_v1_main_job(playbook: Playbook, old: Client, flavour: str, stream: bool) -> None:
    assert old("version") == "1.20.0"
    look = "import os\nprint(open('/mnt/data/one.txt').read() + open('/mnt/data/two.txt').read())\n"
    phrase = playbook.teach(f"v1 {flavour} {stream}", code(look + SAVE + ";"), say(LINK))
    done = old("main_job", flavour=flavour, text=phrase, stream=stream)
    ids = [upload["id"] for upload in done["uploads"]]
    prefix = "assistant-" if flavour == "azure" else "file-"
    assert all(id.startswith(prefix) for id in ids)
    made, run, thread = done["assistant"], done["run"], done["thread"]
    assert list(made) == [
        "id",
        "created_at",
        "description",
        "file_ids",
        "instructions",
        "metadata",
        "model",
        "name",
        "object",
        "tools",
    ]
    assert made["file_ids"] == [ids[0]]
    assert [tool["type"] for tool in made["tools"]] == ["code_interpreter", "retrieval"]
    assert "tool_resources" not in thread
    assert done["message"]["file_ids"] == [ids[1]]
    assert "attachments" not in done["message"]
    assert run["status"] == "completed"
    assert run["file_ids"] == [ids[0]]
    assert "tool_resources" not in run
    tool = done["steps"][0]["step_details"]["tool_calls"][0]
    assert tool["type"] == "code_interpreter"
    assert tool["code_interpreter"]["outputs"] == [{"type": "logs", "logs": "one.txttwo.txt\n"}]
    answer = done["messages"][-1]
    [note] = answer["content"][0]["text"]["annotations"]
    assert note["text"] == "sandbox:/mnt/data/out.txt"
    assert answer["file_ids"] == [note["file_path"]["file_id"]]
    assert answer["file_ids"][0].startswith(prefix)
    assert done["saved"] == ["42"]
    [file] = done["message_files"]
    assert file == done["message_file"]
    assert file == {
        "id": ids[1],
        "created_at": file["created_at"],
        "message_id": done["message"]["id"],
        "object": "thread.message.file",
    }
    if stream:
        assert done["events"][:2] == ["thread.run.created", "thread.run.queued"]
        assert done["events"][-1] == "thread.run.completed"
    first = playbook.asked(phrase)[0]
    assert "one.txt" in text_of(first["messages"][0])


def test_v1_keys_on_azure(playbook: Playbook, server: LiveServer) -> None:
    azure = Api(f"{server.url}/openai")
    version = "?api-version=2024-02-15-preview"
    phrase = playbook.teach("v1 on Azure, raw", say("Raw."))
    made = azure("POST", f"/assistants{version}", {"model": "scripted"})
    assert list(made) == (
        [
            "id",
            "object",
            "created_at",
            "name",
            "description",
            "model",
            "instructions",
            "tools",
            "file_ids",
            "metadata",
        ]
    )
    thread = azure(
        "POST", f"/threads{version}", {"messages": [{"role": "user", "content": phrase}]}
    )
    assert list(thread) == ["id", "object", "created_at", "metadata"]
    runs = f"/threads/{thread['id']}/runs"
    run = azure("POST", runs + version, {"assistant_id": made["id"]})
    while run["status"] in ("queued", "in_progress"):
        run = azure("GET", f"{runs}/{run['id']}{version}")
    assert run["status"] == "completed"
    assert run["file_ids"] == []
    assert not {"tool_resources", "top_p", "parallel_tool_calls"} & set(run)
    message = azure("GET", f"/threads/{thread['id']}/messages{version}&limit=1")["data"][0]
    assert message["file_ids"] == []
    assert "attachments" not in message


@pytest.mark.parametrize("flavour", ["openai", "azure"])
def test_v1_files_of_assistants(old: Client, flavour: str) -> None:
    done = old("assistant_files", flavour=flavour)
    attached, file = done["attached"], done["file"]
    assert attached == {
        "id": file,
        "assistant_id": done["assistant"],
        "created_at": attached["created_at"],
        "object": "assistant.file",
    }
    assert done["listed"] == [attached]
    assert done["seen"] == attached
    assert done["file_ids"] == [file]
    assert done["gone"] == {"id": file, "deleted": True, "object": "assistant.file.deleted"}
    assert done["after"] == []
    assert done["survives"] == file
    assert done["refused"]["status"] == 404


def test_v1_functions(playbook: Playbook, old: Client) -> None:
    phrase = playbook.teach("v1 function", call("weather", {"city": "Oslo"}), say("Sunny."))
    done = old("functions", flavour="azure", text=phrase)
    assert done["waiting"]["status"] == "requires_action"
    assert done["run"]["status"] == "completed"
    assert done["answer"]["content"][0]["text"]["value"] == "Sunny."
    assert done["answer"]["file_ids"] == []


def test_v1_knows_no_incomplete_run(playbook: Playbook, old: Client) -> None:
    phrase = playbook.teach("v1 limit", say("It ends in mid", finish="length"))
    run = old("limits", text=phrase)
    assert run["status"] == "completed"
    assert run["incomplete_details"] == {"reason": "max_completion_tokens"}


def test_v1_refusals(old: Client) -> None:
    for flavour in ("openai", "azure"):
        done = old("refusals", flavour=flavour)
        assert done["key"]["type"] == "AuthenticationError"
        assert done["thread"]["message"] == f"No thread found with id 'thread_{'0' * 24}'."
        assert done["v2_field"]["message"] == "Unknown parameter: 'tool_resources'."
    assert done["key"]["code"] == "401"


# ---- Azure -----------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True], ids=["polled", "streamed"])
def test_azure_main_job(playbook: Playbook, azure: Client, stream: bool) -> None:
    look = "import glob; print(open(glob.glob('/mnt/data/assistant-*')[0]).read())\n"
    phrase = playbook.teach(f"Azure {stream}", code(look + DRAW + SAVE), say(LINK))
    done = azure("main_job", text=phrase, stream=stream)
    file = done["upload"]["id"]
    assert file.startswith("assistant-")
    resources = {"code_interpreter": {"file_ids": [file]}}
    assert done["assistant"]["tool_resources"] == resources
    assert done["run"]["status"] == "completed"
    assert done["saved"] == "42"
    assert done["picture"] > 60
    assert done["listed"]
    assert done["deleted"] == {"id": file, "deleted": True, "object": "file"}
    shown = done["answer"]["content"][0]["image_file"]["file_id"]
    assert shown.startswith("assistant-")
    outputs = done["steps"][0]["step_details"]["tool_calls"][0]["code_interpreter"]["outputs"]
    assert {"type": "image", "image": {"file_id": shown}} in outputs
    assert "".join(each.get("logs", "") for each in outputs) == "in\n2\n"
    assert "in.txt" in text_of(playbook.asked(phrase)[0]["messages"][0])


def test_azure_deployments_and_tokens(playbook: Playbook, azure: Client) -> None:
    phrase = playbook.teach("By deployment", say("Deployed."))
    assert azure("deployment", text=phrase) == "completed"
    assert azure("bearer") == "assistant"


def test_azure_refusals(azure: Client) -> None:
    done = azure("refusals")
    assert done["key"]["status"] == 401
    assert done["key"]["code"] == "401"
    assert done["key"]["message"].startswith("Access denied due to invalid subscription key")
    assert (done["version"]["status"], done["version"]["code"]) == (404, "404")
    assert done["version"]["message"] == "Resource not found"
    assert done["assistant"]["message"] == f"No assistant found with id 'asst_{'0' * 24}'."
    assert done["v1_field"]["message"] == "Unknown parameter: 'file_ids'."
    assert done["route"]["status"] == 404
    assert json.loads(done["route"]["body"]) == {
        "error": {"code": "404", "message": "Resource not found"}
    }


# ---- Azure AI Foundry ------------------------------------------------------------------------


def test_foundry_code(playbook: Playbook, foundry: Client) -> None:
    look = "n = int(open('/mnt/data/input.txt').read())\n"
    phrase = playbook.teach("Foundry code", code(look + DRAW + SAVE), say(LINK))
    done = foundry("code_job", text=phrase)
    assert done["file"]["id"].startswith("assistant-")
    assert done["file"]["filename"] == "input.txt"
    run = done["run"]
    assert run["status"] == "completed"
    assert "reasoning_effort" not in run
    assert "reasoning_effort" not in done["agent"]
    assert "completion_tokens_details" not in run["usage"]
    assert done["text"] == LINK
    assert done["saved"] == "42"
    assert done["picture"] == "89504e47"
    assert [step["type"] for step in done["steps"]] == ["message_creation", "tool_calls"]


@pytest.mark.parametrize("stream", [False, True], ids=["processed", "streamed"])
def test_foundry_calls_functions(playbook: Playbook, foundry: Client, stream: bool) -> None:
    phrase = playbook.teach(
        f"Foundry functions {stream}", call("weather", {"city": "Oslo"}), say("It is sunny.")
    )
    done = foundry("auto_functions", text=phrase, stream=stream)
    assert done["run"]["status"] == "completed"
    assert done["answer"] == "It is sunny."
    [told] = [m for m in playbook.asked(phrase)[1]["messages"] if m["role"] == "tool"]
    assert text_of(told) == "sunny in Oslo"
    if stream:
        heard = done["calls"]
        assert not [each for each in heard if each[0] in ("error", "unhandled")]
        assert ["run", "requires_action"] in heard
        assert ["run", "completed"] in heard
        assert "".join(each[1] or "" for each in heard if each[0] == "delta") == "It is sunny."


def test_foundry_streams(playbook: Playbook, foundry: Client) -> None:
    phrase = playbook.teach("Foundry stream", code("print('\\u4f60\\r\\n')"), say("你好\r\nx."))
    done = foundry("streamed", text=phrase)
    heard = done["calls"]
    assert not [each for each in heard if each[0] in ("error", "unhandled")]
    assert heard[-1] == ["done"]
    assert [each[1] for each in heard if each[0] == "run"] == [
        "queued",
        "queued",
        "in_progress",
        "completed",
    ]
    assert {each[2] for each in heard if each[0] == "step"} == {done["agent"]}
    assert "".join(each[1] or "" for each in heard if each[0] == "delta") == "你好\r\nx."
    assert ["step_delta"] in heard


def test_foundry_lists(foundry: Client) -> None:
    done = foundry("lists", count=5)
    assert done["listed"] == done["made"][::-1]
    assert done["after"] == done["made"][:0:-1]
    assert done["agents"] >= 1


def test_foundry_deletion_and_refusals(foundry: Client) -> None:
    done = foundry("deletion", text="Never asked")
    agent, thread = done["ids"]
    assert done["agent"]["type"] == done["thread"]["type"] == "ResourceNotFoundError"
    assert f"No assistant found with id '{agent}'." in done["agent"]["message"]
    assert f"No thread found with id '{thread}'." in done["thread"]["message"]
    assert done["key"]["type"] == "ClientAuthenticationError"
    assert done["key"]["status"] == 401


# ---- Node ------------------------------------------------------------------------------------


def test_node_main_job(playbook: Playbook, node: Client) -> None:
    source = f"print(open('/mnt/data/a b.csv').read())\n{DRAW}{SAVE};"
    phrase = playbook.teach("Node main job", code(source, text="Looking."), say(LINK))
    done = node("mainJob", text=phrase, csv="x,y\n1,2\n", name="a b.csv")
    assert done["upload"]["status"] == "processed"
    assert done["run"]["status"] == "completed"
    heard: list[Any] = done["heard"]
    names = [each[0] for each in heard]
    assert "error" not in names
    assert "abort" not in names
    assert names[-1] == "end"
    assert names.count("messageDone") == names.count("messageCreated") == 2
    assert names.count("runStepDone") == 3
    assert "".join(each[1] for each in heard if each[0] == "text") == f"Looking.{LINK}"
    assert [each[1] for each in heard if each[0] == "textDone"] == ["Looking.", LINK]
    assert "".join(each[1] for each in heard if each[0] == "input") == source
    answer = done["messages"][-1]
    assert ["image", answer["content"][0]["image_file"]["file_id"]] in heard
    # This client keeps the sums of the deltas, not the finished objects: they must be the same.
    assert [m["id"] for m in done["final"]] == [m["id"] for m in done["messages"][1:]]
    assert [without_index(m["content"]) for m in done["final"]] == [
        m["content"] for m in done["messages"][1:]
    ]
    assert [step["id"] for step in done["steps"]] == [step["id"] for step in done["stored"]]
    assert [without_index(step["step_details"]) for step in done["steps"]] == [
        step["step_details"] for step in done["stored"]
    ]
    assert done["saved"] == "42"
    assert done["type"] == "application/octet-stream"
    assert done["disposition"] == 'attachment; filename="out.txt"'
    value = answer["content"][-1]["text"]["value"]
    assert value[done["link"]["start_index"] : done["link"]["end_index"]] == done["link"]["text"]


def test_node_polls(playbook: Playbook, node: Client) -> None:
    phrase = playbook.teach("Node polls", say("Polled."))
    done = node("polled", text=phrase)
    assert done["run"]["status"] == "completed"
    assert done["answer"] == "Polled."


def test_node_functions(playbook: Playbook, node: Client) -> None:
    phrase = playbook.teach(
        "Node functions",
        calls(("weather", {"city": "Oslo"}), ("people", {"city": "Oslo"})),
        say("Both."),
    )
    done = node("functions", text=phrase)
    assert done["waiting"]["status"] == "requires_action"
    assert done["run"]["status"] == "completed"
    created = [each[1] for each in done["before"] if each[0] == "toolCallCreated"]
    assert created == ["function", "function"]
    last = {
        e[1]["id"]: e[1]["function"]["arguments"] for e in done["before"] if e[0] == "toolCallDone"
    }
    assert list(last.values()) == ['{"city": "Oslo"}'] * 2
    assert ["textDone", "Both."] in done["after"]
    assert done["twice"]["message"] == 'Runs in status "completed" do not accept tool outputs.'


def test_node_relays_a_stream(playbook: Playbook, node: Client) -> None:
    phrase = playbook.teach("Node relays", say("Relayed to a browser."))
    done = node("relayed", text=phrase)
    assert done["run"]["status"] == "completed"
    assert ["textDone", "Relayed to a browser."] in done["heard"]


def test_node_sees_failures(playbook: Playbook, node: Client) -> None:
    phrase = playbook.teach("Node fails", cut(3))
    done = node("failing", text=phrase)
    assert done["run"]["status"] == "failed"
    assert done["run"]["last_error"]["code"] == "server_error"


def test_node_refusals(node: Client) -> None:
    done = node("refusals")
    assert done["thread"]["type"] == "NotFoundError"
    assert done["key"]["type"] == "AuthenticationError"
    assert done["model"]["message"] == "The model 'no-such-model' does not exist"


# ---- LangChain -------------------------------------------------------------------------------


def test_langchain_conversation(playbook: Playbook, langchain: Client) -> None:
    first = playbook.teach("LangChain asks", code("kept = 6 * 7"), say("42."))
    second = playbook.teach("LangChain goes on", code("print(kept)"), say("Still 42."))
    answers, again = langchain("conversation", first=first, second=second)
    assert [m["content"][0]["text"]["value"] for m in answers] == ["42."]
    assert [m["content"][0]["text"]["value"] for m in again] == ["Still 42."]
    assert again[0]["thread_id"] == answers[0]["thread_id"]


def test_langchain_agent(playbook: Playbook, langchain: Client) -> None:
    phrase = playbook.teach(
        "LangChain multiplies",
        calls(("multiply", {"a": 6, "b": 7}), ("multiply", {"a": 2, "b": 3})),
        say("42 and 6."),
    )
    done = langchain("agent", text=phrase)
    assert done["asked"] == [["multiply", {"a": 6, "b": 7}], ["multiply", {"a": 2, "b": 3}]]
    assert done["output"] == "42 and 6."
    told = [text_of(m) for m in playbook.asked(phrase)[1]["messages"] if m["role"] == "tool"]
    assert told == ["42", "6"]
