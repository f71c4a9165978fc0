"""Files, uploads and models."""

from __future__ import annotations

import hashlib
import time

import pytest

from jupyter_ci_ext.errors import InvalidRequest, NotFound
from jupyter_ci_ext.wire.file_params import (
    CompleteUpload,
    CreateFile,
    CreateUpload,
    FileListQuery,
)
from jupyter_ci_ext.wire.upload import Upload, UploadPart
from jupyter_ci_ext.wire.validation import parse

from .house import House, in_house


async def contents(house: House) -> int:
    """How many contents lie on the disk."""
    return len(await house.store.blobs.list(time.time() + 60))


@pytest.mark.parametrize(
    "name", ["你好.txt", "../../etc/passwd", "a\nb.csv", "x" * 300, "text/csv"]
)
@in_house
async def test_names_are_kept_as_they_are(house: House, name: str) -> None:
    file = await house.file(name=name)
    assert (await house.services.files.get(file.id)).filename == name
    stored = await house.services.files.content(file.id)
    assert stored.sha256 == hashlib.sha256(b"a,b\n1,2\n").hexdigest()


@in_house
async def test_a_name_that_is_no_unicode_is_mended(house: House) -> None:
    assert (await house.file(name="a\udcff.csv")).filename == "a?.csv"


@pytest.mark.parametrize(("content", "name"), [(b"", "empty.csv"), (b"x", "n" * 1025)])
@in_house
async def test_a_refused_file_leaves_nothing(house: House, content: bytes, name: str) -> None:
    with pytest.raises(InvalidRequest):
        await house.file(content, name)
    assert (await house.rows("files"), await contents(house)) == (0, 0)


@in_house
async def test_unknown_files(house: House) -> None:
    for call in (
        house.services.files.get,
        house.services.files.delete,
        house.services.files.content,
    ):
        with pytest.raises(NotFound) as caught:
            await call("file-gone")
        assert (caught.value.message, caught.value.param) == (
            "No such File object: file-gone",
            "id",
        )


@in_house
async def test_a_deleted_file_is_detached_everywhere(house: House) -> None:
    gone, kept = await house.file(b"1"), await house.file(b"2")
    resources = {"code_interpreter": {"file_ids": [gone.id, kept.id]}}
    assistant = await house.assistant(tool_resources=resources)
    attached = [{"file_id": gone.id, "tools": [{"type": "code_interpreter"}]}]
    thread = await house.thread(
        messages=[{"role": "user", "content": "x", "attachments": attached}]
    )
    deleted = await house.services.files.delete(gone.id)
    assert deleted.model_dump_json() == f'{{"object":"file","deleted":true,"id":"{gone.id}"}}'
    found = await house.services.assistants.get(assistant.id)
    assert found.tool_resources.code_files == [kept.id]
    assert (await house.services.threads.get(thread.id)).tool_resources.code_files == []
    assert await contents(house) == 1


@in_house
async def test_files_expire(house: House) -> None:
    form = {"purpose": "vision", "expires_after": {"anchor": "created_at", "seconds": "3600"}}
    blob = await house.store.blobs.put(b"x")
    file = await house.services.files.create(parse(CreateFile, form), filename="a", blob=blob)
    assert file.expires_at == file.created_at + 3600
    assistant = await house.assistant(tool_resources={"code_interpreter": {"file_ids": [file.id]}})
    async with house.store.transaction() as tx:
        await tx.execute("UPDATE files SET expires_at = 1 WHERE id = ?", (file.id,))
    with pytest.raises(NotFound):
        await house.services.files.get(file.id)
    await house.file(b"y")  # the next one that comes sweeps
    assert await house.rows("files") == 1
    found = await house.services.assistants.get(assistant.id)
    assert found.tool_resources.code_files == []


@in_house
async def test_files_are_listed_by_purpose(house: House) -> None:
    file = await house.file()
    page = await house.services.files.list(FileListQuery(purpose="assistants"))
    assert (page.data, page.has_more) == ([file], False)
    assert (await house.services.files.list(FileListQuery(purpose="vision"))).data == []


async def upload(house: House, size: int) -> Upload:
    body = {"filename": "a.csv", "purpose": "assistants", "bytes": size, "mime_type": "text/csv"}
    return await house.services.uploads.create(parse(CreateUpload, body))


async def part(house: House, to: Upload, content: bytes) -> UploadPart:
    return await house.services.uploads.add_part(to.id, await house.store.blobs.put(content))


@in_house
async def test_an_upload_in_parts(house: House) -> None:
    pending = await upload(house, 6)
    assert "file" not in pending.model_dump()
    assert pending.expires_at == pending.created_at + 3600
    second, first = await part(house, pending, b"def"), await part(house, pending, b"abc")
    params = CompleteUpload(
        part_ids=[first.id, second.id],
        md5=hashlib.md5(b"abcdef", usedforsecurity=False).hexdigest().upper(),
    )
    done = await house.services.uploads.complete(pending.id, params)
    assert done.status == "completed"
    assert done.file is not None
    assert (done.file.bytes, done.file.filename) == (6, "a.csv")
    stored = await house.services.files.content(done.file.id)
    assert house.store.blobs.path(stored.sha256).read_bytes() == b"abcdef"
    assert await contents(house) == 1, "the parts are gone"
    with pytest.raises(InvalidRequest, match="Cannot add a part to an upload with status 'complet"):
        await part(house, pending, b"x")
    with pytest.raises(InvalidRequest, match="Cannot complete"):
        await house.services.uploads.complete(pending.id, params)
    with pytest.raises(InvalidRequest, match="Cannot cancel"):
        await house.services.uploads.cancel(pending.id)
    assert await contents(house) == 1


@in_house
async def test_an_upload_must_be_what_was_announced(house: House) -> None:
    pending = await upload(house, 6)
    one = await part(house, pending, b"abc")
    two = await part(house, pending, b"def")
    for params, text in [
        (CompleteUpload(part_ids=[one.id]), "The parts have 3 bytes together"),
        (CompleteUpload(part_ids=[one.id, one.id]), "named more than once"),
        (CompleteUpload(part_ids=["part_x"]), "No part found with id 'part_x'"),
        (CompleteUpload(part_ids=[one.id, two.id], md5="00"), "The MD5 of the parts is"),
    ]:
        with pytest.raises(InvalidRequest, match=text):
            await house.services.uploads.complete(pending.id, params)
    assert (await house.rows("files"), await contents(house)) == (0, 2)
    cancelled = await house.services.uploads.cancel(pending.id)
    assert cancelled.status == "cancelled"
    assert await contents(house) == 0


@in_house
async def test_an_upload_that_is_too_old(house: House) -> None:
    pending = await upload(house, 3)
    await part(house, pending, b"abc")
    async with house.store.transaction() as tx:
        await tx.uploads.update(pending.model_copy(update={"expires_at": 1}))
    with pytest.raises(InvalidRequest, match="status 'expired'"):
        await part(house, pending, b"x")
    await upload(house, 1)  # the next one that comes sweeps
    stored = await house.store.uploads.get(pending.id)
    assert stored is not None
    assert stored.upload.status == "expired"
    assert await contents(house) == 0
    with pytest.raises(NotFound, match="No upload found with id 'upload_x'"):
        await house.services.uploads.cancel("upload_x")


@in_house
async def test_models(house: House) -> None:
    listed = await house.services.models.list()
    assert [model.id for model in listed.data] == ["demo", "gpt-4o"]
    assert (await house.services.models.get("demo")).owned_by == "somebody"
    assert (await house.services.models.get("unlisted")).id == "unlisted"
    with pytest.raises(NotFound, match="The model 'x' does not exist"):
        await house.services.models.get("x")
