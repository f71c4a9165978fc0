"""The peers that can be installed from PyPI and run here, and why others are not among them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Peer:
    """A program that runs a model's Python; *id* names its requirements and its driver."""

    id: str
    name: str
    package: str
    runs: str
    """How it runs the code, in a few words."""

    environment: tuple[tuple[str, str], ...] = ()
    """What keeps it from asking other hosts."""

    @property
    def version(self) -> str:
        """The one that is pinned."""
        pins = (HERE / f"requirements/{self.id}.txt").read_text().splitlines()
        return next(pin.partition("==")[2] for pin in pins if pin.startswith(self.package))

    @property
    def driver(self) -> Path:
        """The script that runs in its environment."""
        return HERE / f"drivers/use_{self.id}.py"


PEERS = (
    Peer("llm_sandbox", "llm-sandbox (bubblewrap)", "llm-sandbox", "new Python and sandbox a cell"),
    Peer("monty", "pydantic-monty", "pydantic-monty", "an interpreter of its own, no packages"),
    Peer(
        "smolagents", "smolagents LocalPythonExecutor", "smolagents", "interprets the syntax tree"
    ),
    Peer("codeboxapi", "codeboxapi LocalBox", "codeboxapi", "IPython in the program itself"),
    Peer("autogen_ext", "AutoGen JupyterCodeExecutor", "autogen-ext", "kernel"),
    Peer("pyautogen", "AutoGen 0.2 LocalJupyterServer", "pyautogen", "kernel behind a gateway"),
    Peer(
        "open_interpreter",
        "open-interpreter",
        "open-interpreter",
        "kernel",
        (("LITELLM_LOCAL_MODEL_COST_MAP", "True"), ("DISABLE_TELEMETRY", "true")),
    ),
    Peer("ipybox", "ipybox (no sandbox on Linux)", "ipybox", "kernel behind a gateway"),
    Peer(
        "langchain", "LangChain PythonREPL", "langchain-experimental", "exec in the program itself"
    ),
    Peer(
        "llama_index",
        "LlamaIndex code interpreter",
        "llama-index-tools-code-interpreter",
        "new Python a cell",
    ),
)
