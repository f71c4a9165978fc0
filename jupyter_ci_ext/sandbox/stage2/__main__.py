"""Start: read the configuration from a file descriptor, confine, report, become the kernel.

Run as ``python -I <this file> <fd>``. ``-I`` keeps the working folder, which is the workspace and may
hold anything, off the module path until the kernel is up.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path


def _load_package() -> None:
    """Make the folder of this file importable as ``_code_interpreter``, without a path entry."""
    folder = Path(__file__).parent
    spec = importlib.util.spec_from_file_location(
        "_code_interpreter", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["_code_interpreter"] = package
    spec.loader.exec_module(package)


def main() -> None:
    with open(int(sys.argv[1]), "rb") as source:
        config = json.load(source)
    sys.argv[1:] = []
    _load_package()
    from _code_interpreter import checks, confine  # type: ignore[import-not-found]

    report_fd = config["report_fd"]
    try:
        in_force = confine.confine(config)
        report = {**checks.measure(config["checks"]), **in_force}
    except Exception as error:
        report = {"error": f"{type(error).__name__}: {error}"}
    with open(report_fd, "w") as pipe:
        json.dump(report, pipe)
    if "error" in report or config.get("probe_only"):
        # _exit: nothing of the interpreter's own shutdown is of use, and it could hang
        os._exit(70 if "error" in report else 0)
    # ipykernel loads the debugger where it can be imported at all
    sys.modules["debugpy"] = None  # type: ignore[assignment]
    from _code_interpreter import kernel

    kernel.run(config)


if __name__ == "__main__":
    main()
