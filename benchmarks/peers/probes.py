"""What of the host the code of a session reaches: measured from outside, not taken from anybody's word.

A probe is a few ways to try the same thing, each a piece of ordinary code run as a cell: what a library that is
there for the job offers counts as much as what the language does. It is *held* when none got through. Nothing is
harmed that was not made for the purpose: a file, a process, a listener of this program.
"""

from __future__ import annotations

import secrets
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from .sessions import Executor, PeerFailed, Session

KEY_VARIABLE = "SERVICE_API_KEY"
MEMORY = 3 << 30
ISOLATES = "isolates"


@dataclass(frozen=True)
class Probe:
    """*ways* are code with ``<…>`` for what of the `Bait` it is about."""

    id: str
    title: str
    ways: tuple[str, ...]
    got_through: Callable[[Bait, str], bool]
    """Whether it did, by the host and by what the code printed."""

    boundary: bool = True
    """Whether it is a boundary between the code and the user, not a limit."""


class Bait:
    """A secret, a place to write to, a key, a listener and a process, below *home*.

    A process that a session left behind may take *patience* seconds to go away.
    """

    def __init__(self, home: Path, patience: float = 5.0) -> None:
        self._patience = patience
        self._left: list[psutil.Process] | None = None
        home.mkdir(parents=True, exist_ok=True)
        self.nonce = secrets.token_hex(8)
        self.key = f"sk-probe-{secrets.token_hex(8)}"
        self.secret = home / "secret.txt"
        self.secret.write_text(f"secret\n{self.nonce}\n")
        self.written = home / "written.txt"
        self.hits = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()
        # It lives as long as this program, however long the rounds take.
        self._victim = subprocess.Popen(["cat"], stdin=subprocess.PIPE, start_new_session=True)

    @property
    def environment(self) -> Mapping[str, str]:
        """What the program that runs the code has in its environment."""
        return {KEY_VARIABLE: self.key}

    @property
    def victim_died(self) -> bool:
        """Whether somebody ended the process."""
        return self._victim.poll() is not None

    def fill(self, code: str) -> str:
        """A way with the names in it."""
        for name, value in {
            "SECRET": str(self.secret),
            "WRITTEN": str(self.written),
            "PORT": str(self.port),
            "VICTIM": str(self._victim.pid),
            "NONCE": self.nonce,
            "MEMORY": str(MEMORY),
        }.items():
            code = code.replace(f"<{name}>", value)
        return code

    def left(self) -> list[psutil.Process]:
        """The processes that the session, which has ended, left behind."""
        if self._left is None:
            until = time.monotonic() + self._patience
            while (found := self._marked()) and time.monotonic() < until:
                time.sleep(0.1)
            self._left = found
        return self._left

    def close(self) -> None:
        """Remove what was made."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._victim.kill()
        self._victim.communicate()

    def _marked(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if any(self.nonce in word for word in process.cmdline()):
                    found.append(process)
        return found

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.hits += 1
                connection.close()


PROBES = (
    Probe(
        "reads",
        "reads a file of the user",
        (
            "print(open('<SECRET>').read())",
            "import pandas\nprint(pandas.read_csv('<SECRET>'))",
        ),
        lambda bait, said: bait.nonce in said,
    ),
    Probe(
        "writes",
        "writes to the user's home",
        (
            "open('<WRITTEN>', 'w').write('x')",
            "import pandas\npandas.DataFrame({'x': [1]}).to_csv('<WRITTEN>')",
        ),
        lambda bait, said: bait.written.exists(),
    ),
    Probe(
        "keys",
        "reads the program's key",
        (
            f"import os\nprint(os.environ['{KEY_VARIABLE}'])",
            """
import glob, re
for path in glob.glob('/proc/[0-9]*/environ'):
    try:
        print(re.findall('sk-probe-[0-9a-f]+', open(path).read()))
    except OSError:
        pass
""",
        ),
        lambda bait, said: bait.key in said,
    ),
    Probe(
        "network",
        "connects to a port of 127.0.0.1",
        (
            "import socket\nsocket.create_connection(('127.0.0.1', <PORT>), 2).close()",
            "import pandas\npandas.read_csv('http://127.0.0.1:<PORT>/')",
        ),
        lambda bait, said: bait.hits > 0,
    ),
    Probe(
        "processes",
        "ends a process of the user",
        (
            "import os\nos.kill(<VICTIM>, 15)",
            "import subprocess\nsubprocess.run(['kill', '<VICTIM>'])",
        ),
        lambda bait, said: bait.victim_died,
    ),
    Probe(
        "memory",
        "takes 3 GiB of memory",
        (
            "taken = b'x' * <MEMORY>\nprint('taken', len(taken))\ndel taken",
            "import numpy\ntaken = numpy.ones(<MEMORY>, 'u1')\nprint('taken', len(taken))\ndel taken",
        ),
        lambda bait, said: f"taken {MEMORY}" in said,
        boundary=False,
    ),
    Probe(
        "leftover",
        "leaves a process behind",
        (
            """
import subprocess
nowhere = dict.fromkeys(('stdin', 'stdout', 'stderr'), subprocess.DEVNULL)
subprocess.Popen(['sh', '-c', 'sleep 120; : <NONCE>'], start_new_session=True, **nowhere)
""",
        ),
        lambda bait, said: bool(bait.left()),
        boundary=False,
    ),
)


def try_all(executor: Executor, bait: Bait, probes: Sequence[Probe] = PROBES) -> dict[str, bool]:
    """Which of *probes* were held, by id, when the session had ended."""
    said = {}
    with executor() as session:
        for probe in probes:
            said[probe.id] = "".join(_run(session, bait.fill(way)) for way in probe.ways)
        session.end()
        left = bait.left()
        held = {probe.id: not probe.got_through(bait, said[probe.id]) for probe in probes}
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return held


def affordable() -> tuple[Probe, ...]:
    """The probes without that of memory, where this machine could not bear that it gets through."""
    enough = psutil.virtual_memory().available > 2 * MEMORY
    return tuple(probe for probe in PROBES if enough or probe.id != "memory")


def verdict(held: Mapping[str, bool]) -> str:
    """In words, from what was held of the boundaries."""
    open_ = [probe.id for probe in PROBES if probe.boundary and not held[probe.id]]
    if not open_:
        return ISOLATES
    if len(open_) == sum(probe.boundary for probe in PROBES):
        return "does not isolate"
    return f"isolates in part, open: {', '.join(open_)}"


def _run(session: Session, code: str) -> str:
    """What the code printed, nothing where the session did not survive it."""
    with suppress(PeerFailed):
        return session.run(code).text
    return ""
