"""A model server in a process of its own: runs the code of the user's message, and repeats what came of it.

The message is the code. The answer is what the interpreter told, every file it names as a link.
"""

from __future__ import annotations

import re
import subprocess
import sys
from types import TracebackType
from typing import Any

from tests.fakes.answers import Script, code, say
from tests.fakes.upstream import Request, ScriptedUpstream

_FILE = re.compile(r"^- (/mnt/data/\S+)", re.MULTILINE)
_LONGEST = 2000


def _answer(request: Request) -> Script:
    last = next(m for m in reversed(request.messages) if m["role"] in ("user", "tool"))
    text = _text(last)
    if last["role"] == "user":
        return code(text.split("\n[Attached: ")[0], chunk=400)
    links = " ".join(f"[file](sandbox:{path})" for path in _FILE.findall(text))
    return say(f"{text[-_LONGEST:]}\n{links}", chunk=200)


def _text(message: dict[str, Any]) -> str:
    content = message["content"]
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


class Model:
    """A context manager; ``url`` is the base URL that clients want (…/v1)."""

    url = ""

    def __enter__(self) -> Model:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.model"],
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

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid


if __name__ == "__main__":
    with ScriptedUpstream() as server:

        def answer(request: Request) -> Script:
            server.requests.clear()  # it is to stay small
            return _answer(request)

        server.otherwise = answer
        server._server.socket.listen(256)  # many runs begin at once
        print(server.url, flush=True)
        sys.stdin.read()
