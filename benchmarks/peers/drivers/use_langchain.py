"""langchain-experimental's PythonREPL: exec in the program's own process."""

import base64

from langchain_experimental.utilities import PythonREPL
from serve import Executor, serve


class Repl(Executor):
    # There is text alone to hand anything back.
    PICTURE = """
import base64, io, matplotlib.pyplot as plt
plt.plot([1, 3, 2])
buffer = io.BytesIO()
plt.savefig(buffer, format="png")
plt.close()
print(base64.b64encode(buffer.getvalue()).decode())
"""

    def start(self) -> None:
        self._repl = PythonREPL()

    def run(self, code: str) -> tuple[str, bytes]:
        return self._repl.run(code), b""

    def draw(self) -> bytes:
        return base64.b64decode(self.run(self.PICTURE)[0])


serve(Repl())
