"""ipybox: a kernel gateway and a kernel. Without its sandbox, with which it does not start on Linux."""

import asyncio
import logging

from ipybox import CodeExecutor
from serve import Executor, serve

logging.disable(logging.WARNING)


class IPyBox(Executor):
    def start(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._executor = CodeExecutor()
        self._loop.run_until_complete(self._executor.start())

    def run(self, code: str) -> tuple[str, bytes]:
        result = self._loop.run_until_complete(self._executor.execute(code))
        return result.text or "", result.images[-1].read_bytes() if result.images else b""

    def stop(self) -> None:
        self._loop.run_until_complete(self._executor.stop())


serve(IPyBox())
