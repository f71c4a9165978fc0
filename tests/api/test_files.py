"""Files on their way in and out, over a real server."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from jupyter_server.serverapp import ServerApp

from jupyter_ci_ext.api.transfer import attachment

pytestmark = pytest.mark.usefixtures("server")

TYPE = "multipart/form-data; boundary=X"


def form(content: bytes, name: str = "a.csv", field: str = "file", **fields: str) -> bytes:
    parts = [
        f'--X\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    ]
    head = f'--X\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    return b"".join(parts) + head.encode() + content + b"\r\n--X--\r\n"


@pytest.fixture
def upload(jp_fetch: Any) -> Any:
    async def send(body: bytes, path: str = "openai/v1/files", **kwargs: Any) -> Any:
        reply = await jp_fetch(
            path,
            method="POST",
            body=body,
            headers={"Content-Type": TYPE},
            raise_error=False,
            **kwargs,
        )
        return reply.code, json.loads(reply.body)

    return send


def left_on_disk(data_dir: Path) -> list[Path]:
    return [path for path in (data_dir / "blobs").rglob("*") if path.is_file()]


async def test_a_file_comes_back_as_it_was(upload, jp_fetch) -> None:
    content = bytes(range(256)) * 8000
    code, file = await upload(form(content, "数 据.bin", purpose="assistants"))
    assert code == 200
    assert list(file) == [
        "object", "id", "purpose", "filename", "bytes", "created_at", "expires_at", "status",
        "status_details",
    ]  # fmt: skip
    assert (file["filename"], file["bytes"], file["expires_at"]) == (
        "数 据.bin",
        len(content),
        None,
    )
    reply = await jp_fetch("openai/v1/files", file["id"], "content")
    assert reply.body == content
    assert reply.headers["Content-Type"] == "application/octet-stream"
    assert reply.headers["Content-Length"] == str(len(content))
    assert reply.headers["Content-Disposition"] == (
        "attachment; filename=\"_ _.bin\"; filename*=UTF-8''%E6%95%B0%20%E6%8D%AE.bin"
    )
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in reply.headers["Content-Security-Policy"].split("; ")


async def test_a_lifetime_is_a_nested_field(upload) -> None:
    fields = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    code, file = await upload(form(b"x", purpose="assistants", **fields))
    assert (code, file["expires_at"]) == (200, file["created_at"] + 3600)
    as_json = {"expires_after": '{"anchor": "created_at", "seconds": 3600}'}
    code, file = await upload(form(b"x", purpose="assistants", **as_json))
    assert (code, file["expires_at"]) == (200, file["created_at"] + 3600)
    fields["expires_after[seconds]"] = "1"
    code, error = await upload(form(b"x", purpose="assistants", **fields))
    assert (code, error["error"]["param"]) == (400, "expires_after.seconds")


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (form(b"x"), 400, "Missing required parameter: 'purpose'."),
        (form(b"x", purpose="fun"), 400, "'fun' is not one of"),
        (form(b"", purpose="assistants"), 400, "File is empty."),
        (form(b"x", field="other", purpose="assistants"), 400, "'file' is a required property"),
        (form(b"x", purpose="assistants")[:-9], 400, "Could not parse multipart form"),
        (b"nothing of the kind", 400, "Could not parse multipart form"),
        (form(b"x" * 3_000_001, purpose="assistants"), 413, "3000000 bytes"),
        (form(b"x" * 9_000_000, purpose="assistants"), 413, "3000000 bytes"),
        (form(b"x", "n" * 1025, purpose="assistants"), 400, "file name too long"),
    ],
    ids=["no purpose", "bad purpose", "empty", "no file", "cut off", "no form", "too large",
         "far too large", "long name"],
)  # fmt: skip
async def test_what_is_refused_leaves_nothing_behind(
    upload, jp_fetch, data_dir: Path, body: bytes, status: int, text: str
) -> None:
    code, error = await upload(body)
    assert code == status
    assert text in error["error"]["message"]
    assert json.loads((await jp_fetch("openai/v1/files")).body)["data"] == []
    await until(lambda: left_on_disk(data_dir) == [])


async def test_other_bodies_are_refused(jp_fetch) -> None:
    reply = await jp_fetch("openai/v1/files", method="POST", body="{}", raise_error=False)
    assert reply.code == 400
    assert "multipart/form-data" in json.loads(reply.body)["error"]["message"]


async def test_a_client_that_breaks_off_leaves_nothing_behind(
    server: ServerApp, data_dir: Path, http_server_port, jp_base_url
) -> None:
    client = await half_an_upload(server, http_server_port[1], jp_base_url)
    tmp = data_dir / "blobs" / "tmp"
    await until(lambda: any(path.is_file() for path in tmp.rglob("*")))
    client.close()
    await until(lambda: left_on_disk(data_dir) == [])


async def half_an_upload(server: ServerApp, port: int, base_url: str) -> socket.socket:
    client = socket.socket()
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, ("127.0.0.1", port))
    body = form(b"x" * 2_500_000, purpose="assistants")
    head = (
        f"POST {base_url}openai/v1/files HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {server.identity_provider.token}\r\n"
        f"Content-Type: {TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    await loop.sock_sendall(client, head.encode() + body[:2_000_000])
    return client


async def until(true: Any) -> None:
    for _ in range(500):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("did not happen within five seconds")


@pytest.mark.parametrize("size", [100, 8_000_000], ids=["small", "large"])
async def test_strangers_get_their_401_after_the_whole_body(
    http_server_client, jp_base_url, data_dir: Path, size: int
) -> None:
    reply = await http_server_client.fetch(
        f"{jp_base_url}openai/v1/files",
        method="POST",
        body=form(b"x" * size, purpose="assistants"),
        headers={"Content-Type": TYPE, "Authorization": "Bearer nobody"},
        raise_error=False,
    )
    assert (reply.code, json.loads(reply.body)["error"]["code"]) == (401, "invalid_api_key")
    assert left_on_disk(data_dir) == []


async def test_ranges(upload, jp_fetch) -> None:
    content = bytes(range(200))
    _, file = await upload(form(content, purpose="assistants"))
    path = ("openai/v1/files", file["id"], "content")
    reply = await jp_fetch(*path, headers={"Range": "bytes=10-19"})
    assert (reply.code, reply.body) == (206, content[10:20])
    assert reply.headers["Content-Range"] == "bytes 10-19/200"
    tag = reply.headers["ETag"]
    same = await jp_fetch(*path, headers={"Range": "bytes=-5", "If-Range": tag})
    assert (same.code, same.body) == (206, content[-5:])
    other = await jp_fetch(*path, headers={"Range": "bytes=-5", "If-Range": '"other"'})
    assert (other.code, other.body) == (200, content)
    beyond = await jp_fetch(*path, headers={"Range": "bytes=200-"}, raise_error=False)
    assert (beyond.code, beyond.headers["Content-Range"]) == (416, "bytes */200")


async def test_a_file_has_one_id_for_each_vendor(upload, jp_fetch) -> None:
    azure = {"api-version": "2024-05-01-preview"}
    _, file = await upload(form(b"x", purpose="assistants"), "openai/files", params=azure)
    assert file["id"].startswith("assistant-")
    openai = json.loads((await jp_fetch("openai/v1/files", file["id"])).body)
    assert openai["id"] == "file-" + file["id"][len("assistant-") :]
    listed = json.loads((await jp_fetch("openai/files", params=azure)).body)
    assert [each["id"] for each in listed["data"]] == [file["id"]]
    assert listed["last_id"] == file["id"]
    reply = await jp_fetch("openai/files", file["id"], "content", params=azure)
    assert reply.body == b"x"


async def test_an_upload_in_parts(upload, jp_fetch, data_dir: Path) -> None:
    asked = {"filename": "p.txt", "purpose": "assistants", "bytes": 6, "mime_type": "text/plain"}
    reply = await jp_fetch("openai/v1/uploads", method="POST", body=json.dumps(asked))
    parts = f"openai/v1/uploads/{json.loads(reply.body)['id']}/parts"
    ids = [(await upload(form(piece, field="data"), parts))[1]["id"] for piece in (b"abc", b"def")]
    code, error = await upload(form(b"x"), parts)
    assert (code, error["error"]["message"]) == (400, "'data' is a required property")
    complete = parts.replace("/parts", "/complete")
    reply = await jp_fetch(complete, method="POST", body=json.dumps({"part_ids": ids}))
    file = json.loads(reply.body)["file"]
    assert (await jp_fetch("openai/v1/files", file["id"], "content")).body == b"abcdef"


@pytest.mark.parametrize(
    ("filename", "header"),
    [
        ("a b.csv", 'attachment; filename="a b.csv"'),
        ("../../x.csv", 'attachment; filename="x.csv"'),
        ("a\\b.csv", 'attachment; filename="b.csv"'),
        ('q"\r\nX: y', "attachment; filename=\"q___X: y\"; filename*=UTF-8''q%22%0D%0AX%3A%20y"),
        ("é", "attachment; filename=\"_\"; filename*=UTF-8''%C3%A9"),
    ],
)
def test_names_in_headers_are_names_only(filename: str, header: str) -> None:
    assert attachment(filename) == header
