"""What commands share that work on a server's settings and data without the server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from jupyter_core.application import JupyterApp
from traitlets import Bool, TraitError

from ..app import CodeInterpreterApp
from ..kernels.config import SessionPool
from ..llm.config import ModelProvider
from ..sandbox.config import Sandbox


class Configured(JupyterApp):
    """A command that reads the configuration a server would read."""

    classes = [CodeInterpreterApp, Sandbox, SessionPool, ModelProvider]  # noqa: RUF012
    flags: Any = {"json": ({"Configured": {"as_json": True}}, "Print one JSON object.")}  # noqa: RUF012
    as_json = Bool(False, help="Print one JSON object.").tag(config=True)
    exit_code = 0

    def load_config_file(self, suppress_errors: bool = True) -> None:  # type: ignore[override]
        for name in ("jupyter_server_config", "jupyter_ci_ext_config"):
            self.config_file_name = name
            super().load_config_file(suppress_errors=suppress_errors)

    @property
    def server(self) -> CodeInterpreterApp:
        """The extension as it would be configured; it is not started."""
        return CodeInterpreterApp(config=self.config)

    @property
    def data_path(self) -> Path:
        """Where the server would keep its data."""
        return Path(self.server.data_dir).expanduser()


def run(command: type[Configured], arguments: list[str]) -> int:
    """Run *command*; its exit code, or 2 for bad configuration."""
    app = command()
    try:
        app.initialize(arguments)
        app.start()
    except TraitError as error:
        print(f"{app.name.replace('-', ' ')}: {error}", file=sys.stderr)
        return 2
    return app.exit_code
