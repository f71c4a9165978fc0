"""What the drivers share: code comes in as JSON lines, what came of it goes out as JSON lines.

A driver runs in its peer's environment, where nothing of this project is installed. The peer is imported before
the first line is answered, so that no time of a case has the import of a library in it.
"""

from __future__ import annotations

import json
import os
import sys
import time

SHOWN = 20_000


class Executor:
    """A peer; one session of it."""

    PICTURE = "import matplotlib.pyplot as plt\nplt.plot([1, 3, 2])\nplt.show()"

    def start(self) -> None:
        """Make the session, as far as that is not done by its first code."""

    def run(self, code: str) -> tuple[str, bytes]:
        """What the code printed or gave, and the last picture it showed; raises what the peer raises."""
        raise NotImplementedError

    def draw(self) -> bytes:
        """A chart as PNG, by the shortest way the peer has."""
        return self.run(self.PICTURE)[1]

    def stop(self) -> None:
        """End the session as the peer's documentation says."""


def serve(executor: Executor) -> None:
    """Answer until standard input ends."""
    # The code may print where it likes, and some peers do: that is no answer.
    requests = os.fdopen(os.dup(0))
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)

    def say(**what: object) -> None:
        answers.write(json.dumps(what) + "\n")

    say(ready=True)
    started = False
    try:
        for line in requests:
            code = json.loads(line)["code"]
            text, image, error = "", b"", ""
            began = time.perf_counter()
            try:
                if not started:
                    executor.start()
                    started = True
                if code is None:
                    image = executor.draw()
                else:
                    text, image = executor.run(code)
            except Exception as failure:
                error = f"{type(failure).__name__}: {failure}"
            took = time.perf_counter() - began
            if not image.startswith(b"\x89PNG"):
                image = b""
            say(
                seconds=took,
                text=text[:SHOWN],
                length=len(text),
                image=len(image),
                error=error[-2000:],
            )
    finally:
        if started:
            executor.stop()
        say(stopped=True)
        sys.stderr.flush()
