"""The traits of the language models a server offers (``c.ModelProvider.*``)."""

from __future__ import annotations

import os
from typing import Any

from traitlets import Bool, Dict, Float, Int, List, Unicode, default
from traitlets.config import LoggingConfigurable

#: Names of models that are known to see pictures, as shell patterns.
SEEING = [
    "gpt-4o*",
    "gpt-4.1*",
    "gpt-5*",
    "chatgpt-4o*",
    "o1",
    "o3*",
    "o4*",
    "claude*",
    "gemini*",
    "gemma-3*",
    "gemma3*",
    "llama-4*",
    "*llava*",
    "*pixtral*",
    "*vision*",
    "*-vl*",
    "*vl:*",
]


HUB_VARIABLE = "JUPYTER_CI_EXT_MODELS_URL"
"""Set by JupyterHub where it has a service that lends the site's model (`jupyter_ci_ext.hub`)."""


class ModelProvider(LoggingConfigurable):
    """Where the language models are, and how to speak to them."""

    base_url = Unicode(
        help="""Base URL of an OpenAI-compatible server, most often ending in /v1. Default:
        OPENAI_BASE_URL of the server process; else the model service of the JupyterHub, where it
        has one (JUPYTER_CI_EXT_MODELS_URL); else api.openai.com where there is a key, and only
        the demo model where there is none.""",
    ).tag(config=True)

    api_key = Unicode(
        help="""API key for that server. Default: OPENAI_API_KEY of the server process, or for the
        model service of the JupyterHub the server's own Hub token. It never leaves the process
        other than to that server.""",
    ).tag(config=True)

    default_model = Unicode(
        help="""The model a client gets that asks for the model "default", and the first in the
        list. Empty: the first the server lists, else the demo model.""",
    ).tag(config=True)

    model_aliases = Dict(
        key_trait=Unicode(),
        value_trait=Unicode(),
        help="""Names clients use, and the models they get instead: {"gpt-4o": "qwen2.5-coder"}.
        The name "*" catches every model that is not listed.""",
    ).tag(config=True)

    code_protocol = Dict(
        key_trait=Unicode(),
        value_trait=Unicode(),
        default_value={"*": "auto"},
        help="""How a model is asked for code, by patterns of model names, first match wins:
        "tools" (a function tool named python), "fence" (one fenced block per turn, its output
        given back as text: for models without usable function calling), or "auto" (fence for
        models known to have fewer than 4 billion parameters and where the server refuses tools).
        """,
    ).tag(config=True)

    connect_timeout = Float(
        10.0, min=0, help="Seconds to wait for a connection to a model server. 0: no limit."
    ).tag(config=True)

    read_timeout = Float(
        0.0,
        min=0,
        help="""Longest silence of a model server in seconds. 0: no limit, since a long prompt can
        take minutes to read on a small machine; a run's own expiry still ends it.""",
    ).tag(config=True)

    retries = Int(
        2,
        min=0,
        help="""How often a request is repeated that failed before any answer came: no connection,
        5xx, or a rate limit with a short wait. 0: never.""",
    ).tag(config=True)

    max_retry_wait = Float(
        20.0,
        min=0,
        help="""Longest wait in seconds a server may ask for (Retry-After) that is waited out
        within a run. 0: none, the run fails at once and says how long to wait.""",
    ).tag(config=True)

    azure_endpoint = Unicode(
        help="""Endpoint of an Azure OpenAI resource (https://name.openai.azure.com). When set, it
        takes the place of base_url; the key defaults to AZURE_OPENAI_API_KEY.""",
    ).tag(config=True)

    azure_deployment = Unicode(
        help="Deployment to use for every model on Azure. Empty: the model's name is the deployment.",
    ).tag(config=True)

    azure_api_version = Unicode("2024-10-21", help="The api-version sent to Azure OpenAI.").tag(
        config=True
    )

    models = List(
        Unicode(),
        help="Models to list for this server without asking it. Empty: ask GET /models.",
    ).tag(config=True)

    providers = Dict(
        key_trait=Unicode(),
        value_trait=Dict(),
        help="""More model servers: {"groq": {"base_url": "…", "api_key": "…"}}. Keys of each are
        base_url, api_key, azure_endpoint, azure_deployment, azure_api_version, models (a list, for
        servers that do not list theirs) and headers. A model is listed by its own name, or as
        provider/model where an earlier server has one of that name; provider/model always works.
        """,
    ).tag(config=True)

    local_discovery = Bool(
        True,
        help="""Offer the models of a server that answers on 127.0.0.1 at port 11434, 1234 or 8080
        (Ollama, LM Studio, llama.cpp), listed as provider/model. On a machine shared by people who
        do not trust each other turn it off: any of them can listen there. Default: off where
        JupyterHub has a model service.""",
    ).tag(config=True)

    vision_models = List(
        Unicode(),
        default_value=list(SEEING),
        help="Patterns of the models that are shown pictures. Empty: none is.",
    ).tag(config=True)

    context_tokens = Dict(
        key_trait=Unicode(),
        value_trait=Int(),
        help="""Window sizes in tokens by patterns of model names, first match wins. Where nothing
        matches, what the server says of the model counts.""",
    ).tag(config=True)

    @default("base_url")
    def _base_url(self) -> str:
        return os.environ.get("OPENAI_BASE_URL", "") or self._hub_url

    @property
    def _hub_url(self) -> str:
        return os.environ.get(HUB_VARIABLE, "")

    @default("local_discovery")
    def _local_discovery(self) -> bool:
        return not self._hub_url

    @default("api_key")
    def _api_key(self) -> str:
        if self._hub_url and self.base_url == self._hub_url and not self.azure_endpoint:
            return os.environ.get("JUPYTERHUB_API_TOKEN", "")
        azure = os.environ.get("AZURE_OPENAI_API_KEY", "") if self.azure_endpoint else ""
        return azure or os.environ.get("OPENAI_API_KEY", "")

    def upstreams(self) -> dict[str, dict[str, Any]]:
        """The configured servers by name, the main one first; settings as in ``providers``."""
        found: dict[str, dict[str, Any]] = {}
        if self.base_url or self.api_key or self.azure_endpoint:
            found[""] = {
                "base_url": self.base_url,
                "api_key": self.api_key,
                "azure_endpoint": self.azure_endpoint,
                "azure_deployment": self.azure_deployment,
                "azure_api_version": self.azure_api_version,
                "models": list(self.models),
            }
        found.update(self.providers)
        return found
