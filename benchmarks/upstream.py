"""The tests' scripted model server, in a process of its own, doing what the user's message says.

The message ends in JSON: ``{"code": …}`` calls the interpreter and then answers, ``{"tokens": n,
"delay": seconds}`` streams n tokens. Every token, and every code, carries the moment it was sent
where `STAMP` stands, in nanoseconds of the monotonic clock, which all processes share.
"""

from __future__ import annotations

import json
import sys
import time

from tests.fakes.answers import Answer, Script, code, say
from tests.fakes.apart import Apart, words
from tests.fakes.upstream import Request, ScriptedUpstream, _Handler

STAMP = "@" * 19
TOKEN = f"{STAMP} "


class _Stamping(_Handler):
    disable_nagle_algorithm = True

    def _chunk(self, payload: bytes) -> None:
        super()._chunk(payload.replace(STAMP.encode(), b"%019d" % time.monotonic_ns()))


def _answer(request: Request) -> Script:
    last = next(m for m in reversed(request.messages) if m["role"] in ("user", "tool"))
    if last["role"] == "tool":
        return say("Done.")
    wanted = json.loads(words(last)[words(last).index("{") :])
    if "code" in wanted:
        # In one piece: what is measured is the interpreter, not the arrival of its code.
        return code(f"{wanted['code']}\n# {STAMP}", chunk=1 << 20)
    text = TOKEN * int(wanted["tokens"])
    return Answer(text=text, chunk=len(TOKEN), delay=float(wanted.get("delay", 0)))


class Upstream(Apart):
    """The running server."""

    module = "benchmarks.upstream"


if __name__ == "__main__":
    with ScriptedUpstream() as server:
        server.otherwise = _answer
        server._server.RequestHandlerClass = _Stamping
        server._server.socket.listen(128)  # many streams begin at once
        print(server.url, flush=True)
        sys.stdin.read()
