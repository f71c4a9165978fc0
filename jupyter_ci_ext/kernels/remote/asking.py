"""Questions to the helper inside a kernel, two ways: comms with binary buffers, else expressions.

A comm carries bytes as they are, but its answers come with the outputs, which a gateway may cut when
there is much of them. The values of ``user_expressions`` are text and cost a third more, and come with
the reply, which no gateway drops.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_ci_ext import to_thread
from jupyter_ci_ext.errors import SessionLost
from jupyter_ci_ext.kernels.connection import WATCH, Channel, Connection, Message
from jupyter_ci_ext.kernels.remote import helper

MESSAGE = 4 << 20
"""Bytes of the largest message; gateways close a socket at ten MiB."""
HEADERS = 16 << 10
IN_FLIGHT = 4
"""Questions under way at a time."""
MODULE = "_code_interpreter_files"
ATTEMPTS = 3

Answer = tuple[Any, bytes]

SILENT = "The remote kernel did not answer within {seconds:g} seconds, so no files were moved."
NONSENSE = "The remote kernel's answers about files make no sense."


class AnswerDropped(Exception):
    """The kernel has answered, and the answer was lost on its way."""


class HelperFailed(Exception):
    """The helper says what it could not do."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Way(ABC):
    """One way to put a question; `Asking` is the only caller."""

    chunk: int
    """Bytes that go with one question or answer at most."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @abstractmethod
    def send(self, request: dict[str, Any], data: bytes, answered: asyncio.Future[Answer]) -> str:
        """Send it; *answered* is settled when there is an answer. Returns the message's id."""


class CommWay(Way):
    """A comm of the helper's target; `open` first."""

    chunk = MESSAGE - HEADERS

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._comm_id = uuid.uuid4().hex

    def open(self, answered: asyncio.Future[Answer]) -> str:
        """Ask for the comm; *answered* says whether it is there."""
        content = {"comm_id": self._comm_id, "target_name": helper.TARGET, "data": {}}
        return self._sent("comm_open", content, (), answered)

    def send(self, request: dict[str, Any], data: bytes, answered: asyncio.Future[Answer]) -> str:
        content = {"comm_id": self._comm_id, "data": request}
        return self._sent("comm_msg", content, (data,), answered)

    def _sent(
        self,
        msg_type: str,
        content: dict[str, Any],
        buffers: tuple[bytes, ...],
        answered: asyncio.Future[Answer],
    ) -> str:
        def hear(_: Channel, message: Message) -> None:
            if answered.done() or not isinstance(message["content"], dict):
                return
            said = message["content"]
            if message["msg_type"] == "comm_msg" and said.get("comm_id") == self._comm_id:
                parts = message.get("buffers") or [b""]
                answered.set_result((said.get("data"), bytes(parts[0])))
            elif message["msg_type"] == "status" and said.get("execution_state") == "idle":
                answered.set_exception(AnswerDropped())

        return self._connection.send(msg_type, content, buffers, hear)


class ExpressionWay(Way):
    """Questions as ``user_expressions`` of code that is empty."""

    chunk = (MESSAGE - HEADERS) * 3 // 4

    def send(self, request: dict[str, Any], data: bytes, answered: asyncio.Future[Answer]) -> str:
        question = base64.b64encode(json.dumps(request).encode()).decode()
        content = base64.b64encode(data).decode()
        expression = f"__import__('sys').modules['{MODULE}'].ask_text('{question}', '{content}')"

        def hear(_channel: Channel, message: Message) -> None:
            if message["msg_type"] == "execute_reply" and not answered.done():
                try:
                    value = message["content"]["user_expressions"]["answer"]["data"]["text/plain"]
                    told, _, rest = base64.b64decode(value.strip("'")).partition(b"\n")
                    answered.set_result((json.loads(told), rest))
                except (KeyError, TypeError, ValueError, AttributeError):
                    answered.set_exception(HelperFailed(NONSENSE))

        request_content = {
            "code": "",
            "silent": True,
            "store_history": False,
            "user_expressions": {"answer": expression},
            "allow_stdin": False,
            "stop_on_error": False,
        }
        return self._connection.send("execute_request", request_content, (), hear)


class Asking:
    """Puts questions, a few at a time, over the best way there is; again after a broken socket.

    All operations may be done twice without harm.
    """

    def __init__(self, connection: Connection, way: Way, timeout: float) -> None:
        self._connection = connection
        self._way = way
        self._timeout = timeout
        self._slots = asyncio.Semaphore(IN_FLIGHT)

    @classmethod
    async def over(
        cls, connection: Connection, timeout: float, longest: int, largest: int
    ) -> Asking:
        """With the helper installed; raises `SessionLost` if the kernel does not take it.

        Text of more than *longest* characters and figures of more than *largest* bytes are cut there.
        """
        await _install(connection, timeout, f"{longest}, {largest}")
        comm = CommWay(connection)
        asking = cls(connection, comm, timeout)
        try:
            said, _ = await asking._answer(comm.open)
            if said == {"ready": True}:
                return asking
        except AnswerDropped:
            pass
        return cls(connection, ExpressionWay(connection), timeout)

    @property
    def chunk(self) -> int:
        """Bytes that go with one question or answer at most."""
        return self._way.chunk

    @property
    def binary(self) -> bool:
        """Whether bytes travel as they are."""
        return isinstance(self._way, CommWay)

    @property
    def slots(self) -> asyncio.Semaphore:
        """To be held while a question is prepared and put, so that not too much is in memory."""
        return self._slots

    async def ask(self, request: dict[str, Any], data: bytes = b"") -> tuple[dict[str, Any], bytes]:
        """The answer, shaped as it should be; believe nothing else of it.

        Raises `HelperFailed`, and `SessionLost` when there is none.
        """
        way = self._way
        try:
            answer = await self._answer(lambda answered: way.send(request, data, answered))
        except AnswerDropped:
            if self._way is way:
                self._way = ExpressionWay(self._connection)
            return await self._ask_again(request, data)
        said, content = answer
        if not isinstance(said, dict) or len(content) > MESSAGE:
            raise HelperFailed(NONSENSE)
        if "error" in said:
            raise HelperFailed(str(said["error"])[:200])
        return said, content

    async def _ask_again(
        self, request: dict[str, Any], data: bytes
    ) -> tuple[dict[str, Any], bytes]:
        """The same over the other way, in pieces as large as that takes."""
        if len(data) <= self.chunk:
            if request.get("size", 0) > self.chunk:
                request = request | {"size": self.chunk}
            return await self.ask(request, data)
        answer: tuple[dict[str, Any], bytes] = ({}, b"")
        for at in range(0, len(data), self.chunk):
            piece = data[at : at + self.chunk]
            last = bool(request.get("last")) and at + len(piece) == len(data)
            more = {"offset": request["offset"] + at, "last": last}
            answer = await self.ask(request | more, piece)
        return answer

    async def _answer(self, send: Callable[[asyncio.Future[Answer]], str]) -> Answer:
        for _ in range(ATTEMPTS):
            epoch = self._connection.epoch
            answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            msg_id = send(answered)
            try:
                until = time.monotonic() + self._timeout
                while time.monotonic() < until:
                    await asyncio.wait({answered}, timeout=WATCH)
                    if answered.done():
                        return answered.result()
                    reason = await self._connection.lost()
                    if reason is not None:
                        raise SessionLost(reason)
                    if self._connection.epoch != epoch:
                        break  # the question or its answer may have been on its way
                else:
                    break
            finally:
                self._connection.forget(msg_id)
        raise SessionLost(SILENT.format(seconds=self._timeout))


async def _install(connection: Connection, timeout: float, limits: str) -> None:
    source = await to_thread.run_sync(Path(helper.__file__).read_text, "utf-8")
    code = (
        f"import sys, types\n"
        f"sys.modules[{MODULE!r}] = types.ModuleType({MODULE!r})\n"
        f"exec({source!r}, sys.modules[{MODULE!r}].__dict__)\n"
        f"sys.modules[{MODULE!r}].install(get_ipython(), {limits})\n"
        f"del sys, types\n"
    )
    request = connection.execute(code, lambda _: None, silent=True)
    until = time.monotonic() + timeout
    while not await connection.wait(request, until - time.monotonic()):
        if time.monotonic() >= until:
            raise SessionLost(SILENT.format(seconds=timeout))
    if (request.reply or {}).get("status") != "ok":
        raise SessionLost("The remote kernel does not run Python with IPython.")
