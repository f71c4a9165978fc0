"""LlamaIndex' code interpreter tool: a new Python for every piece of code, nothing kept in between."""

import ast
import base64

from llama_index.tools.code_interpreter import CodeInterpreterToolSpec
from serve import Executor, serve


class Tool(Executor):
    # There is text alone to hand anything back.
    PICTURE = """
import base64, io, matplotlib.pyplot as plt
plt.plot([1, 3, 2])
buffer = io.BytesIO()
plt.savefig(buffer, format="png")
print(base64.b64encode(buffer.getvalue()).decode())
"""

    def start(self) -> None:
        self._tool = CodeInterpreterToolSpec()

    def run(self, code: str) -> tuple[str, bytes]:
        said = self._tool.code_interpreter(code)
        return ast.literal_eval(said.removeprefix("StdOut:\n").partition("\n")[0]).decode(), b""

    def draw(self) -> bytes:
        return base64.b64decode(self.run(self.PICTURE)[0])


serve(Tool())
