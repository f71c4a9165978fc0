"""A model server in a process of its own: runs the code of the user's message, and repeats what came of it.

The message is the code. The answer is what the interpreter told, every file it names as a link.
"""

from __future__ import annotations

import re
import sys

from tests.fakes.answers import Script, code, say
from tests.fakes.apart import Apart, words
from tests.fakes.upstream import Request, ScriptedUpstream

_FILE = re.compile(r"^- (/mnt/data/\S+)", re.MULTILINE)
_LONGEST = 2000


def _answer(request: Request) -> Script:
    last = next(m for m in reversed(request.messages) if m["role"] in ("user", "tool"))
    text = words(last)
    if last["role"] == "user":
        return code(text.split("\n[Attached: ")[0], chunk=400)
    links = " ".join(f"[file](sandbox:{path})" for path in _FILE.findall(text))
    return say(f"{text[-_LONGEST:]}\n{links}", chunk=200)


class Model(Apart):
    """The running server."""

    module = "tests.soak.model"


if __name__ == "__main__":
    with ScriptedUpstream() as server:

        def answer(request: Request) -> Script:
            server.requests.clear()  # it is to stay small
            return _answer(request)

        server.otherwise = answer
        server._server.socket.listen(256)  # many runs begin at once
        print(server.url, flush=True)
        sys.stdin.read()
