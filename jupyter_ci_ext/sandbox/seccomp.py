"""Seccomp filters, written as classic BPF without libseccomp.

A filter is a list of 8-byte instructions that the kernel runs at every system call. What it is for:
system calls that widen the kernel's attack surface (new namespaces, io_uring, bpf, keys …), that no
other layer covers (AF_VSOCK, System V memory, ``ioctl`` on inherited sockets, set-id bits), and, where
no namespaces can be had (``network_namespace=False``), every way to a socket outside.

Three answers matter. ENOSYS makes callers fall back to an older call that can be filtered (``clone3``
hides its flags in memory). EPERM refuses. Errno 0, used for ``chmod`` and ``utime`` where only Landlock
guards the files, pretends success, so that ``shutil.copy`` and ``tar`` keep working: Landlock does not
mediate these calls.
"""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Callable, Iterable, Sequence

from .syscalls import NUMBERS

ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_KILL_PROCESS = 0x80000000

# BPF opcodes: load a word, jump if equal / greater / greater-or-equal / any bit set, mask, return.
_LD, _JEQ, _JGT, _JGE, _JSET, _AND, _RET = 0x20, 0x15, 0x25, 0x35, 0x45, 0x54, 0x06

Instruction = tuple[int, int, int, int]
Block = list[Instruction]
_NUMBER: Instruction = (_LD, 0, 0, 0)  # load the number of the call
_Add = Callable[[str, Block], None]

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000
OWN_PID = 0x7EED_0001  # no process has this number

_REFUSED = [
    "ptrace",
    "syslog",
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "swapon",
    "swapoff",
    "reboot",
    "acct",
    "quotactl",
    "quotactl_fd",
    "init_module",
    "finit_module",
    "delete_module",
    "kexec_load",
    "kexec_file_load",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "add_key",
    "request_key",
    "keyctl",
    "unshare",
    "setns",
    "name_to_handle_at",
    "open_by_handle_at",
    "process_vm_readv",
    "process_vm_writev",
    "process_madvise",
    "pidfd_getfd",
    "kcmp",
    "move_pages",
    "migrate_pages",
    "mbind",
    "set_mempolicy",
    "set_mempolicy_home_node",
    "iopl",
    "ioperm",
    "modify_ldt",
    "uselib",
    "vhangup",
    "settimeofday",
    "clock_settime",
    "clock_adjtime",
    "sethostname",
    "setdomainname",
    "nfsservctl",
    "lookup_dcookie",
    "fanotify_init",
    "memfd_secret",
    "lsm_set_self_attr",
    "shmget",
    "msgget",
    "semget",
    "mq_open",
]
_ABSENT = [
    "clone3",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "open_tree",
    "move_mount",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    "open_tree_attr",
    "listmount",
    "statmount",
    "openat2",
    "memfd_create",
]

# clone: NEWTIME (shared with the exit signal's bits), NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER,
# NEWPID, NEWNET. NEWTIME is left out: clone() reads those bits as a signal number.
_CLONE_NEW = (
    0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
)
_SET_ID_BITS = 0o6000
_O_CREAT_OR_TMPFILE = 0o100 | 0o20000000
_O_ACCMODE, _O_TRUNC = 0o3, 0o1000
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_SOCK_TYPE_MASK, _SOCK_STREAM = 0xF, 1
_S_IFMT, _S_IFREG, _S_IFSOCK = 0o170000, 0o100000, 0o140000
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_SIOC_FIRST, _SIOC_LAST = 0x8910, 0x89FF  # device ioctls of sockets: host interfaces, addresses
_PR_SET_CHILD_SUBREAPER = 36


def supported(machine: str = "") -> bool:
    """Whether filters can be written for this architecture."""
    return (machine or platform.machine()) in _AUDIT_ARCH


def program(*, namespaces: bool, landlock_version: int = 0, machine: str = "") -> bytes:
    """The filter as the kernel takes it: an array of ``struct sock_filter``.

    ``namespaces`` tells whether the process has mounts, processes and a network of its own. Without
    them only stream sockets of AF_UNIX can be made and nothing can be connected; and what Landlock
    does not cover in its ``landlock_version`` is refused here: truncation below 3, signals below 6,
    for which ``OWN_PID`` stands where stage 2 puts its own process number.
    """
    machine = machine or platform.machine()
    numbers = NUMBERS[machine]
    code: Block = [
        (_LD, 0, 0, 4),
        (_JEQ, 1, 0, _AUDIT_ARCH[machine]),
        (_RET, 0, 0, _KILL_PROCESS),
        _NUMBER,
    ]
    if machine == "x86_64":
        code += [(_JGE, 0, 1, _X32_BIT), (_RET, 0, 0, _ERRNO | errno.ENOSYS)]

    def add(name: str, block: Block) -> None:
        if name in numbers:
            code.append((_JEQ, 0, len(block), numbers[name]))
            code.extend(block)

    for name in _REFUSED:
        add(name, _refuse())
    for name in _ABSENT:
        add(name, _refuse(errno.ENOSYS))
    add("clone", _refuse_bits(0, _CLONE_NEW))
    add("ioctl", _ioctl())
    add("prctl", _refuse_values(0, [_PR_SET_CHILD_SUBREAPER]))
    add("mknod", _only_values(1, [0, _S_IFREG, _S_IFSOCK], mask=_S_IFMT))
    add("mknodat", _only_values(2, [0, _S_IFREG, _S_IFSOCK], mask=_S_IFMT))
    if namespaces:
        _set_id_bits(add)
        add("socket", _socket_with_network())
    else:
        if landlock_version < 3:
            _truncation(add)
        _files_without_mounts(add)
        _sockets_without_network(add)
        if landlock_version < 6:
            add("kill", _only_values(0, [OWN_PID, 0]))
            for name in ("tkill", "tgkill"):
                add(name, _only_values(0, [OWN_PID]))
            add("pidfd_send_signal", _refuse())
    code.append((_RET, 0, 0, ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def _set_id_bits(add: _Add) -> None:
    for name, position in (("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("fchmodat2", 2)):
        add(name, _refuse_bits(position, _SET_ID_BITS))
    _set_id_at_creation(add)


def _set_id_at_creation(add: _Add) -> None:
    add("open", _refuse_bits(2, _SET_ID_BITS, only_if=(1, _O_CREAT_OR_TMPFILE)))
    add("creat", _refuse_bits(1, _SET_ID_BITS))
    add("openat", _refuse_bits(3, _SET_ID_BITS, only_if=(2, _O_CREAT_OR_TMPFILE)))


def _files_without_mounts(add: _Add) -> None:
    """What Landlock leaves open on files the process owns: modes, times, owners, attributes."""
    for name in ("chmod", "fchmod", "fchmodat", "fchmodat2", "utime", "utimes", "futimesat",
                 "utimensat"):  # fmt: skip
        add(name, _refuse(0))
    for name in ("chown", "fchown", "lchown", "fchownat"):
        add(name, _refuse())
    for name in ("setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr",
                 "fremovexattr", "setxattrat", "removexattrat"):  # fmt: skip
        add(name, _refuse(errno.ENOTSUP))
    _set_id_at_creation(add)


def _truncation(add: _Add) -> None:
    """Landlock below version 3: a file that may only be read, or named, could be emptied."""
    add("truncate", _refuse(errno.EACCES))
    for name, position in (("open", 1), ("openat", 2)):
        block = [
            _load(position),
            (_JSET, 2, 0, _O_ACCMODE),
            (_JSET, 0, 1, _O_TRUNC),
            (_RET, 0, 0, _ERRNO | errno.EACCES),
            _NUMBER,  # on to the other rules for this call
        ]
        add(name, block)


def _sockets_without_network(add: _Add) -> None:
    unix_stream = [
        *_only_values(0, [_AF_UNIX], then=[]),
        *_only_values(1, [_SOCK_STREAM], mask=_SOCK_TYPE_MASK),
    ]
    add("socket", unix_stream)
    add("socketpair", unix_stream)
    add("connect", _refuse(errno.EACCES))
    # sendto with an address; sendmsg hides it in memory, but a connected stream ignores it
    add("sendto", [_load(4), (_JEQ, 0, 3, 0), _load(4, high=True), (_JEQ, 0, 1, 0),
                   (_RET, 0, 0, ALLOW), (_RET, 0, 0, _ERRNO | errno.EACCES)])  # fmt: skip


def _socket_with_network() -> Block:
    block: Block = [_load(0)]
    for family in (_AF_UNIX, _AF_INET, _AF_INET6):
        block += [(_JEQ, 0, 1, family), (_RET, 0, 0, ALLOW)]
    block += [
        (_JEQ, 0, 3, _AF_NETLINK),
        _load(2),
        (_JEQ, 0, 1, 0),
        (_RET, 0, 0, ALLOW),
        (_RET, 0, 0, _ERRNO | errno.EAFNOSUPPORT),
    ]
    return block


def _ioctl() -> Block:
    return [
        _load(1),
        (_JEQ, 3, 0, _TIOCSTI),
        (_JEQ, 2, 0, _TIOCLINUX),
        (_JGE, 0, 2, _SIOC_FIRST),
        (_JGT, 1, 0, _SIOC_LAST),
        (_RET, 0, 0, _ERRNO | errno.EPERM),
        (_RET, 0, 0, ALLOW),
    ]


def _load(argument: int, *, high: bool = False) -> Instruction:
    return (_LD, 0, 0, 16 + 8 * argument + (4 if high else 0))


def _refuse(number: int = errno.EPERM) -> Block:
    return [(_RET, 0, 0, _ERRNO | number)]


def _refuse_bits(argument: int, bits: int, only_if: tuple[int, int] | None = None) -> Block:
    block: Block = [
        _load(argument),
        (_JSET, 0, 1, bits),
        (_RET, 0, 0, _ERRNO | errno.EPERM),
        (_RET, 0, 0, ALLOW),
    ]
    if only_if is not None:
        where, mask = only_if
        block = [_load(where), (_JSET, 1, 0, mask), (_RET, 0, 0, ALLOW), *block]
    return block


def _refuse_values(argument: int, values: Iterable[int]) -> Block:
    block: Block = [_load(argument)]
    for value in values:
        block += [(_JEQ, 0, 1, value), (_RET, 0, 0, _ERRNO | errno.EPERM)]
    return [*block, (_RET, 0, 0, ALLOW)]


def _only_values(
    argument: int, values: Sequence[int], *, mask: int = 0, then: Block | None = None
) -> Block:
    """Refuse all but these values; after one of them allow, or go on with what follows."""
    block: Block = [_load(argument)]
    if mask:
        block.append((_AND, 0, 0, mask))
    for position, value in enumerate(values):
        block.append((_JEQ, len(values) - position, 0, value))
    block.append((_RET, 0, 0, _ERRNO | errno.EPERM))
    return block if then is not None else [*block, (_RET, 0, 0, ALLOW)]
