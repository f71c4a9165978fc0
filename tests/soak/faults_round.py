"""One round: a run that is long enough for something to happen to it, and what came of it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.fakes.answers import Script, code, say

from .audit import Audit, settled
from .faults_client import GONE, JSON, OVER, Client, Refused
from .faults_site import Site

NAME = "soak at work"
BUSY = f"""
open("/proc/self/comm", "w").write({NAME!r})
print("on", flush=True)
import time
for _ in range(100): time.sleep(0.05)
"""
"""Code that runs for five seconds, once it has said so, in a process of a name of its own."""
_LOOK = """
import time
data = open("/mnt/data/in.csv", "rb").read()
for part in range(5):
    print("part", part, len(data), flush=True)
    time.sleep(0.05)
open("out.csv", "wb").write(data[::-1])
"""
_ANSWER = "The table is turned round: [out.csv](sandbox:/mnt/data/out.csv). That was all."
EVENTS = 60
"""Events that such a run has at least."""


class Round:
    """A round on a site, with a client of its own."""

    def __init__(self, site: Site, audit: Audit, number: int, chance: random.Random) -> None:
        self.site = site
        self.audit = audit
        self.number = number
        self.chance = chance
        self.client = Client(lambda: site.server.openai)
        self.wrong: list[str] = []
        self.expected: tuple[str, ...] = ()
        """Tracebacks that may be in the log."""

    def teach(self, *answers: Script | Callable[[], Script]) -> str:
        """What to say to the model to get *answers*."""
        phrase = f"[{self.number}/{len(self.site.playbook._scripts)}]"
        return self.site.playbook.teach(phrase, *answers)

    def must(self, holds: Any, text: str) -> None:
        """Note that something is wrong unless it holds."""
        if not holds:
            self.wrong.append(text)

    def must_be(self, run: JSON, *statuses: str, code: str = "", text: str = "") -> None:
        """Note that a run has ended as it should not have, or without the words it should have."""
        error = run["last_error"] or {"code": "", "message": ""}
        told = f"{run['id']} is {run['status']}: {error}"
        well = run["status"] in statuses and (not code or error["code"] == code)
        self.must(well and text in error["message"], f"{told}, not {statuses} {code} {text}")

    def a_long_run(self, client: Client | None = None) -> None:
        """All that a client does: uploads a file, asks, follows the answer with code and files."""
        client = client or self.client
        content = self.chance.randbytes(self.chance.randrange(20_000, 400_000))
        file = client.upload("in.csv", content)
        phrase = self.teach(
            code(_LOOK, text="I look at the table.", delay=0.01),
            code("print(len(open('out.csv', 'rb').read()))", chunk=3, delay=0.01),
            say(_ANSWER, chunk=3, delay=0.01),
        )
        for _ in client.stream(*client.prepare(phrase, file)):
            pass

    @contextmanager
    def beside(self, work: Callable[[], None], *, heard: bool = False) -> Iterator[None]:
        """Do *work* on a thread, over when the block is; the server may refuse or die under it.

        With *heard* it may not.
        """

        def do() -> None:
            try:
                work()
            except (*GONE, Refused) as error:
                if heard:
                    self.wrong.append(f"the client got {error!r}")
            except Exception as error:
                self.wrong.append(f"the client broke down: {error!r}")

        thread = threading.Thread(target=do)
        thread.start()
        try:
            yield
        finally:
            thread.join(120)
        self.must(not thread.is_alive(), "a request was not answered for two minutes")

    def a_moment(self, longest: float) -> None:
        """Wait for up to so many seconds."""
        time.sleep(self.chance.uniform(0, longest))

    def some_point(self, client: Client | None = None) -> None:
        """Wait for some point of what `a_long_run` does, however fast this machine is."""
        told = (client or self.client).told
        if self.chance.random() < 0.2:  # the upload, the thread, the start of the run
            self.a_moment(0.5)
            return
        wanted = self.chance.randrange(EVENTS)
        deadline = time.monotonic() + 30
        while sum(map(len, told.events.values())) <= wanted and time.monotonic() < deadline:
            time.sleep(0.005)
        self.a_moment(0.05)

    def kill_the_server(self) -> None:
        """Kill it and see its kernels go by themselves; then have another one."""
        self.site.kill()
        self.wrong += settled(self.audit.orphans)
        self.site.start()

    def all_ended(self) -> list[JSON]:
        """The runs the client knows of, once they are over."""
        return [self.client.ended(run, *OVER, "requires_action") for run in self.client.told.runs]

    def still_works(self) -> None:
        """The server runs code for a new thread, and takes and gives a file."""
        content = self.chance.randbytes(1000)
        try:
            file = self.client.upload("small.bin", content)
            phrase = self.teach(code("print(6 * 7)"), say("It is 42."))
            run = self.client.start(*self.client.prepare(phrase, file))
            self.must_be(self.client.ended(run), "completed")
            steps = str(self.client.ask("GET", f"{run}/steps"))
            self.must("42\\n" in steps, f"the code of {run} has not run: {steps[:600]}")
        except (*GONE, Refused, AssertionError) as error:
            self.wrong.append(f"the server does not work: {error!r}")
