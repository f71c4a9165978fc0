"""``jupyter ci doctor``: what this host enforces, measured by starting the real thing."""

from __future__ import annotations

import json
import platform
import sys
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from jupyter_core.application import JupyterApp
from traitlets import Bool, TraitError
from traitlets.config import Config

from ..errors import SandboxUnavailable
from ..kernels.config import SessionPool
from ..sandbox import mounts
from ..sandbox.config import Sandbox
from ..sandbox.policy import Policy, human_size
from ..sandbox.probe import HostReport, probe_now

KERNELSPEC = "code-interpreter"
PROVISIONER = "code-interpreter-sandbox"
_LEVELS = {
    3: "bubblewrap: own file view, no network, host processes invisible",
    2: "Landlock and seccomp: no file outside the allow-list, no network",
    1: "limits only: protects against accidents, NOT against hostile code",
    0: "nothing works",
}


class Doctor(JupyterApp):
    """Reads the configuration a server would read, and probes with it."""

    name = "jupyter-ci-doctor"
    description = "Say what isolation this host gives to the code a model writes."
    classes = [Sandbox, SessionPool]  # noqa: RUF012
    flags = {"json": ({"Doctor": {"as_json": True}}, "Print one JSON object.")}  # noqa: RUF012
    as_json = Bool(False, help="Print one JSON object.").tag(config=True)

    def load_config_file(self, suppress_errors: bool = True) -> None:  # type: ignore[override]
        for name in ("jupyter_server_config", "jupyter_ci_ext_config"):
            self.config_file_name = name
            super().load_config_file(suppress_errors=suppress_errors)

    def start(self) -> None:
        """Print the findings; ``exit_code`` is 1 where no code would run."""
        policy = Sandbox(parent=self).policy()
        report = probe_now(policy)
        pool = SessionPool(parent=self)  # also: refuses what the server would refuse
        problem = kernelspec_problem(self.config, pool.kernel_name)
        self.exit_code = 0 if report.sufficient and not problem else 1
        if self.as_json:
            found = report.to_dict() | {"kernelspec_problem": problem, "limits": limits(policy)}
            print(json.dumps(found, indent=2))
        else:
            print(text(report, policy, problem, pool.kernel_name))

    exit_code = 0


def kernelspec_problem(config: Config, name: str = KERNELSPEC) -> str:
    """What is wrong with the kernelspec; empty if nothing is."""
    try:
        spec = KernelSpecManager(config=config).get_kernel_spec(name)
    except NoSuchKernel:
        todo = "reinstall jupyter-ci-ext in this environment"
        if name != KERNELSPEC:
            todo = f"c.SessionPool.kernel_name names it; leave that out to use {KERNELSPEC}"
        return f"there is no kernelspec {name}: {todo}"
    named = spec.metadata.get("kernel_provisioner", {}).get("provisioner_name")
    if named != PROVISIONER:
        return (
            f"{spec.resource_dir} does not name the provisioner {PROVISIONER}: its kernels would not be "
            f"isolated (c.SessionPool.kernel_name is {name})"
        )
    return ""


def limits(policy: Policy) -> dict[str, Any]:
    """The limits of a session as they are configured."""
    names = "memory cpus processes open_files file_size disk files execution_seconds log_bytes"
    return {name: getattr(policy, name) for name in names.split()}


def text(report: HostReport, policy: Policy, problem: str, name: str = KERNELSPEC) -> str:
    """The findings for people."""
    verdict = "code can run" if report.sufficient and not problem else "NO CODE RUNS"
    if report.sufficient and problem:
        verdict += ", see kernelspec"
    rows = [
        ("host", f"{platform.system()} {platform.release()} {platform.machine()}"),
        ("isolation", f"level {report.level} ({_LEVELS[report.level]})"),
        ("required", f"level {report.minimum_level}: {verdict}"),
    ]
    if report.isolation is not None:
        rows += [("in force", layer) for layer in report.isolation.layers]
        rows.append(
            ("memory", f"of a session's whole tree bounded by: {report.isolation.memory_by}")
        )
        rows += [("note", note) for note in report.isolation.notes]
    rows += [("not higher", reason) for reason in report.reasons]
    rows += [("try", hint) for hint in report.hints]
    rows.append(("python", report.python or policy.python or sys.executable))
    try:
        rows += [
            ("not shown", f"{path} (outside the environment; see c.Sandbox.read_only_paths)")
            for path in mounts.discover(policy.python).skipped
        ]
    except SandboxUnavailable:
        pass  # said above, as a reason
    rows.append(("kernelspec", problem or f"{name}: ok"))
    rows.append(
        (
            "limits",
            f"memory {_size(policy.memory)}, {policy.processes} processes, "
            f"{policy.execution_seconds:g} s per execution, {_size(policy.disk)} and "
            f"{policy.files or 'any number of'} files in /mnt/data",
        )
    )
    lines = []
    last = ""
    for label, value in rows:
        lines.append(f"{label if label != last else '':12}{value}")
        last = label
    return "\n".join(lines)


def _size(value: int) -> str:
    return human_size(value) if value else "no limit"


def main(arguments: list[str]) -> int:
    """Entry of ``jupyter ci doctor``; the exit code: 1 no code would run, 2 bad configuration."""
    app = Doctor()
    try:
        app.initialize(arguments)
        app.start()
    except TraitError as error:
        print(f"jupyter ci doctor: {error}", file=sys.stderr)
        return 2
    return app.exit_code
