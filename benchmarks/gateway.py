"""Files of 100 MB to a kernel behind a gateway and back, against ``cp``.

The gateway is a real Kernel Gateway on loopback; between machines the network comes on top.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from jupyter_server.gateway.gateway_client import GatewayClient
from jupyter_server.gateway.managers import GatewayKernelSpecManager, GatewayMappingKernelManager

from jupyter_ci_ext.kernels.config import SessionPool
from jupyter_ci_ext.kernels.outputs import ExecutionEnd
from jupyter_ci_ext.kernels.pool import Sessions
from jupyter_ci_ext.kernels.remote.config import RemoteKernels
from jupyter_ci_ext.kernels.remote.launcher import launcher_for
from jupyter_ci_ext.kernels.session import Session
from jupyter_ci_ext.kernels.workspace import StagedFile
from jupyter_ci_ext.sandbox.config import Sandbox
from tests.gateway.gateways import TOKEN, running

from .measure import Result, at_least

MB = 10**6
SIZE = 100 * MB
ROUNDS = 5
UNLIMITED = "--ZMQChannelsWebsocketConnection.limit_rate=False"


def measure() -> Iterator[Result]:
    """Throughput of each direction, as a session has it: from file to file, verified."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        (folder / "gateway").mkdir()
        with running("kernel", folder / "gateway", UNLIMITED) as gateway:
            up, down, cp = asyncio.run(_transfers(folder, gateway.port))
    note = "through Jupyter's message queues twice; 4 MiB a message, 4 under way"
    yield Result(
        "a file of 100 MB to a kernel behind a gateway",
        "MB/s",
        up,
        cp,
        "`cp`",
        at_least(0.02),
        note,
    )
    yield Result(
        "the same back", "MB/s", down, cp, "`cp`", at_least(0.02), "copied and hashed once more"
    )


async def _transfers(folder: Path, port: int) -> tuple[list[float], list[float], list[float]]:
    """The rates up, down and of ``cp``, taken in turn; the first round only warms up."""
    up, down, cp = [], [], []
    async with _session(folder, port) as session:
        for number in range(ROUNDS + 1):
            source = folder / f"source-{number}"
            source.write_bytes(os.urandom(SIZE))
            file = StagedFile(f"file-{number}", f"{number}.bin", source, SIZE)
            began = time.perf_counter()
            await session.stage([file])
            up.append(SIZE / MB / (time.perf_counter() - began))
            await _run(
                session, f"d = open('{number}.bin', 'rb').read()[::-1]\nopen('back', 'wb').write(d)"
            )
            began = time.perf_counter()
            (made,) = (await session.collect()).files
            down.append(SIZE / MB / (time.perf_counter() - began))
            if made.size != SIZE:
                raise RuntimeError(f"{made.size} bytes came")
            made.path.unlink()
            source.unlink()
            cp.append(await asyncio.to_thread(_cp, folder))
    return up[1:], down[1:], cp[1:]


@asynccontextmanager
async def _session(folder: Path, port: int) -> AsyncIterator[Session]:
    client = GatewayClient.instance()
    client.url, client.auth_token = f"http://127.0.0.1:{port}", TOKEN
    manager = GatewayMappingKernelManager(kernel_spec_manager=GatewayKernelSpecManager())
    pool, sandbox = SessionPool(warm_spares=0, preload=[]), Sandbox(disk=0)
    remote = RemoteKernels(allowed={"python3": {"isolation": "none"}}, probe_targets=[])
    launcher = launcher_for(manager, pool, remote, sandbox.policy())
    log = logging.getLogger("benchmarks")
    sessions = Sessions(pool, sandbox, manager, folder / "workspaces", log, launcher=launcher)
    await sessions.start()
    try:
        async with sessions.use("thread_bench") as session:
            yield session
    finally:
        await sessions.stop()
        GatewayClient.clear_instance()


async def _run(session: Session, code: str) -> None:
    async with aclosing(session.execute(code)) as outputs:
        async for output in outputs:
            if isinstance(output, ExecutionEnd) and output.status != "ok":
                raise RuntimeError(f"the code ended with {output}")


def _cp(folder: Path) -> float:
    source, target = folder / "cp-source", folder / "cp-target"
    source.write_bytes(os.urandom(SIZE))
    began = time.perf_counter()
    subprocess.run(["cp", source, target], check=True)
    rate = SIZE / MB / (time.perf_counter() - began)
    source.unlink()
    target.unlink()
    return rate
