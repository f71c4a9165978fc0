"""Twenty-five messages and as many steps, read page by page by every client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.playbook import Playbook
from tests.conformance.process import Client
from tests.conformance.server import Api
from tests.fakes.answers import code, say

COUNT = 25


@pytest.fixture(scope="module")
def thread(api: Api, playbook: Playbook) -> dict[str, Any]:
    """A thread of 25 messages and a run of 25 steps, and the ids of both, oldest first."""
    rounds = [code(f"print({n})", text=f"Round {n}.") for n in range(12)]
    phrase = playbook.teach("Go round and round", *rounds, say("Done."))
    made = api(
        "POST", "/assistants", {"model": "scripted", "tools": [{"type": "code_interpreter"}]}
    )
    thread = api("POST", "/threads", {})["id"]
    where = f"/threads/{thread}"
    for n in range(COUNT - 14):
        api("POST", f"{where}/messages", {"role": "user", "content": f"No. {n}"})
    api("POST", f"{where}/messages", {"role": "user", "content": phrase})
    body = {"assistant_id": made["id"], "stream": True}
    api.stream("POST", f"{where}/runs", body)
    run = api("GET", f"{where}/runs")["data"][0]
    assert run["status"] == "completed", run["last_error"]
    steps = api("GET", f"{where}/runs/{run['id']}/steps?limit=100&order=asc")["data"]
    messages = api("GET", f"{where}/messages?limit=100&order=asc")["data"]
    assert len(steps) == len(messages) == COUNT
    return {
        "thread_id": thread,
        "run_id": run["id"],
        "steps": [step["id"] for step in steps],
        "messages": [message["id"] for message in messages],
    }


@pytest.mark.parametrize(
    ("environment", "script"),
    [
        ("openai1", "openai_v1.py"),
        ("openai2", "openai_v2.py"),
        ("openai3", "openai_v2.py"),
        ("openai3", "azure_openai.py"),
        ("openai3", "foundry.py"),
        ("node", "openai_node.mjs"),
    ],
)
def test_every_client_reads_all_pages(
    thread: dict[str, Any],
    clients: Callable[[str, str], Client],
    environment: str,
    script: str,
) -> None:
    where = {"thread_id": thread["thread_id"], "run_id": thread["run_id"]}
    read = clients(environment, script)("paging", **where)
    assert read["messages"] == thread["messages"]
    assert read["steps"] == thread["steps"]


def test_both_ways_and_within_a_run(thread: dict[str, Any], newest: Client) -> None:
    where = {"thread_id": thread["thread_id"], "run_id": thread["run_id"]}
    read = newest("paging", **where)
    messages = thread["messages"]
    assert read["newest_first"] == messages[::-1]
    assert read["first_page"] == messages[:10]
    assert read["before"] == messages[4:9]
    assert read["of_run"] == messages[COUNT - 13 :]
    assert read["unknown"]["status"] in (400, 404)
