"""What the extension adds to the start of `jupyter server`; by hand: ``python -m benchmarks.startup``.

Starts the server many times with the extension on and off in turn, in a fresh environment, and
measures from the start of the process to the first answer of ``/api``: seconds on the clock, and
seconds of processor, which a busy machine falsifies less.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import psutil

ROUNDS = 8


def start_once(home: Path, enabled: bool) -> tuple[float, float]:
    """Seconds on the clock and of processor until a server answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = home / "config"
    config.mkdir(exist_ok=True)
    extensions = {"ServerApp": {"jpserver_extensions": {"jupyter_ci_ext": enabled}}}
    (config / "jupyter_server_config.json").write_text(json.dumps(extensions))
    command = [sys.executable, "-m", "jupyter_server", "--allow-root", "--no-browser"]
    command += [f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token="]
    command += [f"--ServerApp.root_dir={home}"]
    environment = {
        **os.environ,
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(config),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTER_DATA_DIR": str(home / "data"),
    }
    started = time.perf_counter()
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as server:
        try:
            while True:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/api", timeout=5).close()
                    took = time.perf_counter() - started
                    cpu = psutil.Process(server.pid).cpu_times()
                    break
                except OSError:
                    time.sleep(0.005)
        finally:
            server.terminate()
            _, log = server.communicate(timeout=30)
    if ("jupyter_ci_ext | extension was successfully loaded" in log) is not enabled:
        raise SystemExit(f"the extension was not {'on' if enabled else 'off'}:\n{log}")
    return took, cpu.user + cpu.system


def main(rounds: int) -> None:
    """Measure in turn, so that a busy machine is as unfair to both."""
    measured: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as folder:
        for enabled in (True, False):  # warm the caches
            start_once(Path(folder), enabled)
        for _ in range(rounds):
            for enabled in (False, True):
                measured[enabled].append(start_once(Path(folder), enabled))
    for kind, column in (("clock", 0), ("processor", 1)):
        off, on = (
            statistics.median(row[column] for row in measured[enabled]) for enabled in (False, True)
        )
        print(f"{kind:9} off {off:.3f} s, on {on:.3f} s: {(on / off - 1) * 100:+.1f} %")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
