"""Object ids as clients of the Assistants API know them: a prefix and 24 alphanumerics.

The prefixes are those of recorded traffic; some client code checks ``startswith``.
"""

from __future__ import annotations

import secrets
import string
from typing import Literal

Kind = Literal[
    "assistant",
    "thread",
    "message",
    "run",
    "step",
    "call",
    "file",
    "upload",
    "part",
    "container",
    "container_file",
    "vector_store",
    "request",
]

PREFIX: dict[Kind, str] = {
    "assistant": "asst_",
    "thread": "thread_",
    "message": "msg_",
    "run": "run_",
    "step": "step_",
    "call": "call_",
    "file": "file-",
    "upload": "upload_",
    "part": "part_",
    "container": "cntr_",
    "container_file": "cfile_",
    "vector_store": "vs_",
    "request": "req_",
}

_ALPHABET = (string.ascii_letters + string.digits).encode()
# What becomes of a random byte: each of the 62 stands for four of them, and eight are thrown away.
_LETTERS = bytes(_ALPHABET[byte % 62] for byte in range(256))
_UNEVEN = bytes(range(248, 256))


def new_id(kind: Kind) -> str:
    """A new, unguessable id of *kind*; request ids end in 32 hexadecimal digits, as recorded."""
    if kind == "request":
        return PREFIX[kind] + secrets.token_hex(16)
    letters = b""
    while len(letters) < 24:
        letters += secrets.token_bytes(32).translate(_LETTERS, _UNEVEN)
    return PREFIX[kind] + letters[:24].decode()


def container_id(key: str) -> str:
    """The id of a session's container, given the thread it belongs to or that id itself."""
    thread = PREFIX["thread"]
    return PREFIX["container"] + key[len(thread) :] if key.startswith(thread) else key
