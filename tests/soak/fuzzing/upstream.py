"""A model server that sends whatever it is told to, byte for byte, and what it is told here."""

from __future__ import annotations

import json
import socketserver
import time
from collections import deque
from random import Random
from typing import Any

from tests.engine.folding import check_stream
from tests.fakes.answers import Answer, calls, code, payloads, say
from tests.fakes.loopback import Loopback, Server
from tests.soak.fuzzing.line import SECONDS
from tests.soak.fuzzing.spelling import changed, readable, spelled
from tests.soak.fuzzing.world import Tally, World, no_json

LOOK = "Compute."
"""What the model answers with code."""
CRASHED = "an error in the server itself"
"""Of the text a run fails with when the server did not know what to do."""


class GarbageUpstream(Loopback):
    """Answers each request for a completion with the next of ``queue``, or decently.

    What is queued in pieces is sent piece by piece, slowly enough to be followed. A context manager; ``url`` is the base URL.
    """

    def __init__(self) -> None:
        self.queue: deque[bytes | tuple[bytes, ...]] = deque()
        super().__init__(_Handler)

    @property
    def url(self) -> str:
        """For clients; ends in ``/v1``."""
        return f"{self.root}/v1"

    def answer(self, path: str, body: dict[str, Any]) -> bytes | tuple[bytes, ...]:
        """The bytes of a response."""
        if not path.endswith("/chat/completions"):
            models = {"object": "list", "data": [{"id": "scripted", "object": "model"}]}
            return response(json.dumps(models).encode(), b"application/json")
        try:
            return self.queue.popleft()
        except IndexError:
            return response(stream(payloads(decent(body), body)))


class _Handler(socketserver.StreamRequestHandler):
    server: Server

    def handle(self) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.rfile.readline(65_536)
            if not line:
                return
            head += line
        lengths = [
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ]
        body = json.loads(self.rfile.read(lengths[0])) if lengths else {}
        path = head.split(b" ")[1].decode().split("?")[0]
        try:
            answer = self.server.owner.answer(path, body)
            for piece in (answer,) if isinstance(answer, bytes) else answer:
                self.wfile.write(piece)
                if piece is not answer:
                    time.sleep(0.002)
        except (BrokenPipeError, ConnectionResetError):
            pass


def decent(body: dict[str, Any]) -> Answer:
    """What a good model answers: code when it is asked to compute, and a word on the result."""
    last = body["messages"][-1]
    if last["role"] == "tool":
        return say("That is it.")
    return code("print(6 * 7)") if LOOK in json.dumps(last["content"]) else say("Done.")


def response(body: bytes, kind: bytes = b"text/event-stream", status: bytes = b"200 OK") -> bytes:
    """A response whose end is that of the connection."""
    head = b"HTTP/1.1 " + status + b"\r\nContent-Type: " + kind + b"\r\nConnection: close\r\n\r\n"
    return head + body


def stream(data: list[str]) -> bytes:
    """Payloads as server-sent events."""
    return "".join(f"data: {payload}\n\n" for payload in data).encode("utf-8", "surrogatepass")


def chunks(rng: Random) -> list[dict[str, Any]]:
    """The chunks of a good answer, as JSON."""
    answer = rng.choice(
        (
            say("Here it is. " * 3),
            code("1 + 1", "print(2)"),
            calls(("look", {"at": "x"}), ("look", "{}")),
            say("", refusal="I would rather not."),
            Answer(text="Words", calls=code("3").calls, without_index=True),
            code("print(1)").but(legacy_shape=True),
            say("<think>hm</think>\n```python\nprint(1)\n```"),
        )
    ).but(chunk=rng.choice((1, 5, 40)))
    body = {"model": "scripted", "stream_options": {"include_usage": True}}
    return [json.loads(each) for each in payloads(answer, body) if each != "[DONE]"]


def bent(rng: Random) -> bytes:
    """A response that is wrong somewhere: a value, an event, a byte, the status, the end."""
    given = chunks(rng)
    kind = rng.random()
    if kind < 0.75:
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(given))
            given[at] = (readable if rng.random() < 0.9 else changed)(rng, given[at])
            if rng.random() < 0.15:
                rng.shuffle(given)
    lines = [b"data: " + spelled(rng, each, 0.01) + b"\n\n" for each in given] + [
        b"data: [DONE]\n\n"
    ]
    if rng.random() < 0.25:
        lines.insert(rng.randrange(len(lines)), rng.choice(_EVENTS))
    body = b"".join(lines)
    if kind > 0.85:
        at = rng.randrange(len(body))
        body = rng.choice((body[:at], body[:at] + b"\xff\xfe\x00" + body[at:], body[at:], b""))
    answer = response(body)
    if kind > 0.95:
        answer = response(body[:500], rng.choice(_KINDS), rng.choice(_STATUSES))
    if rng.random() < 0.04:
        answer = answer.replace(b"Connection: close", rng.choice(_BROKEN))
    return answer


_EVENTS = (
    b"event: error\ndata: {\"error\": \"no\"}\n\n", b'data: {"error": {"message": null, "code": [1]}}\n\n', b": comment\n\n",
    b"data:\n\n", b"data: null\n\n", b"data: 3\n\n", b"data: []\n\n", b'data: "x"\n\n', b"retry: x\nid: \x00\n\n", b"data: {}\n\n",
    b"data: [DONE]\n\n", b"\r\n\r\n", b"data: " + b"x" * 70_000 + b"\n\n", b"event: " + b"y" * 3000 + b"\ndata: {}\n\n",
    b'data: {"choices": 3}\n\n', b'data: {"choices": [[]]}\n\n', b'data: {"usage": {"prompt_tokens": -5}}\n\n',
    b'data: {"usage": {"prompt_tokens": 1e400, "completion_tokens": true}}\n\n', b"data\n\n", b"\xff\xfe\n\n",
)  # fmt: skip
_KINDS = (b"application/json", b"text/html", b"", b"text/event-stream; charset=utf-16")
_STATUSES = (
    b"400 Bad",
    b"404 x",
    b"422 x",
    b"204 No Content",
    b"418 I",
    b"401 x",
    b"403 x",
    b"413 x",
)
_BROKEN = (
    b"Transfer-Encoding: chunked", b"Content-Length: 5", b"Content-Length: 99999", b"Content-Encoding: gzip", b"X" * 70_000,
)  # fmt: skip


def garbage(world: World, upstream: GarbageUpstream, rng: Random, count: int) -> Tally:
    """Runs whose model answers nonsense: each ends in a state that says so, its stream adds up."""
    tally = Tally("answers of the model server")
    thread = world.ids["thread_id"]
    for n in range(count):
        upstream.queue.extend(bent(rng) for _ in range(rng.choice((1, 1, 2))))
        sent = list(upstream.queue)
        body = {"assistant_id": world.ids["runner"], "stream": True}
        message = {"role": "user", "content": f"Say something, {n}."}
        world.api("POST", f"/threads/{thread}/messages", message)
        text = world.api.stream("POST", f"/threads/{thread}/runs", body)
        upstream.queue.clear()
        tally.cases += 1
        fault = _fault(world, thread, text, tally)
        if fault:
            tally.blame(fault, (sent, text[-1500:]))
    return tally


def _fault(world: World, thread: str, text: str, tally: Tally) -> str:
    """What is wrong with the stream of a run, and ends it where it waits for functions."""
    try:
        events = [
            (name.removeprefix("event: "), data.removeprefix("data: "))
            for name, data in (
                record.split("\n") for record in text.removesuffix("\n\n").split("\n\n")
            )
        ]
        if events.pop() != ("done", "[DONE]"):
            return "the stream has no end"
        read = [(name, json.loads(data, parse_constant=no_json)) for name, data in events]
        check_stream(read)
    except (AssertionError, ValueError, KeyError, TypeError, IndexError) as error:
        return f"the stream does not add up ({error!r})"
    run = read[-1][1]
    if run["status"] == "requires_action":
        world.api("POST", f"/threads/{thread}/runs/{run['id']}/cancel")
        if not _over(world, f"/threads/{thread}/runs/{run['id']}"):
            return "the run is not cancelled"
    tally.taken += run["status"] != "failed"
    tally.refused += run["status"] == "failed"
    if run["last_error"] is not None and CRASHED in run["last_error"]["message"]:
        return "the run failed without a reason"
    stored = world.api("GET", f"/threads/{thread}/runs/{run['id']}")
    if run["status"] != "requires_action" and stored != run:
        return f"what is stored is not what was told: {stored}"
    return ""


def _over(world: World, path: str) -> bool:
    until = time.monotonic() + SECONDS
    while (going := world.api("GET", path)["status"] == "cancelling") and time.monotonic() < until:
        time.sleep(0.01)
    return not going
