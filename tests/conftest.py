"""Fixtures of Jupyter Server's own test kit: a real server in this process."""

from __future__ import annotations

pytest_plugins = ["pytest_jupyter.jupyter_server"]
