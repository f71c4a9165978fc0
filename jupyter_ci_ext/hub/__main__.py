"""``python -m jupyter_ci_ext.hub``: the service, as JupyterHub starts it."""

from __future__ import annotations

from .config import HubModelService

if __name__ == "__main__":
    HubModelService.launch_instance()
