"""Faults of those the server talks to: the model's server, and the client."""

from __future__ import annotations

import http.client
import json
import socket
import struct

from tests.fakes.answers import code, cut, error, garbage, say, stall

from .faults_client import events
from .faults_round import BUSY, Round

# ---- the model's server -----------------------------------------------------------------------


def model_stalls(a: Round) -> None:
    """It falls silent, before its first word or after some."""
    phrase = a.teach(*[stall(after=a.chance.randrange(4))] * 3)
    run = a.client.start(*a.client.prepare(phrase))
    a.must_be(a.client.ended(run), "failed", code="server_error", text=".")


def model_breaks_off(a: Round) -> None:
    """The connection is cut in the middle of an answer, or of a piece of code."""
    broken = a.chance.choice([cut(after=3), code(BUSY, cut_after=a.chance.randrange(2, 6))])
    run = a.client.start(*a.client.prepare(a.teach(broken)))
    a.must_be(a.client.ended(run), "failed", code="server_error", text=".")


def model_talks_garbage(a: Round) -> None:
    """What it sends makes no sense."""
    run = a.client.start(*a.client.prepare(a.teach(*[garbage()] * 3)))
    a.must_be(a.client.ended(run), "failed", code="server_error", text=".")


def model_is_overrun(a: Round) -> None:
    """A storm of 429, which abates in time or does not."""
    left = [error(429, "slow down", retry_after=0.2)] * a.chance.choice([2, 8])
    abates = len(left) == 2
    phrase = a.teach(lambda: left.pop() if left else say("Now."))
    run = a.client.start(*a.client.prepare(phrase))
    if abates:
        a.must_be(a.client.ended(run), "completed")
    else:
        a.must_be(a.client.ended(run), "failed", code="rate_limit_exceeded", text=".")


def model_is_not_there(a: Round) -> None:
    """Its server refuses connections."""
    run = a.client.start(*a.client.prepare(a.teach(say("never")), model="nobody"))
    a.must_be(a.client.ended(run), "failed", code="server_error", text=".")


# ---- the client -------------------------------------------------------------------------------


def _hang_up(connection: http.client.HTTPConnection) -> None:
    """Be gone, with a reset where that is what networks do."""
    assert connection.sock is not None
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _connection(a: Round) -> tuple[http.client.HTTPConnection, str]:
    host, _, path = a.site.server.openai.removeprefix("http://").partition("/")
    return http.client.HTTPConnection(host, timeout=60), f"/{path}"


def client_vanishes(a: Round) -> None:
    """In the middle of a stream; the run goes on, and is there when it comes back."""
    phrase = a.teach(code("print('done', flush=True)"), say("A long answer. " * 20, delay=0.01))
    assistant, thread = a.client.prepare(phrase)
    connection, base = _connection(a)
    body = json.dumps({"assistant_id": assistant, "stream": True})
    headers = {**a.client.api._headers, "Content-Type": "application/json"}
    connection.request("POST", f"{base}/threads/{thread}/runs", body, headers)
    response = connection.getresponse()
    last, path = a.chance.randrange(1, 40), ""
    for number, (name, data) in enumerate(events(response), start=1):
        path = path or f"/threads/{thread}/runs/{data['id']}"
        a.client.told.events.setdefault(path, []).append((name, data))
        if number == last:
            break
    response.close()
    _hang_up(connection)
    a.must_be(a.client.ended(path), "completed")


def client_vanishes_uploading(a: Round) -> None:
    """In the middle of a file; nothing of it stays."""
    connection, base = _connection(a)
    before = {each["id"] for each in a.client.ask("GET", "/files?limit=10000")["data"]}
    content = a.chance.randbytes(a.chance.randrange(1_000, 5_000_000))
    head = (
        b'--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nassistants\r\n'
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="half"\r\n\r\n'
    )
    connection.putrequest("POST", f"{base}/files")
    for name, value in a.client.api._headers.items():
        connection.putheader(name, value)
    connection.putheader("Content-Type", "multipart/form-data; boundary=x")
    connection.putheader("Content-Length", str(len(head) + len(content) + 100))
    connection.endheaders(head)
    connection.send(content)
    a.a_moment(0.3)
    _hang_up(connection)
    after = {each["id"] for each in a.client.ask("GET", "/files?limit=10000")["data"]}
    a.must(after == before, "a file is there of which half was sent")
