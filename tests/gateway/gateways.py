"""Real gateways on loopback.

``python -m tests.gateway.gateways`` builds the environment one of them needs, outside any test's time.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.conformance import environments

REQUIREMENTS = Path(__file__).parent / "requirements"
NAMES = ("enterprise", "kernel")
OWN = ("enterprise",)
"""Those with an environment of their own: what they need clashes with what we do."""
TOKEN = "token-of-the-gateway"
START_SECONDS = 60
_ARGUMENTS = {
    "enterprise": ["jupyter-enterprisegateway", "--EnterpriseGatewayApp.port_retries=0"],
    "kernel": [
        "jupyter-kernelgateway",
        "--KernelGatewayApp.port_retries=0",
        "--JupyterWebsocketPersonality.list_kernels=True",
    ],
}


class Gateway:
    """One that runs; ``kill`` ends it as a crash would, its kernels too."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self.port = port

    def kill(self) -> None:
        """End it and whatever it started, at once."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(30)


@contextmanager
def running(name: str, folder: Path, *options: str) -> Iterator[Gateway]:
    """The gateway *name* (one of `NAMES`), with its home in *folder*."""
    home = (
        environments.python(name, REQUIREMENTS).parent
        if name in OWN
        else Path(sys.executable).parent
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = [str(home / _ARGUMENTS[name][0]), *_ARGUMENTS[name][1:]]
    argv += ["--ip=127.0.0.1" if name == "enterprise" else "--KernelGatewayApp.ip=127.0.0.1"]
    argv += [f"--port={port}" if name == "enterprise" else f"--KernelGatewayApp.port={port}"]
    argv += options
    env = {
        "PATH": f"{home}:{os.environ.get('PATH', os.defpath)}",
        "HOME": str(folder),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "EG_AUTH_TOKEN": TOKEN,
        "KG_AUTH_TOKEN": TOKEN,
        "EG_LIST_KERNELS": "True",
        "EG_UNAUTHORIZED_USERS": "nobody",  # else it refuses root, which the tests may be
    }
    with (folder / "gateway.log").open("wb") as log:
        process = subprocess.Popen(
            argv, env=env, cwd=folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    gateway = Gateway(process, port)
    try:
        _wait(process, port, folder / "gateway.log")
        yield gateway
        process.terminate()  # it ends its kernels, which are in sessions of their own
        process.wait(30)
    finally:
        gateway.kill()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    url, headers = f"http://127.0.0.1:{port}/api/kernelspecs", {"Authorization": f"token {TOKEN}"}
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"the gateway did not start:\n{log.read_text()[-3000:]}")


if __name__ == "__main__":
    for each in OWN:
        print("gateway:", environments.python(each, REQUIREMENTS))
