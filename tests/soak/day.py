"""``python -m tests.soak.day [--hour 15] [--share 1.0]``: 24 hours of a busy user, the pauses compressed.

An hour lasts so many seconds, and so much shorter are idle time, life and retention of what there is, the
time between two clearings up, and the pauses of the user; not the work itself: code, starts of kernels,
limits of executions and runs. Where an hour's work takes longer than the hour, the hour lasts as long.

Three people's worth of work is done in busy hours: see `tests.soak.user`. A panel is open all the while.
At noon the server is restarted. At the end of each hour everything is looked at. When the day
is over the user deletes all he has, and `jupyter ci gc` what is left of it: then nothing may be there.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass

from tests.conformance.server import LiveServer

from .books import Books
from .client import Client, Refused
from .home import Claims, Home, home, kernels
from .run import Wrong
from .user import User
from .watch import MB, Held, Watched, eventually

RUNS = (0, 0, 0, 4, 0, 0, 0, 6, 14, 24, 24, 20, 6, 20, 26, 24, 20, 16, 8, 4, 10, 10, 4, 0)
"""Of each hour."""
RESTART = 12
CLEARING = 20
"""The hour at whose beginning the server's daily clearing up is due."""
RETENTION_HOURS = 10.0
LEAST_SECONDS = 120.0
"""Of the retention, however short the hours are: nobody's thread is to go while he works."""
USERS = 3
HOUR = 3600.0
GROWTH = 12 * MB
"""Private memory that a server may have more in its last hour than in its busy ones, by their median."""
LEFT_BYTES = 1_500_000
"""Of a database from which everything was deleted: empty tables, and what is too little to be given back."""

# Of what has no trait the configuration file scales the constants.
_CONFIG = """
from jupyter_ci_ext.kernels import leftovers
from jupyter_ci_ext.services import retention

scale = {scale!r}
retention.DAY *= scale
leftovers.UNCLAIMED_SECONDS *= scale
times = retention.Housekeeping.__init__.__kwdefaults__
times.update(first=times["first"] * scale, look=times["look"] * scale)
"""


@dataclass(frozen=True)
class Hour:
    """What there was at the end of an hour."""

    number: int
    runs: int
    sessions: int
    held: Held
    books: Books

    def row(self) -> list[object]:
        """Of the table."""
        books, held = self.books, self.held
        return [
            f"{self.number:02}:59",
            self.runs,
            books.rows["threads"],
            books.rows["files"],
            f"{books.database / MB:.2f}",
            f"{books.blobs / MB:.1f}",
            f"{books.workspaces / MB:.1f}",
            self.sessions,
            f"{held.private / MB:.0f}",
            held.descriptors,
            held.threads,
            held.processes,
            held.zombies,
        ]


HEADING = (
    "time",
    "runs",
    "threads stored",
    "files",
    "database MB",
    "blobs MB",
    "workspaces MB",
    "kernels",
    "private memory MB",
    "descriptors",
    "OS threads",
    "processes",
    "zombies",
)


class Panel:
    """JupyterLab's panel, open: lists, sessions and status, every so many *seconds*."""

    def __init__(self, url: str, seconds: float) -> None:
        self.asked = 0
        self.errors: list[str] = []
        self._seconds = seconds
        self._client = Client(url)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._poll)

    def __enter__(self) -> Panel:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._client.close()

    def _poll(self) -> None:
        paths = [
            "/code-interpreter/threads?limit=30&no_track_activity=1",
            "/code-interpreter/sessions?no_track_activity=1",
            "/code-interpreter/status?no_track_activity=1",
            "/openai/v1/assistants?limit=100",
            "/api/kernels?no_track_activity=1",
        ]
        while not self._over.wait(self._seconds):
            try:
                for path in paths:
                    self._client("GET", path)
                    self.asked += 1
            except (Refused, OSError) as error:
                self.errors.append(repr(error))
                self._client.close()


class Day:
    """The day, hour by hour; what is not as it should be goes into *claims*."""

    def __init__(self, place: Home, hour: float, share: float, claims: Claims) -> None:
        self.hours: list[Hour] = []
        self.retention = max(RETENTION_HOURS * hour, LEAST_SECONDS)
        self.users = [User(number, self.retention / 2) for number in range(USERS)]
        self.asked = 0
        self._place = place
        self._hour = hour
        self._share = share
        self._claims = claims
        self._runs = 0

    @property
    def flags(self) -> list[str]:
        """Lifetimes, as much shorter as the hours are."""
        return [
            f"--SessionPool.idle_timeout={max(1.0, self._hour / 2)}",
            f"--SessionPool.max_life={max(4.0, self._hour)}",
            f"--CodeInterpreterApp.retention_days={self.retention / self._hour / 24}",
        ]

    def prepare(self) -> None:
        """Write the configuration."""
        config = self._place.directory / "config"
        config.mkdir()
        text = _CONFIG.format(scale=self._hour / HOUR)
        (config / "jupyter_server_config.py").write_text(text)
        self._place.data.mkdir(mode=0o700, parents=True)
        self._begin_day(ago=0)

    def _begin_day(self, ago: float) -> None:
        """Have the server take it that it cleared up so many hours ago; hours may have lasted longer."""
        stamp = self._place.data / "last-cleared"
        stamp.touch()
        last = time.time() - ago * self._hour
        os.utime(stamp, (last, last))

    def live(self, live: LiveServer, hours: range) -> None:
        """So many hours with this server."""
        for user in self.users:
            user.sit_down(live.url)
        client, watched = Client(live.url), self._place.watch(live)
        client("GET", "/openai/v1/threads")
        with Panel(live.url, min(5.0, self._hour / 4)) as panel:
            for number in hours:
                self._one(number, watched, client)
        self.asked += panel.asked
        self._claims.hold(not panel.errors, "the panel gets its answers", panel.errors[:3])
        for user in self.users:
            user.get_up()
        client.close()

    def _one(self, number: int, watched: Watched, client: Client) -> None:
        until = time.monotonic() + self._hour
        wanted = round(RUNS[number] * self._share)
        if number == CLEARING:
            self._begin_day(ago=24)
        workers = [
            threading.Thread(target=self._work, args=(user, wanted // USERS + (n < wanted % USERS)))
            for n, user in enumerate(self.users)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        time.sleep(max(0.0, until - time.monotonic()))
        self._look(number, watched, client, idle=wanted == 0 and number > 0)

    def _work(self, user: User, runs: int) -> None:
        try:
            for _ in range(runs):
                user.work()
        except (Wrong, Refused, OSError) as error:
            self._claims.hold(False, "every run does what was asked", repr(error))

    def _look(self, number: int, watched: Watched, client: Client, *, idle: bool) -> None:
        data = self._place.data
        # contents of deleted files go a moment after their rows; a spare may just be made
        eventually(lambda: not Books.read(data).wrong(), 30)
        buried = eventually(lambda: watched.zombies == 0, 30)
        self._claims.hold(buried, f"no zombie stays at {number:02}:59")
        if idle:
            eventually(lambda: kernels(client) == 0 and watched.held().processes == 0)
        held, books, there = watched.held(), Books.read(data), kernels(client)
        for wrong in books.wrong():
            self._claims.hold(False, f"all fits together at {number:02}:59", wrong)
        if idle:
            self._claims.hold(there == 0, f"no kernel is there at {number:02}:59", there)
            self._claims.hold(held.processes == 0, "nor a process", held.processes)
        runs = sum(user.done["runs"] for user in self.users)
        self.hours.append(Hour(number, runs - self._runs, there, held, books))
        self._runs = runs

    def judge(self) -> None:
        """What the hours show together."""
        wanted = sum(round(each * self._share) for each in RUNS)
        self._claims.hold(self._runs == wanted, f"{wanted} runs are done", self._runs)
        if self.retention == RETENTION_HOURS * self._hour:  # else nothing is that old
            self._claims.hold(self._cleared(), "the daily clearing up has deleted old threads")
        for life in (self.hours[:RESTART], self.hours[RESTART:]):
            busy = [n for n, each in enumerate(life) if each.runs]
            idle = [each.held for each in life[busy[0] :] if not (each.runs or each.sessions)]
            fewest = min((each.descriptors for each in idle), default=0)
            most = max((each.descriptors for each in idle), default=0)
            self._claims.hold(most <= fewest + 1, "descriptors of idle hours", (fewest, most))
            usual = statistics.median(life[n].held.private for n in busy)
            last = life[-1].held.private
            self._claims.hold(
                last - usual <= GROWTH, "memory does not grow", f"{usual / MB:.1f}, {last / MB:.1f}"
            )

    def _cleared(self) -> bool:
        log = (self._place.directory / "server.log").read_text("utf-8", "replace")
        return any(int(count) for count in re.findall(r"Cleared up: {'threads': (\d+)", log))


def clear(place: Home) -> dict[str, int]:
    """Have ``jupyter ci gc`` delete what is older than a moment; its counts."""
    code = "import sys; from jupyter_ci_ext.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "gc", "--json", "--days=0.00001"]
    command.append(f"--data-dir={place.data}")
    environment = {**os.environ, "JUPYTER_CONFIG_DIR": str(place.directory / "none")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise Wrong(f"jupyter ci gc: {done.stderr}")
    found: dict[str, int] = json.loads(done.stdout)
    return found


def empty(place: Home, live: LiveServer, user: User, claims: Claims) -> Books:
    """Delete everything, and see that it is gone."""
    user.sit_down(live.url)
    user.leave()
    user.get_up()
    time.sleep(2.5)  # the clock of retention has seconds
    clear(place)
    books = Books.read(place.data)
    rows = {name: count for name, count in books.rows.items() if count}
    claims.hold(not rows, "no row is left of what was deleted", rows)
    claims.hold(not books.stored, "no content is left", len(books.stored))
    claims.hold(not books.links, "no workspace is left", sorted(books.links))
    claims.hold(books.database <= LEFT_BYTES, "the database is small again", books.database)
    return books


def main() -> int:
    """As the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.soak.day")
    parser.add_argument("--hour", type=float, default=15.0, help="seconds of an hour, 15")
    parser.add_argument("--share", type=float, default=1.0, help=f"of the {sum(RUNS)} runs, 1")
    options = parser.parse_args()
    claims = Claims()
    with home() as place, ExitStack() as ending:
        day = Day(place, options.hour, options.share, claims)
        day.prepare()
        with place.server(*day.flags) as live:
            day.live(live, range(RESTART))
        left = place.leavings.after_a_while()
        claims.hold(not left, "nothing is left of the first server", left)
        with place.server(*day.flags) as live:
            day.live(live, range(RESTART, 24))
            day.judge()
            emptied = empty(place, live, day.users[0], claims)
        left = place.leavings.after_a_while()
        claims.hold(not left, "nothing is left of the second server", left)
        complaints = place.complaints()
        ending.callback(print, "\n".join(complaints[:20]))
    done = sum((user.done for user in day.users), start=type(day.users[0].done)())
    code = claims.report(HEADING, [hour.row() for hour in day.hours])
    print(f"\nDone: {', '.join(f'{count} {what}' for what, count in done.most_common())}.")
    print(
        f"The panel asked {day.asked} times. Everything deleted: {emptied.database} bytes are left."
    )
    return code


if __name__ == "__main__":
    sys.exit(main())
