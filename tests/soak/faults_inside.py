"""Faults of what the server stands on: its process, its kernels, its disk, its database, its clock."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from tests.conformance.server import Api
from tests.fakes.answers import call, code, say
from tests.sandbox.traces import descendants

from .faults_client import Client
from .faults_round import BUSY, NAME, Round
from .faults_site import DISK_MIB

_GREEDY = "print('on', flush=True)\nkept = [bytearray(b'x') * (16 << 20) for _ in range(60)]"


# ---- the server -------------------------------------------------------------------------------


def server_killed(a: Round) -> None:
    """At any point of an upload or a run."""
    with a.beside(a.a_long_run):
        a.some_point()
        a.kill_the_server()
    for run in a.all_ended():
        a.must_be(run, "completed", "failed")


def server_killed_twice(a: Round) -> None:
    """The second time while it comes up and ends the runs of the first."""
    with a.beside(a.a_long_run):
        a.some_point()
        a.kill_the_server()
    with a.beside(lambda: a.client.ask("GET", "/assistants")):
        a.a_moment(1.0)
        a.kill_the_server()
    for run in a.all_ended():
        a.must_be(run, "completed", "failed")


def server_killed_while_a_run_waits(a: Round) -> None:
    """The run waits for outputs of a function; it must be there to take them."""
    phrase = a.teach(call("ask", {"what": "weather"}), say("Thank you."))
    run = a.client.start(*a.client.prepare(phrase))
    waiting = a.client.ended(run, "requires_action")
    a.kill_the_server()
    calls = waiting["required_action"]["submit_tool_outputs"]["tool_calls"]
    outputs = [{"tool_call_id": each["id"], "output": "fine"} for each in calls]
    a.must(a.client.look(run) == waiting, f"{run} does not wait as it did")
    a.client.ask("POST", f"{run}/submit_tool_outputs", {"tool_outputs": outputs})
    a.must_be(a.client.ended(run), "completed")


def two_servers(a: Round) -> None:
    """On one data directory; one is killed, the other ends its runs and takes its threads over."""
    with a.site.second() as other:
        there = Client(lambda: other.openai)
        with a.beside(a.a_long_run), a.beside(lambda: a.a_long_run(there)):
            a.some_point(a.chance.choice([a.client, there]))
            first_dies = a.chance.random() < 0.5
            dead, alive = (a.client, there) if first_dies else (there, a.client)
            if first_dies:
                a.site.kill()
            else:
                os.kill(other.pid, signal.SIGKILL)
        heir = Client(lambda: other.openai if first_dies else a.site.server.openai)
        heir.told.add(dead.told)
        phrase = a.teach(say("Here I am."))
        for run in list(heir.told.runs):  # nobody has looked at it yet
            thread = run.partition("/runs/")[0].rpartition("/")[2]
            heir.make(f"/threads/{thread}/messages", {"role": "user", "content": phrase})
            again = heir.start(heir.told.runs[run]["assistant_id"], thread)
            a.must_be(heir.ended(again), "completed")
        heir.told.add(alive.told)
        a.wrong += a.audit.told(heir, heir.told)
        a.client.told.add(heir.told)
    if first_dies:
        a.site.start()


# ---- the kernel -------------------------------------------------------------------------------


def _in_a_cell(a: Round, source: str = BUSY) -> str:
    phrase = a.teach(code(source), say("I see."))
    run = a.client.start(*a.client.prepare(phrase))
    a.client.printed(run, "on")
    return run


def kernel_killed(a: Round) -> None:
    """A session's processes are killed from outside, with those of the warm spare."""
    run, name = _in_a_cell(a), a.chance.choice(["python", "bwrap"])
    for pid, each, _ in list(descendants(a.site.server.pid)):
        if each.startswith(name):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    a.must_be(a.client.ended(run), "completed")


def kernel_hung(a: Round) -> None:
    """It obeys no more; its time runs out, or its user cancels the run."""
    run = _in_a_cell(a)
    at_work = a.site.processes(NAME)
    a.must(at_work, "the code that runs is in no process")
    for pid in at_work:
        os.kill(pid, signal.SIGSTOP)
    if a.chance.random() < 0.5:
        a.client.ask("POST", f"{run}/cancel")
        a.must_be(a.client.ended(run), "cancelled")
    else:
        a.must_be(a.client.ended(run), "completed")


def kernel_out_of_memory(a: Round) -> None:
    """The code takes more than there is for it."""
    run = _in_a_cell(a, _GREEDY)
    a.must_be(a.client.ended(run), "completed")


def kernel_stopped(a: Round) -> None:
    """Its user ends it, as a session or in Jupyter's own list of kernels."""
    run = _in_a_cell(a)
    jupyter = Api(a.site.server.url)
    sessions = jupyter("GET", "/code-interpreter/sessions")["data"]
    for session in sessions:
        if session["thread_id"] in run:
            if a.chance.random() < 0.5:
                jupyter.open("DELETE", f"/code-interpreter/sessions/{session['thread_id']}").close()
            else:
                jupyter.open("DELETE", f"/api/kernels/{session['kernel_id']}").close()
    a.must_be(a.client.ended(run), "completed")


# ---- the disk and the database ----------------------------------------------------------------


@contextmanager
def _no_space(a: Round) -> Iterator[None]:
    """No byte more on the disk; where none can be mounted, no file may grow."""
    if not a.site.has_disk:
        limits = resource.prlimit(a.site.server.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(a.site.server.pid, resource.RLIMIT_FSIZE, (4096, limits[1]))
        try:
            yield
        finally:
            resource.prlimit(a.site.server.pid, resource.RLIMIT_FSIZE, limits)
        return
    ballast = a.site.folder / "data" / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            for size in [2**20] * DISK_MIB + [2**12] * 256:
                with suppress(OSError):
                    file.write(bytes(size))
        yield
    finally:
        ballast.unlink()


def disk_full(a: Round) -> None:
    """At any point of an upload or a run, for a while."""
    a.expected = ("SandboxUnavailable.*No space left",)  # Jupyter's own, of a kernel's failed start
    with a.beside(a.a_long_run):
        a.some_point()
        with _no_space(a):
            time.sleep(a.chance.uniform(0.5, 4))
    for run in a.all_ended():
        a.must_be(run, "completed", "failed")


def database_locked(a: Round) -> None:
    """Another process holds it, for a time that a server may or may not have the patience for."""
    with a.beside(a.a_long_run):
        a.some_point()
        kind = a.chance.choice(["IMMEDIATE", "EXCLUSIVE"])
        path = a.site.data / "state.db"
        with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as database:
            database.execute(f"BEGIN {kind}")
            time.sleep(a.chance.choice([0.5, 2, 7]))
            database.execute("ROLLBACK")
    for run in a.all_ended():
        a.must_be(run, "completed", "failed")


# ---- the clock --------------------------------------------------------------------------------


def clock_jumps(a: Round) -> None:
    """By minutes to days, forth or back, in the middle of a run, and back after it."""
    jump = a.chance.choice([-1, 1]) * a.chance.choice([70, 4_000, 90_000])
    with a.beside(a.a_long_run, heard=True):
        a.some_point()
        a.site.shift_clock(jump)
    try:
        for run in a.all_ended():
            a.must_be(run, "completed")
        a.still_works()
    finally:
        a.site.shift_clock(0)
