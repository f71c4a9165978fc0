"""What is looked at when all is over: does the server still work, what does it hold, what did it log."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing

import psutil

from tests.api.world import places
from tests.conformance.server import LiveServer
from tests.soak.fuzzing.line import Request
from tests.soak.fuzzing.upstream import LOOK
from tests.soak.fuzzing.world import World, fault_of

SETTLE_SECONDS = 90.0
"""How long the server may take to let go of what it held."""
MORE_DESCRIPTORS = 8
MORE_MEMORY = 96 << 20
"""What the server may hold more than before; in bytes: caches, pages of the database, free lists."""
CRASHES = ("Traceback", "Uncaught", "never retrieved", "Exception ignored", "was never awaited")
"""What no line of a log may have."""


class Aftermath:
    """Made before everything begins, to know what the server held then.

    ``memory`` and ``descriptors`` are before and after, in bytes and a count.
    """

    def __init__(self, world: World, server: LiveServer) -> None:
        self._world = world
        self._process = psutil.Process(server.pid)
        self._kept = self._containers()
        self.memory = self.descriptors = (0, 0)
        self._note()
        self.memory, self.descriptors = (self.memory[1],) * 2, (self.descriptors[1],) * 2

    def look(self) -> list[str]:
        """What is wrong by now."""
        found: list[str] = []
        try:
            self._world.run(LOOK)
        except (AssertionError, OSError) as error:
            found.append(f"it runs no code any more: {error!r}")
        found += self._lists()
        until = time.monotonic() + SETTLE_SECONDS
        for container in self._containers() - self._kept:
            self._world.api("DELETE", f"/containers/{container}")
        self._world.line.close()
        while not self._settled() and time.monotonic() < until:
            time.sleep(0.2)
        if not self._settled():
            held = f"{self.memory} bytes, {self.descriptors} descriptors before and after"
            found.append(f"it holds more than before: {held}")
        return found

    def _settled(self) -> bool:
        self._note()
        return (
            self.memory[1] <= self.memory[0] + MORE_MEMORY
            and self.descriptors[1] <= self.descriptors[0] + MORE_DESCRIPTORS
        )

    def _note(self) -> None:
        self.memory = self.memory[0], self._process.memory_info().rss
        self.descriptors = self.descriptors[0], self._process.num_fds()

    def _containers(self) -> set[str]:
        found: set[str] = set()
        page = {"has_more": True, "last_id": ""}
        while page["has_more"]:
            after = f"&after={page['last_id']}" if page["last_id"] else ""
            page = self._world.api("GET", f"/containers?limit=100{after}")
            found |= {each["id"] for each in page["data"]}
        return found

    def _lists(self) -> list[str]:
        """Every list can be read to its end: what was taken can be given back."""
        found: list[str] = []
        for place in places():
            if place.verb != "get" or "limit" not in getattr(
                place.operation.query, "model_fields", ()
            ):
                continue
            headers = [("OpenAI-Beta", "assistants=v1")] if place.operation.v1 else []
            after: str | None = ""
            while after is not None:
                path = "/" + place.path.format(**self._world.ids) + f"?limit=100{after}"
                reply = self._world.line.ask(Request("GET", path, None, headers))
                fault = fault_of(reply) or ("" if reply.status == 200 else "refused")
                if fault:
                    found.append(f"a list cannot be read: {fault} {reply.status} {path}")
                    break
                page = json.loads(reply.body)
                after = f"&after={page['last_id']}" if page["has_more"] else None
        return found


def left_behind(server: LiveServer) -> list[str]:
    """What is wrong with the log and the database of a server that has ended."""
    found: list[str] = []
    log = server.log.read_text(errors="replace").splitlines()
    for n, line in enumerate(log):
        if any(word in line for word in CRASHES):
            found.append("in the log: " + "\n".join(log[max(0, n - 1) : n + 40]))
    with closing(sqlite3.connect(server.database)) as db:
        for check in ("integrity_check", "foreign_key_check"):
            rows = db.execute(f"PRAGMA {check}").fetchall()
            if rows not in ([], [("ok",)]):
                found.append(f"{check}: {rows[:20]}")
        stuck = db.execute(
            "SELECT id, status FROM runs WHERE status NOT IN "
            "('completed', 'failed', 'cancelled', 'expired', 'incomplete', 'requires_action')"
        ).fetchall()
    if stuck:
        found.append(f"runs that are not over: {stuck[:20]}")
    return found
