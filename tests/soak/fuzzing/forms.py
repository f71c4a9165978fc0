"""Forms with files: boundaries, names, headers and lengths that are not as they should be."""

from __future__ import annotations

import json
from random import Random

from tests.soak.fuzzing.line import Header, Request
from tests.soak.fuzzing.spelling import text
from tests.soak.fuzzing.world import Tally, World

NAMES: tuple[bytes, ...] = (
    b'filename="a.csv"', b"filename=a.csv", b'filename=""', b'filename="../../../etc/passwd"', b'filename="a\x00b"',
    b'filename="\xff\xfe"', b'filename="a%22b%0D%0A.csv"', b'filename="' + b"x" * 5000 + b'"', b'filename="a.csv',
    b"filename*=UTF-8''%e2%82%ac.csv", b"filename*=utf-7''+2AA-.csv", b"filename*=punycode''%ff%ff-",
    b"filename*=idna''xn--%ff", b"filename*=unicode_escape''%5Cud800", b"filename*=utf-16''%00%d8",
    b"filename*=undefined''a", b"filename*=hex''61", b"filename*=zlib''x", b"filename*=nonsense''a", b"filename*=''",
    b"filename*=utf-8''" + b"%41" * 3000, b'filename="C:\\\\a\\\\b.csv"', b'filename="CON"', b'filename="."',
    b'filename="a\r\nX: y"', b'filename="\xf0\x9f\x98\x80.png"', b'filename="a"; filename="b"', b"filename*0=a; filename*1=b",
    b'filename="\xe2\x80\xaegpj.exe"', b'filename="~root"', b'filename="\xed\xa0\x80"', b"filename", b"filename=;",
    b"filename*=utf-8''%ed%a0%80", b"filename*=raw_unicode_escape''%5Cudfff", b"filename*=mbcs''a", b"filename*=rot13''a",
)  # fmt: skip

BOUNDARIES = (
    "multipart/form-data", "multipart/form-data; boundary=", 'multipart/form-data; boundary="X"', "multipart/mixed; boundary=X",
    "multipart/form-data; boundary=" + "b" * 3000, "multipart/form-data; boundary=X; boundary=Y", "text/plain", "",
    "multipart/form-data; boundary=\xff", "multipart/form-data;boundary=Y", "MULTIPART/FORM-DATA; BOUNDARY=X",
    "multipart/form-data; boundary*=utf-8''X", "application/json",
)  # fmt: skip


def forms(world: World, rng: Random, count: int) -> Tally:
    """Uploads of files, of parts of uploads, and of files of containers."""
    tally = Tally("multipart forms")
    targets = (
        ("/openai/v1/files", b"file"),
        (f"/openai/v1/uploads/{world.ids['upload_id']}/parts", b"data"),
        (f"/openai/v1/containers/{world.ids['container_id']}/files", b"file"),
    )
    for _ in range(count):
        path, field = rng.choice((targets[0], *targets))
        body = _body(rng, field)
        kind = "multipart/form-data; boundary=X"
        given: list[Header] = [
            ("Content-Type", rng.choice(BOUNDARIES) if rng.random() < 0.12 else kind)
        ]
        if rng.random() < 0.05:
            given.append(("Content-Encoding", "gzip"))
        if rng.random() < 0.1:
            given.append(("OpenAI-Beta", "assistants=v1"))
        chunks = rng.choice((1, 7, 200)) if rng.random() < 0.25 else 0
        reply = world.check(tally, Request("POST", path, body, given, chunks))
        if reply is not None and reply.status == 200 and path.endswith("/files"):
            _read_back(world, tally, path, json.loads(reply.body)["id"], body)
    return tally


def _read_back(world: World, tally: Tally, path: str, id: str, body: bytes) -> None:
    """What was taken can be read, under its name, and be deleted."""
    for verb, of in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        reply = world.check(Tally(""), Request(verb, f"{path}/{id}{of}"))
        if reply is None or reply.status != 200:
            tally.blame(f"{verb} {of} of what was taken", (body, reply))


def _body(rng: Random, field: bytes) -> bytes:
    """A form: mostly with one thing wrong."""
    content = rng.choice(
        (b"", b"a,b\n1,2\n", b"\r\n--X", b"\r\n--Y--\r\n", bytes(range(256)), b"x" * 70_000)
    )
    name = rng.choice(NAMES) if rng.random() < 0.6 else b'filename="a.csv"'
    head = b'Content-Disposition: form-data; name="' + field + b'"; ' + name
    if rng.random() < 0.25:
        head += rng.choice(_HEADS)
    parts = [head + b"\r\n\r\n" + content]
    purpose = b'Content-Disposition: form-data; name="purpose"\r\n\r\nassistants'
    if rng.random() < 0.9:
        parts.insert(rng.randrange(2), purpose)
    if rng.random() < 0.3:
        parts.append(_extra(rng, parts))
    body = b"".join(b"--X\r\n" + part + b"\r\n" for part in parts) + b"--X--\r\n"
    if rng.random() < 0.6:
        return body
    at = rng.randrange(len(body))
    kind = rng.randrange(8)
    if kind == 0:
        return body[:at]
    if kind == 1:
        return body[:at] + bytes(rng.randrange(256) for _ in range(3)) + body[at:]
    if kind == 2:
        return body.replace(b"\r\n", rng.choice((b"\n", b"\r", b"\r\r\n")))
    if kind == 3:
        return body.replace(
            b"--X--\r\n", rng.choice((b"", b"--X--", b"--X", b"--X\r\n", b"--X--\r\nmore"))
        )
    if kind == 4:
        return rng.choice((b"preamble\r\n", b"\r\n", b"\x00", b"--")) + body
    if kind == 5:
        return body.replace(
            b"Content-Disposition", rng.choice((b"content-disposition", b"X", b"Content\xff", b""))
        )
    if kind == 6:
        return body[:at] + body
    return b""


_HEADS: tuple[bytes, ...] = (
    b"\r\nContent-Type: " + b"x" * 9000, b"\r\nX: y" * 300, b"\r\nContent-Transfer-Encoding: base64", b"\r\nno header",
    b"\r\n folded", b"; name=other", b"\r\nContent-Disposition: form-data; name=purpose", b"\r\nContent-Length: 5",
    b"\r\nX: " + b"y" * 300_000, b"; " + b"a=b; " * 3000, b"\r\n: empty", b"\x00",
)  # fmt: skip


def _extra(rng: Random, parts: list[bytes]) -> bytes:
    """One more part, or many."""
    kind = rng.randrange(6)
    if kind == 0:
        return rng.choice(parts)
    if kind == 1:
        return b'Content-Disposition: form-data; name="purpose"\r\n\r\n' + text(rng).encode(
            "utf-8", "replace"
        )
    if kind == 2:
        return b"\r\n--X\r\n".join([b'Content-Disposition: form-data; name="x"\r\n\r\n1'] * 80)
    if kind == 3:
        return (
            b'Content-Disposition: form-data; name="expires_after[seconds]"\r\n\r\n'
            + rng.choice((b"3600", b"-1", b"x", b"9" * 400))
        )
    if kind == 4:
        return b'Content-Disposition: form-data; name="y"\r\n\r\n' + b"y" * 70_000
    return b'Content-Disposition: form-data; name="\xff[\xfe]"\r\n\r\n\xff'
