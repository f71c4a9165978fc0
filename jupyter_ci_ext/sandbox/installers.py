"""Stand-ins for pip and its like, found first on the code's PATH: an attempt to install ends in a hint.

Scripts and shells that code starts are out of reach of what is said inside the kernel. Whatever else they are
asked is passed on to the real program, and importing pip as a module is not touched at all.
"""

from __future__ import annotations

import shlex
from pathlib import Path

FOLDER = "/run/installers"
_INSTALLERS = ("pip", "pip3", "uv", "conda", "mamba", "micromamba", "apt", "apt-get")
NAMES = (*_INSTALLERS, "python", "python3")

_SCRIPT = """#!/bin/sh
name=${{0##*/}}
here=${{0%/*}}
real=
IFS=:
for folder in $PATH; do
  if [ "$folder" != "$here" ] && [ -x "$folder/$name" ]; then real=$folder/$name; break; fi
done
unset IFS
ask=1
case $name in
  python*) case "$1 $2" in "-m pip"|"-m uv"|"-m conda") ;; *) ask= ;; esac ;;
esac
if [ -n "$ask" ]; then {python} -I {judge} "$name" "$@" || exit 1; fi
if [ -z "$real" ]; then echo "$name: command not found" >&2; exit 127; fi
exec "$real" "$@"
"""


def script(python: str, stage2: str) -> str:
    """The text of all of them: they differ in the name they are called by."""
    judge = f"{stage2}/manners.py"
    return _SCRIPT.format(python=shlex.quote(python), judge=shlex.quote(judge))


def write(folder: Path, text: str) -> None:
    """Make them in a folder of the host, where that is what the code sees."""
    folder.mkdir(mode=0o755, exist_ok=True)
    for name in NAMES:
        path = folder / name
        if not path.exists():
            path.write_text(text)
            path.chmod(0o555)
