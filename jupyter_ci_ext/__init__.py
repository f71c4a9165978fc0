"""The OpenAI Assistants API with a sandboxed code interpreter, on your own Jupyter server."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Called by Jupyter Server when it looks for extensions; imports only the composition root."""
    from jupyter_ci_ext.app import CodeInterpreterApp

    return [{"module": "jupyter_ci_ext", "app": CodeInterpreterApp}]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Called by `jupyter-builder develop`: where the built panel is, and its name in JupyterLab."""
    return [{"src": "labextension", "dest": "jupyter-ci-ext"}]
