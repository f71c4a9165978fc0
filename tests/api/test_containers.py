"""Containers as OpenAI's own client sees them, with real kernels in a real server."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_server.serverapp import ServerApp
from openai import AsyncOpenAI, BadRequestError, NotFoundError

KERNELSPEC = Path(__file__).parents[2] / "kernelspec"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="code runs on Linux only")


@pytest.fixture
def jp_server_config(data_dir: Path, jp_data_dir: Path) -> dict[str, Any]:
    # The test kit hides what is installed; the kernel's specification is put where it looks.
    shutil.copytree(KERNELSPEC, jp_data_dir / "kernels" / "code-interpreter")
    return {
        "ServerApp": {"jpserver_extensions": {"jupyter_ci_ext": True}},
        "CodeInterpreterApp": {"data_dir": str(data_dir), "max_upload_bytes": 3_000_000},
        "SessionPool": {"warm_spares": 0},
    }


@pytest.fixture
def client(
    http_server: object, jp_serverapp: ServerApp, jp_base_url: str, jp_http_port: int
) -> Any:
    @asynccontextmanager
    async def connected() -> AsyncIterator[AsyncOpenAI]:
        url = f"http://127.0.0.1:{jp_http_port}{jp_base_url}openai/v1"
        token = jp_serverapp.identity_provider.token
        async with AsyncOpenAI(base_url=url, api_key=token, max_retries=0) as openai:
            yield openai

    return connected


async def execute(server: ServerApp, kernel_id: str, code: str) -> None:
    """Run *code* in a kernel of the server, as a console that is attached to it does."""
    kernel: AsyncKernelClient = server.kernel_manager.get_kernel(kernel_id).client()
    kernel.start_channels()
    try:
        await kernel.wait_for_ready(timeout=30)
        reply = await kernel.execute_interactive(code, timeout=30, output_hook=lambda _: None)
        assert reply["content"]["status"] == "ok", reply["content"]
    finally:
        kernel.stop_channels()


async def test_a_container_from_its_creation_to_its_end(client, jp_serverapp) -> None:
    async with client() as openai:
        uploaded = await openai.files.create(file=("in.csv", b"a,b\n1,2\n"), purpose="assistants")
        made = await openai.containers.create(
            name="box",
            file_ids=[uploaded.id],
            memory_limit="1g",
            expires_after={"anchor": "last_active_at", "minutes": 20},
            network_policy={"type": "disabled"},
        )
        assert (made.object, made.status, made.name) == ("container", "running", "box")
        assert made.id.startswith("cntr_")
        assert made.memory_limit == "1g"
        assert made.expires_after is not None
        assert (made.expires_after.anchor, made.expires_after.minutes) == ("last_active_at", 20)
        assert made.network_policy is not None
        assert made.network_policy.type == "disabled"
        assert made.last_active_at is not None
        assert made.model_extra is not None
        assert made.model_extra["isolation"]["level"] >= 1
        assert made.model_extra["usage"]["memory_limit_bytes"] == 1 << 30
        kernel_id = made.model_extra["kernel_id"]
        assert kernel_id in jp_serverapp.kernel_manager
        assert [each.id async for each in openai.containers.list(name="box")] == [made.id]
        assert [each.id async for each in openai.containers.list(limit=1)] == [made.id]

        code = "open('out.csv', 'w').write(open('in.csv').read().upper())"
        await execute(jp_serverapp, kernel_id, code)
        files = {file.path: file async for file in openai.containers.files.list(made.id)}
        assert {path: file.source for path, file in files.items()} == {
            "/mnt/data/in.csv": "user",
            "/mnt/data/out.csv": "assistant",
        }
        out = files["/mnt/data/out.csv"]
        assert (out.object, out.bytes, out.container_id) == ("container.file", 8, made.id)
        found = await openai.containers.files.retrieve(out.id, container_id=made.id)
        assert found.path == out.path
        content = await openai.containers.files.content.retrieve(out.id, container_id=made.id)
        assert content.content == b"A,B\n1,2\n"

        sent = await openai.containers.files.create(made.id, file=("größe.txt", b"sent"))
        assert (sent.path, sent.bytes, sent.source) == ("/mnt/data/größe.txt", 4, "user")
        await execute(jp_serverapp, kernel_id, "assert open('größe.txt').read() == 'sent'")
        other = await openai.files.create(file=("b.txt", b"copied"), purpose="assistants")
        copied = await openai.containers.files.create(made.id, file_id=other.id)
        assert copied.path == "/mnt/data/b.txt"
        await openai.containers.files.delete(copied.id, container_id=made.id)
        with pytest.raises(NotFoundError):
            await openai.containers.files.retrieve(copied.id, container_id=made.id)

        await openai.containers.delete(made.id)
        assert kernel_id not in jp_serverapp.kernel_manager
        with pytest.raises(NotFoundError, match="Container with id"):
            await openai.containers.retrieve(made.id)
        assert [each.id async for each in openai.containers.list()] == []


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning:.*")
async def test_a_thread_and_its_container(client, jp_serverapp, jp_fetch) -> None:
    async with client() as openai:
        beta = openai.beta
        assistant = await beta.assistants.create(model="demo", tools=[{"type": "code_interpreter"}])
        code = "```python\nopen('made.txt', 'w').write('by code')\n```"
        thread = await beta.threads.create(messages=[{"role": "user", "content": code}])
        run = await beta.threads.runs.create_and_poll(
            thread_id=thread.id, assistant_id=assistant.id, poll_interval_ms=50
        )
        assert run.status == "completed"
        [container] = (await openai.containers.list(name=thread.id)).data
        assert (container.name, container.status) == (thread.id, "running")
        reply = await jp_fetch("code-interpreter", "sessions", thread.id)
        assert json.loads(reply.body)["container_id"] == container.id
        [file] = (await openai.containers.files.list(container.id)).data
        assert file.path == "/mnt/data/made.txt"
        for action, status in (("interrupt", 200), ("restart", 200)):
            path = f"openai/v1/containers/{container.id}/{action}"
            reply = await jp_fetch(path, method="POST", body="{}", request_timeout=60)
            body = json.loads(reply.body)
            assert (reply.code, body["id"], body["status"]) == (status, container.id, "running")
        await jp_fetch("code-interpreter", "sessions", thread.id, method="DELETE")
        container = await openai.containers.retrieve(container.id)
        assert container.status == "expired"
        content = await openai.containers.files.content.retrieve(file.id, container_id=container.id)
        assert content.content == b"by code"
        late = await openai.containers.files.create(container.id, file=("late.txt", b"late"))
        assert (await openai.containers.retrieve(container.id)).status == "expired"
        reply = await jp_fetch(
            f"openai/v1/containers/{container.id}/restart",
            method="POST",
            body="{}",
            request_timeout=60,
        )
        body = json.loads(reply.body)
        assert body["status"] == "running"
        code = "text = open('late.txt').read(); open('late.txt', 'w').write(text + '+')"
        await execute(jp_serverapp, body["kernel_id"], code)
        changed = await openai.containers.files.retrieve(late.id, container_id=container.id)
        assert (changed.bytes, changed.source) == (5, "user")


async def test_a_download_may_do_nothing_in_a_browser(client, jp_fetch) -> None:
    async with client() as openai:
        made = await openai.containers.create(name="box")
        page = b"<script>alert(1)</script>"
        file = await openai.containers.files.create(made.id, file=("a b.html", page))
        path = f"openai/v1/containers/{made.id}/files/{file.id}/content"
        reply = await jp_fetch(path)
        assert reply.body == page
        assert reply.headers["Content-Type"] == "application/octet-stream"
        assert reply.headers["Content-Disposition"] == 'attachment; filename="a b.html"'
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in reply.headers["Content-Security-Policy"].split("; ")
        reply = await jp_fetch(path, headers={"Range": "bytes=1-6"})
        assert (reply.code, reply.body) == (206, b"script")


@pytest.mark.parametrize(
    ("body", "param", "text"),
    [
        ({}, "name", "Missing required parameter: 'name'."),
        ({"name": ""}, "name", "string too short"),
        ({"name": 3}, "name", "expected a string"),
        ({"name": "a", "memory_limit": "2g"}, "memory_limit", "'1g', '4g', '16g', and '64g'"),
        ({"name": "a", "memory_limit": 4}, "memory_limit", "expected a string"),
        (
            {"name": "a", "network_policy": {"type": "allowlist", "allowed_domains": ["x.org"]}},
            "network_policy.type",
            "Supported values are: 'disabled'.",
        ),
        (
            {"name": "a", "expires_after": {"anchor": "created_at", "minutes": 5}},
            "expires_after.anchor",
            "Supported values are: 'last_active_at'.",
        ),
        (
            {"name": "a", "expires_after": {"anchor": "last_active_at", "minutes": 0}},
            "expires_after.minutes",
            "integer below minimum value",
        ),
        (
            {"name": "a", "expires_after": {"anchor": "last_active_at", "minutes": 10**30}},
            "expires_after.minutes",
            "integer above maximum value",
        ),
        ({"name": "a", "file_ids": ["file-none"]}, "file_ids[0]", "No such File object"),
        ({"name": "a", "file_ids": ["x"]}, "file_ids[0]", "begins with 'file'"),
        ({"name": "a", "skills": [{}]}, "skills", "Unknown parameter"),
    ],
)
async def test_what_is_wrong_is_told(jp_fetch, body: Any, param: str, text: str) -> None:
    reply = await jp_fetch(
        "openai/v1/containers", method="POST", body=json.dumps(body), raise_error=False
    )
    error = json.loads(reply.body)["error"]
    assert (reply.code, error["param"]) == (400, param)
    assert text in error["message"]
    assert json.loads((await jp_fetch("openai/v1/containers")).body)["data"] == []


async def test_unknown_containers_and_files(client, jp_fetch) -> None:
    async with client() as openai:
        made = await openai.containers.create(name="box")
        for id in ("cntr_none", "thread_x", "..%2fslots", "%00"):
            for path in ("", "/files", "/files/cfile_x", "/files/cfile_x/content"):
                reply = await jp_fetch(f"openai/v1/containers/{id}{path}", raise_error=False)
                assert reply.code == 404, (id, path)
            for action in ("restart", "interrupt"):
                reply = await jp_fetch(
                    f"openai/v1/containers/{id}/{action}",
                    method="POST",
                    body="{}",
                    raise_error=False,
                )
                assert reply.code == 404
        for id in ("cfile_none", "in.csv", "..%2f..%2flock"):
            reply = await jp_fetch(
                f"openai/v1/containers/{made.id}/files/{id}", method="DELETE", raise_error=False
            )
            assert reply.code == 404
        with pytest.raises(NotFoundError):
            await openai.containers.files.create("cntr_none", file=("a", b"x"))
        with pytest.raises(BadRequestError, match="file_id"):
            await openai.containers.files.create(made.id, file_id="cfile_x")
        with pytest.raises(BadRequestError, match="file_id"):
            await openai.containers.files.create(made.id)
        with pytest.raises(BadRequestError, match="No such File object"):
            await openai.containers.files.create(made.id, file_id="file-none")
        assert [file.id async for file in openai.containers.files.list(made.id)] == []


async def test_what_is_too_large_is_refused(client, jp_fetch, data_dir: Path) -> None:
    async with client() as openai:
        made = await openai.containers.create(name="box")
        reply, small = await asyncio.gather(
            jp_fetch(
                f"openai/v1/containers/{made.id}/files",
                method="POST",
                headers={"Content-Type": "application/json"},
                body=b'{"file_id": "' + b"x" * (33 << 20),
                raise_error=False,
                request_timeout=60,
            ),
            openai.containers.files.with_raw_response.create(made.id, file=("a", b"x")),
        )
        assert reply.code == 413
        assert small.status_code == 200
        form = b'--X\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        reply = await jp_fetch(
            f"openai/v1/containers/{made.id}/files",
            method="POST",
            headers={"Content-Type": "multipart/form-data; boundary=X"},
            body=form + b"x" * 3_000_001 + b"\r\n--X--\r\n",
            raise_error=False,
        )
        assert reply.code == 413
        assert len((await openai.containers.files.list(made.id)).data) == 1
        assert [path for path in (data_dir / "blobs").rglob("*") if path.is_file()] == []


async def test_a_form_may_name_a_file(client, jp_fetch) -> None:
    async with client() as openai:
        made = await openai.containers.create(name="box")
        file = await openai.files.create(file=("b.txt", b"copied"), purpose="assistants")
        reply = await jp_fetch(
            f"openai/v1/containers/{made.id}/files",
            method="POST",
            headers={"Content-Type": "multipart/form-data; boundary=X"},
            body=f'--X\r\nContent-Disposition: form-data; name="file_id"\r\n\r\n{file.id}\r\n--X--\r\n',
        )
        assert json.loads(reply.body)["path"] == "/mnt/data/b.txt"
