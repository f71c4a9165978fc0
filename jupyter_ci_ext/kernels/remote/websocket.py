"""The way to a kernel behind a gateway: one websocket for all channels.

A socket that breaks is opened anew under the same session id: the gateway keeps what the kernel says
meanwhile, and says it then. What we sent at that moment may be lost: see `Transport.epoch`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

from jupyter_client.session import Session as MessageSession
from jupyter_server.gateway.gateway_client import GatewayClient
from jupyter_server.services.kernels.connection.base import (
    deserialize_msg_from_ws_v1,
    serialize_msg_to_ws_v1,
)
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import WebSocketClientConnection, WebSocketClosedError, websocket_connect

from jupyter_ci_ext.kernels.connection import GONE, RESTARTED, Channel, Message, Transport
from jupyter_ci_ext.quiet import kind

PROTOCOL = "v1.kernel.websocket.jupyter.org"
LOOK = 2.0
"""Seconds between two questions to the gateway whether it still has the kernel."""
PATIENCE = 5.0
"""Seconds the gateway may take to answer that."""
PING = 30.0
"""Seconds between two signs of life of the socket; without an answer until the next it is dead."""
CONNECT = 20.0
AGAIN, AGAIN_AT_MOST = 0.1, 2.0
"""Seconds until a socket is opened anew; twice as many each time, up to a limit."""
LARGER = 2
"""How many times larger than allowed a message may be, to be cut here; it is not cut over there."""

ENDED = "The kernel is gone: its gateway has ended it, or does not know it any more."
DEAD = "The kernel died, and its gateway did not start it anew."
UNREACHABLE = "The kernel's gateway could not be reached for {seconds:g} seconds: {why}."
TOO_OLD = "it does not speak the protocol " + PROTOCOL
TOO_LARGE = 1009


class WebsocketTransport(Transport):
    """Messages to a kernel of a `GatewayMappingKernelManager`, and from it.

    *reconnect* is for how many seconds a broken socket is tried again; a message that is much larger
    than *largest* bytes is lost, and costs a new socket.
    """

    def __init__(self, manager: Any, kernel_id: str, *, reconnect: float, largest: int) -> None:
        self._manager = manager
        self._kernel_id = kernel_id
        self._kernel = manager.get_kernel(kernel_id)
        self._reconnect = reconnect
        self._largest = LARGER * largest
        self._session = MessageSession()
        self._deliver: Callable[[Channel, Message], None] | None = None
        self._socket: WebSocketClientConnection | None = None
        self._waiting: deque[bytes] = deque()
        self._reader: asyncio.Task[None] | None = None
        self._look: asyncio.Task[None] | None = None
        self._looked = float("-inf")
        # The first socket may take as long as the kernel's start.
        self._down_since: float | None = None
        self._why = "no connection was made"
        self._gone: str | None = None
        self._log = logging.getLogger(__name__)

    def open(self, deliver: Callable[[Channel, Message], None]) -> None:
        self._deliver = deliver
        self._reader = asyncio.get_running_loop().create_task(self._read())

    def send(
        self,
        channel: Channel,
        msg_type: str,
        content: dict[str, Any],
        buffers: Sequence[bytes] = (),
    ) -> str:
        message = self._session.msg(msg_type, content)
        parts = [self._session.pack(message[part]) for part in _PARTS]
        self._send(serialize_msg_to_ws_v1([*parts, *buffers], channel))
        return str(message["header"]["msg_id"])

    async def lost(self) -> str | None:
        if self._kernel_id not in self._manager:
            return GONE
        if self._manager.get_kernel(self._kernel_id) is not self._kernel:
            return RESTARTED
        down = 0.0 if self._down_since is None else time.monotonic() - self._down_since
        if down > self._reconnect:
            return self._gone or UNREACHABLE.format(seconds=round(down), why=self._why)
        if self._look is None and time.monotonic() - self._looked >= LOOK:
            self._looked = time.monotonic()
            self._look = asyncio.get_running_loop().create_task(self._ask_gateway())
        look = self._look
        if look is not None:
            # It answers within milliseconds, and is not waited for where it does not.
            await asyncio.wait({look}, timeout=0.1)
            if look.done() and self._look is look:
                self._look = None
        return self._gone

    def reopen_iopub(self) -> None:
        """Nothing to do: all channels share the socket, which is read without a limit."""

    def close(self) -> None:
        self._deliver = None
        for task in (self._reader, self._look):
            if task is not None:
                task.cancel()
        self._drop()

    # ---- inside --------------------------------------------------------------------------------

    async def _ask_gateway(self) -> None:
        try:
            model = await asyncio.wait_for(self._kernel.refresh_model(), PATIENCE)
        except Exception as error:  # unreachable: the socket will tell, if that lasts
            self._log.debug("No word on kernel %s: %s", self._kernel_id, kind(error))
            return
        if model is None:
            self._gone = ENDED
        elif model.get("execution_state") == "dead":
            self._gone = DEAD

    async def _read(self) -> None:
        pause = AGAIN
        while True:
            try:
                self._socket = await self._connect()
            except Exception as error:
                self._why = _reason(error)
                self._log.debug("No socket to kernel %s: %s", self._kernel_id, kind(error))
                if isinstance(error, HTTPClientError) and error.code == 404:
                    self._gone = ENDED
                await asyncio.sleep(pause)
                pause = min(2 * pause, AGAIN_AT_MOST)
                continue
            self._down_since, pause = None, AGAIN
            for _ in range(len(self._waiting)):  # what cannot be sent now is put back
                self._send(self._waiting.popleft())
            await self._read_from(self._socket)
            if self._socket.close_code == TOO_LARGE:
                self._log.warning("Kernel %s said more than it may at once", self._kernel_id)
            self._why = "it closed the connection"
            self._drop()
            self._down_since = time.monotonic()
            self.epoch += 1

    async def _connect(self) -> WebSocketClientConnection:
        client = GatewayClient.instance()
        url = (
            f"{client.ws_url}{client.kernels_endpoint}/{self._kernel_id}/channels"
            f"?session_id={self._session.session}"
        )
        request = HTTPRequest(url, **client.load_connection_args())
        socket = await asyncio.wait_for(
            websocket_connect(
                request,
                subprotocols=[PROTOCOL],
                max_message_size=self._largest,
                ping_interval=PING,
            ),
            CONNECT,
        )
        if socket.selected_subprotocol != PROTOCOL:
            socket.close()
            self._gone = UNREACHABLE.format(seconds=0, why=TOO_OLD)
        return socket

    async def _read_from(self, socket: WebSocketClientConnection) -> None:
        # One message at a time, so that a flood waits in the network and not in our memory.
        while (data := await socket.read_message()) is not None:
            if isinstance(data, bytes) and self._deliver is not None:
                try:
                    channel, message = _unpack(data)
                    self._deliver(channel, message)
                except Exception as error:  # the kernel is not trusted: any bytes may come
                    self._log.debug("Unreadable message of %s: %s", self._kernel_id, kind(error))

    def _send(self, data: bytes) -> None:
        if self._socket is None:
            self._waiting.append(data)
            return
        try:
            written = asyncio.ensure_future(self._socket.write_message(data, binary=True))
        except WebSocketClosedError:
            self._waiting.append(data)
            return
        written.add_done_callback(_heed)

    def _drop(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.close()


_PARTS = ("header", "parent_header", "metadata", "content")
_CHANNELS = ("shell", "iopub", "control")


def _unpack(data: bytes) -> tuple[Channel, Message]:
    """The channel and the message in *data*; raises any error where it makes no sense."""
    channel, parts = deserialize_msg_from_ws_v1(data)
    if channel not in _CHANNELS:
        raise ValueError(channel)
    message: Message = {name: json.loads(part) for name, part in zip(_PARTS, parts, strict=False)}
    message["msg_type"] = message["header"]["msg_type"]
    message["buffers"] = parts[len(_PARTS) :]
    return cast(Channel, channel), message


def _heed(written: asyncio.Future[None]) -> None:
    """A message that was not written is noticed when the socket ends."""
    if not written.cancelled():
        written.exception()


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
