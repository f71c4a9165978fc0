"""Give up, in this process and for good, what the code must not have; the order matters."""

from __future__ import annotations

import ctypes
import os
import resource
import struct
from collections.abc import Mapping
from typing import Any

from . import landlock

_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_CAPBSET_READ, _PR_CAPBSET_DROP = 4, 22, 23, 24
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL = 38, 47, 4
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def confine(config: Mapping[str, Any]) -> dict[str, Any]:
    """Apply every layer the configuration names; what was put in force, for the report."""
    os.umask(0o022)
    set_limits(config["rlimits"])
    if config.get("affinity"):
        os.sched_setaffinity(0, config["affinity"])
    if os.geteuid() == 0 and config["level"] > 1:
        drop_capabilities_to_come()
        if config["uid"] is not None:
            become(config["uid"])
        clear_capabilities()
    in_force: dict[str, Any] = {"landlock": 0}
    if config["level"] > 1:
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        if config.get("landlock") is not None:
            in_force["landlock"] = landlock.confine_files(config["landlock"], no_tcp=True)
        else:
            in_force["landlock"] = landlock.confine_processes()
    if config.get("seccomp"):
        own = struct.pack("=I", os.getpid())
        install_filter(bytes.fromhex(config["seccomp"].replace(config["own_pid"], own.hex())))
    return in_force


def set_limits(limits: Mapping[str, int]) -> None:
    """Set soft and hard resource limits, never above what is already there."""
    for name, value in limits.items():
        number = getattr(resource, f"RLIMIT_{name}", None)
        if number is None:
            continue
        _, hard = resource.getrlimit(number)
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        resource.setrlimit(number, (value, value))


def become(uid: int) -> None:
    """Turn from root into an ordinary user that nothing else on the host runs as."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    # the change of user made /proc/self root's; tools inside read their own entries there
    _prctl(_PR_SET_DUMPABLE, 1)


def drop_capabilities_to_come() -> None:
    """Empty the bounding and the ambient set, so that no program can bring capabilities back."""
    _libc.prctl(_PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL, 0, 0, 0)
    for capability in range(64):
        if _libc.prctl(_PR_CAPBSET_READ, capability, 0, 0, 0) == 1:
            _prctl(_PR_CAPBSET_DROP, capability)


def clear_capabilities() -> None:
    """Empty the effective, permitted and inheritable sets."""
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    if _libc.capset(header, b"\0" * 24) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"capset: {os.strerror(number)}")


def install_filter(program: bytes) -> None:
    """Install a seccomp filter; ``program`` is an array of ``struct sock_filter``."""

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]

    value = Program(len(program) // 8, program)
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(value))


def _prctl(option: int, *arguments: Any) -> None:
    padded = [*arguments, 0, 0, 0, 0][:4]
    longs = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in padded]
    if _libc.prctl(option, *longs) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")
