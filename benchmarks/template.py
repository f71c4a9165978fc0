"""What kernels forked from one process with everything imported would give, at best.

Not how sessions start: those have a process of their own, and warm spares. Nothing isolates the kernels
here, so what is measured is the most that forking could gain; docs/performance.md says why it is not used.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.connect import write_connection_file

from .kernel import bare_kernel
from .measure import Result, interleaved

ROUNDS = 7
KERNELS = 4
MB = 10**6

CODE = "import numpy, pandas, matplotlib.pyplot as plt; plt.plot([1, 2]); plt.close(); 1 + 1"

_TEMPLATE = """
import gc, os, signal, sys
import numpy, pandas, matplotlib.pyplot
from ipykernel.kernelapp import IPKernelApp

gc.collect()
gc.freeze()  # a collection would write to the pages of what it looks at, which ends their sharing
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("ready", flush=True)
for path in sys.stdin:
    pid = os.fork()
    if not pid:
        os.dup2(2, 1)  # what the kernel says of itself is nobody's
        IPKernelApp.launch_instance(["-f", path.strip()])
        os._exit(0)
    print(pid, flush=True)
"""


class Template:
    """A process that forks kernels."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-c", _TEMPLATE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "OPENBLAS_NUM_THREADS": "1"},
        )
        self._said()

    def kernel(self) -> Forked:
        """A new kernel that has answered."""
        return Forked(self)

    def fork(self, number: int) -> tuple[int, str]:
        """The process of a new kernel, and its connection file."""
        path, _ = write_connection_file(str(self._folder / f"kernel-{number}.json"))
        assert self._process.stdin is not None
        self._process.stdin.write(path + "\n")
        self._process.stdin.flush()
        return int(self._said()), path

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    def _said(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the template ended")
        return line


class Forked:
    """A kernel forked from a template."""

    _number = 0

    def __init__(self, template: Template) -> None:
        Forked._number += 1
        self.pid, path = template.fork(Forked._number)
        self._client = BlockingKernelClient(connection_file=path)
        self._client.load_connection_file()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60)

    def execute(self, code: str) -> None:
        """Run *code*."""
        reply = self._client.execute_interactive(code, output_hook=lambda _: None, timeout=60)
        if reply["content"]["status"] != "ok":
            raise RuntimeError(f"the code failed: {reply['content']}")

    def close(self) -> None:
        """End it."""
        self._client.stop_channels()
        psutil.Process(self.pid).kill()


def measure() -> Iterator[Result]:
    """Time to a first result, and memory of each of several kernels."""
    against = "bare ipykernel"
    with _template() as template:

        def forked() -> float:
            began = time.perf_counter()
            kernel = template.kernel()
            kernel.execute(CODE)
            took = time.perf_counter() - began
            kernel.close()
            return took * 1000

        def bare() -> float:
            began = time.perf_counter()
            with bare_kernel() as kernel:
                kernel.execute(CODE)
                return (time.perf_counter() - began) * 1000

        ours, own = interleaved(ROUNDS, forked, bare)
        yield Result(
            "for comparison: first result with pandas and pyplot, kernel forked from a template",
            "ms",
            ours,
            own,
            against,
            note="not isolated, not used",
        )
        kernels = [template.kernel() for _ in range(KERNELS)]
        for kernel in kernels:
            kernel.execute(CODE)
        shared = [_pss(kernel.pid) for kernel in kernels]
        for kernel in kernels:
            kernel.close()
    with bare_kernel() as first, bare_kernel() as second:
        for each in (first, second):
            each.execute(CODE)
        alone = [_pss(each.manager.provisioner.pid) for each in (first, second)]
    yield Result(
        f"for comparison: memory of each of {KERNELS} such kernels",
        "MB",
        shared,
        alone,
        against,
        note="proportional set size; the template's share of the pages included",
    )


@contextmanager
def _template() -> Iterator[Template]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        template = Template(Path(folder))
        try:
            yield template
        finally:
            template.close()


def _pss(pid: int) -> float:
    return float(psutil.Process(pid).memory_full_info().pss) / MB
