"""A busy user: asks for code in several threads, sends and deletes files, loses streams and takes them up."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice

from .client import Client
from .run import REMEMBER, Listener, Outcome, Wrong, ask, new_assistant, new_thread, say

FILES = 8
"""Files of his own that he keeps; older ones he deletes."""
THREADS = 6
"""Threads he goes on with; he forgets about older ones, or deletes them."""


@dataclass
class Talk:
    """A thread, how many runs it has had, and when the last one was over."""

    id: str
    turns: int = 0
    used: float = field(default_factory=time.monotonic)


class User:
    """Works with the server at *url*; what he may rely on is checked, `Wrong` says what was not so.

    He forgets threads that he has not used for *memory* seconds: the server's retention may, too.
    """

    def __init__(self, number: int, memory: float) -> None:
        self.done: Counter[str] = Counter()
        """How often he did what."""
        self._chance = random.Random(number)
        self._memory = memory
        self._client: Client | None = None
        self._talks: list[Talk] = []
        self._files: list[str] = []
        self._assistants: list[str] = []

    @property
    def client(self) -> Client:
        """His connection."""
        assert self._client is not None
        return self._client

    def sit_down(self, url: str) -> None:
        """Work with the server there from now on."""
        self._client = Client(url)

    def get_up(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()

    def work(self) -> None:
        """One thing after the other that people do: mostly a run, sometimes tidying up."""
        talk, before = self._talk(), self.done["runs"]
        if not self._assistants or self._chance.random() < 0.04:
            self._new_assistant()
        kinds = [
            (self._look_back, 5),
            (self._read_file, 4),
            (self._draw, 4),
            (self._write, 4),
            (self._drop_and_resume, 3),
            (self._fail, 2),
            (self._cancel, 1),
        ]
        todo = self._chance.choices([kind for kind, _ in kinds], [often for _, often in kinds])[0]
        todo(talk)
        talk.turns += 1
        talk.used = time.monotonic()
        self.done["runs"] += self.done["runs"] == before
        self._tidy()

    def leave(self) -> None:
        """Delete everything there is, one by one."""
        for kind in ("threads", "assistants", "containers", "files"):
            while page := self.client("GET", f"/openai/v1/{kind}?limit=100")["data"]:
                for each in page:
                    self.client("DELETE", f"/openai/v1/{kind}/{each['id']}")
        self._talks, self._files, self._assistants = [], [], []

    # ---- runs ----------------------------------------------------------------------------------

    def _ask(self, talk: Talk, code: str, *files: str) -> Outcome:
        return ask(self.client, talk.id, self._assistants[-1], code, *files)

    def _look_back(self, talk: Talk) -> None:
        code = REMEMBER.format(turn=talk.turns + 1)
        found = self._ask(talk, code)
        kept = "\nkept " in found.printed
        if kept and found.fresh:
            raise Wrong(f"variables are kept, and were said to be gone: {found.told!r}")
        self.done["variables kept" if kept else "new sessions"] += 1

    def _read_file(self, talk: Talk) -> None:
        rows = self._chance.choice((100, 1000, 20_000))
        values = [self._chance.randrange(1000) for _ in range(rows)]
        name = f"data-{self._chance.randrange(10**9)}.csv"
        content = "value\n" + "".join(f"{each}\n" for each in values)
        file = self.client.upload(name, content.encode())
        self._files.append(file)
        self.done["uploads"] += 1
        code = f"import pandas as pd\nprint('sum', pd.read_csv('/mnt/data/{name}').value.sum())"
        found = self._ask(talk, code, file)
        if f"sum {sum(values)}\n" not in found.printed:
            raise Wrong(f"the sum of {name} is not {sum(values)}: {found.printed!r}")

    def _draw(self, talk: Talk) -> None:
        seed = self._chance.randrange(10**6)
        code = (
            "import numpy as np, matplotlib.pyplot as plt\n"
            f"plt.hist(np.random.default_rng({seed}).normal(size=1000), bins=30)\n"
            f"plt.title('{seed}')\nplt.show()"
        )
        if self._ask(talk, code).pictures != 1:
            raise Wrong("no picture came")
        self.done["pictures"] += 1

    def _write(self, talk: Talk) -> None:
        seed, size = self._chance.randrange(10**9), self._chance.choice((1000, 100_000, 2_000_000))
        code = (
            "import random, pathlib\n"
            f"pathlib.Path('result-{talk.turns}.bin').write_bytes(random.Random({seed}).randbytes({size}))"
        )
        found = self._ask(talk, code)
        contents = [self.client.content(f"/openai/v1/files/{id}/content") for id in found.files]
        if random.Random(seed).randbytes(size) not in contents:
            raise Wrong(f"the file is not among {len(contents)}: {found.told!r}")
        self.done["files written"] += 1

    def _fail(self, talk: Talk) -> None:
        if "ZeroDivisionError" not in self._ask(talk, "1 / 0").told:
            raise Wrong("the error was not told")

    def _drop_and_resume(self, talk: Talk) -> None:
        code = "import time\nfor n in range(20):\n    print('tick', n)\n    time.sleep(0.02)"
        say(self.client, talk.id, code)
        path, listener, run = f"/openai/v1/threads/{talk.id}/runs", Listener(), ""
        body = {"assistant_id": self._assistants[-1], "stream": True}
        for _, data in self.client.events("POST", path, body):
            run = data["id"]
            break
        self.client.close()  # after the first event of the run
        self.client.last_id = "0"
        events = self.client.events("GET", f"{path}/{run}/events")
        for event in islice(events, self._chance.randrange(3, 12)):
            listener.hear(*event)
        self.client.close()
        last = int(self.client.last_id)
        for event in self.client.events("GET", f"{path}/{run}/events?after={last}"):
            if event[0] != "done":
                last += 1
                if int(self.client.last_id) != last:
                    raise Wrong(f"event {self.client.last_id} came in the place of {last}")
            listener.hear(*event)
        if "tick 19\n" not in listener.result().printed:
            raise Wrong(f"output is missing: {listener.outcome.printed!r}")
        self.done["streams dropped"] += 2

    def _cancel(self, talk: Talk) -> None:
        say(self.client, talk.id, "time.sleep(600)")
        path, run = f"/openai/v1/threads/{talk.id}/runs", ""
        other = Client(self.client.url)
        body, status = {"assistant_id": self._assistants[-1], "stream": True}, ""
        for name, data in self.client.events("POST", path, body):
            if name == "thread.run.step.delta" and not run:  # its code comes in
                run = other("GET", f"{path}?limit=1")["data"][0]["id"]
                other("POST", f"{path}/{run}/cancel")
            if name.startswith("thread.run.") and ".step" not in name:
                status = data["status"]
        other.close()
        if status != "cancelled":
            raise Wrong(f"the run was cancelled, and is {status!r}")
        self.done["runs cancelled"] += 1

    # ---- threads, files, assistants ------------------------------------------------------------

    def _talk(self) -> Talk:
        now = time.monotonic()
        self._talks = [each for each in self._talks if now - each.used < self._memory]
        if not self._talks or self._chance.random() < 0.2:
            title = {"title": f"Question {self._chance.randrange(10**6)}"}
            self._talks.append(Talk(new_thread(self.client, metadata=title)))
            self.done["threads"] += 1
        return self._chance.choice(self._talks)

    def _new_assistant(self) -> None:
        name = f"Assistant {self._chance.randrange(10**6)}"
        self._assistants.append(new_assistant(self.client, name=name))
        self.done["assistants"] += 1
        if len(self._assistants) > 3:
            self.client("DELETE", f"/openai/v1/assistants/{self._assistants.pop(0)}")

    def _tidy(self) -> None:
        while len(self._files) > FILES:
            self.client("DELETE", f"/openai/v1/files/{self._files.pop(0)}")
            self.done["files deleted"] += 1
        while len(self._talks) > THREADS:
            talk = self._talks.pop(0)
            if self._chance.random() < 0.5:  # the others are left to the server's retention
                self.client("DELETE", f"/openai/v1/threads/{talk.id}")
                self.done["threads deleted"] += 1
