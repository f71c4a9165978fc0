"""Checks of what kernels are started with: the kernelspec, the provisioner, the environment."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, entry_points, requires

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from traitlets.config import Config

from ..kernels.config import SessionPool
from .findings import Finding

KERNELSPEC = "code-interpreter"
PROVISIONER = "code-interpreter-sandbox"
_SECONDS = 30.0

_VERSIONS = """
import importlib.metadata as m, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = m.version(name)
    except m.PackageNotFoundError:
        found[name] = ""
print(json.dumps(found))
"""


def check_kernels(config: Config, python: str) -> list[Finding]:
    """*python* is the interpreter whose environment the code runs in."""
    return [*_kernelspec(config), *_provisioner(), *_environment(python)]


def kernelspec_problem(config: Config) -> str:
    """What is wrong with the kernelspec that sessions use; empty if nothing is."""
    name = _kernel_name(config)
    try:
        spec = KernelSpecManager(config=config).get_kernel_spec(name)
    except NoSuchKernel:
        return f"there is no kernelspec {name}: {_what_to_do(name)}"
    named = spec.metadata.get("kernel_provisioner", {}).get("provisioner_name")
    if named != PROVISIONER:
        return (
            f"{spec.resource_dir} does not name the provisioner {PROVISIONER}: its kernels would "
            "not be isolated, so no code runs in them"
        )
    return ""


def _kernel_name(config: Config) -> str:
    return str(SessionPool(config=config).kernel_name)


def _what_to_do(name: str) -> str:
    if name == KERNELSPEC:
        return "reinstall jupyter-ci-ext in this environment"
    return f"c.SessionPool.kernel_name names it; leave that out to use {KERNELSPEC}"


def _kernelspec(config: Config) -> Iterator[Finding]:
    problem, name = kernelspec_problem(config), _kernel_name(config)
    if problem:
        yield Finding("kernels", "problem", problem, _what_to_do(name))
    else:
        yield Finding("kernels", "ok", f"the kernelspec {name} is there")


def _provisioner() -> Iterator[Finding]:
    points = entry_points(group="jupyter_client.kernel_provisioners", name=PROVISIONER)
    try:
        for point in points:
            point.load()
    except Exception as error:
        text = f"the provisioner {PROVISIONER} cannot be loaded: {type(error).__name__}: {error}"
        yield Finding("kernels", "problem", text, "reinstall jupyter-ci-ext in this environment")
        return
    if points:
        yield Finding("kernels", "ok", f"the provisioner {PROVISIONER} is there")
    else:
        text = f"no installed package has the provisioner {PROVISIONER}"
        yield Finding("kernels", "problem", text, "reinstall jupyter-ci-ext in this environment")


def _environment(python: str) -> Iterator[Finding]:
    data = data_packages()
    try:
        done = subprocess.run(
            [python, "-I", "-c", _VERSIONS, "ipykernel", *data],
            capture_output=True,
            timeout=_SECONDS,
            check=True,
        )
        versions: dict[str, str] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        text = f"{python} cannot be run: {type(error).__name__}"
        yield Finding("kernels", "problem", text, "point c.Sandbox.python to a working Python")
        return
    kernel = versions.pop("ipykernel")
    if not kernel or int(kernel.partition(".")[0]) < 7:
        text = f"{python} has {f'ipykernel {kernel}' if kernel else 'no ipykernel'}; 7 is needed"
        yield Finding("kernels", "problem", text, f"{python} -m pip install 'ipykernel>=7'")
    missing = [name for name, version in versions.items() if not version]
    if missing:
        text = f"the code cannot import {', '.join(missing)}"
        yield Finding("kernels", "note", text, f"{python} -m pip install {' '.join(missing)}")
    else:
        yield Finding("kernels", "ok", f"ipykernel {kernel} and {len(data)} packages for data")


def data_packages() -> list[str]:
    """What the extra ``data`` asks for, by name."""
    try:
        wanted = requires("jupyter-ci-ext") or []
    except PackageNotFoundError:
        return []
    extra = re.compile(r"""extra\s*==\s*['"]data['"]""")
    return [re.split(r"[^A-Za-z0-9._-]", each)[0] for each in wanted if extra.search(each)]
