"""Numbers of the system calls the filters name, by architecture.

From Linux' ``syscall_64.tbl`` (x86_64) and ``unistd.h`` of asm-generic (aarch64). A name is missing where
an architecture never had the call.
"""

from __future__ import annotations


def _table(text: str) -> dict[str, int]:
    pairs = (word.partition("=") for word in text.split())
    return {name: int(number) for name, _, number in pairs}


# From 424 on all architectures share one numbering.
_COMMON = """
    pidfd_send_signal=424 io_uring_setup=425 io_uring_enter=426 io_uring_register=427
    open_tree=428 move_mount=429 fsopen=430 fsconfig=431 fsmount=432 fspick=433 clone3=435
    openat2=437 pidfd_getfd=438 process_madvise=440 mount_setattr=442 quotactl_fd=443
    memfd_secret=447 set_mempolicy_home_node=450 fchmodat2=452 statmount=457 listmount=458
    lsm_set_self_attr=460 setxattrat=463 removexattrat=466 open_tree_attr=467
"""
_X86_64 = """
    open=2 ioctl=16 shmget=29 socket=41 connect=42 sendto=44 sendmsg=46 socketpair=53
    clone=56 kill=62 semget=64 msgget=68 truncate=76 creat=85 chmod=90 fchmod=91 chown=92
    fchown=93 lchown=94 ptrace=101 syslog=103 utime=132 mknod=133 uselib=134 vhangup=153
    modify_ldt=154 pivot_root=155 prctl=157 chroot=161 acct=163 settimeofday=164 mount=165
    umount2=166 swapon=167 swapoff=168 reboot=169 sethostname=170 setdomainname=171 iopl=172
    ioperm=173 init_module=175 delete_module=176 quotactl=179 nfsservctl=180 setxattr=188
    lsetxattr=189 fsetxattr=190 removexattr=197 lremovexattr=198 fremovexattr=199 tkill=200
    lookup_dcookie=212 clock_settime=227 tgkill=234 utimes=235 mbind=237 set_mempolicy=238
    mq_open=240 kexec_load=246 add_key=248 request_key=249 keyctl=250 migrate_pages=256
    openat=257 mknodat=259 fchownat=260 futimesat=261 fchmodat=268 unshare=272
    move_pages=279 utimensat=280 perf_event_open=298 fanotify_init=300 name_to_handle_at=303
    open_by_handle_at=304 clock_adjtime=305 sendmmsg=307 setns=308 process_vm_readv=310
    process_vm_writev=311 kcmp=312 finit_module=313 memfd_create=319 kexec_file_load=320
    bpf=321 userfaultfd=323
"""
_AARCH64 = """
    setxattr=5 lsetxattr=6 fsetxattr=7 removexattr=14 lremovexattr=15 fremovexattr=16
    lookup_dcookie=18 ioctl=29 mknodat=33 umount2=39 mount=40 pivot_root=41 nfsservctl=42
    truncate=45 chroot=51 fchmod=52 fchmodat=53 fchownat=54 fchown=55 openat=56 vhangup=58
    quotactl=60 utimensat=88 acct=89 unshare=97 kexec_load=104 init_module=105
    delete_module=106 clock_settime=112 syslog=116 ptrace=117 kill=129 tkill=130 tgkill=131
    reboot=142 sethostname=161 setdomainname=162 prctl=167 settimeofday=170 mq_open=180
    msgget=186 semget=190 shmget=194 socket=198 socketpair=199 connect=203 sendto=206
    sendmsg=211 add_key=217 request_key=218 keyctl=219 clone=220 swapon=224 swapoff=225
    mbind=235 set_mempolicy=237 migrate_pages=238 move_pages=239 perf_event_open=241
    fanotify_init=262 name_to_handle_at=264 open_by_handle_at=265 clock_adjtime=266
    setns=268 sendmmsg=269 process_vm_readv=270 process_vm_writev=271 kcmp=272
    finit_module=273 memfd_create=279 bpf=280 userfaultfd=282 kexec_file_load=294
"""

NUMBERS = {
    "x86_64": _table(_X86_64 + _COMMON),
    "aarch64": _table(_AARCH64 + _COMMON),
}
