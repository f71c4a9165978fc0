"""The addresses only Jupyter users have."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest

from jupyter_ci_ext.ids import new_id
from jupyter_ci_ext.store.database import Store
from jupyter_ci_ext.wire.content import FilePath, Text, TextContent
from jupyter_ci_ext.wire.file import File
from jupyter_ci_ext.wire.message import Message
from jupyter_ci_ext.wire.run import Run
from jupyter_ci_ext.wire.run_step import (
    CodeInterpreterCall,
    CodeInterpreterToolCall,
    DisplayDataOutput,
    ImageOutput,
    LogsOutput,
    MessageCreation,
    MessageCreationDetails,
    RunStep,
    ToolCallsDetails,
)

from .fakes import LiveSession, NoKernels

pytestmark = pytest.mark.usefixtures("server")

PNG = b"\x89PNG\r\n\x1a\n" + bytes(50)


@pytest.fixture
def call(jp_fetch: Any) -> Any:
    async def send(path: str, body: Any = None, method: str | None = None, **params: str) -> Any:
        reply = await jp_fetch(
            path,
            method=method or ("GET" if body is None else "POST"),
            body=None if body is None else json.dumps(body),
            params=params,
            raise_error=False,
        )
        data = json.loads(reply.body)
        return data if reply.code == 200 else (reply.code, data["error"]["message"])

    return send


@pytest.fixture
def root(jp_root_dir: Path) -> Path:
    return jp_root_dir


async def stored(store: Store, content: bytes, name: str) -> str:
    blob = await store.blobs.put(content)
    file = File(
        id=new_id("file"), purpose="assistants", filename=name, bytes=len(content), created_at=1
    )
    async with store.transaction() as tx:
        await tx.files.insert(file, sha256=blob.sha256)
    return file.id


async def test_the_status_starts_nothing_unless_asked(call) -> None:
    status = await call("code-interpreter/status")
    assert status["isolation"] is None
    assert status["models"]["default"] == "demo"
    assert (status["limits"]["upload_bytes"], status["limits"]["memory_bytes"]) == (1000, None)
    assert status["sessions"] == 0
    (local,) = status["local_models"]
    address = "http://127.0.0.1:8080/v1"
    assert local == {"name": "local", "base_url": address, "models": ["local/demo"]}
    probed = (await call("code-interpreter/status", probe="1"))["isolation"]
    assert (probed["level"], probed["name"], probed["sufficient"]) == (3, "bubblewrap", True)
    assert (await call("code-interpreter/status"))["isolation"] == probed


async def test_sessions(call, kernels: NoKernels) -> None:
    thread = (await call("openai/v1/threads", {}))["id"]
    path = f"code-interpreter/sessions/{thread}"
    none = await call(path)
    assert (none["state"], none["id"], none["kernel_id"]) == ("none", None, None)
    assert await call(f"{path}/restart", {}) == (404, f"No session found for thread '{thread}'.")
    kernels.live[thread] = LiveSession(thread)
    (live,) = (await call("code-interpreter/sessions"))["data"]
    assert live == await call(path)
    assert (live["thread_id"], live["state"], live["expires_at"]) == (thread, "idle", 3)
    assert live["container_id"] == "cntr_" + thread.removeprefix("thread_")
    kernels.live["cntr_made"] = LiveSession("cntr_made")
    assert len((await call("code-interpreter/sessions"))["data"]) == 1
    assert (await call(f"{path}/restart", {}))["id"] == "cntr_1"
    assert (await call(f"{path}/interrupt", {}))["id"] == "cntr_1"
    assert kernels.done == [("restart", thread), ("interrupt", thread)]
    assert (await call(path, method="DELETE"))["deleted"] is True
    assert (await call(path, method="DELETE"))["deleted"] is False
    unknown = await call("code-interpreter/sessions/thread_x")
    assert unknown == (404, "No thread found with id 'thread_x'.")


async def test_threads_are_summarized(call, kernels: NoKernels) -> None:
    named = (await call("openai/v1/threads", {"metadata": {"title": "  My\nname "}}))["id"]
    question = {"role": "user", "content": "What is\nthe mean? " + "x" * 200}
    asked = (await call("openai/v1/threads", {"messages": [question]}))["id"]
    empty = (await call("openai/v1/threads", {}))["id"]
    kernels.live[asked] = LiveSession(asked, state="busy")
    assistant = (await call("openai/v1/assistants", {"model": "demo"}))["id"]
    run = await call(f"openai/v1/threads/{asked}/runs", {"assistant_id": assistant})
    page = await call("code-interpreter/threads")
    assert [row["id"] for row in page["data"]] == [empty, asked, named]
    assert [row["title"][:16] for row in page["data"]] == ["", "What is the mean", "My name"]
    assert [len(row["title"]) for row in page["data"]] == [0, 80, 7]
    assert page["data"][1]["run"] == {
        "id": run["id"],
        "status": "queued",
        "created_at": run["created_at"],
        "last_error": None,
    }
    assert [row["updated_at"] for row in page["data"]][1] >= run["created_at"]
    assert [row["session"] for row in page["data"]] == ["none", "busy", "none"]
    found = await call("code-interpreter/threads", query="MEAN what")
    assert [row["id"] for row in found["data"]] == [asked]
    first = await call("code-interpreter/threads", limit="1")
    assert first["has_more"] is True
    second = await call("code-interpreter/threads", limit="1", after=first["last_id"])
    assert [row["id"] for row in second["data"]] == [asked]


async def test_a_file_is_saved_into_the_workspace(call, store: Store, root: Path) -> None:
    id = await stored(store, b"a,b\n", "../../out/t\nable.csv")
    save = f"code-interpreter/files/{id}/save"
    (root / "sub").mkdir()
    first = await call(save, {})
    assert first == {"path": "t_able.csv", "name": "t_able.csv", "type": "file", "size": 4}
    assert (root / "t_able.csv").read_bytes() == b"a,b\n"
    assert (await call(save, {"path": ""}))["path"] == "t_able-1.csv"
    assert (await call(save, {"path": "sub"}))["path"] == "sub/t_able.csv"
    assert (await call(save, {"path": "sub/other.csv"}))["path"] == "sub/other.csv"
    assert (await call(save, {"path": "sub/other.csv"}))["path"] == "sub/other-1.csv"
    over = {"path": "sub/other.csv", "overwrite": True}
    assert (await call(save, over))["path"] == "sub/other.csv"
    assert await call(save, {"path": "none/x.csv"}) == (400, "There is no folder 'none'.")
    outside = await call(save, {"path": "../x.csv"})
    assert outside[0] in (400, 404)
    assert not (root.parent / "x.csv").exists()


async def test_a_large_file_is_saved_in_pieces(call, store: Store, root: Path) -> None:
    content = bytes(range(256)) * 40_000
    id = await stored(store, content, "big.bin")
    saved = await call(f"code-interpreter/files/{id}/save", {})
    assert saved["size"] == len(content)
    assert (root / "big.bin").read_bytes() == content


async def test_a_file_of_the_workspace_is_imported(call, root: Path, jp_fetch) -> None:
    (root / "sub").mkdir()
    (root / "sub" / "数.csv").write_bytes(b"1,2\n")
    file = await call("code-interpreter/files/import", {"path": "sub/数.csv"})
    assert (file["filename"], file["bytes"], file["purpose"]) == ("数.csv", 4, "assistants")
    assert (await jp_fetch("openai/v1/files", file["id"], "content")).body == b"1,2\n"
    assert (await call("code-interpreter/files/import", {"path": "sub"}))[0] == 400
    assert (await call("code-interpreter/files/import", {"path": "none.csv"}))[0] == 404
    assert (await call("code-interpreter/files/import", {"path": "../state/state.db"}))[0] == 404
    (root / "big.bin").write_bytes(bytes(3_000_001))
    assert (await call("code-interpreter/files/import", {"path": "big.bin"}))[0] == 413


async def a_conversation(store: Store, thread_id: str) -> None:
    """A question that was answered by code that read an upload, drew, and saved a table."""
    upload = await store.files.get(
        (await store.threads.get(thread_id)).tool_resources.code_files[0]
    )
    run = Run(
        id="run_1", created_at=int(time.time()), assistant_id="asst_1", thread_id=thread_id, model="demo",
        status="completed",
    )  # fmt: skip
    picture, table = await store.blobs.put(PNG), await store.blobs.put(b"x\n")
    code = f"open('/mnt/data/{upload.id}'); open('/mnt/data/table.csv')"
    outputs = [
        LogsOutput(logs="hello\n"),
        ImageOutput(image=FilePath(file_id="file-png")),
        DisplayDataOutput(data={"text/html": "<b>x</b>"}),
    ]
    call = CodeInterpreterToolCall(
        id="call_1", code_interpreter=CodeInterpreterCall(input=code, outputs=outputs)
    )
    common = {"created_at": 6, "run_id": "run_1", "assistant_id": "asst_1", "thread_id": thread_id}
    steps = [
        RunStep(id="step_1", type="tool_calls", step_details=ToolCallsDetails(tool_calls=[call]),
                **common),
        RunStep(id="step_2", type="message_creation", **common, step_details=MessageCreationDetails(
            message_creation=MessageCreation(message_id="msg_2"))),
    ]  # fmt: skip
    text = "Here: [table](sandbox:/mnt/data/ta ble.csv) and [t](sandbox:/mnt/data/table.csv)."
    message = Message(
        id="msg_2", created_at=7, thread_id=thread_id, role="assistant", run_id="run_1",
        content=[TextContent(text=Text(value=text))],
    )  # fmt: skip
    made = [("file-png", "figure.png", picture), ("file-tbl", "table.csv", table)]
    async with store.transaction() as tx:
        await tx.runs.insert(run)
        for step in steps:
            await tx.steps.insert(step)
        await tx.messages.insert(message)
        for id, name, blob in made:
            file = File(id=id, purpose="assistants_output", filename=name, bytes=blob.size,
                        created_at=6)  # fmt: skip
            await tx.files.insert(file, sha256=blob.sha256, thread_id=thread_id)


async def test_a_thread_becomes_a_notebook(call, store: Store, root: Path) -> None:
    id = await stored(store, b"a,b\n", "in put.csv")
    attached = [{"file_id": id, "tools": [{"type": "code_interpreter"}]}]
    question = {"role": "user", "content": "Draw", "attachments": attached}
    thread = (await call("openai/v1/threads", {"messages": [question]}))["id"]
    await a_conversation(store, thread)
    await call(f"openai/v1/threads/{thread}/messages", {"role": "user", "content": "Thanks"})
    saved = await call(f"code-interpreter/threads/{thread}/notebook", {"path": "talk.ipynb"})
    assert (saved["path"], saved["type"]) == ("talk.ipynb", "notebook")
    notebook = nbformat.read(root / "talk.ipynb", as_version=4)
    nbformat.validate(notebook)
    first, code, answer, last = notebook.cells
    assert (first.source, last.source) == ("**Question**\n\nDraw", "**Question**\n\nThanks")
    assert code.source == "open('talk_files/in put.csv'); open('talk_files/table.csv')"
    assert [output.output_type for output in code.outputs] == [
        "stream",
        "display_data",
        "display_data",
    ]
    assert set(code.outputs[1].data) == {"image/png"}
    assert "(talk_files/table.csv)" in answer.source
    assert {path.name for path in (root / "talk_files").iterdir()} == {
        "in put.csv",
        "figure.png",
        "table.csv",
    }
    again = await call(f"code-interpreter/threads/{thread}/notebook", {"path": "talk.ipynb"})
    assert again["path"] == "talk-1.ipynb"


async def test_an_empty_thread_becomes_an_empty_notebook(call, root: Path) -> None:
    thread = (await call("openai/v1/threads", {}))["id"]
    saved = await call(f"code-interpreter/threads/{thread}/notebook", {})
    assert nbformat.read(root / saved["path"], as_version=4).cells == []
    assert not (root / "conversation_files").exists()
