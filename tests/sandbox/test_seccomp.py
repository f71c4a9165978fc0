"""The filters, run by an interpreter of classic BPF: every rule, on both architectures."""

from __future__ import annotations

import errno
import struct

import pytest

from jupyter_ci_ext.sandbox import seccomp
from jupyter_ci_ext.sandbox.syscalls import NUMBERS

ARCHES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOWED = "allowed"


def decide(
    program: bytes, machine: str, name: str | int, *arguments: int, arch: int = 0
) -> str | int:
    """What a filter says to a call: ALLOWED, the errno it answers, or "killed"."""
    number = NUMBERS[machine][name] if isinstance(name, str) else name
    padded = [a & (1 << 64) - 1 for a in (*arguments, 0, 0, 0, 0, 0, 0)[:6]]
    data = struct.pack("=IIQ6Q", number, arch or ARCHES[machine], 0, *padded)
    code = list(struct.iter_unpack("=HBBI", program))
    at = accumulator = 0
    while True:
        operation, if_true, if_false, k = code[at]
        at += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, k)
        elif operation == 0x54:
            accumulator &= k
        elif operation == 0x06:
            if k == seccomp.ALLOW:
                return ALLOWED
            return k & 0xFFFF if k & 0xFFFF0000 == 0x00050000 else "killed"
        else:
            true = {
                0x15: accumulator == k,
                0x25: accumulator > k,
                0x35: accumulator >= k,
                0x45: bool(accumulator & k),
            }[operation]
            at += if_true if true else if_false


@pytest.fixture(params=["x86_64", "aarch64"])
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_calls_that_are_refused_whatever_their_arguments(machine: str) -> None:
    program = seccomp.program(namespaces=True, machine=machine)
    for name in ("ptrace", "mount", "unshare", "setns", "bpf", "keyctl", "shmget", "kexec_load"):
        assert decide(program, machine, name) == errno.EPERM
    for name in ("clone3", "io_uring_setup", "openat2", "memfd_create", "fsopen"):
        assert decide(program, machine, name) == errno.ENOSYS


def test_other_architectures_are_shut_out(machine: str) -> None:
    program = seccomp.program(namespaces=True, machine=machine)
    assert decide(program, machine, 1, arch=0x40000003) == "killed"
    assert (
        decide(seccomp.program(namespaces=True, machine="x86_64"), "x86_64", 0x40000000 | 39)
        == errno.ENOSYS
    )


def test_ordinary_calls_pass(machine: str) -> None:
    for namespaces in (True, False):
        program = seccomp.program(namespaces=namespaces, landlock_version=6, machine=machine)
        for name, arguments in {
            "openat": (-100, 0, 0),
            "clone": (17,),
            "ioctl": (0, 0x5401),
            "prctl": (15,),
            "kill": (5, 9),
            "sendmsg": (3,),
        }.items():
            assert decide(program, machine, name, *arguments) == ALLOWED


def test_new_namespaces_by_clone(machine: str) -> None:
    program = seccomp.program(namespaces=True, machine=machine)
    for bit in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
        assert decide(program, machine, "clone", bit | 17) == errno.EPERM
    threads = 0x3D0F00  # what glibc passes for a thread
    assert decide(program, machine, "clone", threads) == ALLOWED


def test_device_ioctls(machine: str) -> None:
    program = seccomp.program(namespaces=True, machine=machine)
    for request in (0x5412, 0x541C, 0x8910, 0x8912, 0x89FF):
        assert decide(program, machine, "ioctl", 3, request) == errno.EPERM
    for request in (0x5411, 0x5413, 0x890F, 0x8A00):
        assert decide(program, machine, "ioctl", 3, request) == ALLOWED


def test_set_id_bits(machine: str) -> None:
    program = seccomp.program(namespaces=True, machine=machine)
    assert decide(program, machine, "fchmodat", -100, 0, 0o755) == ALLOWED
    for mode in (0o4755, 0o2755):
        assert decide(program, machine, "fchmodat", -100, 0, mode) == errno.EPERM
        assert decide(program, machine, "fchmod", 3, mode) == errno.EPERM
        assert decide(program, machine, "openat", -100, 0, 0o101, mode) == errno.EPERM
        assert decide(program, machine, "openat", -100, 0, 0o20000002, mode) == errno.EPERM
    # without O_CREAT the fourth register is whatever was in it
    assert decide(program, machine, "openat", -100, 0, 0, 0o4755) == ALLOWED


def test_nodes(machine: str) -> None:
    program = seccomp.program(namespaces=True, machine=machine)
    for kind in (0, 0o100000, 0o140000):
        assert decide(program, machine, "mknodat", -100, 0, kind | 0o644) == ALLOWED
    for kind in (0o010000, 0o020000, 0o060000):
        assert decide(program, machine, "mknodat", -100, 0, kind | 0o644) == errno.EPERM


def test_sockets_with_a_network_of_their_own(machine: str) -> None:
    program = seccomp.program(namespaces=True, machine=machine)
    for family in (1, 2, 10):
        assert decide(program, machine, "socket", family, 1, 0) == ALLOWED
    assert decide(program, machine, "socket", 16, 3, 0) == ALLOWED
    assert decide(program, machine, "socket", 16, 3, 15) == errno.EAFNOSUPPORT
    for family in (17, 38, 40, 44):
        assert decide(program, machine, "socket", family, 1, 0) == errno.EAFNOSUPPORT
    assert decide(program, machine, "connect", 3) == ALLOWED


def test_sockets_without(machine: str) -> None:
    program = seccomp.program(namespaces=False, landlock_version=7, machine=machine)
    stream = 1 | 0o2000000  # with SOCK_CLOEXEC
    for name in ("socket", "socketpair"):
        assert decide(program, machine, name, 1, stream, 0) == ALLOWED
        assert decide(program, machine, name, 1, 2, 0) == errno.EPERM
        assert decide(program, machine, name, 2, 1, 0) == errno.EPERM
    assert decide(program, machine, "connect", 3) == errno.EACCES
    assert decide(program, machine, "sendto", 3, 0, 0, 0, 0) == ALLOWED
    assert decide(program, machine, "sendto", 3, 0, 0, 0, 0x7F00) == errno.EACCES
    assert decide(program, machine, "sendto", 3, 0, 0, 0, 0x7F00_0000_0000) == errno.EACCES


def test_files_that_only_landlock_guards(machine: str) -> None:
    program = seccomp.program(namespaces=False, landlock_version=7, machine=machine)
    assert decide(program, machine, "fchmodat", -100, 0, 0o777) == 0  # pretended
    assert decide(program, machine, "utimensat", -100) == 0
    assert decide(program, machine, "fchownat", -100) == errno.EPERM
    assert decide(program, machine, "setxattr") == errno.ENOTSUP
    assert decide(program, machine, "truncate") == ALLOWED  # Landlock has it from version 3 on


def test_what_older_landlock_leaves_open(machine: str) -> None:
    program = seccomp.program(namespaces=False, landlock_version=1, machine=machine)
    assert decide(program, machine, "truncate") == errno.EACCES
    assert decide(program, machine, "openat", -100, 0, 0o1000) == errno.EACCES  # for reading
    assert decide(program, machine, "openat", -100, 0, 0o1101, 0o644) == ALLOWED  # for writing
    assert decide(program, machine, "openat", -100, 0, 0o1101, 0o4755) == errno.EPERM
    assert decide(program, machine, "openat", -100, 0, 0) == ALLOWED
    assert decide(program, machine, "kill", seccomp.OWN_PID, 2) == ALLOWED
    assert decide(program, machine, "kill", 1, 2) == errno.EPERM
    assert decide(program, machine, "tgkill", 1, 1, 2) == errno.EPERM


def test_jumps_stay_inside(machine: str) -> None:
    for namespaces in (True, False):
        program = seccomp.program(namespaces=namespaces, machine=machine)
        code = list(struct.iter_unpack("=HBBI", program))
        assert len(code) < 4096
        assert program.count(struct.pack("=I", seccomp.OWN_PID)) == (0 if namespaces else 3)
        for at, (operation, if_true, if_false, _) in enumerate(code):
            if operation not in (0x20, 0x54, 0x06):
                assert at + 1 + max(if_true, if_false) < len(code)


def test_unknown_architectures_are_not_supported() -> None:
    assert seccomp.supported("x86_64")
    assert not seccomp.supported("riscv64")
