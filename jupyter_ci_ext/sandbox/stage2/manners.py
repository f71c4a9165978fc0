"""Plain words for what cannot work in here: installing packages, asking somebody, leaving."""

from __future__ import annotations

import errno
import functools
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

NOTHING_TO_INSTALL = (
    "Nothing can be installed here: there is no network, and the environment is read-only. Use the "
    "packages that are there, or write the code without; whoever runs this server can install more "
    "into the environment of its kernels (c.Sandbox.python)."
)
NOBODY_TO_ASK = "Nobody can answer {}() here: put the value into the code."
STAYED = "The code stopped itself here. The session goes on, with its variables."

_INSTALLERS = re.compile(
    r"(^|[\s;&|(/])(pip[0-9.]*|uv|conda|mamba|micromamba|apt|apt-get)\s+([^\s;&|]+\s+)*?(install|add)"
    r"(?P<what>\s[^;&|]*)?($|[;&|])"
)
_TAKE_A_VALUE = {
    "-r",
    "--requirement",
    "-t",
    "--target",
    "--prefix",
    "--cache-dir",
    "--python",
    "-p",
    "-n",
    "--name",
    "-c",
}
_MAGICS = ("pip", "uv", "conda", "mamba", "micromamba")
_ARCHIVES = (".whl", ".tar.gz", ".zip")


def asks_to_install(command: str | Sequence[Any]) -> bool:
    """Whether a command, as text or as its arguments, is to fetch packages from a network."""
    text = command if isinstance(command, str) else " ".join(map(str, command))
    found = _INSTALLERS.search(text)
    return found is not None and not _is_local((found["what"] or "").split())


def _is_local(words: list[str]) -> bool:
    """Whether what is named is there already: an archive or a folder among the files."""
    given = iter(words)
    for word in given:
        if word in _TAKE_A_VALUE:
            next(given, "")
        elif word == "--no-index" or word.strip("'\"").endswith(_ARCHIVES) or word[0] in "./~":
            return True
    return False


def hint_at_installs(shell: Any) -> None:
    """Make ``!pip install``, ``%pip install`` and their like in subprocesses end in a hint.

    What shells and scripts try meets the stand-ins on their PATH.

    Commands need no terminal here: IPython gives them one of their own, which not every sandbox has.
    """

    def system(cmd: str) -> None:
        command = shell.var_expand(cmd, depth=1)
        if asks_to_install(command):
            print(NOTHING_TO_INSTALL, file=sys.stderr)
            code = 1
        else:
            sys.stdout.flush()
            code = subprocess.run(command, shell=True, check=False).returncode  # noqa: S602
        shell.user_ns["_exit_code"] = code
        if code and getattr(shell, "system_raise_on_error", False):
            raise subprocess.CalledProcessError(code, command)

    shell.system = system
    start = subprocess.Popen.__init__

    @functools.wraps(start)
    def popen(self: Any, args: Any, *more: Any, **kwargs: Any) -> None:
        if isinstance(args, str | list | tuple) and asks_to_install(args):
            raise OSError(errno.ENETUNREACH, NOTHING_TO_INSTALL)
        start(self, args, *more, **kwargs)

    subprocess.Popen.__init__ = popen  # type: ignore[method-assign]
    run = os.system

    @functools.wraps(run)
    def os_system(command: Any) -> int:
        if isinstance(command, str) and asks_to_install(command):
            print(NOTHING_TO_INSTALL, file=sys.stderr)
            return 256  # exit code 1
        return run(command)

    os.system = os_system
    for name in _MAGICS:
        magic = shell.magics_manager.magics["line"].get(name)
        if magic is not None:
            shell.register_magic_function(_hinting(name, magic), magic_name=name)


def _hinting(name: str, magic: Any) -> Any:
    def hinting(line: str) -> Any:
        if asks_to_install(f"{name} {line}"):
            print(NOTHING_TO_INSTALL, file=sys.stderr)
            return None
        return magic(line)

    return hinting


def stay(shell: Any) -> None:
    """Make ``exit()`` and ``quit()`` end the code, as ``sys.exit()`` does, and not the kernel."""

    def leave(code: object = None) -> None:
        raise SystemExit(code)

    for name in ("exit", "quit"):
        shell.user_ns[name] = shell.user_ns_hidden[name] = leave
    shell.keepkernel_on_exit = True
    show = shell._showtraceback

    def show_traceback(kind: Any, value: Any, lines: list[str]) -> None:
        show(kind, value, [*lines, STAYED] if kind is SystemExit else lines)

    shell._showtraceback = show_traceback


if __name__ == "__main__":  # asked by the stand-ins on PATH: may this command be passed on?
    if asks_to_install(sys.argv[1:]):
        print(NOTHING_TO_INSTALL, file=sys.stderr)
        sys.exit(1)
