"""llm-sandbox on bubblewrap: a new Python in a new sandbox for every piece of code; the folder stays."""

import sys
import tempfile
from pathlib import Path

from llm_sandbox import SandboxBackend, SandboxSession
from llm_sandbox.local.config import DEFAULT_READ_ONLY_PATHS, LocalSandboxConfig
from serve import Executor, serve

PREFIXES = [each for each in {sys.prefix, sys.base_prefix} if not each.startswith("/usr")]


class Sandbox(Executor):
    # Its way to find pictures by itself imports matplotlib into every piece of code.
    PICTURE = "import matplotlib.pyplot as plt\nplt.plot([1, 3, 2])\nplt.savefig('chart.png')"

    def start(self) -> None:
        self._session = SandboxSession(
            backend=SandboxBackend.BUBBLEWRAP,
            lang="python",
            sandbox_config=LocalSandboxConfig(
                read_only_paths=(*DEFAULT_READ_ONLY_PATHS, *PREFIXES),
                python_executable=sys.executable,
            ),
            skip_environment_setup=True,
        )
        self._session.open()

    def run(self, code: str) -> tuple[str, bytes]:
        result = self._session.run(code)
        return result.stdout + result.stderr, b""

    def draw(self) -> bytes:
        self.run(self.PICTURE)
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, "chart.png")
            self._session.copy_from_runtime("/sandbox/chart.png", str(copy))
            return copy.read_bytes()

    def stop(self) -> None:
        self._session.close()


serve(Sandbox())
