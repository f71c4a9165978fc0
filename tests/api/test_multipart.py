from __future__ import annotations

import pytest

from jupyter_ci_ext.api.multipart import MOST_FIELD_BYTES, MOST_PARTS, Form, FormReader
from jupyter_ci_ext.errors import InvalidRequest

BOUNDARY = "X"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"


class Kept:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.data = b""

    async def write(self, data: bytes) -> None:
        self.data += data


def part(disposition: str | bytes, value: bytes = b"") -> bytes:
    raw = disposition if isinstance(disposition, bytes) else disposition.encode()
    return b"--X\r\nContent-Disposition: form-data; " + raw + b"\r\n\r\n" + value + b"\r\n"


END = b"--X--\r\n"


async def read(body: bytes, content_type: str = TYPE, step: int = 65536) -> tuple[Form, bytes]:
    sink = Kept()
    reader = FormReader(content_type, file_field="file", sink=sink)
    for at in range(0, len(body), step):
        await reader.feed(body[at : at + step])
    return reader.finish(), sink.data


@pytest.mark.parametrize("file_first", [True, False])
async def test_fields_may_come_before_or_after_the_file(file_first: bool) -> None:
    file = part('name="file"; filename="a.csv"', b"1,2\r\n--Y not the end\r\n")
    purpose = part('name="purpose"', b"assistants")
    parts = [file, purpose] if file_first else [purpose, file]
    form, data = await read(b"".join(parts) + END)
    assert form == Form([("purpose", "assistants")], "a.csv", True)
    assert data == b"1,2\r\n--Y not the end\r\n"


async def test_any_chunking_gives_the_same() -> None:
    content = bytes(range(256)) + b"\r\n--\r-\n--Y" + b"\r\n--"
    body = (
        part('name="purpose"', b"assistants")
        + part('name="file"; filename="\xfc.bin"'.encode("latin-1"), content)
        + part('name="expires_after[seconds]"', b"3600")
        + END
    )
    whole = await read(body)
    assert whole[1] == content
    for step in (1, 2, 3, 7, 64):
        assert await read(body, step=step) == whole


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('filename="plain.csv"', "plain.csv"),
        ('filename="你好.txt"', "你好.txt"),
        ("filename=\"x\"; filename*=UTF-8''%E4%BD%A0%E5%A5%BD.txt", "你好.txt"),
        ("filename*=utf-8''a%20b.txt", "a b.txt"),
        # charsets that raise errors of their own, or decode to half characters
        ("filename=\"x\"; filename*=undefined''a", "x"),
        ("filename=\"x\"; filename*=punycode''%ff", "x"),
        ("filename=\"x\"; filename*=utf-7''+2AA-", "x"),
        ("filename=\"x\"; filename*=unicode_escape''%5Cud800", "x"),
        ('filename="../../etc/passwd"', "../../etc/passwd"),
        ('filename="text/csv"', "text/csv"),
        ('filename="a%22b%0D%0Ac.txt"', 'a"b\r\nc.txt'),
        ('filename="100%.txt"', "100%.txt"),
        ('filename="back\\"slash.txt"', 'back"slash.txt'),
        ('filename=""', ""),
        (b'filename="caf\xe9.txt"', "café.txt"),
    ],
)
async def test_names_are_kept_as_clients_write_them(disposition: str | bytes, name: str) -> None:
    raw = disposition if isinstance(disposition, bytes) else disposition.encode()
    form, _ = await read(part(b'name="file"; ' + raw, b"x") + END)
    assert form.filename == name


async def test_a_file_sent_as_a_plain_field_is_no_file() -> None:
    form, data = await read(part('name="file"', b"text") + END)
    assert (form.has_file, data) == (False, b"")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no form at all",
        part('name="file"; filename="a"', b"x"),
        b"--X\r\nbroken header\r\n\r\n" + END,
        part('name="file"; filename="a"') + part('name="file"; filename="b"') + END,
        part('name="long"', b"x" * (MOST_FIELD_BYTES + 1)) + END,
        part('name="many"') * (MOST_PARTS + 1) + END,
    ],
    ids=["empty", "no form", "cut off", "bad header", "two files", "long field", "many parts"],
)
async def test_broken_forms_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        await read(body)


@pytest.mark.parametrize(
    "content_type",
    ["", "application/json", "multipart/form-data", "multipart/form-data; boundary=" + "x" * 999],
)
async def test_other_bodies_are_refused_by_their_type(content_type: str) -> None:
    with pytest.raises(InvalidRequest):
        await read(b"", content_type)
