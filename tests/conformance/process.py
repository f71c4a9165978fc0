"""A client in a process and an environment of its own, which does what it is told line by line."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import Empty, Queue
from typing import IO, Any

HERE = Path(__file__).parent


class ClientFailed(AssertionError):
    """The client raised what its scenario does not expect, died, or did not answer in time."""


class Client:
    """A script of ``clients/``: each call runs one of its scenarios and gives back its result.

    The process is started at the first call and serves all later ones; one that does not answer
    in time is ended, and the next call has a new one.
    """

    def __init__(self, argv: Sequence[str | Path], script: str, env: Mapping[str, str]) -> None:
        self._argv = [*map(str, argv), str(HERE / "clients" / script)]
        self._env = {**os.environ, **env}
        for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID"):
            if name not in env:
                self._env.pop(name, None)
        self._process: subprocess.Popen[str] | None = None
        self._answers: Queue[str | None] = Queue()
        self._errors: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115 - until `close`

    def __call__(self, scenario: str, /, *, seconds: float = 60.0, **arguments: Any) -> Any:
        """Run *scenario*; raises `ClientFailed`."""
        process = self._process or self._start()
        assert process.stdin is not None
        process.stdin.write(json.dumps({"scenario": scenario, "arguments": arguments}) + "\n")
        process.stdin.flush()
        try:
            line = self._answers.get(timeout=seconds)
        except Empty:
            raise ClientFailed(f"{scenario}: no answer in {seconds} s{self._end()}") from None
        if line is None:
            raise ClientFailed(f"{scenario}: the client died{self._end()}")
        answer = json.loads(line)
        if "error" in answer:
            raise ClientFailed(f"{scenario}: {answer['error']}")
        return answer["result"]

    def close(self) -> None:
        """End the process."""
        self._end()
        self._errors.close()

    def _start(self) -> subprocess.Popen[str]:
        self._answers = answers = Queue()
        self._process = process = subprocess.Popen(
            self._argv,
            env=self._env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

        def read() -> None:
            assert process.stdout is not None
            with process.stdout:
                for line in process.stdout:
                    answers.put(line)
            answers.put(None)

        threading.Thread(target=read, daemon=True).start()
        return process

    def _end(self) -> str:
        """End the process; what it wrote to stderr."""
        process, self._process = self._process, None
        if process is None:
            return ""
        assert process.stdin is not None
        process.kill()
        process.wait()
        process.stdin.close()
        self._errors.seek(0)
        return f"; it wrote:\n{self._errors.read()[-3000:]}"
