"""What code may try, and what must come of it at each level: the table the proof is made from.

A case is the body of a function that runs inside the sandbox. It *holds* when it raises an error or
returns something false, and it is a *breach* when it returns something true. Cases of the group "works"
are the other way round: they are what an analyst's code must still be able to do.

No case does harm if it gets through: what could be written is opened and not written, what could be
killed gets signal 0, and what is read are canaries made for the purpose.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """``open_at`` are the levels at which this is known not to be closed (and is said to be so).

    ``landlock`` is the version (ABI) of Landlock without which it is not to be had at level 2.
    """

    group: str
    name: str
    code: str
    open_at: tuple[int, ...] = ()
    levels: tuple[int, ...] = (3, 2)
    landlock: int = 0

    def at(self, level: int, landlock: int) -> bool:
        """Whether it is to be tried at this level, on a kernel with this version of Landlock."""
        return level in self.levels and (level != 2 or landlock >= self.landlock)

    @property
    def id(self) -> str:
        return f"{self.group}: {self.name}"

    @property
    def must_work(self) -> bool:
        return self.group == "works"


# Available to every case: T (paths and ports of the host), NR (system call numbers), call(), opens().
PRELUDE = '''
import ctypes, errno, glob, json, mmap, os, resource, signal, socket, struct, subprocess, sys, time
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

def call(name, *arguments):
    """Make a system call; raise OSError where it is refused."""
    padded = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = _libc.syscall(ctypes.c_long(NR[name]), *padded)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result + 1  # so that 0 counts as success

def reaches(name, *arguments):
    """Whether a call gets to the kernel's own code: anything but a refusal by the filter."""
    try:
        return bool(call(name, *arguments))
    except OSError as error:
        return error.errno not in (errno.EPERM, errno.ENOSYS, errno.EACCES)

def opens(path, flags=os.O_RDONLY):
    """Whether a file can be opened; it is neither read nor written."""
    os.close(os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC))
    return True

def reads(path):
    with open(path, "rb") as file:
        return file.read(1 << 16)

def in_child(function):
    """Run in a child, which may be killed; true if it returned something true."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            answer = bool(function())
        except BaseException:
            answer = False
        os.write(write, b"1" if answer else b"0")
        os._exit(0)
    os.close(write)
    answer = os.read(read, 1)
    os.close(read)
    os.waitpid(pid, 0)
    return answer == b"1"

def run_case(function):
    try:
        value = function()
    except BaseException as error:
        return [False, type(error).__name__ + ": " + str(error)]
    return [bool(value), repr(value)[:2000]]
'''


def _case(group: str, name: str, code: str, **more: object) -> Case:
    return Case(group, name, textwrap.dedent(code).strip(), **more)  # type: ignore[arg-type]


def _reads() -> list[Case]:
    return [
        _case("reads", "ssh key", "return reads(T['ssh_key'])"),
        _case("reads", "home folder", "return os.listdir(T['home'])"),
        _case("reads", "shadow", "return opens('/etc/shadow')"),
        _case("reads", "token file of the server", "return reads(T['token_file'])"),
        _case("reads", "connection file", "return reads(T['connection_file'])"),
        _case("reads", "runtime folder", "return os.listdir(T['runtime'])"),
        _case("reads", "folder of the sockets", "return os.listdir(T['sockets'])"),
        _case("reads", "host's /tmp", "return reads(T['tmp_file'])"),
        _case(
            "reads",
            "/root",
            # Python itself may live there; then the folders on the way to it are to be seen.
            "import sys; way = {p.split('/')[2] for p in (sys.prefix, sys.base_prefix, *sys.path) "
            "if p.startswith('/root/')}; return sorted(set(os.listdir('/root')) - way)",
        ),
        _case(
            "reads",
            "environments of all processes",
            """
            own = {os.getpid(), *(int(p) for t in glob.glob('/proc/self/task/*/children')
                                  for p in open(t).read().split())}
            found = []
            for pid in range(1, 100000) if not os.access('/proc', os.R_OK) else os.listdir('/proc'):
                if str(pid).isdigit() and int(pid) not in own:
                    try:
                        text = reads(f'/proc/{pid}/environ')
                    except OSError:
                        continue
                    if b'CANARY' in text:
                        found.append(pid)
            return found
            """,
        ),
        *(
            _case("reads", f"/proc/SERVER/{name}", f"return reads(f\"/proc/{{T['server']}}/{name}\")")
            for name in ("environ", "cmdline", "maps")
        ),
        _case("reads", "/proc/SERVER/root", "return os.listdir(f\"/proc/{T['server']}/root\")"),
        _case("reads", "/proc/SERVER/fd", "return os.listdir(f\"/proc/{T['server']}/fd\")"),
        *(
            _case("reads", f"/proc/1/{name}", f"return opens('/proc/1/{name}', os.{flags})")
            for name, flags in (("mem", "O_RDWR"), ("exe", "O_RDONLY"), ("environ", "O_RDONLY"))
        ),
        _case("reads", "/proc/1/fd", "return [os.readlink(f'/proc/1/fd/{n}') for n in os.listdir('/proc/1/fd')]"),
        _case("reads", "/proc/1/root", "return os.listdir('/proc/1/root')"),
        _case("reads", "parent's memory", "return opens(f'/proc/{os.getppid()}/mem', os.O_RDWR)"),
        _case("reads", "own environment holds no key", "return 'CANARY' in str(dict(os.environ))"),
        _case("reads", "open descriptors lead outside",
              """
              known = ('socket:', 'pipe:', 'anon_inode:', '/dev/', '/memfd:code-interpreter')
              links = []
              for name in os.listdir('/proc/self/fd'):
                  try:
                      links.append(os.readlink(f'/proc/self/fd/{name}'))
                  except OSError:
                      pass
              fine = (*known, sys.prefix, '/usr', '/proc', os.getcwd(), os.environ['HOME'])
              return [l for l in links if not l.startswith(fine)]
              """),
    ]  # fmt: skip


def _processes() -> list[Case]:
    return [
        _case("processes", "see the server", "os.kill(T['server'], 0); return True"),
        _case("processes", "signal the parent", "os.kill(os.getppid(), signal.SIGCONT); return os.getppid() > 1"),
        _case("processes", "ptrace the parent", "return call('ptrace', 16, os.getppid(), 0, 0)"),
        _case("processes", "ptrace a child",
              """
              child = subprocess.Popen(['sleep', '5'])
              try:
                  return call('ptrace', 16, child.pid, 0, 0)
              finally:
                  child.kill(); child.wait(5)
              """),
        _case("processes", "process_vm_readv of the parent",
              "return call('process_vm_readv', os.getppid(), 0, 0, 0, 0, 0)"),
        _case("processes", "pidfd_getfd", "return call('pidfd_getfd', 0, 0, 0)"),
        _case("processes", "type into the terminal",
              "return reaches('ioctl', os.openpty()[1], 0x5412, ctypes.c_char_p(b'x'))"),
        _case("processes", "become a subreaper",
              "return _libc.prctl(36, 1, 0, 0, 0) == 0"),
        _case("processes", "raise a resource limit",
              """
              soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
              resource.setrlimit(resource.RLIMIT_DATA, (hard + 1, hard + 1)); return True
              """),
        _case("processes", "raise the priority", "os.nice(-5); return True"),
    ]  # fmt: skip


def _network() -> list[Case]:
    return [
        _case("network", "TCP to the loopback of the host",
              "s = socket.create_connection(('127.0.0.1', T['tcp']), 1); s.send(b'x'); return True"),
        _case("network", "TCP to the host's address",
              "s = socket.create_connection((T['address'], T['tcp']), 1); s.send(b'x'); return True"),
        _case("network", "UDP",
              """
              s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
              for address in ('127.0.0.1', T['address']):
                  try:
                      s.sendto(b'x', (address, T['udp']))
                  except OSError:
                      pass
              return False  # the listener tells
              """),
        _case("network", "name lookup", "return socket.getaddrinfo('example.com', 80)"),
        _case("network", "abstract unix socket",
              "s = socket.socket(socket.AF_UNIX); s.connect('\\0' + T['abstract']); s.send(b'x'); return True"),
        _case("network", "unix socket by path",
              "s = socket.socket(socket.AF_UNIX); s.connect(T['unix']); s.send(b'x'); return True"),
        _case("network", "kernel's own sockets",
              "s = socket.socket(socket.AF_UNIX); s.connect(T['sockets'] + '/s-1'); return True"),
        _case("network", "unix datagram by path",
              "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.sendto(b'x', T['dgram']); return True"),
        _case("network", "datagram pair with an address",
              "a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM); a.sendmsg([b'x'], [], 0, T['dgram']); return True"),
        _case("network", "container runtime's socket",
              "s = socket.socket(socket.AF_UNIX); s.connect('/var/run/docker.sock'); return True"),
        _case("network", "AF_VSOCK", "return socket.socket(40, socket.SOCK_STREAM).fileno()"),
        _case("network", "AF_ALG", "return socket.socket(38, socket.SOCK_SEQPACKET).fileno()"),
        _case("network", "AF_PACKET", "return socket.socket(17, socket.SOCK_RAW).fileno()"),
        _case("network", "AF_XDP", "return socket.socket(44, socket.SOCK_RAW).fileno()"),
        _case("network", "raw IP", "return socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).fileno()"),
        _case("network", "routing netlink of another protocol", "return socket.socket(16, socket.SOCK_RAW, 15).fileno()"),
        _case("network", "interfaces through an inherited socket",
              """
              import fcntl
              for name in os.listdir('/proc/self/fd'):
                  try:
                      space = ctypes.create_string_buffer(4096)
                      fcntl.ioctl(int(name), 0x8912, struct.pack('iL', 4096, ctypes.addressof(space)))
                      if b'eth' in space.raw or b'ens' in space.raw:
                          return True
                  except OSError:
                      pass
              """),
    ]  # fmt: skip


def _kernel_surface() -> list[Case]:
    zeros = "0, 0, 0, 0"
    calls = [
        "io_uring_setup",
        "clone3",
        "bpf",
        "perf_event_open",
        "userfaultfd",
        "keyctl",
        "add_key",
        "request_key",
        "kexec_load",
        "kexec_file_load",
        "init_module",
        "finit_module",
        "mount",
        "umount2",
        "pivot_root",
        "chroot",
        "swapon",
        "reboot",
        "open_by_handle_at",
        "name_to_handle_at",
        "fsopen",
        "open_tree",
        "move_mount",
        "openat2",
        "memfd_create",
        "memfd_secret",
        "shmget",
        "msgget",
        "semget",
        "mq_open",
        "fanotify_init",
        "kcmp",
        "quotactl",
        "syslog",
        "setns",
        "acct",
    ]
    return [
        *(_case("kernel", name, f"return reaches('{name}', {zeros})") for name in calls),
        _case("kernel", "x32 calls", "return T['machine'] == 'x86_64' and _libc.syscall(ctypes.c_long(0x40000000 | 39)) >= 0"),
        _case("kernel", "unshare", "return call('unshare', 0x10000000)"),
        _case("kernel", "clone with a new user namespace",
              """
              pid = _libc.syscall(ctypes.c_long(NR['clone']), ctypes.c_long(0x10000000 | 17), ctypes.c_long(0), ctypes.c_long(0), ctypes.c_long(0), ctypes.c_long(0))
              if pid == 0:
                  os._exit(0)
              return pid > 0
              """),
        _case("kernel", "set-uid program",
              "return subprocess.run(['su', '-c', 'id'], capture_output=True, timeout=5, stdin=subprocess.DEVNULL).returncode == 0"),
        _case("kernel", "become root", "os.setuid(0); return T['uid'] != 0 and os.getuid() == 0"),
        _case("kernel", "any capability",
              "return any(int(l.split()[1], 16) for l in open('/proc/self/status') if l.startswith(('CapEff', 'CapPrm')))"),
        _case("kernel", "set the clock", "time.clock_settime(time.CLOCK_REALTIME, time.time()); return True"),
        _case("kernel", "set the host name", "socket.sethostname(socket.gethostname()); return True"),
    ]  # fmt: skip


def _writes() -> list[Case]:
    folders = (
        "/",
        "/dev",
        "/usr",
        "/usr/bin",
        "/etc",
        "/run",
        "/var/tmp",
        "/home",
        "/mnt",
        "/opt",
        "/proc",
    )
    return [
        *(
            _case("writes", f"a file in {folder}",
                  f"p = '{folder}/ci-probe'; os.close(os.open(p, os.O_CREAT | os.O_EXCL | os.O_WRONLY)); os.unlink(p); return True")
            for folder in folders
        ),
        _case("writes", "site-packages", "import json as m; p = T['site'] + '/ci-probe.pth'; os.close(os.open(p, os.O_CREAT | os.O_EXCL)); os.unlink(p); return True"),
        _case("writes", "a module", "return opens(T['site'] + '/zmq/__init__.py', os.O_WRONLY)"),
        _case("writes", "empty a module by its name", "return in_child(lambda: os.truncate(T['victim'], 0) is None)"),
        _case("writes", "the interpreter", "return opens(os.path.realpath(sys.executable), os.O_WRONLY)"),
        _case("writes", "this program", "return opens(sys.argv[0], os.O_WRONLY)"),
        _case("writes", "mode of a module",
              "p = T['victim']; os.chmod(p, 0o666); return os.stat(p).st_mode & 0o777 == 0o666"),
        _case("writes", "times of a module",
              "p = T['victim']; os.utime(p, (1, 1)); return os.stat(p).st_mtime == 1"),
        _case("writes", "attributes of a module", "os.setxattr(T['victim'], 'user.x', b'1'); return True"),
        _case("writes", "core_pattern", "return opens('/proc/sys/kernel/core_pattern', os.O_WRONLY)"),
        _case("writes", "sysrq", "return opens('/proc/sysrq-trigger', os.O_WRONLY)"),
        _case("writes", "a sysctl", "return opens('/proc/sys/vm/drop_caches', os.O_WRONLY)"),
        _case("writes", "a raw disk", "return any(opens(d, os.O_WRONLY) for d in ('/dev/sda', '/dev/vda', '/dev/nvme0n1') if os.path.exists(d))"),
        _case("writes", "mode of /dev/null", "os.chmod('/dev/null', 0o667); return os.stat('/dev/null').st_mode & 0o777 == 0o667"),
        _case("writes", "a device", "os.mknod('dev', 0o600 | 0o020000, os.makedev(1, 3)); return True"),
        _case("writes", "a FIFO", "os.mkfifo('fifo'); return True"),
        _case("writes", "set-uid by chmod",
              "open('s', 'w').close(); os.chmod('s', 0o4755); return os.stat('s').st_mode & 0o6000"),
        _case("writes", "set-uid at creation",
              "os.close(os.open('t', os.O_CREAT | os.O_WRONLY, 0o4755)); return os.stat('t').st_mode & 0o6000"),
        _case("writes", "hard link to a file of the host", "os.link(T['victim'], 'linked'); return True"),
        _case("writes", "hard link to a home file", "os.link(T['ssh_key'], 'linked2'); return True"),
        _case("writes", "remount writable", "return subprocess.run(['mount', '-o', 'remount,rw', '/usr'], capture_output=True).returncode == 0"),
        _case("writes", "connection of another user's /tmp", "return opens(T['tmp_file'], os.O_WRONLY)"),
    ]  # fmt: skip


def _works() -> list[Case]:
    return [
        _case("works", "numpy, pandas", "import pandas; pandas.DataFrame({'a': [1, 2]}).to_csv('a.csv'); return pandas.read_csv('a.csv').a.sum() == 3"),
        _case("works", "excel", "import pandas; pandas.DataFrame({'a': [1]}).to_excel('a.xlsx'); return len(pandas.read_excel('a.xlsx')) == 1"),
        _case("works", "parquet", "import pandas; pandas.DataFrame({'a': [1]}).to_parquet('a.parquet'); return len(pandas.read_parquet('a.parquet')) == 1"),
        _case("works", "matplotlib", "import matplotlib; import matplotlib.pyplot as p; p.plot([1, 2]); p.savefig('p.png'); p.close(); return os.path.getsize('p.png') > 1000 and 'inline' in matplotlib.get_backend()"),
        _case("works", "sqlite", "import sqlite3; c = sqlite3.connect('x.db'); c.execute('create table t(a)'); c.commit(); c.close(); return os.path.exists('x.db')"),
        _case("works", "subprocess", "return subprocess.run(['ls', '-l'], capture_output=True).returncode == 0"),
        _case("works", "shell pipe", "return subprocess.check_output('echo a | tr a b', shell=True) == b'b\\n'"),
        _case("works", "python subprocess", "return subprocess.check_output([sys.executable, '-c', 'import numpy; print(1)']) == b'1\\n'"),
        _case("works", "threads", "from concurrent.futures import ThreadPoolExecutor as E; return sum(E(8).map(abs, range(10))) == 45"),
        _case("works", "process pool", "import multiprocessing as m\nwith m.get_context('fork').Pool(2) as pool:\n    return sum(pool.map(abs, range(10))) == 45", levels=(3,)),
        _case("works", "shared memory", "from multiprocessing.shared_memory import SharedMemory as S; s = S(create=True, size=1000); s.close(); s.unlink(); return True", levels=(3,)),
        _case("works", "asyncio subprocess", "import asyncio\nasync def f():\n    p = await asyncio.create_subprocess_exec('true'); return await p.wait()\nimport threading\nr = []\nt = threading.Thread(target=lambda: r.append(asyncio.run(f()))); t.start(); t.join(); return r == [0]", levels=(3,)),
        _case("works", "loopback of its own", "s = socket.create_server(('127.0.0.1', 0)); c = socket.create_connection(s.getsockname()); return bool(c)", levels=(3,)),
        _case("works", "socket pair", "a, b = socket.socketpair(); a.send(b'x'); return b.recv(1) == b'x'"),
        _case("works", "temporary files", "import tempfile; f = tempfile.NamedTemporaryFile(); f.write(b'x'); return f.name.startswith(os.environ['TMPDIR'])"),
        _case("works", "home folder", "p = os.path.expanduser('~/x'); open(p, 'w').close(); return os.path.exists(p)"),
        _case("works", "move between folders", "os.makedirs('d1', exist_ok=True); os.makedirs('d2', exist_ok=True); open('d1/f', 'w').close(); os.rename('d1/f', 'd2/f'); return os.path.exists('d2/f')"),
        _case("works", "copy with times", "import shutil; open('c1', 'w').close(); shutil.copy2('c1', 'c2'); return os.path.exists('c2')"),
        _case("works", "zip and tar", "import shutil; shutil.make_archive('arch', 'gztar', 'd2'); shutil.unpack_archive('arch.tar.gz', 'd3'); return os.path.exists('d3/f')"),
        _case("works", "symlinks", "os.path.lexists('l') or os.symlink('c1', 'l'); return os.path.exists('l')"),
        _case("works", "many symbols", "import sympy; x = sympy.Symbol('x'); return sympy.solve(3 * x + 11 - 14) == [1]"),
        _case("works", "scikit-learn", "from sklearn.linear_model import LinearRegression as L; return L().fit([[0], [1]], [0, 1]).coef_[0] > 0.9"),
        _case("works", "time zone data", "import zoneinfo; return zoneinfo.ZoneInfo('Europe/Berlin') is not None"),
        _case("works", "psutil", "import psutil; return psutil.virtual_memory().total > 0 and psutil.Process().memory_info().rss > 0"),
        _case("works", "whoami", "import getpass; return getpass.getuser() == 'sandbox'"),
        _case("works", "read-only folder of the admin", "return reads(T['read_only'] + '/hello') == b'hello'"),
        _case("works", "abort a child", "p = subprocess.Popen(['sleep', '60']); p.kill(); return p.wait() == -9", landlock=6),
    ]  # fmt: skip


CASES: list[Case] = [
    *_reads(),
    *_processes(),
    *_network(),
    *_kernel_surface(),
    *_writes(),
    *_works(),
]
