"""``jupyter ci doctor``: what works, what does not, and what to do about it.

The sandbox is measured by starting the real thing, the model servers are asked, the database is
opened; nothing is changed.
"""

from __future__ import annotations

import json
import platform
import sys
from dataclasses import asdict
from typing import Any

from ..errors import SandboxUnavailable
from ..llm.config import ModelProvider
from ..sandbox import cgroups, mounts
from ..sandbox.config import Sandbox
from ..sandbox.policy import Policy, human_size
from ..sandbox.probe import HostReport, probe_now
from .check_disk import check_database, check_disk
from .check_kernels import check_kernels, kernelspec_problem
from .check_model import check_model
from .configured import Configured, run
from .findings import Finding

_LEVELS = {
    3: "bubblewrap: own file view, no network, host processes invisible",
    2: "Landlock and seccomp: no file outside the allow-list, no network",
    1: "limits only: protects against accidents, NOT against hostile code",
    0: "nothing works",
}
_MEMORY = {
    "cgroup v2": "a control group of each session's own, exactly",
    "cgroup v1": "a control group of each session's own, exactly",
    "systemd scope": "a control group that systemd makes for each session, exactly",
    "watchdog": "looking several times a second: code that is quick can pass the limit for a moment",
}


class Doctor(Configured):
    """Reads the configuration a server would read, and checks with it."""

    name = "jupyter-ci-doctor"
    description = "Check model, sandbox, kernels, disk and database, and say what to fix."

    def start(self) -> None:
        """Print the findings; ``exit_code`` is 1 where something does not work."""
        policy = Sandbox(parent=self).policy()
        report = probe_now(policy)
        data_dir = self.data_path
        findings = [
            *check_model(ModelProvider(parent=self)),
            *check_sandbox(report),
            *check_memory(report, policy),
            *check_kernels(self.config, report.python or policy.python or sys.executable),
            *check_disk(data_dir),
            *check_database(data_dir),
        ]
        self.exit_code = int(any(each.state == "problem" for each in findings))
        if self.as_json:
            found = report.to_dict() | {
                "kernelspec_problem": kernelspec_problem(self.config),
                "limits": limits(policy),
                "findings": [asdict(each) for each in findings],
            }
            print(json.dumps(found, indent=2))
        else:
            print(text(report, policy, findings))


def check_sandbox(report: HostReport) -> list[Finding]:
    """Whether code may run at all, and what would isolate it better."""
    level = f"isolation level {report.level} ({_LEVELS[report.level]})"
    hints = "; ".join(report.hints)
    if not report.sufficient:
        needed = f"{level}, but level {report.minimum_level} is required: NO CODE RUNS"
        return [Finding("sandbox", "problem", needed, hints or "see why below")]
    if report.level == 1:
        return [Finding("sandbox", "note", level, hints)]
    return [Finding("sandbox", "ok", level, hints)]


def check_memory(report: HostReport, policy: Policy) -> list[Finding]:
    """What bounds the memory of a session's processes together; if not exactly, what helps."""
    if report.isolation is None or not policy.memory:
        return []
    by = report.isolation.memory_by
    found = f"of a session bounded by: {by} ({_MEMORY[by]})"
    if by == "watchdog":
        return [
            Finding("memory", "note", found, f"not exact because {cgroups.shortcoming(policy)}")
        ]
    return [Finding("memory", "ok", found)]


def limits(policy: Policy) -> dict[str, Any]:
    """The limits of a session as they are configured."""
    names = "memory cpus processes open_files file_size disk files execution_seconds log_bytes"
    return {name: getattr(policy, name) for name in names.split()}


def text(report: HostReport, policy: Policy, findings: list[Finding]) -> str:
    """The findings for people: the checks first, then the sandbox in full."""
    rows: list[tuple[str, str]] = []
    for each in findings:
        mark = {"ok": "ok", "note": "note", "problem": "PROBLEM"}[each.state]
        rows.append((each.area, f"{mark}: {each.text}"))
        rows += [(each.area, f"  → {each.fix}")] if each.fix else []
    problems = sum(each.state == "problem" for each in findings)
    rows += [("", ""), *_sandbox_rows(report, policy), ("", "")]
    rows.append(("result", f"{problems} to be fixed" if problems else "everything works"))
    lines = []
    last = ""
    for label, value in rows:
        lines.append(f"{label if label != last else '':12}{value}".rstrip())
        last = label
    return "\n".join(lines)


def _sandbox_rows(report: HostReport, policy: Policy) -> list[tuple[str, str]]:
    rows = [("host", f"{platform.system()} {platform.release()} {platform.machine()}")]
    if report.isolation is not None:
        rows += [("in force", layer) for layer in report.isolation.layers]
        rows += [("note", note) for note in report.isolation.notes]
    rows += [("not higher", reason) for reason in report.reasons]
    rows.append(("python", report.python or policy.python or sys.executable))
    try:
        rows += [
            ("not shown", f"{path} (outside the environment; see c.Sandbox.read_only_paths)")
            for path in mounts.discover(policy.python).skipped
        ]
    except SandboxUnavailable:
        pass  # said above, as a reason
    rows.append(
        (
            "limits",
            f"memory {_size(policy.memory)}, {policy.processes} processes, "
            f"{policy.execution_seconds:g} s per execution, {_size(policy.disk)} and "
            f"{policy.files or 'any number of'} files in /mnt/data",
        )
    )
    return rows


def _size(value: int) -> str:
    return human_size(value) if value else "no limit"


def main(arguments: list[str]) -> int:
    """Entry of ``jupyter ci doctor``; the exit code: 1 something is wrong, 2 bad configuration."""
    return run(Doctor, arguments)
