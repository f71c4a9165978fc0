"""The tests' scripted model server, in a process of its own, doing what the user's message says.

The message ends in JSON: ``{"code": …}`` calls the interpreter and then answers, ``{"tokens": n,
"delay": seconds}`` streams n tokens. Every token, and every code, carries the moment it was sent
where `STAMP` stands, in nanoseconds of the monotonic clock, which all processes share.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from types import TracebackType
from typing import Any

from tests.fakes.answers import Answer, Script, code, say
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
    wanted = json.loads(_text(last)[_text(last).index("{") :])
    if "code" in wanted:
        # In one piece: what is measured is the interpreter, not the arrival of its code.
        return code(f"{wanted['code']}\n# {STAMP}", chunk=1 << 20)
    text = TOKEN * int(wanted["tokens"])
    return Answer(text=text, chunk=len(TOKEN), delay=float(wanted.get("delay", 0)))


def _text(message: dict[str, Any]) -> str:
    content = message["content"]
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


class Upstream:
    """A context manager; ``url`` is the base URL that clients want (…/v1)."""

    url = ""

    def __enter__(self) -> Upstream:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.upstream"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate(timeout=30)


if __name__ == "__main__":
    with ScriptedUpstream() as server:
        server.otherwise = _answer
        server._server.RequestHandlerClass = _Stamping
        server._server.socket.listen(128)  # many streams begin at once
        print(server.url, flush=True)
        sys.stdin.read()
