"""A client of one kernel: our own, over the kernel manager's sockets.

Not ``km.client()``: two of those on one kernel share a ZMQ identity, and the first loses its
replies to the second. Not the gateway's client either: it polls, drops messages and holds the
process open. What differs between a local kernel and one behind a gateway is the `Transport`.

An execution is done when its shell reply *and* its ``idle`` are there: only then has every output
come. A reader of the output socket that was dropped (a message over the limit ends it for good)
never sees the ``idle``; so after the reply the wait for it is short, and the socket is replaced.
"""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from jupyter_client.session import Session as MessageSession

from jupyter_ci_ext.errors import SessionLost
from jupyter_ci_ext.kernels.outputs import ClearOutput, Output, StreamText, from_message
from jupyter_ci_ext.quiet import kind

Channel = Literal["shell", "iopub", "control"]
Message = dict[str, Any]

WATCH = 0.25
"""Seconds between two looks at whether a kernel somebody waits for is still there."""
IDLE_GRACE = 3.0
"""Seconds without any message after which an execution that has its reply is taken as done."""
DRAIN, DRAIN_LIMIT = 0.05, 1.0
"""Seconds of silence after which a dead kernel has said all it had to say, and at most."""
RETRY = 1.0
"""Seconds after which a kernel that did not answer yet is asked again whether it is ready."""

GONE = "The kernel was shut down."
RESTARTED = "The kernel was restarted."
OUTPUT_LOST = "[output was lost: a message was too large, or too many came at once]\n"
GOING = "The kernel was shut down or restarted by somebody else."


class Transport(ABC):
    """Carries messages to one kernel and back; `Connection` is the only caller."""

    epoch = 0
    """How often the way to the kernel was opened anew; what was under way then may be lost."""

    @abstractmethod
    def open(self, deliver: Callable[[Channel, Message], None]) -> None:
        """Begin to receive; called once, before anything is sent."""

    @abstractmethod
    def send(
        self,
        channel: Channel,
        msg_type: str,
        content: dict[str, Any],
        buffers: Sequence[bytes] = (),
    ) -> str:
        """Send a request without waiting; returns its message id."""

    @abstractmethod
    async def lost(self) -> str | None:
        """Why the kernel cannot be reached any more, as a sentence, or None while it can.

        Asked before a kernel is used, and every `WATCH` seconds while somebody waits for it.
        """

    @abstractmethod
    def reopen_iopub(self) -> None:
        """Replace the output channel, which delivers no more."""

    @abstractmethod
    def close(self) -> None:
        """Stop receiving and free what was opened; may be called twice."""


class ZmqTransport(Transport):
    """Sockets of a kernel that the server's own kernel manager runs on this machine."""

    def __init__(self, kernel_manager: Any, kernel_id: str) -> None:
        self._manager = kernel_manager
        self._kernel_id = kernel_id
        self._kernel = kernel_manager.get_kernel(kernel_id)
        theirs = self._kernel.session
        self._session = MessageSession(key=theirs.key, signature_scheme=theirs.signature_scheme)
        self._streams: dict[Channel, Any] = {}
        self._deliver: Callable[[Channel, Message], None] | None = None
        self._pid = self._current_pid()
        self._log = logging.getLogger(__name__)

    def open(self, deliver: Callable[[Channel, Message], None]) -> None:
        self._deliver = deliver
        identity = self._session.bsession
        self._open("iopub", self._kernel.connect_iopub(identity=identity))
        self._open("shell", self._kernel.connect_shell(identity=identity))

    def send(
        self,
        channel: Channel,
        msg_type: str,
        content: dict[str, Any],
        buffers: Sequence[bytes] = (),
    ) -> str:
        message = self._session.msg(msg_type, content)
        # Through the stream, not its socket: a send on that can swallow the one sign there is of
        # a message that came in, which the stream would then never see.
        self._session.send(self._streams[channel], message, buffers=list(buffers) or None)
        return str(message["header"]["msg_id"])

    async def lost(self) -> str | None:
        if self._kernel_id not in self._manager:
            return GONE
        if self._manager.get_kernel(self._kernel_id) is not self._kernel:
            return RESTARTED
        if self._current_pid() != self._pid:
            return RESTARTED
        if not await self._kernel.is_alive():
            reason: str | None = getattr(self._kernel.provisioner, "end_reason", None)
            if reason is None and not self._kernel.shutting_down:
                reason = describe_exit(await self._exit_code())
            return reason or GOING
        return GOING if self._kernel.shutting_down else None

    def reopen_iopub(self) -> None:
        self._streams.pop("iopub").close()
        self._open("iopub", self._kernel.connect_iopub(identity=self._session.bsession))

    def close(self) -> None:
        while self._streams:
            stream = self._streams.popitem()[1]
            if not stream.closed():
                stream.close(linger=0)

    def _open(self, channel: Channel, stream: Any) -> None:
        self._streams[channel] = stream
        stream.on_recv(lambda parts: self._receive(channel, parts))

    def _receive(self, channel: Channel, parts: list[bytes]) -> None:
        if self._deliver is None or channel not in self._streams:
            return
        try:
            message = self._session.deserialize(self._session.feed_identities(parts)[1])
        except Exception as error:  # the kernel is not trusted: any bytes may come
            self._log.debug("Unreadable %s message: %s", channel, kind(error))
            return
        self._deliver(channel, message)

    def _current_pid(self) -> object:
        return getattr(self._kernel.provisioner, "pid", None)

    async def _exit_code(self) -> int | None:
        provisioner = self._kernel.provisioner
        return await provisioner.poll() if provisioner is not None else None


def describe_exit(code: int | None) -> str:
    """A sentence on how a process ended: its exit code, or minus the signal that killed it."""
    import signal

    if code is None:
        return "The kernel ended."
    number = -code if code < 0 else code - 128 if code > 128 else 0
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"The code ended its process (exit code {code})."
    if name == "SIGKILL":
        return "The kernel was killed (SIGKILL), most often because memory ran out."
    return f"The kernel crashed ({name})."


@dataclass
class Request:
    """An execution under way; ``reply`` is the content of its shell reply."""

    msg_id: str
    take: Callable[[Output | ClearOutput], None]
    done: asyncio.Future[dict[str, Any]]
    reply: dict[str, Any] | None = None
    idle: bool = False
    heard: float = field(default_factory=time.monotonic)
    epoch: int = 0
    broken: bool = False
    """Whether the reply was lost on its way, together with what else was on the way then."""


class Connection:
    """Requests to one kernel and what comes of them; all on one event loop."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._request: Request | None = None
        self._info: set[str] = set()
        self._sounding: str | None = None
        self._hearers: dict[str, Callable[[Channel, Message], None]] = {}
        self._replied = asyncio.Event()
        self._published = asyncio.Event()
        self._announced: str | None = None
        self.reason: str | None = None
        """Why the kernel is lost; None as far as is known."""
        transport.open(self._deliver)

    async def lost(self) -> str | None:
        """Why the kernel is lost, or None; looks at the kernel, asks it nothing."""
        if self.reason is None:
            # A restart or shutdown that was announced may be over by the time one looks.
            self.reason = self._announced or await self._transport.lost()
        return self.reason

    async def wait_ready(self, timeout: float) -> None:
        """Return once the kernel answers and its output channel delivers.

        Raises `SessionLost` if it ends before that or takes longer than *timeout* seconds.
        """
        deadline = time.monotonic() + timeout
        asked = float("-inf")
        while not (self._replied.is_set() and self._published.is_set()):
            now = time.monotonic()
            if now >= deadline:
                raise SessionLost(f"The kernel did not answer within {timeout:g} seconds.")
            if now - asked >= RETRY:
                asked = now
                self._info.add(self._transport.send("shell", "kernel_info_request", {}))
            waiting = self._published if self._replied.is_set() else self._replied
            try:
                await asyncio.wait_for(waiting.wait(), WATCH)
            except asyncio.TimeoutError:
                reason = await self.lost()
                if reason is not None:
                    raise SessionLost(reason) from None

    def execute(
        self, code: str, take: Callable[[Output | ClearOutput], None], *, silent: bool = False
    ) -> Request:
        """Send *code*; *take* is called with every output, ``done`` of the result is the reply.

        The caller waits with `wait`, which alone notices a kernel that died. *silent* code leaves
        no trace in the history and no outputs.
        """
        content = {
            "code": code,
            "silent": silent,
            "store_history": not silent,
            "user_expressions": {},
            "allow_stdin": False,
            # Cells that a person has queued from a console on this kernel are none of ours.
            "stop_on_error": False,
        }
        msg_id = self._transport.send("shell", "execute_request", content)
        done = asyncio.get_running_loop().create_future()
        self._request = Request(msg_id, take, done, epoch=self._transport.epoch)
        return self._request

    @property
    def epoch(self) -> int:
        """How often the way to the kernel was opened anew."""
        return self._transport.epoch

    def send(
        self,
        msg_type: str,
        content: dict[str, Any],
        buffers: Sequence[bytes],
        hear: Callable[[Channel, Message], None],
    ) -> str:
        """Send any other request; *hear* gets what comes back, until `forget` is called."""
        msg_id = self._transport.send("shell", msg_type, content, buffers)
        self._hearers[msg_id] = hear
        return msg_id

    def forget(self, msg_id: str) -> None:
        """Ignore whatever still comes back for the request *msg_id*."""
        self._hearers.pop(msg_id, None)

    async def wait(self, request: Request, seconds: float) -> bool:
        """Wait at most *seconds*, and never longer than `WATCH`, for *request* to be done.

        Raises `SessionLost` when the kernel is gone.
        """
        await asyncio.wait({request.done}, timeout=max(0.0, min(seconds, WATCH)))
        if not request.done.done():
            if request.epoch != self._transport.epoch:
                # A kernel answers in order: once it answers this, no other reply is to come.
                request.epoch = self._transport.epoch
                self._sounding = self._transport.send("shell", "kernel_info_request", {})
            if request.reply is not None and time.monotonic() - request.heard > IDLE_GRACE:
                self._transport.reopen_iopub()
                request.take(StreamText("stderr", OUTPUT_LOST))
                request.idle = True
                self._settle(request)
                return True
            reason = await self.lost()
            if reason is not None:
                await self._drain(request)
                if not request.done.done():
                    raise SessionLost(reason)
        return request.done.done()

    async def _drain(self, request: Request) -> None:
        """Hear out what a kernel said before it went."""
        heard, until = 0.0, time.monotonic() + DRAIN_LIMIT
        while heard != request.heard and time.monotonic() < until:
            heard = request.heard
            await asyncio.sleep(DRAIN)

    def close(self) -> None:
        """Let go of the kernel, which goes on; may be called twice."""
        self._transport.close()
        self._request = None

    def _deliver(self, channel: Channel, message: Message) -> None:
        msg_type = message["msg_type"]
        parent = message["parent_header"]
        parent_id = parent.get("msg_id") if isinstance(parent, dict) else None
        parent_id = parent_id if isinstance(parent_id, str) else ""  # anything may come
        if not isinstance(msg_type, str):
            return
        request = self._request
        if channel == "iopub":
            self._published.set()
            self._notice_end(msg_type, message["content"])
        elif parent_id in self._info:
            self._info.discard(parent_id)
            self._replied.set()
        elif parent_id and parent_id == self._sounding:
            self._sounding = None
            if request is not None and request.reply is None:
                request.reply, request.broken = {"status": "unknown"}, True
                request.idle = True
                self._settle(request)
                return
        hear = self._hearers.get(parent_id)
        if hear is not None:
            hear(channel, message)
            return
        if request is None or parent_id != request.msg_id:
            return
        request.heard = time.monotonic()
        content = message["content"]
        if channel == "shell" and msg_type == "execute_reply" and isinstance(content, dict):
            request.reply = content
        elif channel == "iopub" and msg_type == "status" and isinstance(content, dict):
            request.idle = request.idle or content.get("execution_state") == "idle"
        elif channel == "iopub":
            output = from_message(msg_type, content)
            if output is not None:
                request.take(output)
        self._settle(request)

    def _settle(self, request: Request) -> None:
        if request.reply is not None and request.idle and not request.done.done():
            request.done.set_result(request.reply)
            self._request = None

    def _notice_end(self, msg_type: str, content: object) -> None:
        """A kernel that goes says so on its output channel, to every client."""
        if msg_type == "shutdown_reply" and isinstance(content, dict):
            self._announced = RESTARTED if content.get("restart") else GONE
        elif msg_type == "status" and isinstance(content, dict):
            state = content.get("execution_state")
            if state in ("restarting", "dead"):
                self._announced = RESTARTED if state == "restarting" else GONE
