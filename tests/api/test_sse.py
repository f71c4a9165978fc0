"""Streams over a real server, from a run whose events the tests write themselves."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_server.serverapp import ServerApp
from tornado.web import Application

from jupyter_ci_ext.api.routing import HandlerRouter, address_pattern
from jupyter_ci_ext.api.settings import ApiSettings
from jupyter_ci_ext.api.sse import record
from jupyter_ci_ext.api.urls import rules
from jupyter_ci_ext.errors import StoreError
from jupyter_ci_ext.events import Event, RunLog
from jupyter_ci_ext.wire.common import dump
from jupyter_ci_ext.wire.include import DISPLAY_DATA
from jupyter_ci_ext.wire.run import Run
from jupyter_ci_ext.wire.thread import Thread

RUN = Run(id="run_1", created_at=1, assistant_id="asst_1", thread_id="thread_1", model="m")
THREAD = Thread(id="thread_1", created_at=1)
EVENTS = "openai/v1/threads/thread_1/runs/run_1/events"
SUBMIT = "openai/v1/threads/thread_1/runs/run_1/submit_tool_outputs"
RUNS = "openai/v1/threads/thread_1/runs"


class ScriptedRuns:
    """The services of runs and of their events, with one run whose log the test writes."""

    def __init__(self) -> None:
        self.log = RunLog(RUN.id)
        self.at_submit = 0
        self.broken: Exception | None = None
        self.readers = 0

    async def get(self, _thread_id: str, _run_id: str) -> Run:
        return RUN

    async def create(self, _thread_id: str, _params: object) -> Run:
        return RUN

    async def create_thread_and_run(self, _params: object) -> tuple[Thread, Run]:
        return THREAD, RUN

    async def last(self, _run_id: str) -> int:
        return self.at_submit

    async def submit_tool_outputs(self, _thread_id: str, _run_id: str, _params: object) -> Run:
        return RUN

    async def follow(self, _run: Run) -> AsyncGenerator[Sequence[Event], None]:
        self.readers += 1
        try:
            async for batch in self.log.follow():
                yield batch
                if self.broken is not None:
                    raise self.broken
        finally:
            self.readers -= 1


@pytest.fixture
def runs() -> ScriptedRuns:
    return ScriptedRuns()


@pytest.fixture
def api() -> ApiSettings:
    return ApiSettings(stall=1.0)


@pytest.fixture
def server(
    http_server: object,
    jp_serverapp: ServerApp,
    runs: ScriptedRuns,
    api: ApiSettings,
    jp_base_url: str,
) -> ServerApp:
    rooms: Any = SimpleNamespace(services=SimpleNamespace(runs=runs, events=runs))
    router = HandlerRouter(jp_serverapp.web_app, rules(jp_base_url, api, rooms), 1 << 20)
    Application.add_handlers(jp_serverapp.web_app, ".*$", [(address_pattern(jp_base_url), router)])
    return jp_serverapp


def step_delta(*outputs: dict[str, Any], **code: Any) -> str:
    if outputs:
        code["outputs"] = list(outputs)
    call = {"index": 0, "type": "code_interpreter", "code_interpreter": code}
    details = {"type": "tool_calls", "tool_calls": [call]}
    delta = {"step_details": details}
    return json.dumps({"id": "step_1", "object": "thread.run.step.delta", "delta": delta})


RICH = {"index": 0, "type": "display_data", "data": {"text/html": "<b>"}, "metadata": {}}
LOGS = {"index": 1, "type": "logs", "logs": "1"}


def names(body: bytes) -> list[str]:
    return [line[7:] for line in body.decode().split("\n") if line.startswith("event: ")]


async def test_a_stream_is_framed_for_the_strictest_client(server, jp_fetch, runs) -> None:
    runs.log.append("thread.run.created", dump(RUN))
    runs.log.append("thread.run.completed", dump(RUN))
    runs.log.close()
    reply = await jp_fetch(RUNS, method="POST", body='{"assistant_id": "asst_1", "stream": true}')
    data = dump(RUN)
    assert reply.body.decode() == (
        f"event: thread.run.created\ndata: {data}\n\n"
        f"event: thread.run.completed\ndata: {data}\n\n"
        "event: done\ndata: [DONE]\n\n"
    )
    assert reply.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert reply.headers["Cache-Control"] == "no-cache"
    assert reply.headers["X-Accel-Buffering"] == "no"
    assert int(reply.headers["openai-processing-ms"]) > 0


async def test_a_thread_made_for_a_run_comes_first(server, jp_fetch, runs) -> None:
    runs.log.append("thread.run.completed", dump(RUN))
    runs.log.close()
    body = '{"assistant_id": "asst_1", "stream": true}'
    reply = await jp_fetch("openai/v1/threads/runs", method="POST", body=body)
    assert names(reply.body) == ["thread.created", "thread.run.completed", "done"]
    assert f"data: {dump(THREAD)}\n" in reply.body.decode()


async def test_a_stream_ends_where_the_caller_must_act(server, jp_fetch, runs) -> None:
    runs.log.append("thread.run.in_progress", dump(RUN))
    runs.log.append("thread.run.requires_action", dump(RUN))
    reply = await jp_fetch(RUNS, method="POST", body='{"assistant_id": "asst_1", "stream": true}')
    assert names(reply.body) == ["thread.run.in_progress", "thread.run.requires_action", "done"]


async def test_the_stream_of_submitted_outputs_starts_with_what_they_caused(
    server, jp_fetch, runs
) -> None:
    runs.log.append("thread.run.requires_action", dump(RUN))
    runs.at_submit = 1
    runs.log.append("thread.run.step.completed", "{}")
    runs.log.append("thread.run.completed", dump(RUN))
    runs.log.close()
    reply = await jp_fetch(SUBMIT, method="POST", body='{"tool_outputs": [], "stream": true}')
    assert names(reply.body) == ["thread.run.step.completed", "thread.run.completed", "done"]


async def test_events_are_resumed_after_the_last_one_seen(server, jp_fetch, runs) -> None:
    for name in ("thread.run.created", "thread.run.requires_action", "thread.run.completed"):
        runs.log.append(name, dump(RUN))
    runs.log.close()
    whole = await jp_fetch(EVENTS)
    assert names(whole.body)[1:] == ["thread.run.requires_action", "thread.run.completed", "done"]
    for kwargs in ({"headers": {"Last-Event-ID": "2"}}, {"params": {"after": "2"}}):
        rest = (await jp_fetch(EVENTS, **kwargs)).body.decode()
        assert rest == (
            f"id: 3\nevent: thread.run.completed\ndata: {dump(RUN)}\n\n"
            "event: done\ndata: [DONE]\n\n"
        )


@pytest.mark.parametrize("after", ["-1", "x", "1.5", "9" * 40, "²"])
async def test_a_place_to_resume_at_must_be_a_number(server, jp_fetch, after: str) -> None:
    reply = await jp_fetch(EVENTS, params={"after": after}, raise_error=False)
    assert (reply.code, json.loads(reply.body)["error"]["param"]) == (400, "after")


async def test_resuming_waits_no_longer_than_a_run_that_waits_itself(
    server, jp_fetch, runs
) -> None:
    runs.log.append("thread.run.requires_action", dump(RUN))
    assert names((await jp_fetch(EVENTS)).body) == ["thread.run.requires_action", "done"]


async def test_rich_outputs_go_only_where_asked_for(server, jp_fetch, runs) -> None:
    runs.log.append("thread.run.step.delta", step_delta(RICH))
    runs.log.append("thread.run.step.delta", step_delta(LOGS))
    runs.log.close()
    plain = (await jp_fetch(EVENTS)).body.decode()
    assert "display_data" not in plain
    assert '"index":0,"type":"logs"' in plain
    rich = (await jp_fetch(EVENTS, params={"include[]": DISPLAY_DATA})).body.decode()
    assert '"display_data"' in rich
    resumed = (await jp_fetch(EVENTS, params={"after": "1"})).body.decode()
    assert '"index":0,"type":"logs"' in resumed


async def test_an_error_in_the_stream_is_an_event(server, jp_fetch, runs) -> None:
    runs.log.append("thread.run.created", dump(RUN))
    runs.broken = StoreError("The disk is full.")
    reply = (await jp_fetch(EVENTS)).body.decode()
    head, last = reply.split("event: error\ndata: ")
    error = json.loads(last)["error"]
    assert "thread.run.created" in head
    assert (error["message"], error["type"]) == ("The disk is full.", "server_error")


async def test_comments_are_sent_only_to_those_who_ask(server, jp_fetch, runs) -> None:
    async def slowly() -> None:
        await asyncio.sleep(1.3)
        runs.log.close()

    silent, commented, _ = await asyncio.gather(
        jp_fetch(EVENTS), jp_fetch(EVENTS, headers={"X-CI-Keep-Alive": "1"}), slowly()
    )
    assert silent.body.decode() == record("done", "[DONE]")
    assert commented.body.decode() == ": keep-alive\n\n" + record("done", "[DONE]")


async def raw_request(server: ServerApp, path: str, port: int) -> socket.socket:
    token = server.identity_provider.token
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, ("127.0.0.1", port))
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: token {token}\r\n\r\n"
    await loop.sock_sendall(client, head.encode())
    return client


async def until(true: Any) -> None:
    for _ in range(500):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("did not happen within five seconds")


async def test_a_reader_that_leaves_is_forgotten(
    server, runs, jp_base_url, http_server_port
) -> None:
    runs.log.append("thread.run.created", dump(RUN))
    client = await raw_request(server, jp_base_url + EVENTS, http_server_port[1])
    await until(lambda: runs.readers == 1)
    client.close()
    await until(lambda: runs.readers == 0)


async def test_a_reader_that_takes_nothing_holds_neither_run_nor_memory(
    server, runs, jp_base_url, http_server_port, jp_fetch
) -> None:
    client = await raw_request(server, jp_base_url + EVENTS, http_server_port[1])
    await until(lambda: runs.readers == 1)
    for _ in range(400):
        runs.log.append("thread.run.step.delta", step_delta(input="x" * 20_000))
    runs.log.append("thread.run.completed", dump(RUN))
    runs.log.close()
    quick = await jp_fetch(EVENTS, params={"after": "400"})
    assert names(quick.body) == ["thread.run.completed", "done"]
    await until(lambda: runs.readers == 0)  # cut off once it had taken nothing for a second
    client.close()
