"""smolagents' LocalPythonExecutor: an interpreter of Python's syntax tree in the program's own process.

It refuses every import that is not named; named is what the cases need.
"""

from serve import Executor, serve
from smolagents.local_python_executor import LocalPythonExecutor

NAMED = ["pandas", "numpy", "matplotlib", "matplotlib.pyplot", "io"]


class Smolagents(Executor):
    PICTURE = """
import io, matplotlib.pyplot as plt
plt.plot([1, 3, 2])
buffer = io.BytesIO()
plt.savefig(buffer, format="png")
plt.close()
buffer.getvalue()
"""

    def start(self) -> None:
        self._executor = LocalPythonExecutor(NAMED, max_print_outputs_length=2_000_000)
        self._executor.send_tools({})

    def run(self, code: str) -> tuple[str, bytes]:
        result = self._executor(code)
        image = result.output if isinstance(result.output, bytes) else b""
        return result.logs + ("" if image else str(result.output)), image


serve(Smolagents())
