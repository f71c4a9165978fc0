"""What a kernel on another machine measured of itself, against what it must be; pure.

It measures before it has run any code, so that it may be believed as far as the gateway is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jupyter_ci_ext.kernels.remote.specs import RemoteSpec

_MOST_NAMES = 10
_MOST_LETTERS = 60


def findings(report: Mapping[str, Any], targets: bool) -> dict[str, str]:
    """What of `REQUIREMENTS` is not met, and why; *targets* is whether connecting out was tried."""
    found: dict[str, str] = {}
    secrets = _names(report.get("secrets"))
    if secrets:
        found["no_secrets"] = f"variables that look like secrets can be read: {secrets}"
    elif report.get("service_account"):
        found["no_secrets"] = "the token of a Kubernetes service account can be read"
    uid = report.get("uid")
    if not isinstance(uid, int) or uid == 0:
        found["unprivileged"] = "the code runs as root" if uid == 0 else "its user is not known"
    if report.get("no_new_privileges") is not True:
        found["no_new_privileges"] = "new privileges can be gained"
    reached = _names(report.get("reached"))
    if reached:
        found["no_network"] = f"the code can connect to {reached}"
    elif not targets:
        found["no_network"] = "whether the code can reach a network was not tried"
    return found


def refusal(spec: RemoteSpec, found: Mapping[str, str]) -> str | None:
    """Why no code may run there, as a sentence; None if it may."""
    unmet = [found[name] for name in spec.require if name in found]
    return "; ".join(unmet) if unmet else None


def isolation(
    spec: RemoteSpec, report: Mapping[str, Any], found: Mapping[str, str], where: str
) -> dict[str, Any]:
    """What is shown to people: declared by whom, measured how."""
    layers = [f"declared: {spec.isolation}"]
    met = {
        "unprivileged": f"measured: not root (user {report.get('uid')})",
        "no_new_privileges": "measured: no new privileges",
        "no_network": "measured: no network",
        "no_secrets": "measured: clean environment",
    }
    layers += [words for name, words in met.items() if name not in found]
    if report.get("seccomp") is True:
        layers.append("measured: seccomp")
    notes = [f"the kernel runs {where}, under limits that are set there"]
    notes += [found[name] for name in met if name in found]
    unmet = set(found) & set(met)
    return {
        "level": 3 if not unmet else 2 if unmet == {"no_network"} else 1,
        "kind": "remote",
        "layers": layers,
        "memory_by": "remote",
        "notes": notes,
    }


def _names(value: object) -> str:
    """Names out of a report, as many as a person reads."""
    if not isinstance(value, list):
        return ""
    names = [str(each)[:_MOST_LETTERS] for each in value[:_MOST_NAMES]]
    return ", ".join(name if name.isprintable() else ascii(name) for name in names)
