"""What must be so after a fault: what was acknowledged is there, nothing is half, nothing is left.

Each check gives sentences on what is wrong, an empty list being what is wanted. A look at something
that may still be on its way is repeated until it is well, or the patience is at an end.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from tests.conformance.server import Api
from tests.engine.folding import check_stream
from tests.sandbox.traces import descendants

from .faults_client import OVER, Client, Refused, Told
from .faults_site import Site

PATIENCE = 30.0
"""Seconds in which things may come to rest."""
_TRACEBACK = r"Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)*.*"
UNFINISHED = ("queued", "in_progress", "cancelling")


def settled(look: Callable[[], list[str]], seconds: float = PATIENCE) -> list[str]:
    """What *look* still finds when it has had time to find nothing."""
    deadline = time.monotonic() + seconds
    while (found := look()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


class Audit:
    """Looks at one site; ``checked`` counts what was compared."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.checked: dict[str, int] = dict.fromkeys(
            ("objects", "files", "runs", "events", "rows of files", "processes gone"), 0
        )
        self._rows_seen = 0

    def everything(self, client: Client) -> list[str]:
        """All that can be asked of a server that is up."""
        return [
            *self.told(client, client.told),
            *settled(lambda: self.rows(client)),
            *self.database(),
            *self.contents(client),
            *settled(self.left_overs),
        ]

    # ---- what was acknowledged ----------------------------------------------------------------

    def told(self, client: Client, told: Told) -> list[str]:
        """Whether all that *told* has is there, and as it was."""
        found = []
        for path, known in told.objects.items():
            found += _differs(path, known, _asked(client, path))
            self.checked["objects"] += 1
        for id, known_content in told.files.items():
            found += _differs(f"content of {id}", known_content, _content(client, id))
            self.checked["files"] += 1
        for path in told.runs:
            found += self._run(client, path, told)
            self.checked["runs"] += 1
        return found

    def _run(self, client: Client, path: str, told: Told) -> list[str]:
        known = told.runs[path]
        run = client.until(lambda: _at_rest(client, path), f"an end of {path}", PATIENCE)
        if "status" not in run:
            return [f"{path} is gone: {run}"]
        found = _differs(path, known, run) if known["status"] in OVER else []
        if run["status"] == "requires_action":
            if run["expires_at"] is not None and run["expires_at"] < self.site.now - PATIENCE:
                found.append(f"{path} still waits, after its time")
            return found
        error = run["last_error"]
        if run["status"] == "failed" and not (error and error["code"] and error["message"]):
            found.append(f"{path} has failed without a word: {error}")
        for step in client.ask("GET", f"{path}/steps?limit=100")["data"]:
            if step["status"] == "in_progress":
                found.append(f"{path} is {run['status']}, and its {step['id']} in_progress")
        thread = path.partition("/runs/")[0]
        for message in client.ask("GET", f"{thread}/messages?limit=100")["data"]:
            if message["status"] == "in_progress":
                found.append(f"{path} is {run['status']}, and its {message['id']} in_progress")
        return found + self._stream(client, path, run, told.events.get(path, []))

    def _stream(
        self, client: Client, path: str, run: dict[str, Any], seen: list[tuple[str, Any]]
    ) -> list[str]:
        """Whether the stored events begin with those seen, add up, and end as the run did."""
        numbered = client.replay(path)
        stored = [(name, data) for _, name, data in numbered]
        found = []
        if stored[: len(seen)] != seen:
            found.append(f"events of {path} are not those that were sent")
        # in numbers of what this client gets there are gaps, for what it has not asked for
        rows = self._fetch(f"SELECT seq FROM events WHERE run_id = '{run['id']}' ORDER BY seq")
        if [seq for (seq,) in rows] != list(range(1, len(rows) + 1)):
            found.append(f"events of {path} have the numbers {rows}")
        middle = len(numbered) // 2
        if numbered and client.replay(path, numbered[middle][0]) != numbered[middle + 1 :]:
            found.append(f"events of {path} are others when taken up in the middle")
        if not stored or stored[-1][0] != f"thread.run.{run['status']}":
            found.append(f"events of {path} do not end with {run['status']}: {stored[-1:]}")
        elif stored[-1][1] != run:
            found.append(f"the last event of {path} is not the run as it is")
        try:
            check_stream(json.loads(json.dumps(stored)))
        except AssertionError as error:
            found.append(f"events of {path} do not add up: {error}")
        self.checked["events"] += len(seen)
        return found

    # ---- the store ----------------------------------------------------------------------------

    def _fetch(self, sql: str) -> list[Any]:
        with closing(sqlite3.connect(self.site.data / "state.db", timeout=20)) as database:
            return database.execute(sql).fetchall()

    def rows(self, client: Client) -> list[str]:
        """Whether any run at all is at work, or has a step that is."""
        found = []
        for thread, id, status, body in self._fetch(
            "SELECT thread_id, id, status, body FROM runs WHERE active = 1"
        ):
            until = json.loads(body)["expires_at"]
            if status in UNFINISHED or (until is not None and until < self.site.now - PATIENCE):
                found.append(f"{id} is {status}")
                with suppress(Refused):  # whoever looks has the runs of dead servers ended
                    client.ask("GET", f"/threads/{thread}/runs/{id}")
        for (id,) in self._fetch(
            "SELECT s.id FROM steps s JOIN runs r ON r.id = s.run_id "
            "WHERE s.status = 'in_progress' AND r.active = 0"
        ):
            found.append(f"{id} is in_progress, and its run is over")
        return found

    def database(self) -> list[str]:
        """Whether the database is sound."""
        found = [str(row) for row in self._fetch("PRAGMA foreign_key_check")]
        return found + [row[0] for row in self._fetch("PRAGMA integrity_check") if row[0] != "ok"]

    def contents(self, client: Client, *, anew: bool = False) -> list[str]:
        """Whether each row has its content, whole, and each content its row; *anew*: all rows."""
        found = []
        blobs = self.site.data / "blobs"
        since = 0 if anew else self._rows_seen
        for seq, id, sha256, body in self._fetch(
            f"SELECT seq, id, sha256, body FROM files WHERE seq > {since} ORDER BY seq"
        ):
            content, self._rows_seen = _content(client, id), seq
            found += _differs(f"content of {id}", (json.loads(body)["bytes"], sha256), content)
            self.checked["rows of files"] += 1
        wanted = {
            row[0]
            for row in self._fetch("SELECT sha256 FROM files UNION SELECT sha256 FROM upload_parts")
        }
        there = {path.name for path in blobs.glob("??/*")}
        found += [f"content {sha256} has a row and is not there" for sha256 in wanted - there]
        found += [f"content {sha256} has no row" for sha256 in there - wanted]
        return found

    # ---- disk and processes -------------------------------------------------------------------

    def left_overs(self) -> list[str]:
        """What lies or runs about and belongs to nothing that is alive."""
        site = self.site
        status, listed = Api(site.server.url).ask("GET", "/api/kernels")
        if status != 200:
            return [f"Jupyter cannot list its kernels: {listed}"]
        kernels = {each["id"] for each in listed}
        live = {f"kernel-{id}.json" for id in kernels}
        found = [
            f"connection file {path.name}"
            for path in site.runtime.glob("kernel-*")
            if path.name not in live
        ]
        folders = list(site.tmp.glob("jci-*"))
        if len(folders) > len(kernels):
            found.append(f"{len(folders)} folders of kernels, and {len(kernels)} kernels")
        sockets = self._sockets()
        if len(sockets) > 5 * len(kernels):
            found.append(f"{len(sockets)} sockets, and {len(kernels)} kernels")
        found += [f"temporary file {path}" for path in site.data.glob("blobs/tmp/*/*")]
        instances = [path.name for path in site.data.glob("instances/*.lock")]
        if len(instances) != 1:
            found.append(f"signs of life of {len(instances)} servers")
        found += [f"{path}" for path in site.data.glob("workspaces/incoming/*")]
        found += self._slots(len(kernels))
        mine = list(_children(site.server.pid))
        if len(mine) > len(kernels):
            found.append(f"{len(mine)} processes of the server, and {len(kernels)} kernels")
        return found + self.orphans()

    def _slots(self, kernels: int) -> list[str]:
        """Workspaces that no thread has, beyond those of the spares."""
        root = self.site.data / "workspaces"
        named = {os.readlink(link) for link in root.iterdir() if link.is_symlink()}
        targets = {Path(each).name for each in named}
        left = [path.name for path in root.glob("slots/*") if path.name not in targets]
        return [f"{len(left)} workspaces of nobody"] if len(left) > kernels else []

    def _sockets(self) -> list[str]:
        lines = Path("/proc/net/unix").read_text("utf-8", "replace").splitlines()
        bound = {line.split()[-1] for line in lines if f"{self.site.tmp}/jci-" in line}
        return sorted(bound)

    def orphans(self) -> list[str]:
        """Processes that came to this one because the server that started them is dead."""
        up = self.site._up
        servers = {up.pid} if up is not None else set()
        found = []
        for pid, name, state in list(_children(os.getpid())):
            if pid in servers:
                continue
            if state == "Z":
                with suppress(ChildProcessError):
                    self.checked["processes gone"] += os.waitpid(pid, os.WNOHANG)[0] == pid
            else:
                found.append(f"process {pid} ({name}) of a server that is gone")
        return found

    # ---- the log ------------------------------------------------------------------------------

    def log(self, expected: tuple[str, ...] = ()) -> list[str]:
        """Tracebacks that servers have logged, but for those with a word that is *expected*."""
        return [
            f"traceback: {' | '.join(trace.splitlines()[-3:])[-400:]}"
            for trace in re.findall(_TRACEBACK, self.site.logged())
            if not any(re.search(each, trace) for each in expected)
        ]


def _children(pid: int) -> Iterator[tuple[int, str, str]]:
    direct: set[int] = set()
    for task in os.listdir(f"/proc/{pid}/task"):
        with suppress(OSError):  # a thread that has ended
            direct |= {
                int(each) for each in Path(f"/proc/{pid}/task/{task}/children").read_text().split()
            }
    return (each for each in descendants(pid) if each[0] in direct)


def _asked(client: Client, path: str) -> Any:
    try:
        return client.ask("GET", path)
    except Refused as refused:
        return refused


def _at_rest(client: Client, path: str) -> Any:
    """The run, once nothing works on it any more; what was said instead of it."""
    try:
        run = client.ask("GET", path)
    except Refused as refused:
        return {"refused": str(refused)}
    return None if run["status"] in UNFINISHED else run


def _content(client: Client, id: str) -> tuple[int, str] | str:
    try:
        with client.api.open("GET", f"/files/{id}/content") as response:
            body = response.read()
    except OSError as error:
        return str(error)
    return len(body), hashlib.sha256(body).hexdigest()


def _differs(what: str, known: Any, now: Any) -> list[str]:
    return [] if known == now else [f"{what}: was {known}, is {now}"]
