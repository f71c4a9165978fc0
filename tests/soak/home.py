"""A server to load: in directories of its own, with the scripted model, and what it leaves behind."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.conformance.server import LiveServer

from .client import Client
from .model import Model
from .watch import Leavings, Watched

_LAST_WORDS = 8000  # characters


class Home:
    """Where one server after the other lives, with all that it writes below ``directory``."""

    def __init__(self, folder: Path, model: Model) -> None:
        self.directory = folder / "server"
        self.data = self.directory / "data" / "code-interpreter" / "default"
        self.leavings = Leavings(folder / "tmp", self.directory / "runtime", model.pid)
        self._model = model

    @contextmanager
    def server(self, *options: str) -> Iterator[LiveServer]:
        """A running server; its log goes on with the one before it, and is told of what goes wrong."""
        log = self.directory / "server.log"
        earlier = log.read_bytes() if log.exists() else b""
        try:
            with LiveServer(self.directory, self._model.url, *options) as live:
                yield live
        except BaseException:
            print(log.read_text("utf-8", "replace")[-_LAST_WORDS:], file=sys.stderr, flush=True)
            raise
        finally:
            log.write_bytes(earlier + log.read_bytes())

    def watch(self, live: LiveServer) -> Watched:
        """For looking at the server's process."""
        port = urlsplit(self._model.url).port
        assert port is not None
        return Watched(live.pid, port)

    def complaints(self) -> list[str]:
        """Lines of the server's log that are warnings or worse."""
        lines = (self.directory / "server.log").read_text("utf-8", "replace").splitlines()
        worse = [line for line in lines if line.startswith(("[W", "[E", "[C", "Traceback"))]
        return [line for line in worse if "received signal 15" not in line]


@contextmanager
def home() -> Iterator[Home]:
    """Directories that go at the end; temporary files of the server are among them."""
    with tempfile.TemporaryDirectory(prefix="s-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for each in ("server", "tmp"):
            (folder / each).mkdir()
        os.environ["TMPDIR"] = str(folder / "tmp")
        os.environ.pop("XDG_RUNTIME_DIR", None)
        with Model() as model:
            yield Home(folder, model)


def kernels(client: Client) -> int:
    """How many kernels the server has, warm spares among them."""
    return len(client("GET", "/api/kernels"))


class Claims:
    """What is held to be so; each is told when it fails."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    def hold(self, holds: bool, claim: str, found: object = "") -> None:
        """Take note unless it holds."""
        if not holds:
            self.failed.append(f"{claim}: {found}" if found != "" else claim)

    def report(self, heading: Sequence[str], rows: Sequence[Sequence[object]]) -> int:
        """Print the figures as a table, and what failed; the exit code."""
        print(table(heading, rows), flush=True)
        for claim in self.failed:
            print(f"\nFAILED {claim}", flush=True)
        return 1 if self.failed else 0


def table(heading: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """As Markdown."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
