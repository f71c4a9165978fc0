"""``python -m tests.soak.faults [ROUNDS] [SEED] [KIND …]``: a fault, an audit, and so on, 200 times.

In each round something goes wrong while a real server works on a real run: one of the `KINDS`, drawn
so that every one comes in its turn. Then the server has to be well: `Audit` looks at all that it has
acknowledged, its store, its disk and its processes, and a new run has to succeed. Prints a table of the
rounds, what is wrong in between, and exits with 1 if anything is.

It is a process of its own, so that orphans of killed servers come to it and cannot hide.
"""

from __future__ import annotations

import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from .audit import Audit, settled
from .faults_client import Client, Told
from .faults_kinds import KINDS, OFTEN, Kind
from .faults_round import Round
from .faults_site import Site

ROUNDS = 200
SEED = 7


def schedule(kinds: Sequence[Kind], chance: random.Random) -> Iterator[Kind]:
    """Kinds without end: all of them, in another order each time, some more often."""
    while True:
        more = [kind for kind in kinds for _ in range(OFTEN.get(kind, 1) - 1)]
        yield from chance.sample(kinds, len(kinds))
        yield from chance.sample(more, len(more))


class Faults:
    """The rounds of one site, and what came of them."""

    def __init__(self, site: Site, seed: int) -> None:
        self.site = site
        self.audit = Audit(site)
        self.told = Told()
        self.rounds: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.ends: dict[str, Counter[str]] = {}
        self.chance = random.Random(seed)

    def round(self, number: int, kind: Kind) -> None:
        """One fault and its audit."""
        name = kind.__name__.replace("_", " ")
        this = Round(self.site, self.audit, number, random.Random(self.chance.random()))
        try:
            kind(this)
        except Exception as error:
            this.wrong.append(f"{type(error).__name__}: {error}")
        if self.site._up is None:
            self.site.start()
        ends = self.ends.setdefault(name, Counter())
        for run in this.client.told.runs:
            ends[_end(this.client, run)] += 1
        this.still_works()
        try:
            this.wrong += self.audit.everything(this.client)
        except Exception as error:
            this.wrong.append(f"the audit broke off: {type(error).__name__}: {error}")
        this.wrong += self.audit.log(this.expected)
        self.told.add(this.client.told)
        self.rounds[name] += 1
        self.wrong[name] += bool(this.wrong)
        for each in this.wrong:
            print(f"round {number}, {name}: {each[:1500]}", flush=True)

    def at_last(self) -> list[str]:
        """All that was ever acknowledged is looked at again, then the server is stopped."""
        client = Client(lambda: self.site.server.openai)
        wrong = self.audit.told(client, self.told)
        wrong += self.audit.contents(client, anew=True)
        self.site.stop()
        wrong += settled(self.audit.orphans)
        wrong += [f"{path}" for path in self.site.tmp.glob("jci-*")]
        wrong += [f"{path}" for path in self.site.runtime.glob("kernel-*")]
        wrong += self.audit.log()
        for each in wrong:
            print(f"at last: {each[:1500]}")
        return wrong

    def table(self) -> str:
        """The figures."""
        lines = ["| fault | rounds | what became of its runs | rounds with findings |"]
        lines += ["|---|---|---|---|"]
        for name, count in sorted(self.rounds.items()):
            ends = ", ".join(f"{number} {end}" for end, number in self.ends[name].most_common())
            lines.append(f"| {name} | {count} | {ends or 'none'} | {self.wrong[name]} |")
        checked = ", ".join(f"{count} {what}" for what, count in self.audit.checked.items())
        disk = "a tmpfs" if self.site.has_disk else "a limit on the size of files"
        lines += ["", f"{self.site.servers} servers were started; the disk was full by {disk}."]
        return "\n".join([*lines, f"Looked at: {checked}."])


def _end(client: Client, run: str) -> str:
    try:
        found = client.look(run)
    except Exception as error:
        return f"lost ({type(error).__name__})"
    last = found["last_error"]
    return f"{found['status']} ({last['code']})" if last else str(found["status"])


def main() -> int:
    numbers = [int(each) for each in sys.argv[1:] if each.isdigit()]
    rounds, seed = (*numbers, *(ROUNDS, SEED)[len(numbers) :])
    named = [each for each in sys.argv[1:] if not each.isdigit()]
    kinds = [kind for kind in KINDS if not named or kind.__name__ in named]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("broken off"))  # and leave nothing behind
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="t-") as folder, Site(Path(folder)) as site:
        faults = Faults(site, seed)
        turns = schedule(kinds, faults.chance)
        try:
            for number in range(1, rounds + 1):
                faults.round(number, next(turns))
            wrong = faults.at_last()
        finally:  # also when it is broken off
            minutes = (time.monotonic() - began) / 60
            done = faults.rounds.total()
            print(f"{faults.table()}\n\n{done} rounds with seed {seed} in {minutes:.1f} minutes.")
    return 1 if wrong or faults.wrong.total() else 0


if __name__ == "__main__":
    sys.exit(main())
