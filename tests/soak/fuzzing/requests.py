"""Requests that are wrong in their JSON, their query or their headers; and such as are no HTTP."""

from __future__ import annotations

import json
from random import Random
from urllib.parse import quote, quote_from_bytes

from jupyter_ci_ext.wire.v1_params import CreateAssistantFile
from tests.api.world import Place, places
from tests.soak.fuzzing.line import Header, HungUp, Request, Unanswered
from tests.soak.fuzzing.spelling import changed, nasty, spelled, text
from tests.soak.fuzzing.world import Tally, World, fault_of, valid_bodies

DEAR = ("/containers", "/restart")
"""Ends of addresses that start a kernel, asked for now and then only."""

TYPES = (
    "application/json; charset=utf-16", "application/json;charset=\xff", "text/plain", "", "nonsense", "a/b/c",
    "application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; boundary=",
    "multipart/form-data; boundary=X", "application/json, text/html", "x" * 5000,
)  # fmt: skip

HEADERS: dict[str, tuple[str | bytes, ...]] = {
    "OpenAI-Beta": ("assistants=v1", "assistants=v3", "", "assistants=v1, assistants=v2", "x" * 9000, "v1"),
    "Range": (
        "bytes=0-0", "bytes=-1", "bytes=5-2", "bytes=0-", "bytes=99999999999999999999-", "bytes=-0", "bytes=0-1,3-4",
        "bytes=" + "9" * 5000 + "-", "lines=1-2", "bytes=\xb2-", "bytes=a-b", "bytes = 1 - 2", "bytes=1-" + "0" * 30,
    ),
    "If-Range": ('"x"', "Sat, 21 Nov 2026 00:00:00 GMT", "*"),
    "If-None-Match": ("*", '"x"', 'W/"x", "y"', "x" * 3000),
    "Accept": ("text/html", "*/*;q=x", "", "text/event-stream"),
    "Accept-Encoding": ("gzip", "br;q=1.0, *;q=0", "identity;q=0"),
    "Content-Encoding": ("gzip", "deflate", "br", "x"),
    "Authorization": (
        "Bearer", "Bearer ", "Basic !!!", "Basic OnRva2Vu", "Digest x", b"Bearer \xff\xfe", "token x", "x" * 9000,
    ),
    "api-key": ("x", "", b"\xff", "x" * 9000),
    "Last-Event-ID": ("-1", "x", "1.5", "9" * 15, "9" * 4000, "\xb2", "0x1", "", " 1", b"\xff"),
    "X-CI-Keep-Alive": ("0", "-1", "61", "1e9", "9" * 4000, "\xb2", "1.5", "x", "0009"),
    "x-ms-client-request-id": ("a\tb", "x" * 9000, b"\xff\xfe", "a,b", "\x7f", "é"),
    "Origin": ("null", "http://evil.example", "x", b"\xff"),
    "Cookie": ("_xsrf=x", "username-localhost=x", "=", ";;;", b"\xff=\xff", "a=" + "x" * 5000),
    "Idempotency-Key": ("x", "x" * 9000),
    "X-Forwarded-For": ("::1", "x", "1.2.3.4, 5.6.7.8"),
    "X-Forwarded-Proto": ("https", "gopher"),
    "Host": ("evil.example", "", "[::1", "localhost:99999", b"\xff"),
    "Expect": ("100-continue", "x"),
    "Upgrade": ("websocket", "h2c"),
    "Connection": ("close", "upgrade", "keep-alive, x"),
}  # fmt: skip

LENGTHS = (b"-1", b"x", b"9" * 30, b"0", b"5", b"1000", b"+30", b"30, 30", b"30, 31")
CODINGS = (b"chunked", b"x", b"chunked, chunked", b"gzip, chunked", b"")
CHUNKS = (
    b"5\r\nhello\r\n0\r\n\r\n",
    b"zz\r\n",
    b"-1\r\n",
    b"F" * 20,
    b"5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n",
)
NO_HTTP = (
    b"GET",
    b"\x00",
    b"\x16\x03\x01\x02\x00",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\r\n" * 99,
    b"\xff" * 5000,
)
PROTOCOLS = (b"HTTP/9.9", b"HTTP/1.0", b"", b"http/1.1", b"HTTP/1.1\x00")
VERBS = (b"PUT", b"TRACE", b"post", b"P" * 300, b"CONNECT", b"PATCH", b"P\x00ST")
"""Pieces of requests that are no HTTP, or only just."""

VERSIONS = (
    "2024-02-15-preview", "2024-05-01-preview", "v1", "2025-05-01", "latest", "", "9999-99-99", "v" + "9" * 3000, "x",
)  # fmt: skip


def bodies(world: World, rng: Random, count: int) -> Tally:
    """Valid bodies with one thing wrong, or two; for every POST that takes JSON."""
    tally = Tally("JSON bodies")
    posts = [each for each in places() if each.verb == "post"]
    valid = valid_bodies(world.ids)
    missing = {p.path for p in posts if p.operation.body and not p.operation.file} - set(valid)
    assert not missing, f"no valid body for {missing}"
    paths = sorted(valid)
    v1 = {place.path for place in posts if place.operation.body is CreateAssistantFile}
    for n in range(count):
        path = paths[n % len(paths)]
        if path.endswith(DEAR) and n // len(paths) % 40:
            path = "openai/v1/threads/{thread_id}/messages"
        value = changed(rng, valid[path])
        if rng.random() < 0.3:
            value = changed(rng, value)
        headers: list[Header] = []
        if path in v1 or rng.random() < 0.1:
            headers.append(("OpenAI-Beta", "assistants=v1"))
        if rng.random() < 0.08:
            headers.append(("Content-Type", rng.choice(TYPES)))
        if rng.random() < 0.03:
            headers.append(("Content-Encoding", "gzip"))
        chunks = rng.choice((1, 3, 50)) if rng.random() < 0.1 else 0
        version = f"?api-version={rng.choice(VERSIONS)}" if rng.random() < 0.1 else ""
        target = "/" + path.format(**world.ids) + version
        if version:
            target = target.replace("/openai/v1/", "/openai/")
        body = spelled(rng, value)
        reply = world.check(tally, Request("POST", target, body, headers, chunks))
        if reply is not None and reply.status == 200 and path.endswith("/containers"):
            made = json.loads(reply.body)["id"]
            world.api("DELETE", f"/containers/{made}")
    return tally


def queries(world: World, rng: Random, count: int) -> Tally:
    """Queries of every GET that has one, ids in paths, and bytes that are no UTF-8."""
    tally = Tally("query parameters and paths")
    gets = [each for each in places() if each.verb == "get" and "/openapi" not in each.path]
    for n in range(count):
        place = gets[n % len(gets)]
        ids = dict(world.ids)
        if rng.random() < 0.3 and "{" in place.path:
            name = rng.choice([key for key in ids if f"{{{key}}}" in place.path] or ["thread_id"])
            ids[name] = _quoted(rng, text(rng)[:3000]) or "%20"
        pairs = "&".join(_pair(rng, place, world) for _ in range(rng.randrange(4)))
        path = "/" + place.path.format(**ids) + (f"?{pairs}" if pairs else "")
        headers = [("OpenAI-Beta", "assistants=v1")] if place.operation.v1 else []
        world.check(tally, Request("GET", path, None, headers))
    return tally


def _pair(rng: Random, place: Place, world: World) -> str:
    query = place.operation.query
    names = [*(query.model_fields if query else ()), "api-version", "token", "include[]", "after"]
    name = rng.choice(names) if rng.random() < 0.85 else _quoted(rng, text(rng)[:200])
    if name == "token" and rng.random() < 0.5:
        name = "order"
    known = [*world.ids.values(), "asc", "desc", "1", "100", "true", "assistants"]
    value = rng.choice(known) if rng.random() < 0.3 else _quoted(rng, str(_value(rng))[:3000])
    return f"{name}={value}" if rng.random() < 0.95 else rng.choice(("=", "&", "%", "a==b", name))


def _value(rng: Random) -> object:
    return nasty(rng) if rng.random() < 0.5 else text(rng)


def _quoted(rng: Random, value: str) -> str:
    raw = value.encode("utf-8", "surrogatepass")
    if rng.random() < 0.2:
        raw += rng.choice((b"\xff", b"\xed\xa0\x80", b"\xc3"))
    if rng.random() < 0.05:
        return quote(value, safe="", errors="replace") + rng.choice(("%", "%zz", "%u1234"))
    return quote_from_bytes(raw, safe="")


def headers(world: World, rng: Random, count: int) -> Tally:
    """Header values, one to three at a time, on verbs that change nothing but what they make."""
    tally = Tally("header values")
    gets = [each for each in places() if each.verb == "get" and "/openapi" not in each.path]
    for n in range(count):
        place = gets[n % len(gets)]
        if n % 3 == 0:
            place = next(each for each in gets if each.path.endswith("files/{file_id}/content"))
        names = rng.sample(sorted(HEADERS), rng.choice((1, 1, 2, 3)))
        given: list[Header] = [(name, rng.choice(HEADERS[name])) for name in names]
        if rng.random() < 0.1:
            given.append(given[0])
        if rng.random() < 0.2:
            given.append((rng.choice(names), _header_value(rng)))
        path = "/" + place.path.format(**world.ids)
        if rng.random() < 0.3:
            path = path.replace("/openai/v1/", "/openai/") + f"?api-version={rng.choice(VERSIONS)}"
        # a header that is none is answered by tornado, in its own way
        world.check(tally, Request("GET", path, None, given), own_shape=False, hang_up=True)
    return tally


def _header_value(rng: Random) -> bytes:
    return bytes(rng.choice((rng.randrange(256), 0x41)) for _ in range(rng.randrange(30))).replace(
        b"\n", b""
    )


def lines(world: World, rng: Random, count: int) -> Tally:
    """Requests cut short, too long or not HTTP at all: closed or refused, and forgotten."""
    tally = Tally("broken HTTP")
    for _ in range(count):
        data, whole = _broken(world, rng)
        try:
            # of what is not whole the server would wait for the rest
            reply = world.line.send(data, end=not whole)
        except Unanswered:
            tally.cases += 1
            tally.blame("no answer", data[:500])
        except HungUp:
            tally.cases += 1
            tally.hung_up += 1
        else:
            tally.count(reply)
            fault = fault_of(reply, own_shape=False)
            elsewhere = reply.headers.get("content-type", "").startswith("text/html")
            if fault and not (elsewhere and reply.status < 500):
                tally.blame(f"{fault} {reply.status} {reply.body[:300]!r}", data[:500])
    return tally


def _broken(world: World, rng: Random) -> tuple[bytes, bool]:
    """A request that is wrong as HTTP, and whether it is whole all the same."""
    path = f"/openai/v1/threads/{world.ids['thread_id']}/messages"
    good = world.line.spelled(Request("POST", path, b'{"role":"user","content":"hi"}'))
    head, _, body = good.partition(b"\r\n\r\n")
    rest = b"\r\n\r\n" + body
    at = rng.randrange(len(good))
    kind = rng.randrange(9)
    if kind == 0:
        return good[:at], False
    if kind == 1:
        return good[:at] + bytes(rng.randrange(256) for _ in range(8)) + good[at:], False
    if kind == 2:
        length = b"Content-Length: " + rng.choice(LENGTHS)
        return head.replace(b"Content-Length: 30", length) + rest, False
    if kind == 3:
        coding = b"\r\nTransfer-Encoding: " + rng.choice(CODINGS)
        return head + coding + b"\r\n\r\n" + rng.choice(CHUNKS), False
    if kind == 4:
        return head + b"\r\nX: " + b"x" * rng.choice((70_000, 300_000)) + rest, True
    if kind == 5:
        return head + b"\r\nX: y" * rng.choice((50, 500, 5000)) + rest, True
    if kind == 6:
        return rng.choice(NO_HTTP), False
    if kind == 7:
        return head.replace(b"HTTP/1.1", rng.choice(PROTOCOLS)) + rest, True
    return head.replace(b"POST", rng.choice(VERBS)) + rest, True
