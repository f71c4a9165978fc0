"""Event streams that are taken up again, at sensible and at senseless places."""

from __future__ import annotations

import http.client
import json
from random import Random

from tests.fakes.answers import payloads, say
from tests.soak.fuzzing.line import Header, Request
from tests.soak.fuzzing.upstream import GarbageUpstream, response, stream
from tests.soak.fuzzing.world import Tally, World, no_json

IDS = (
    "-1", "x", "1.5", "1e3", " 1", "1 ", "0x1", "\xb2", "９", "9" * 16, "9" * 5000, "null", "NaN", "true", "0", "00001",
    "9" * 15, "--", "+1", "\x00", "1\x00", "thread_1", "%", "1;2", "",
)  # fmt: skip
WORDS = "One word after the other. " * 8


def resumes(world: World, rng: Random, count: int) -> Tally:
    """Streams of runs that are over: from number n on comes exactly what follows n."""
    tally = Tally("resume ids of finished streams")
    runs = [f"/openai/v1/threads/{thread}/runs/{run}/events" for thread, run in world.runs]
    whole = [_records(world, path, 0) for path in runs]
    lengths = [len(records) - 1 for records in whole]
    for _ in range(count):
        at = rng.randrange(len(runs))
        known = rng.random() < 0.6
        given = (
            str(rng.choice((rng.randint(0, lengths[at] + 3), rng.randint(0, 10**15 - 1))))
            if known
            else rng.choice(IDS)
        )
        headers: list[Header] = []
        path = runs[at]
        if rng.random() < 0.5:
            headers.append(("Last-Event-ID", given.encode()))
        else:
            path += "?after=" + "".join(f"%{byte:02x}" for byte in given.encode())
        reply = world.check(
            tally, Request("GET", path, None, headers), own_shape=False, hang_up=True
        )
        if reply is None:
            continue
        number = int(given) if given.isascii() and given.isdigit() and len(given) < 16 else None
        if given.strip() != given or "\x00" in given:
            continue  # a header's blanks are none of its value; a NUL is no header's
        if number is None and given != "" and reply.status != 400:
            tally.blame(f"{given[:50]!r} was taken: {reply.status}", reply.body[:200])
        if number is not None or given == "":
            first = min(number or 0, lengths[at])
            if reply.body.decode().split("\n\n")[:-1] != whole[at][first:]:
                tally.blame(f"after {given!r} came something else", reply.body[:2000])
    return tally


def cuts(world: World, upstream: GarbageUpstream, rng: Random, count: int) -> Tally:
    """Streams of runs at work, cut at any byte and taken up again: together they are the whole."""
    tally = Tally("live streams cut and resumed")
    for _ in range(count):
        body = {"model": "scripted", "stream_options": {"include_usage": True}}
        answer = say(WORDS[: rng.randint(1, len(WORDS))], chunk=rng.choice((1, 3, 20)))
        each = stream(payloads(answer, body)).split(b"\n\n")[:-1]
        upstream.queue.append((response(b""), *(event + b"\n\n" for event in each)))
        fields = {
            "assistant_id": world.ids["runner"],
            "thread": {"messages": [{"role": "user", "content": "Talk."}]},
        }
        run = world.api("POST", "/threads/runs", fields)
        path = f"/openai/v1/threads/{run['thread_id']}/runs/{run['id']}/events"
        got: list[str] = []
        for _ in range(rng.randint(1, 6)):
            got += _part(world, path, len(got), rng)
        while not got or got[-1] != "event: done\ndata: [DONE]":
            got += _part(world, path, len(got), None)
        tally.cases += 1
        tally.taken += 1
        whole = _records(world, path, 0)
        if got != whole:
            tally.blame("the pieces are not the whole", (got, whole))
        numbers = [int(each.split("\n")[0].removeprefix("id: ")) for each in whole[:-1]]
        if numbers != list(range(1, len(whole))):
            tally.blame("events are not numbered one by one", numbers)
    return tally


def _records(world: World, path: str, after: int) -> list[str]:
    """All records of a stream, its end the last."""
    reply = world.line.ask(Request("GET", path, None, [("Last-Event-ID", str(after))]))
    records = reply.body.decode().split("\n\n")
    assert reply.status == 200, reply
    assert records[-2:] == ["event: done\ndata: [DONE]", ""], records[-3:]
    for record in records[:-2]:
        json.loads(record.split("\n")[2].removeprefix("data: "), parse_constant=no_json)
    return records[:-1]


def _part(world: World, path: str, after: int, rng: Random | None) -> list[str]:
    """The whole records of a stream that is cut after some bytes; with no *rng* to its end."""
    connection = world.line.open(Request("GET", path, None, [("Last-Event-ID", str(after))]))
    with connection:
        reply = http.client.HTTPResponse(connection)
        reply.begin()
        assert reply.status == 200, reply.status
        data, most = b"", 10**9 if rng is None else rng.choice((0, 1, 40, 300, 2000))
        while len(data) < most and (more := reply.read1(min(65_536, most - len(data)))):
            data += more
    return data.decode("utf-8", "ignore").split("\n\n")[:-1]
