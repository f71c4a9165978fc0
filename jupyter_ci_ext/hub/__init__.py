"""A JupyterHub service that lends the site's model to its users, and keeps the site's key.

A single-user server runs as its user, so a key in it is the user's. This service runs beside the
Hub: users' servers speak to it with their Hub tokens, and it alone speaks to the model server.
``configure`` in ``jupyterhub_config.py`` sets up both ends; ``python -m jupyter_ci_ext.hub`` is what
the Hub then starts. It shares nothing with the server extension but the errors' base class.
"""

from __future__ import annotations

from .deployment import configure

__all__ = ["configure"]
