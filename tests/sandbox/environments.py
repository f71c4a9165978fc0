"""``python -m tests.sandbox.environments LEVEL PYTHON``: run code in another environment; what it says."""

from __future__ import annotations

import asyncio
import sys

from .harness import kernel

CODE = """
import os, subprocess, sys, ipykernel, sqlite3, ssl, zmq
child = subprocess.run([sys.executable, "-c", "import zmq; print('child')"], capture_output=True, text=True)
print(sys.prefix, ".".join(map(str, sys.version_info[:2])), child.stdout.strip())
if os.path.isdir(sys.prefix + "/conda-meta"):
    assert os.environ["CONDA_PREFIX"] == sys.prefix
    try:
        assert open(sys.prefix + "/.condarc").read() == ""
    except PermissionError:
        pass
try:
    open(sys.prefix + "/written", "w")
except OSError:
    print("read-only")
"""


async def said(level: int, python: str) -> str:
    """What the code prints in that environment at that level."""
    async with kernel(minimum_level=level, maximum_level=level, python=python) as running:
        answer = await running.run(CODE)
        return answer.text + answer.error


if __name__ == "__main__":
    print(asyncio.run(said(int(sys.argv[1]), sys.argv[2])), end="")
