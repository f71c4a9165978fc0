"""Kernels that lie: real sockets, real signatures where that helps the lie, any message in any order.

A case is a whole run in this process, from the model's call of code to the last event: the kernel's
messages go through connection, session, outputs, journal and store as those of a real one do.
"""

from __future__ import annotations

import asyncio
import json
import logging
import tempfile
import uuid
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import zmq
from jupyter_client.session import DELIM
from jupyter_client.session import Session as MessageSession
from zmq.eventloop.zmqstream import ZMQStream

from jupyter_ci_ext.kernels import connection
from jupyter_ci_ext.kernels.connection import Connection, ZmqTransport
from jupyter_ci_ext.kernels.launcher import Kernel
from jupyter_ci_ext.sandbox.policy import Launch
from tests.engine.folding import check_stream
from tests.engine.house import House, house_in
from tests.engine.models import ScriptedLLM, codes, says
from tests.engine.sessions import PNG
from tests.kernels.fakes import InstantKernel, InstantLauncher, InstantTransport
from tests.kernels.plain import pool
from tests.soak.fuzzing.spelling import changed, nasty, readable, spelled
from tests.soak.fuzzing.upstream import CRASHED
from tests.soak.fuzzing.world import JSON, Tally, no_json

SECONDS = 60.0
"""How long a run may take; most take a fiftieth of a second."""
LIMITS = {"execution_seconds": 5.0, "grace_seconds": 0.3}
HONEST = "print(42)"

OUTPUTS: tuple[tuple[str, JSON], ...] = (
    ("stream", {"name": "stdout", "text": "some words\n"}),
    ("stream", {"name": "stderr", "text": "\x1b[31mred\x1b[0m\r\b"}),
    ("display_data", {"data": {"image/png": PNG, "text/plain": "<Figure>"}, "metadata": {}}),
    ("display_data", {"data": {"text/html": "<b>x</b>", "text/plain": "x"}, "metadata": {"a": {}}}),
    (
        "display_data",
        {"data": {"application/json": {"a": [1]}}, "transient": {"display_id": "d"}},
    ),
    ("update_display_data", {"data": {"text/plain": "y"}, "transient": {"display_id": "d"}}),
    ("execute_result", {"data": {"text/plain": ["4", "2"]}, "execution_count": 1}),
    ("error", {"ename": "KeyError", "evalue": "'x'", "traceback": ["\x1b[31ma", "b"]}),
    ("clear_output", {"wait": True}),
    ("execute_input", {"code": "x", "execution_count": 1}),
    ("comm_open", {"comm_id": "c", "target_name": "t", "data": {}}),
    ("status", {"execution_state": "busy"}),
    ("display_data", {"data": {"image/svg+xml": "<svg/>", "image/jpeg": "!!"}, "metadata": {}}),
)
REPLY: tuple[str, JSON] = ("execute_reply", {"status": "ok", "execution_count": 1, "payload": []})
IDLE: tuple[str, JSON] = ("status", {"execution_state": "idle"})
ENDS: tuple[tuple[str, JSON], ...] = (
    ("shutdown_reply", {"restart": False}),
    ("status", {"execution_state": "dead"}),
    ("execute_reply", {"status": "ok", "payload": [{"source": "ask_exit"}]}),
    ("execute_reply", {"status": "aborted"}),
    ("execute_reply", {"status": ["ok"], "ename": "KeyboardInterrupt"}),
)
"""By which a kernel ends its session, or says so."""


class HostileKernel(InstantKernel):
    """Answers what it is asked with sockets of its own; ``lie`` makes it say anything but that."""

    def __init__(self, lies: Random) -> None:
        super().__init__(InstantTransport)
        self.session = MessageSession(key=uuid.uuid4().hex.encode())
        self.shutting_down = False
        self.provisioner = None
        self.restarting = False
        self._lies = lies
        self._context = zmq.Context()
        self._shell, self._shell_port = self._bind(zmq.ROUTER)
        self._iopub, self._iopub_port = self._bind(zmq.PUB)
        self._shell.on_recv(self._asked)
        self._earlier: JSON = {}

    # ---- as the kernel manager, and the kernel's own manager -----------------------------------

    def __contains__(self, kernel_id: str) -> bool:
        return self.running and kernel_id == self.id

    def get_kernel(self, kernel_id: str) -> HostileKernel:
        return self

    def connect_iopub(self, identity: bytes) -> ZMQStream:
        return self._connect(zmq.SUB, self._iopub_port, identity)

    def connect_shell(self, identity: bytes) -> ZMQStream:
        return self._connect(zmq.DEALER, self._shell_port, identity)

    async def is_alive(self) -> bool:
        return self.running

    # ---- as the pool has it ---------------------------------------------------------------------

    def connect(self) -> Connection:
        return Connection(ZmqTransport(self, self.id))

    async def stop(self) -> None:
        if self.running:
            self.running = False
            self._shell.close(linger=0)
            self._iopub.close(linger=0)
            self._context.destroy(linger=0)

    # ---- as a kernel ----------------------------------------------------------------------------

    def _bind(self, kind: int) -> tuple[ZMQStream, int]:
        socket = self._context.socket(kind)
        socket.set_hwm(0)
        return ZMQStream(socket), socket.bind_to_random_port("tcp://127.0.0.1")

    def _connect(self, kind: int, port: int, identity: bytes) -> ZMQStream:
        socket = self._context.socket(kind)
        socket.linger = 0
        socket.set_hwm(0)
        if kind == zmq.SUB:
            socket.setsockopt(zmq.SUBSCRIBE, b"")
        else:
            socket.identity = identity
        socket.connect(f"tcp://127.0.0.1:{port}")
        return ZMQStream(socket)

    def _asked(self, parts: list[bytes]) -> None:
        idents, frames = self.session.feed_identities(parts)
        request = self.session.deserialize(frames)
        parent = json.loads(json.dumps(request["header"], default=str))
        if request["msg_type"] != "execute_request":
            self._say("iopub", idents, parent, *IDLE)
            self._say("shell", idents, parent, "kernel_info_reply", {"status": "ok"})
        elif request["content"]["code"] == HONEST:
            self._say("iopub", idents, parent, "stream", {"name": "stdout", "text": "42\n"})
            self._say("shell", idents, parent, *REPLY)
            self._say("iopub", idents, parent, *IDLE)
        else:
            self._lie(idents, parent)
        self._earlier = parent

    def _say(
        self, channel: str, idents: list[bytes], parent: JSON, kind: str, content: Any
    ) -> None:
        header = self.session.msg_header(kind)
        frames = [json.dumps(each, default=str).encode() for each in (header, parent, {}, content)]
        self._send(channel, idents, frames)

    def _send(self, channel: str, idents: list[bytes], frames: list[bytes]) -> None:
        signed = [DELIM, self.session.sign(frames), *frames]
        self._put(channel, idents, signed)

    def _put(self, channel: str, idents: list[bytes], frames: list[bytes]) -> None:
        stream = self._shell if channel == "shell" else self._iopub
        stream.send_multipart([*(idents if channel == "shell" else [b"topic"]), *frames])

    def _lie(self, idents: list[bytes], parent: JSON) -> None:
        rng = self._lies
        for _ in range(rng.choice((1, 2, 3, 5, 8, 8, 8, 30))):
            self._one_lie(rng, idents, parent)
        if rng.random() < 0.005:
            return  # it never ends; the limit of time does that
        end = rng.random()
        if end < 0.04:
            self._say(rng.choice(("shell", "iopub")), idents, parent, *rng.choice(ENDS))
        last = [("shell", *REPLY), ("iopub", *IDLE)]
        rng.shuffle(last)
        for channel, kind, content in last[: 1 if end > 0.995 else 2]:
            self._say(channel, idents, parent, kind, content)

    def _one_lie(self, rng: Random, idents: list[bytes], parent: JSON) -> None:
        kind, content = rng.choice(OUTPUTS)
        channel = "iopub" if rng.random() < 0.85 else "shell"
        about: Any = parent
        if rng.random() < 0.1:
            about = rng.choice((self._earlier, {}, {"msg_id": "forged"}, nasty(rng)))
        header: Any = self.session.msg_header(kind)
        header["date"] = str(header["date"])
        values: list[Any] = [header, about, {}, content]
        for _ in range(rng.randint(0, 3)):
            at = rng.choice((0, 1, 2, 3, 3, 3, 3))
            # a kernel may say what it likes, but to be heard it has to name the request
            bend = readable if rng.random() < 0.85 else changed
            values[at] = bend(rng, values[at]) if at != 1 else {**parent, "more": nasty(rng)}
        frames = [spelled(rng, value, 0.03) for value in values]
        trick = rng.random()
        if trick < 0.7:
            self._send(channel, idents, frames)
        elif trick < 0.75:
            self._put(channel, idents, [DELIM, rng.choice((b"", b"0" * 64, b"\xff")), *frames])
        elif trick < 0.8:
            self._put(
                channel, idents, [DELIM, self.session.sign(frames), *frames][: rng.randint(0, 5)]
            )
        elif trick < 0.84:
            self._put(channel, idents, [self.session.sign(frames), *frames, DELIM])
        elif trick < 0.88:
            frames[rng.randrange(4)] = bytes(rng.randrange(256) for _ in range(rng.randrange(60)))
            self._send(channel, idents, frames)
        elif trick < 0.92:
            frames += [bytes(rng.randrange(256) for _ in range(9))] * rng.choice((1, 20))
            self._send(channel, idents, frames)
        elif trick < 0.95:
            text = rng.choice(("x", "\r", "\x1b[", "\b", "\n", "😀")) * rng.choice(
                (10_000, 400_000)
            )
            self._say("iopub", idents, parent, "stream", {"name": "stdout", "text": text})
        elif trick < 0.98:
            for _ in range(rng.choice((50, 300))):
                self._say("iopub", idents, parent, kind, content)
        else:
            self._send(channel, idents, frames)
            self._send(channel, idents, frames)


class HostileLauncher(InstantLauncher):
    """Starts hostile kernels."""

    def __init__(self, lies: Random) -> None:
        super().__init__()
        self._lies = lies

    async def start(self, launch: Launch) -> Kernel:
        kernel = HostileKernel(self._lies)
        self.kernels.append(kernel)
        return kernel


class Errors(logging.Handler):
    """Keeps what is logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def kernels(rng: Random, count: int) -> Tally:
    """Runs whose code runs in hostile kernels."""
    tally, errors = Tally("messages of kernels"), Errors()
    logging.getLogger().addHandler(errors)
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            patch.object(connection, "IDLE_GRACE", 1.5),
            patch.object(connection, "RETRY", 0.05),
        ):
            asyncio.run(_cases(tally, errors, Path(folder), rng, count))
    finally:
        logging.getLogger().removeHandler(errors)
    return tally


async def _cases(tally: Tally, errors: Errors, folder: Path, rng: Random, count: int) -> None:
    llm, launcher = ScriptedLLM(), HostileLauncher(rng)
    async with (
        pool(folder, launcher, LIMITS) as sessions,
        house_in(folder, llm, sessions) as house,  # type: ignore[arg-type]
    ):
        thread = await house.thread("Lie.")
        for n in range(count):
            if n % 25 == 24:
                await sessions.forget(thread.id)
                thread = await house.thread("Lie.")
            seed = rng.getrandbits(64)
            launcher._lies.seed(seed)
            llm.queue(codes(f"lie({n})"), says("So it is."))
            fault = await _case(house, thread, tally)
            tally.cases += 1
            found = [*([fault] if fault else []), *errors.lines]
            errors.lines.clear()
            for each in found:
                tally.blame(each, f"seed {seed}")
            if found:
                llm._replies.clear()
                thread = await house.thread("Lie.")
        llm.queue(codes(HONEST), says("It is 42."))
        done = await house.finish(await house.start(thread))
        details = done.steps[0].step_details.model_dump_json()
        if '"logs":"42\\n"' not in details:
            tally.blame("an honest cell is not heard any more", details)


async def _case(house: House, thread: Any, tally: Tally) -> str:
    """What is wrong with one run; empty if nothing is."""
    run = await house.start(thread)
    try:
        done = await asyncio.wait_for(house.finish(run, check=False), SECONDS)
    except asyncio.TimeoutError:
        return "the run does not end"
    try:
        rows = await house.store.events.since(run.id)
        check_stream([(name, json.loads(data, parse_constant=no_json)) for _, name, data in rows])
    except (AssertionError, ValueError, KeyError, TypeError) as error:
        return f"its stream does not add up: {error!r}"
    step = done.steps[0]
    tally.taken += step.metadata.get("execution") == "ok"
    tally.refused += step.metadata.get("execution") != "ok"
    last = done.run.last_error
    if last is not None and CRASHED in last.message:
        return "the run failed without a reason"
    if done.run.status != "completed":
        return f"the run is {done.run.status}: {last}"
    return ""
