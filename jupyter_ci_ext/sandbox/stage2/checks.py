"""Measure from the inside what holds. The server compares it with what the level promises.

System calls are asked rather than /proc, which is not there in every sandbox.
"""

from __future__ import annotations

import ctypes
import os
import resource
import socket
import struct
from collections.abc import Mapping
from typing import Any

_PR_GET_SECCOMP, _PR_CAPBSET_READ, _PR_GET_NO_NEW_PRIVS = 21, 23, 39
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def measure(checks: Mapping[str, Any]) -> dict[str, Any]:
    """Facts about this process, as data; ``checks`` names the paths to try."""
    effective, permitted = _capabilities()
    return {
        "pid": os.getpid(),
        "uid": os.getuid(),
        "seccomp": _libc.prctl(_PR_GET_SECCOMP, 0, 0, 0, 0),
        "no_new_privs": _libc.prctl(_PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
        "capabilities": effective | permitted,
        "capabilities_to_gain": _bounding_set(),
        "interfaces": _interfaces(),
        "procfs": os.path.exists("/proc/self/status"),
        "readable": [path for path in checks["unreadable"] if _readable(path)],
        "writable": [path for path in checks["unwritable"] if not _write_error(path)],
        "data_error": _write_error(checks["data"]),
        "limits": {
            name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[1]
            for name in checks["limits"]
        },
    }


def _capabilities() -> tuple[int, int]:
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    sets = ctypes.create_string_buffer(24)
    if _libc.capget(header, sets) != 0:
        return -1, -1
    low_effective, low_permitted, _, effective, permitted, _ = struct.unpack("=6I", sets.raw)
    return low_effective | effective << 32, low_permitted | permitted << 32


def _bounding_set() -> int:
    present = 0
    for capability in range(64):
        if _libc.prctl(_PR_CAPBSET_READ, capability, 0, 0, 0) == 1:
            present |= 1 << capability
    return present


def _interfaces() -> list[str]:
    try:
        return [name for _, name in socket.if_nameindex()]
    except OSError:
        return []


def _readable(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _write_error(folder: str) -> str:
    """Why no file can be made in this folder; empty if one can."""
    name = os.path.join(folder, f".code-interpreter-check-{os.getpid()}")
    try:
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        return error.strerror or str(error)
    try:
        os.write(fd, b"x")
    except OSError as error:
        return error.strerror or str(error)
    finally:
        os.close(fd)
        os.unlink(name)
    return ""
