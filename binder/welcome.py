"""Makes the thread that greets visitors, its chart computed in the sandbox, and has Lab show it.

The thread is made as any client would: through the API of a server that is started for it, on the
data directory of the one that follows. Done once; after a crash in between it goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

WORKSPACE = "code-interpreter"
PANEL = "jupyter-ci-ext"

GREETING = """\
This is a trial of the code interpreter on mybinder.org. The model here is a **demo, not an AI**: it \
knows about a dozen kinds of questions about a table, and writes real code for them. The code ran in \
this pod; the shield above says how it was isolated. Everything is thrown away when you leave.

Attach a table of yours, or ask more about this one: 178 wines and what was measured of them."""

QUESTION = "What is in this table? Draw the chart that tells most, and save a cleaned copy."


def main() -> None:
    """Make the welcome, or with ``--sample FILE`` only the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sample", type=Path)
    sample: Path | None = parser.parse_args().sample
    if sample is not None:
        sample_table(sample)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("there was no time left"))  # stop the server
    from jupyterlab.commands import get_workspaces_dir
    from jupyterlab_server.workspaces_handler import WorkspacesManager

    workspaces = WorkspacesManager(get_workspaces_dir())
    if not any(each["metadata"]["id"] == WORKSPACE for each in workspaces.list_workspaces()):
        # saved last: where it is, everything is
        workspaces.save(WORKSPACE, json.dumps(workspace(welcome())))


def sample_table(path: Path) -> None:
    """A table that scikit-learn ships."""
    from sklearn.datasets import load_wine

    load_wine(as_frame=True).frame.to_csv(path, index=False)


def welcome() -> str:
    """The id of the thread, which is made unless it is there."""
    import openai
    from jupyter_core.paths import jupyter_data_dir

    from jupyter_ci_ext.cli.server import OwnServer

    kept = {"JUPYTER_DATA_DIR": jupyter_data_dir()}
    if "JUPYTERHUB_SERVER_NAME" in os.environ:
        kept["JUPYTERHUB_SERVER_NAME"] = os.environ["JUPYTERHUB_SERVER_NAME"]
    warnings.simplefilter("ignore", DeprecationWarning)  # the client's, of this API
    with OwnServer(kept) as server:
        http = openai.DefaultHttpxClient(trust_env=False)  # no proxy for this machine
        base = f"{server.url}openai/v1"
        with openai.OpenAI(base_url=base, api_key=server.token, http_client=http) as client:
            threads: list[dict[str, Any]] = client.get("/threads", cast_to=dict)["data"]
            for thread in threads:
                if thread["metadata"].get("welcome"):
                    return str(thread["id"])
            return _make(client)


def _make(client: Any) -> str:
    tools: list[Any] = [{"type": "code_interpreter"}]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "wine.csv")
        sample_table(path)
        table = client.files.create(file=path, purpose="assistants")
    assistant = client.beta.assistants.create(model="demo", name="Demo", tools=tools)
    question = {
        "role": "user",
        "content": QUESTION,
        "attachments": [{"file_id": table.id, "tools": tools}],
    }
    thread = client.beta.threads.create(
        messages=[{"role": "assistant", "content": GREETING}, question],
        metadata={"title": "Welcome", "welcome": "1"},
    )
    # However it ends the question is there, and says itself what is wrong.
    client.beta.threads.runs.create_and_poll(
        thread_id=thread.id, assistant_id=assistant.id, timeout=60
    )
    return str(thread.id)


def workspace(thread: str) -> dict[str, Any]:
    """Lab with the panel open at the right, on that thread."""
    panel = f"{PANEL}-panel"
    right = {"collapsed": False, "visible": True, "current": panel, "widgets": [panel]}
    return {
        "data": {
            "layout-restorer:data": {"right": right, "relativeSizes": [0.2, 0.4, 0.4]},
            f"{PANEL}:panel": {"thread": thread, "model": "demo"},
        },
        "metadata": {"id": WORKSPACE},
    }


if __name__ == "__main__":
    main()
