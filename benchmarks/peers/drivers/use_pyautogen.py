"""AutoGen 0.2's JupyterCodeExecutor on its LocalJupyterServer: a kernel gateway and a kernel."""

from pathlib import Path

from autogen.coding import CodeBlock
from autogen.coding.jupyter import JupyterCodeExecutor, LocalJupyterServer
from serve import Executor, serve


class AutoGen(Executor):
    def start(self) -> None:
        self._server = LocalJupyterServer()
        self._executor = JupyterCodeExecutor(self._server, output_dir=Path.cwd())

    def run(self, code: str) -> tuple[str, bytes]:
        result = self._executor.execute_code_blocks([CodeBlock(code=code, language="python")])
        files = result.output_files
        return result.output, Path(files[-1]).read_bytes() if files else b""

    def stop(self) -> None:
        self._executor.stop()
        self._server.stop()


serve(AutoGen())
