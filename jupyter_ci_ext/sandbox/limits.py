"""Resource limits of one process, and the environment variables of the code."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Mapping

from .policy import Policy

# What of the server's environment the code may know. An allow-list: tokens and keys come under
# many names.
_PASSED_ON = ("LANG", "LANGUAGE", "TZ")
_PASSED_ON_PREFIX = "LC_"
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
)
_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


def resource_limits(policy: Policy, others: int = 0) -> dict[str, int]:
    """Limits by the names of the ``resource`` module, without the prefix ``RLIMIT_``.

    RLIMIT_DATA and not RLIMIT_AS: the latter counts address space that is only reserved (64 MiB per
    thread), and a kernel with 20 threads has more than 1 GiB of it. ``others`` are tasks outside
    the sandbox that count toward the same user.
    """
    limits = {"CORE": 0, "NOFILE": policy.open_files, "NPROC": policy.processes + others}
    if policy.data_limit:
        limits["DATA"] = policy.data_limit
    if policy.file_size:
        limits["FSIZE"] = policy.file_size
    return limits


def tasks_of(uid: int) -> int:
    """Processes and threads that run as this user now; 0 where there is no /proc to ask."""
    count = 0
    for pid in os.listdir("/proc") if os.path.isdir("/proc/self/task") else ():
        if pid.isdigit():
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{pid}").st_uid == uid:
                    count += len(os.listdir(f"/proc/{pid}/task"))
    return count


def threads(policy: Policy) -> int:
    """Threads numerical libraries should start: the processors the session may use."""
    present = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    return max(1, min(present, math.ceil(policy.cpus) if policy.cpus else present))


def affinity(policy: Policy) -> list[int]:
    """Processors to bind the session to; empty for no binding."""
    if not policy.cpus or not hasattr(os, "sched_getaffinity"):
        return []
    present = sorted(os.sched_getaffinity(0))
    return present[: threads(policy)] if threads(policy) < len(present) else []


def environment(
    policy: Policy,
    prefix: str,
    home: str,
    tmp: str,
    server: Mapping[str, str] | None = None,
    first: str = "",
) -> dict[str, str]:
    """The code's environment variables, made from nothing but this list and ``c.Sandbox.environment``.

    ``first`` is a folder in which programs are found before all others.
    """
    server = os.environ if server is None else server
    count = str(threads(policy))
    environ = {
        name: value
        for name, value in server.items()
        if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIX)
    }
    environ.setdefault("LANG", "C.UTF-8")
    environ |= {
        "PATH": ":".join(filter(None, [first, f"{prefix}/bin", _SYSTEM_PATH])),
        "HOME": home,
        "USER": "sandbox",
        "LOGNAME": "sandbox",
        "TMPDIR": tmp,
        # 1 is never a parent that could go away: without it the kernel looks for one and exits
        "JPY_PARENT_PID": "1",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PIP_RETRIES": "0",
        **dict.fromkeys(_THREAD_VARIABLES, count),
    }
    if os.path.exists(f"{prefix}/pyvenv.cfg"):
        environ["VIRTUAL_ENV"] = prefix
    if os.path.isdir(f"{prefix}/conda-meta"):
        environ["CONDA_PREFIX"] = prefix
    return environ | dict(policy.environment)
