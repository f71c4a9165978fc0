"""Keep what a kernel sends within bounds, politely: the beginning and the end, and a note between.

This is courtesy, not a wall: the code can undo it. The server bounds the size of a message by itself.
"""

from __future__ import annotations

import base64
import codecs
import contextlib
import fcntl
import json
import os
import select
import struct
import termios
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Any

from ipykernel.iostream import OutStream
from jupyter_client.jsonutil import json_clean, json_default
from jupyter_client.session import Session
from traitlets import Callable

from .reserve import Reserve

_ACCOUNTS_KEPT = 8
_LONG_TEXT = 64 * 1024
_LONG_LIST = 1000
_CHUNK = 1 << 16
_PICTURES = {"image/png": "png", "image/jpeg": "jpg", "image/svg+xml": "svg", "image/gif": "gif"}
_MOST_PICTURES = 1000
_DRAIN_SECONDS = 2.0  # for what the code has written around Python, when it is over
_PIPE_BYTES = 1 << 20  # the most an ordinary user may ask for; asking is all there is to it


class _Account:
    """What one execution has printed so far."""

    def __init__(self, limit: int) -> None:
        self.head_left = limit // 2
        self.tail_limit = limit - self.head_left  # of stdout and stderr together
        self.tails: dict[str, deque[bytes]] = {}
        self.tail_sizes: dict[str, int] = {}
        self.left_out: dict[str, int] = {}
        self.settled = False


class OutputBudget:
    """How much each execution may print, stdout and stderr together, in bytes of UTF-8.

    The first half goes out as it comes, the last part is held back until the execution is over.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._accounts: OrderedDict[str, _Account] = OrderedDict()
        self._lock = threading.Lock()

    def admit(self, stream: str, execution: str, text: str) -> str:
        """The part of ``text`` that may be sent now; the rest is kept as the tail or left out."""
        with self._lock:
            account = self._account(execution)
            if account.settled and not account.head_left:
                return ""
            raw = _encode(text)
            cut = _boundary(raw, account.head_left)
            # a character that does not fit ends the head: what comes after it is not put before it
            account.head_left = account.head_left - cut if cut == len(raw) else 0
            if cut < len(raw) and not account.settled:
                self._keep(account, stream, raw[cut:])
            return text if cut == len(raw) else _decode(raw[:cut])

    def settle(self, execution: str) -> dict[str, str]:
        """The execution is over: what each stream still has to print, a note included."""
        with self._lock:
            account = self._account(execution)
            account.settled = True
            rest = {}
            for stream, tail in account.tails.items():
                note = ""
                if account.left_out.get(stream):
                    note = f"\n[… {account.left_out[stream]:,} bytes left out …]\n"
                rest[stream] = note + _decode(b"".join(tail))
            account.tails.clear()
            return rest

    def _account(self, execution: str) -> _Account:
        account = self._accounts.get(execution)
        if account is None:
            account = self._accounts[execution] = _Account(self._limit)
            while len(self._accounts) > _ACCOUNTS_KEPT:
                self._accounts.popitem(last=False)
        return account

    def _keep(self, account: _Account, stream: str, raw: bytes) -> None:
        kept = raw[_boundary(raw, max(0, len(raw) - account.tail_limit), up=True) :]
        account.tails.setdefault(stream, deque()).append(kept)
        sizes, left_out = account.tail_sizes, account.left_out
        sizes[stream] = sizes.get(stream, 0) + len(kept)
        left_out[stream] = left_out.get(stream, 0) + len(raw) - len(kept)
        # Half of the room is sure for each: a flood on one stream leaves the other its end.
        while (excess := sum(sizes.values()) - account.tail_limit) > 0:
            longest = max(sizes, key=sizes.__getitem__)
            cut = _shorten(
                account.tails[longest], min(excess, sizes[longest] - account.tail_limit // 2)
            )
            sizes[longest] -= cut
            left_out[longest] += cut


def _shorten(tail: deque[bytes], excess: int) -> int:
    """Drop at least *excess* bytes at the front, up to the end of a character; how many those are."""
    dropped = 0
    while tail and dropped + len(tail[0]) <= excess:
        dropped += len(tail.popleft())
    if tail and dropped < excess:
        cut = _boundary(tail[0], excess - dropped, up=True)
        tail[0] = tail[0][cut:]
        dropped += cut
    return dropped


def _encode(text: str) -> bytes:
    # a lone surrogate can be printed; it is whoever shows it that replaces it
    return text.encode("utf-8", "surrogatepass")


def _decode(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")


def _boundary(raw: bytes, at: int, *, up: bool = False) -> int:
    """The end of a character at *at* or, if that is within one, just before (or after) it."""
    at = min(at, len(raw))
    while 0 < at < len(raw) and raw[at] & 0xC0 == 0x80:
        at += 1 if up else -1
    return at


class BudgetedOutStream(OutStream):
    """stdout or stderr of the kernel, held to the execution's budget.

    What is written around Python, to the descriptor itself or by subprocesses, comes through a pipe.
    ipykernel reads that in small pieces and copies it to what stdout was before, the server's log of
    this sandbox: a flood would wait for both. Here it is drained fast, and goes nowhere else.
    """

    budget: OutputBudget
    flush_timeout = 2  # without memory the thread that sends may drop what it was asked
    _taking = threading.Lock()  # held while something is between the pipe and the budget

    def fileno(self) -> int:
        """The descriptor whose output is shown; a subprocess may be given it."""
        if self._should_watch:
            return int(self._original_stdstream_fd)
        return int(super().fileno())

    def _watch_pipe_fd(self) -> None:
        if self._fid is None:
            return
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with contextlib.suppress(OSError):
                fcntl.fcntl(self._fid, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        with contextlib.suppress(OSError):
            while self._should_watch:
                select.select([self._fid], [], [])
                with self._taking:
                    data = os.read(self._fid, _CHUNK)
                    text = decoder.decode(data)
                    if text:
                        self.write(text)
                if not data:
                    return

    def write(self, string: str) -> int:
        if not isinstance(string, str):
            raise TypeError(f"write() argument must be str, not {type(string)}")
        admitted = self.budget.admit(self.name, self._execution(), string)
        if admitted:
            super().write(admitted)
        return len(string)

    def settle(self) -> None:
        """Print what was held back of the current execution."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        while self._undrained() and time.monotonic() < deadline:
            time.sleep(0.002)
        rest = self.budget.settle(self._execution()).get(self.name)
        if rest:
            super().write(rest)

    def _undrained(self) -> bool:
        """Whether something that was written around Python is on its way."""
        if self._fid is None:
            return False
        with self._taking:
            waiting = fcntl.ioctl(self._fid, termios.FIONREAD, b"\0" * 4)
        return bool(struct.unpack("=i", waiting)[0] > 0)

    def _execution(self) -> str:
        return str(self.parent_header.get("msg_id", ""))


_pack: Any = Session.pack.default_value


def pack(message: Any) -> bytes:
    """Jupyter's packing, which refuses half of a surrogate pair: text that code may well print."""
    try:
        packed: bytes = _pack(message)
    except UnicodeEncodeError:
        # escaped, it can be sent; the server replaces it
        packed = json.dumps(json_clean(message), default=json_default, allow_nan=False).encode()
    return packed


class BoundedSession(Session):
    """A session that can send any text, and no message larger than the server will take."""

    pack = Callable(pack)
    limit: int = 16 << 20
    folder: str = ""  # where pictures go that are too large to be sent
    reserve: Reserve

    def serialize(self, msg: dict[str, Any], ident: Any = None) -> list[bytes]:
        frames: list[bytes]
        try:
            frames = super().serialize(msg, ident)
        except MemoryError:
            self.reserve.release()
            frames = super().serialize(msg, ident)
        if sum(map(len, frames)) <= self.limit:
            return frames
        content = shorten(msg["content"], self.limit, self.folder)
        return super().serialize({**msg, "content": content}, ident)

    def send(self, stream: Any, msg_or_type: Any, *args: Any, **kwargs: Any) -> Any:
        buffers = kwargs.get("buffers")
        if buffers and sum(memoryview(b).nbytes for b in buffers) > self.limit // 2:
            kwargs["buffers"] = []
        return super().send(stream, msg_or_type, *args, **kwargs)


def shorten(content: Mapping[str, Any], limit: int, folder: str = "") -> dict[str, Any]:
    """The content of a message, with what is too large cut or replaced by a note.

    A picture is saved in ``folder``, where that can be done, and the note names the file.
    """
    content = dict(content)
    data = content.get("data")
    if isinstance(data, Mapping):
        content["data"] = _shorten_bundle(data, limit // 2, folder)
        content["metadata"] = {}
        return content
    return {key: _shorten_value(value) for key, value in content.items()}


def _shorten_bundle(data: Mapping[str, Any], limit: int, folder: str) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    left_out = {}
    room = limit
    for mime, value in sorted(data.items(), key=lambda item: _size(item[1])):
        size = _size(value)
        if size <= room:
            kept[mime] = value
            room -= size
        elif mime == "text/plain":
            kept[mime] = _shorten_value(value)
        else:
            left_out[mime] = size
    pictures = [mime for mime in _PICTURES if mime in left_out]
    notes = []
    if folder and pictures and not _PICTURES.keys() & kept.keys():
        # the same picture in other forms need not be told of
        name = _saved(data[pictures[0]], _PICTURES[pictures[0]], folder)
        if name:
            notes = [f"[the picture is too large to be sent; it is saved as {name}]"]
            left_out = {mime: size for mime, size in left_out.items() if mime not in pictures}
    for mime, size in left_out.items():
        notes.append(f"[{mime} of {size:,} bytes left out: it is too large to be sent]")
    if notes:
        kept["text/plain"] = "\n".join([*notes, *filter(None, [str(kept.get("text/plain", ""))])])
    return kept


def _size(value: Any) -> int:
    """What it takes in a message, where bytes become base64."""
    if isinstance(value, bytes):
        return (len(value) + 2) // 3 * 4
    return len(str(value).encode("utf-8", "replace"))


def _saved(value: Any, ending: str, folder: str) -> str:
    """The name under which a picture was saved; empty where it cannot be."""
    try:
        if not isinstance(value, bytes):
            value = str(value).encode() if ending == "svg" else base64.b64decode(str(value))
        for number in range(1, _MOST_PICTURES):
            name = f"image-{number}.{ending}"
            path = os.path.join(folder, name)
            with contextlib.suppress(FileExistsError), open(path, "xb") as file:
                file.write(value)
                return name
    except (OSError, ValueError, MemoryError):  # a full disk: the note says that it is left out
        pass
    return ""


def _shorten_value(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _LONG_TEXT:
        half = _LONG_TEXT // 2
        left_out = len(value) - 2 * half
        return f"{value[:half]}\n[… {left_out:,} characters left out …]\n{value[-half:]}"
    if isinstance(value, Mapping):
        return {key: _shorten_value(item) for key, item in list(value.items())[:_LONG_LIST]}
    if isinstance(value, list | tuple):
        items = [_shorten_value(item) for item in value]
        if len(items) > _LONG_LIST:
            items = items[: _LONG_LIST // 2] + items[-_LONG_LIST // 2 :]
        return items
    return value
