"""Landlock: a process gives up access to files, for itself and all its children, for good.

Two uses. Without mount namespaces the allow-list is the file view. Within bubblewrap a domain that
allows everything still separates: no process inside may look into one outside the domain, which
closes ``/proc/1`` (bubblewrap's own process) to the code.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE, MAKE_CHAR, MAKE_DIR = 1 << 4, 1 << 5, 1 << 6, 1 << 7
MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK = 1 << 8, 1 << 9, 1 << 10, 1 << 11
MAKE_SYM, REFER, TRUNCATE, IOCTL_DEV = 1 << 12, 1 << 13, 1 << 14, 1 << 15

READ = EXECUTE | READ_FILE | READ_DIR
WRITE = (
    READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SOCK | MAKE_SYM
    | REFER | TRUNCATE
)  # fmt: skip
DEVICE = READ_FILE | WRITE_FILE | TRUNCATE
_ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
# what every version of the interface can handle; the version that brought each later right
_FIRST = (1 << 13) - 1
_LATER = ((2, REFER), (3, TRUNCATE), (5, IOCTL_DEV))
_BIND_TCP, _CONNECT_TCP = 1 << 0, 1 << 1  # version 4
_SCOPE_ABSTRACT_UNIX, _SCOPE_SIGNAL = 1 << 0, 1 << 1  # version 6

_PR_SET_NO_NEW_PRIVS = 38
_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """The kernel's Landlock interface version; 0 where there is none or it is switched off."""
    found = _libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _CREATE_RULESET_VERSION)
    return max(0, int(found))


def confine_files(rules: Iterable[tuple[str, int]], *, no_tcp: bool) -> int:
    """Leave only what ``rules`` (path, rights) allow; the interface version used.

    Paths that do not exist are passed over. Raises OSError where Landlock refuses.
    """
    abi = version()
    if abi < 1:
        raise OSError(38, "Landlock is not available")
    handled = _FIRST
    for since, right in _LATER:
        if abi >= since:
            handled |= right
    network = (_BIND_TCP | _CONNECT_TCP) if no_tcp and abi >= 4 else 0
    scoped = (_SCOPE_ABSTRACT_UNIX | _SCOPE_SIGNAL) if abi >= 6 else 0
    _restrict(abi, handled, network, scoped, rules)
    return abi


def confine_processes() -> int:
    """Enter a domain that allows every file access there was; 0 where there is no Landlock."""
    abi = version()
    if abi < 1:
        return 0
    # REFER must be handled and allowed: a domain that does not handle it denies every rename
    # from one folder to another.
    handled = MAKE_CHAR | MAKE_BLOCK | (REFER if abi >= 2 else 0)
    scoped = (_SCOPE_ABSTRACT_UNIX | _SCOPE_SIGNAL) if abi >= 6 else 0
    _restrict(abi, handled, 0, scoped, [("/", REFER)])
    return abi


def _restrict(
    abi: int, handled: int, network: int, scoped: int, rules: Iterable[tuple[str, int]]
) -> None:
    words = [handled] + ([network] if abi >= 4 else []) + ([scoped] if abi >= 6 else [])
    attributes = struct.pack(f"={len(words)}Q", *words)
    ruleset = _checked(
        _libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    )
    try:
        for path, rights in rules:
            _allow(ruleset, path, rights & handled)
        _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _checked(_libc.syscall(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    if not rights:
        return
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= _ON_FILES
        rule = struct.pack("=Qi", rights, fd)
        _checked(_libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0))
    finally:
        os.close(fd)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"Landlock: {os.strerror(number)}")
    return result
