"""The service as an administrator configures it: ``c.HubModelService.*``."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from traitlets import Bool, Dict, Float, Integer, List, TraitError, Unicode, default, validate
from traitlets.config import Application, Config, catch_config_error

SETTINGS_VARIABLE = "JUPYTER_CI_EXT_HUB_SERVICE"
"""Environment variable with settings as JSON, as `configure` hands them over."""

_ALLOWANCE = {"requests", "tokens"}


class HubModelService(Application):
    """Lends the site's model to JupyterHub's users, and keeps the site's key."""

    name = "jupyter-ci-hub"
    description = __doc__ or ""
    aliases = {"config": "HubModelService.config_file"}  # noqa: RUF012

    config_file = Unicode(
        "", help="Python file with settings of this service (c.HubModelService.…). Empty: none."
    ).tag(config=True)

    upstream = Unicode(
        help="Base URL of the OpenAI-compatible server that requests are passed on to, most often "
        "ending in /v1."
    ).tag(config=True)

    api_key_file = Unicode(
        help="File whose text is the key for that server; only this service needs to read it. "
        "Empty: the environment variable OPENAI_API_KEY of this service, if it is set."
    ).tag(config=True)

    upstream_headers = Dict(
        key_trait=Unicode(),
        value_trait=Unicode(),
        help="Further headers for the model server, by name. They are kept like the key.",
    ).tag(config=True)

    models = List(
        Unicode(),
        default_value=["*"],
        help="The models that everybody may use, as shell patterns of their names. Empty: none but "
        "those of group_models.",
    ).tag(config=True)

    group_models = Dict(
        key_trait=Unicode(),
        value_trait=List(Unicode()),
        help="Patterns of the models that members of a JupyterHub group may use besides, by group.",
    ).tag(config=True)

    requests_per_day = Integer(0, min=0, help="Requests a user may make per day. 0: no limit.").tag(
        config=True
    )

    tokens_per_day = Integer(
        0,
        min=0,
        help="Tokens of prompts and answers a user may use per day; the request that crosses the "
        "limit is still answered. 0: no limit.",
    ).tag(config=True)

    group_quotas = Dict(
        key_trait=Unicode(),
        value_trait=Dict(value_trait=Integer(min=0)),
        help='Other numbers for members of a group: {"staff": {"requests": 1000, "tokens": 0}}. '
        "0 or left out: no limit. Of several the largest counts.",
    ).tag(config=True)

    requests_at_once = Integer(
        8, min=0, help="Requests of one user that are answered at a time. 0: any number."
    ).tag(config=True)

    time_zone = Unicode("UTC", help="Time zone in which a day begins, as Europe/Berlin.").tag(
        config=True
    )

    ask_usage = Bool(
        True,
        help="Whether to ask for the number of tokens at the end of a stream "
        "(stream_options.include_usage). If not, for servers that refuse that, it is estimated.",
    ).tag(config=True)

    refused_parameters = List(
        Unicode(),
        default_value=[
            "api_base",
            "api_key",
            "base_url",
            "fallbacks",
            "models",
            "provider",
            "route",
            "service_tier",
        ],
        help="Parameters of a request that are refused (400), since some model servers let them "
        "choose another model, server or price. Empty: none.",
    ).tag(config=True)

    database = Unicode(
        "jupyterhub_ci_usage.sqlite",
        help="File of the SQLite database with the counts; made with mode 0600.",
    ).tag(config=True)

    keep_days = Integer(90, min=1, help="Days for which the counts are kept; at least 1.").tag(
        config=True
    )

    token_cache_seconds = Integer(
        60,
        min=1,
        help="Seconds for which the Hub's word on a token is taken without asking again, at least 1: "
        "so long a revoked token still works.",
    ).tag(config=True)

    connect_timeout = Float(
        10.0, min=0, help="Seconds to wait for a connection to the model server. 0: no limit."
    ).tag(config=True)

    silence_timeout = Float(
        600.0,
        min=0,
        help="Longest silence of the model server in seconds, before and within an answer. 0: no "
        "limit.",
    ).tag(config=True)

    max_body_bytes = Integer(
        32 * 1024 * 1024, min=1024, help="Bytes of the largest request that is taken."
    ).tag(config=True)

    ip = Unicode(help="Address to listen at. Default: that of the service's url.").tag(config=True)

    port = Integer(help="Port to listen at. Default: that of the service's url.").tag(config=True)

    prefix = Unicode(
        help="Path below which the Hub's proxy shows this service. Default: as the Hub says."
    ).tag(config=True)

    @default("ip")
    def _default_ip(self) -> str:
        return _service_url().hostname or "127.0.0.1"

    @default("port")
    def _default_port(self) -> int:
        return _service_url().port or 10101

    @default("prefix")
    def _default_prefix(self) -> str:
        return os.environ.get("JUPYTERHUB_SERVICE_PREFIX", "/")

    @default("log_level")
    def _default_log_level(self) -> int:
        return logging.INFO

    @default("log_format")
    def _default_log_format(self) -> str:
        return "[%(levelname)1.1s %(asctime)s %(name)s] %(message)s"

    @validate("upstream")
    def _validate_upstream(self, proposal: Any) -> str:
        value = str(proposal["value"])
        if urlsplit(value).scheme not in ("http", "https"):
            raise TraitError(f"HubModelService.upstream must be an http(s) URL, not {value!r}")
        return value

    @validate("group_quotas")
    def _validate_group_quotas(self, proposal: Any) -> dict[str, dict[str, int]]:
        value: dict[str, dict[str, int]] = proposal["value"]
        for group, quota in value.items():
            if unknown := set(quota) - _ALLOWANCE:
                raise TraitError(
                    f"HubModelService.group_quotas[{group!r}]: unknown {sorted(unknown)}; "
                    "there are requests and tokens"
                )
        return value

    @validate("time_zone")
    def _validate_time_zone(self, proposal: Any) -> str:
        try:
            ZoneInfo(proposal["value"])
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise TraitError(f"HubModelService.time_zone: {error}") from error
        return str(proposal["value"])

    @catch_config_error
    def initialize(self, argv: list[str] | None = None) -> None:
        """Read the settings: of the file, of the environment, of the command line."""
        self.parse_command_line(argv)
        given = Config(self.config)
        text = os.environ.get(SETTINGS_VARIABLE, "{}")
        handed_over = Config({"HubModelService": json.loads(text)})
        for each in (handed_over, given):
            self.update_config(each)
        if self.config_file:  # which either of them may name; they count more than it
            path = Path(self.config_file)
            self.load_config_file(path.stem, str(path.resolve().parent))
            for each in (handed_over, given):
                self.update_config(each)
        if not self.upstream:
            raise TraitError("HubModelService.upstream must be set: the URL of the model server")

    def api_key(self) -> str:
        """The site's key; empty where there is none. Raises `SystemExit` for a file that is no key."""
        if not self.api_key_file:
            return os.environ.get("OPENAI_API_KEY", "")
        path = Path(self.api_key_file)
        try:
            key = path.read_text(encoding="utf-8").strip()
            readable = path.stat().st_mode & 0o004
        except OSError as error:
            sys.exit(f"HubModelService.api_key_file: {error}")
        if not key or not key.isprintable() or " " in key:
            sys.exit(f"HubModelService.api_key_file: {path} does not hold a key on one line")
        if readable:
            self.log.warning("%s can be read by every user of this machine", path)
        return key

    def database_file(self) -> Path:
        """Where the counts are; the file is made if there is none, for nobody else to read."""
        path = Path(self.database).expanduser()
        # SQLite gives its other files the mode of this one
        path.touch(mode=0o600, exist_ok=True)
        return path

    def start(self) -> None:
        """Serve until the Hub stops us."""
        from .serving import serve

        asyncio.run(serve(self))


def _service_url() -> Any:
    return urlsplit(os.environ.get("JUPYTERHUB_SERVICE_URL", ""))
