"""What an administrator says of a kernelspec on another machine, as a frozen value; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

REQUIREMENTS = ("no_secrets", "unprivileged", "no_new_privileges", "no_network")
"""What may be required of what a kernel measured; in words see `attest`."""

SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)
"""Names of variables that never go to another machine."""


@dataclass(frozen=True)
class RemoteSpec:
    """One allowed kernelspec; see the help of ``c.RemoteKernels.allowed``."""

    isolation: str
    data_path: str = ""
    require: tuple[str, ...] = ("no_secrets",)
    network: bool = False
    packages: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()


def parse(allowed: object) -> dict[str, RemoteSpec]:
    """The allow-list by name; raises ValueError with a sentence on what is wrong."""
    if not isinstance(allowed, Mapping):
        raise ValueError("it must map names of kernelspecs to what is known of them.")
    return {str(name): _spec(str(name), value) for name, value in allowed.items()}


def _spec(name: str, value: object) -> RemoteSpec:
    if not isinstance(value, Mapping) or not str(value.get("isolation") or "").strip():
        raise ValueError(f'{name!r} needs "isolation", which says in words what isolates it.')
    unknown = set(value) - {field.name for field in fields(RemoteSpec)}
    if unknown:
        raise ValueError(f"{name!r} has unknown keys: {', '.join(sorted(map(str, unknown)))}.")
    require = _strings(name, "require", value.get("require", RemoteSpec.require))
    wrong = set(require) - set(REQUIREMENTS)
    if wrong:
        raise ValueError(
            f"{name!r} requires {', '.join(sorted(wrong))}; there are {', '.join(REQUIREMENTS)}."
        )
    data_path = str(value.get("data_path", ""))
    if data_path and not (data_path.startswith("/") and data_path.isprintable()):
        raise ValueError(f'"data_path" of {name!r} must be an absolute path.')
    return RemoteSpec(
        isolation=" ".join(str(value["isolation"]).split()),
        data_path=data_path.rstrip("/"),
        require=require,
        network=bool(value.get("network", False)),
        packages=_strings(name, "packages", value.get("packages", ())),
        env=_env(name, value.get("env", {})),
    )


def _strings(name: str, key: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not all(isinstance(each, str) for each in value):
        raise ValueError(f'"{key}" of {name!r} must be a list of strings.')
    return tuple(value)


def _env(name: str, value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, Mapping):
        raise ValueError(f'"env" of {name!r} must map names of variables to values.')
    secret = [str(each) for each in value if SECRET.search(str(each))]
    if secret:
        raise ValueError(
            f'"env" of {name!r} must not hold secrets, which the code could read: '
            f"{', '.join(secret)}."
        )
    return tuple((str(key), str(each)) for key, each in value.items())
