"""What ``jupyterhub_config.py`` says: the service, who may use it, and where servers find it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from traitlets import TraitError
from traitlets.config import Config
from traitlets.config.loader import LazyConfigValue

from .config import SETTINGS_VARIABLE, HubModelService

MODELS_VARIABLE = "JUPYTER_CI_EXT_MODELS_URL"
"""Tells a single-user server where the service is; its key is its own JUPYTERHUB_API_TOKEN."""

LIMITS_VARIABLE = "JUPYTER_CI_EXT_LIMITS"
"""Tells a single-user server the site's limits, as JSON."""

# Of the Hub's own environment, for the way to the model server.
_WAY_OUT = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")

# What a server's token is good for unless the Hub is told otherwise; replaced as a whole.
_SERVER_SCOPES = ["users:activity!user", "access:servers!server"]


def configure(
    c: Config,
    *,
    name: str = "code-interpreter-models",
    url: str = "http://127.0.0.1:10101",
    reach: str = "",
    groups: Sequence[str] = (),
    limits: Mapping[str, Mapping[str, Any]] | None = None,
    **settings: Any,
) -> None:
    """Set up the model service and every user's server for it; called in ``jupyterhub_config.py``.

    *settings* are those of `HubModelService` (``upstream=…``, ``api_key_file=…``). *url* is where the
    service listens, *reach* the address under which users' servers reach it, where that is another
    (``http://hub:10101``). With *groups* only their members may use it, else everybody. *limits* are
    those of `jupyter_ci_ext.site_limits`, for every user's server. Call it after the configuration's
    own ``load_roles``, ``services`` and ``Spawner.environment``, which it adds to.
    """
    _check(settings)
    scope = f"access:services!service={name}"
    environment = {SETTINGS_VARIABLE: json.dumps(settings)}
    for each in _WAY_OUT:
        environment |= {n: os.environ[n] for n in (each, each.lower()) if n in os.environ}
    if "api_key_file" not in settings and "OPENAI_API_KEY" in os.environ:
        environment["OPENAI_API_KEY"] = os.environ["OPENAI_API_KEY"]
    service = {
        "name": name,
        "url": url,
        "command": [sys.executable, "-m", "jupyter_ci_ext.hub"],
        "environment": environment,
        "display": False,
    }
    c.JupyterHub.services = [*_listed(c.JupyterHub, "services"), service]
    c.JupyterHub.load_roles = _with_access(_listed(c.JupyterHub, "load_roles"), scope, name, groups)
    servers = {MODELS_VARIABLE: (reach or url).rstrip("/") + "/v1"}
    if limits:
        # pairs, as some spawners (KubeSpawner) take braces for templates
        pairs = [
            [f"{owner}.{n}", value] for owner, own in limits.items() for n, value in own.items()
        ]
        servers[LIMITS_VARIABLE] = text = json.dumps(pairs)
        if set(text) & set("{}"):
            raise TraitError(
                "limits with objects go into a file of the servers, not into configure"
            )
    for section in _spawners(c, "server_token_scopes"):
        wanted = _listed(section, "server_token_scopes") or _server_scopes(c)
        section.server_token_scopes = [*wanted, scope]
    for section in _spawners(c, "environment"):
        section.environment = {**_mapped(section, "environment"), **servers}


def _spawners(c: Config, name: str) -> list[Any]:
    """The general section, and those of kinds of spawners that have a *name* of their own.

    Theirs takes the place of the general one: Zero to JupyterHub sets KubeSpawner.environment.
    """
    kinds = [c[each] for each in list(c) if each.endswith("Spawner") and each != "Spawner"]
    return [c.Spawner, *(kind for kind in kinds if name in kind)]


def _check(settings: Mapping[str, Any]) -> None:
    """Say what is wrong now, rather than in a log of the service."""
    unknown = set(settings) - set(HubModelService.class_trait_names(config=True))
    if unknown:
        raise TraitError(f"HubModelService has no {', '.join(sorted(unknown))}")
    if not settings.get("upstream") and not settings.get("config_file"):
        raise TraitError("HubModelService.upstream must be set: the URL of the model server")
    HubModelService(**settings)


def _with_access(
    roles: list[dict[str, Any]], scope: str, name: str, groups: Sequence[str]
) -> list[dict[str, Any]]:
    """*roles* with one by which *groups*, or else all users, hold *scope*."""
    if groups:
        role = {
            "name": f"{name}-users",
            "description": f"May use the service {name}",
            "groups": list(groups),
            "scopes": [scope],
        }
        return [*roles, role]
    # The role that every user has; to define it replaces it, hence "self".
    user = next((role for role in roles if role["name"] == "user"), None)
    others = [role for role in roles if role is not user]
    user = dict(user or {"name": "user", "scopes": ["self"]})
    user["scopes"] = [*user.get("scopes", ["self"]), scope]
    return [*others, user]


def _server_scopes(c: Config) -> list[str]:
    """What servers' tokens hold by the role ``server``, which counts no longer."""
    roles = _listed(c.JupyterHub, "load_roles")
    own = next((role for role in roles if role["name"] == "server"), None)
    return list(own["scopes"]) if own else _SERVER_SCOPES


def _listed(section: Any, name: str) -> list[Any]:
    found = section.get(name, [])
    if callable(found):
        raise TypeError(f"{name} is a function: give its users the scope of the service yourself")
    return list(found.get_value([]) if isinstance(found, LazyConfigValue) else found)


def _mapped(section: Any, name: str) -> dict[str, Any]:
    found = section.get(name, {})
    return dict(found.get_value({}) if isinstance(found, LazyConfigValue) else found)
