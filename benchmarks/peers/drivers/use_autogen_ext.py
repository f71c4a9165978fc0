"""AutoGen's JupyterCodeExecutor (autogen-ext): nbclient and a kernel."""

import asyncio

from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock
from autogen_ext.code_executors.jupyter import JupyterCodeExecutor
from serve import Executor, serve


class AutoGen(Executor):
    def start(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._executor = JupyterCodeExecutor()
        self._loop.run_until_complete(self._executor.start())

    def run(self, code: str) -> tuple[str, bytes]:
        blocks = [CodeBlock(code=code, language="python")]
        result = self._loop.run_until_complete(
            self._executor.execute_code_blocks(blocks, CancellationToken())
        )
        return result.output, result.output_files[-1].read_bytes() if result.output_files else b""

    def stop(self) -> None:
        self._loop.run_until_complete(self._executor.stop())


serve(AutoGen())
