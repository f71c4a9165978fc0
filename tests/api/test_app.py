"""The whole application in a server: it comes up at the first request, and goes down in order."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jupyter_server.serverapp import ServerApp

from jupyter_ci_ext import metrics
from jupyter_ci_ext.api.telemetry import RUN, SESSION, Telemetry
from jupyter_ci_ext.app import CodeInterpreterApp
from jupyter_ci_ext.lifecycle import RunCreated

KERNELSPEC = Path(__file__).parents[2] / "kernelspec"


@pytest.fixture
def jp_server_config(data_dir: Path) -> dict[str, Any]:
    return {
        "ServerApp": {"jpserver_extensions": {"jupyter_ci_ext": True}},
        "CodeInterpreterApp": {"data_dir": str(data_dir)},
        "SessionPool": {"warm_spares": 0},
    }


@pytest.fixture
def kernelspec(jp_data_dir: Path) -> None:
    """The test kit hides what is installed; the kernel's specification is put where it looks."""
    shutil.copytree(KERNELSPEC, jp_data_dir / "kernels" / "code-interpreter")


@pytest.fixture
def extension(jp_serverapp: ServerApp) -> CodeInterpreterApp:
    (app,) = jp_serverapp.extension_manager.extension_apps["jupyter_ci_ext"]
    return app


async def test_nothing_is_there_before_the_first_request(extension, data_dir, jp_fetch) -> None:
    assert not data_dir.exists()
    assert extension.current_activity() is None
    reply = await jp_fetch("openai/v1/models")
    assert "demo" in [model["id"] for model in json.loads(reply.body)["data"]]
    assert (data_dir / "state.db").exists()
    assert data_dir.stat().st_mode & 0o777 == 0o700


async def test_first_requests_at_once_share_one_start(jp_fetch) -> None:
    replies = await asyncio.gather(*[jp_fetch("openai/v1/assistants") for _ in range(4)])
    assert [json.loads(reply.body)["data"] for reply in replies] == [[]] * 4


async def test_a_failed_start_is_told_and_tried_again(
    jp_fetch, http_server_client, jp_base_url, data_dir: Path
) -> None:
    data_dir.write_text("in the way")  # noqa: ASYNC240
    reply = await jp_fetch("openai/v1/models", raise_error=False)
    error = json.loads(reply.body)["error"]
    assert (reply.code, error["type"]) == (503, "server_error")
    assert "could not be brought up" in error["message"]
    assert reply.headers["x-should-retry"] == "false"
    url = f"{jp_base_url}openai/v1/models"
    assert (await http_server_client.fetch(url, raise_error=False)).code == 401
    data_dir.unlink()  # noqa: ASYNC240
    assert (await jp_fetch("openai/v1/models")).code == 200


async def test_stopping_twice_does_no_harm(extension, jp_fetch, data_dir: Path) -> None:
    await jp_fetch("openai/v1/models")
    await extension.stop_extension()
    await extension.stop_extension()
    assert not (data_dir / "state.db-wal").exists()


async def test_stopping_before_the_first_request(extension) -> None:
    await extension.stop_extension()


@pytest.mark.skipif(sys.platform != "linux", reason="code runs on Linux only")
async def test_a_run_polled_and_streamed(kernelspec, extension, jp_serverapp, jp_fetch) -> None:
    async def call(path: str, **body: Any) -> Any:
        reply = await jp_fetch(
            "openai/v1", path, method="POST", body=json.dumps(body), request_timeout=60
        )
        return reply.body if body.get("stream") else json.loads(reply.body)

    heard: list[dict[str, Any]] = []

    async def listen(logger: object, schema_id: str, data: dict[str, Any]) -> None:
        heard.append({"schema": schema_id, **data})

    for schema in (RUN, SESSION):
        jp_serverapp.event_logger.add_listener(schema_id=schema, listener=listen)
    before = await samples(jp_fetch)
    tools = [{"type": "code_interpreter"}]
    assistant = (await call("assistants", model="demo", tools=tools))["id"]
    question = {"role": "user", "content": "Solve the equation 3x + 11 = 14"}
    started = await call("threads/runs", assistant_id=assistant, thread={"messages": [question]})
    assert started["status"] == "queued"
    assert extension.current_activity()
    assert "jupyter_ci_ext" in jp_serverapp.web_app.settings["last_activity_times"]
    run = f"threads/{started['thread_id']}/runs/{started['id']}"
    reply = await jp_fetch("openai/v1", run)
    assert reply.headers["openai-poll-after-ms"] == "300"
    streamed = (await jp_fetch("openai/v1", run, "events", request_timeout=60)).body.decode()
    assert streamed.endswith("event: done\ndata: [DONE]\n\n")
    assert '"type":"logs"' in streamed
    reply = await jp_fetch("openai/v1", run)
    assert json.loads(reply.body)["status"] == "completed"
    assert "openai-poll-after-ms" not in reply.headers
    again = (await jp_fetch("openai/v1", run, "events")).body.decode()
    assert again == streamed
    messages = f"threads/{started['thread_id']}/messages"
    answer = json.loads((await jp_fetch("openai/v1", messages)).body)["data"][0]
    assert "x = 1" in answer["content"][0]["text"]["value"]
    for _ in range(100):
        if extension.current_activity() is None:
            break
        await asyncio.sleep(0.01)
    assert extension.current_activity() is None
    await call(messages, role="user", content="```python\nprint(x)\n```")
    events = await call(f"threads/{started['thread_id']}/runs", assistant_id=assistant, stream=True)
    names = [line[7:] for line in events.decode().split("\n") if line.startswith("event: ")]
    assert names[:3] == ["thread.run.created", "thread.run.queued", "thread.run.in_progress"]
    assert names[-2:] == ["thread.run.completed", "done"]
    counts = await samples(jp_fetch)
    runs = 'code_interpreter_runs_total{status="completed"}'
    executions = 'code_interpreter_execution_seconds_count{status="ok"}'
    queued = "code_interpreter_run_queue_seconds_count"
    tokens = "code_interpreter_first_token_seconds_count"
    waits = "code_interpreter_session_wait_seconds_count"
    for name in (runs, executions, queued, tokens, waits):
        assert counts[name] >= before.get(name, 0) + 2, name
    missed = 'code_interpreter_session_starts_total{warm="miss"}'
    assert counts[missed] == before.get(missed, 0) + 1
    assert counts["code_interpreter_sessions"] == 1
    assert await eventually_more(jp_fetch, "code_interpreter_session_memory_bytes", 1 << 20)
    for kind in ("blobs", "database"):
        least = 0 if kind == "database" else -1
        assert await eventually_more(
            jp_fetch, f'code_interpreter_stored_bytes{{kind="{kind}"}}', least
        )
    await extension.stop_extension()
    counts = await samples(jp_fetch)
    assert counts["code_interpreter_sessions"] == counts["code_interpreter_session_memory_bytes"]
    await until(lambda: len(heard) >= 6)
    check_events(heard, started["id"], started["thread_id"])


def check_events(heard: list[dict[str, Any]], run_id: str, thread_id: str) -> None:
    """Two runs, in one session that ended with the server."""
    assert [each["action"] for each in heard] == [
        "created",
        "started",
        "finished",
        "created",
        "finished",
        "ended",
    ]
    assert {each["thread_id"] for each in heard} == {thread_id}
    created, session, finished = heard[:3]
    assert (created["schema"], created["run_id"], created["model"]) == (RUN, run_id, "demo")
    assert (finished["run_id"], finished["status"]) == (run_id, "completed")
    assert finished["code_calls"] >= 1
    assert finished["steps"] > finished["code_calls"]
    assert 0 < finished["duration_seconds"] < 120
    assert (session["schema"], session["warm"]) == (SESSION, False)
    assert session["isolation_level"] in (2, 3)
    assert heard[-1]["session_id"] == session["session_id"]
    assert heard[-1]["reason"] == "shutdown"


async def until(true: Callable[[], bool]) -> None:
    for _ in range(3000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come true")


async def eventually_more(jp_fetch: Any, name: str, least: int) -> bool:
    """Whether a gauge that is measured in the background gets above *least*."""
    for _ in range(300):
        if (await samples(jp_fetch)).get(name, float("nan")) > least:
            return True
        await asyncio.sleep(0.1)
    return False


async def test_events_that_cannot_be_told_fail_nothing(caplog) -> None:
    telemetry = Telemetry(BrokenEvents(), logging.getLogger("telling"))
    with caplog.at_level("INFO"):
        telemetry.register()
        telemetry(RunCreated("run_1", "thread_1", "asst_1", "demo"))
    assert "Run run_1 of thread_1: created" in caplog.text
    assert caplog.text.count("ValueError") == 3
    assert "canary" not in caplog.text


class BrokenEvents:
    """An event log that takes nothing."""

    def register_event_schema(self, schema: Any) -> None:
        raise ValueError("canary")

    def emit(self, *, schema_id: str, data: dict[str, Any]) -> None:
        raise ValueError("canary")


def test_metrics_may_be_imported_twice() -> None:
    first = sys.modules.pop("jupyter_ci_ext.metrics", None) or metrics
    try:
        again = importlib.import_module("jupyter_ci_ext.metrics")
        assert again is not first
        assert again.RUNS is first.RUNS
        assert again.EXECUTIONS is first.EXECUTIONS
    finally:
        sys.modules["jupyter_ci_ext.metrics"] = first


async def samples(jp_fetch: Any) -> dict[str, float]:
    """What Prometheus would read of the extension."""
    lines = (await jp_fetch("metrics")).body.decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line.startswith("code_interpreter_"))
    return {name: float(value) for name, value in pairs}
