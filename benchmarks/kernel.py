"""What users would pick instead: jupyter_client on a bare ipykernel, nothing around it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager


class BareKernel:
    """A kernel that has answered."""

    def __init__(self) -> None:
        self.manager: Any = KernelManager(kernel_name="python3")
        self.manager.start_kernel()
        self._client: BlockingKernelClient = self.manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60)

    def execute(self, code: str) -> str:
        """Run *code*; what it printed or gave."""
        said: list[str] = []

        def hear(message: dict[str, Any]) -> None:
            content = message["content"]
            said.append(content.get("text") or content.get("data", {}).get("text/plain", ""))

        reply = self._client.execute_interactive(code, output_hook=hear, timeout=120)
        if reply["content"]["status"] != "ok":
            raise RuntimeError(f"the code failed: {reply['content']}")
        return "".join(said)

    def close(self) -> None:
        """End it."""
        self._client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@contextmanager
def bare_kernel() -> Iterator[BareKernel]:
    """A bare kernel for a while."""
    kernel = BareKernel()
    try:
        yield kernel
    finally:
        kernel.close()
