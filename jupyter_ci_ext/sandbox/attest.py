"""Compare what the sandbox measured inside itself with what its level promises."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import Any

from .policy import Isolation

_SECCOMP_FILTER = 2


def shortcomings(report: Mapping[str, Any], level: int, limits: Mapping[str, int]) -> list[str]:
    """What is not as it must be; empty where everything holds."""
    if "error" in report:
        return [str(report["error"])]
    found = [
        f"RLIMIT_{name} is {report['limits'].get(name)} and not {value}"
        for name, value in limits.items()
        if not 0 <= report["limits"].get(name, -1) <= value
    ]
    if report["data_error"]:
        full = os.strerror(errno.ENOSPC) in report["data_error"]
        advice = ". Make room on the disk of the server's data directory" if full else ""
        found.append(f"no file can be written to the workspace: {report['data_error']}{advice}")
    if level == 1:
        return found
    if report["seccomp"] != _SECCOMP_FILTER:
        found.append("no seccomp filter is in force")
    if report["no_new_privs"] != 1:
        found.append("new privileges can be gained")
    if report["capabilities"]:
        found.append(f"capabilities are left: {report['capabilities']:#x}")
    if level == 3 and report["capabilities_to_gain"]:
        # without root there is no way to empty the set at level 2, nor any to use it: see above
        found.append(f"capabilities can be gained: {report['capabilities_to_gain']:#x}")
    if report["uid"] == 0 and level == 3:
        # level 2 keeps the server's user: another could not reach the workspace
        found.append("the code would run as root")
    found += [f"{path} can be read" for path in report["readable"]]
    found += [f"files can be made in {path}" for path in report["writable"]]
    if level == 3 and set(report["interfaces"]) - {"lo"}:
        found.append(f"network interfaces are visible: {', '.join(report['interfaces'])}")
    if level == 3 and report["pid"] > 2:
        found.append("the processes of the host are visible")
    if level == 2 and report["landlock"] < 1:
        found.append("no Landlock domain is in force")
    return found


def isolation(report: Mapping[str, Any], level: int, program: str, memory_by: str) -> Isolation:
    """The report as what is shown to people."""
    notes = []
    if level == 3:
        layers = [f"bubblewrap ({program})", "namespaces: mount, pid, network, ipc, uts", "seccomp"]
        if report["landlock"]:
            layers.append(f"landlock (ABI {report['landlock']})")
        if not report["procfs"]:
            notes.append("no /proc inside: this host does not let it be mounted")
    elif level == 2:
        layers = [f"landlock (ABI {report['landlock']})", "seccomp", "reaper"]
        notes.append("names and sizes of files outside the workspace are visible, contents are not")
        notes.append("the workspace is not at /mnt/data")
    else:
        layers = ["reaper"]
        notes.append("no isolation: files, network and processes of this user are open to the code")
    layers += ["resource limits", "clean environment"]
    return Isolation(level, tuple(layers), memory_by, tuple(notes))
