"""What runs inside a kernel on another machine, so that files get in and out.

Its text is sent to the kernel and becomes a module there: only the standard library, Python 3.8 or
later. The code that the kernel runs later can change all of it. So nothing it says is believed on the
other side: it is a convenience, no guard.

A request is a dictionary with its name under "op", and bytes; so is the answer.
"""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import stat
import subprocess
import tempfile
import threading
from typing import Any, Dict, Tuple

Answer = Tuple[Dict[str, Any], bytes]  # noqa: UP006 - evaluated in old Pythons, too

TARGET = "code_interpreter_files"
SKIPPED = ("__pycache__", "node_modules")
SECRET = re.compile("KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)
PUBLIC = ("GPG_KEY", "PUBLIC_KEY")  # of the images of Python, and of those who start kernels
SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/token"
SHOWN = ("display_data", "update_display_data", "execute_result")
MOST_LISTED = 3 << 20
"""Bytes of a listing."""
MOST_DEEP = 32

_folder = ""


def ask(request: dict[str, Any], data: bytes = b"") -> Answer:
    """Do what *request* says; what goes wrong is an answer, too."""
    try:
        return _OPERATIONS[request["op"]](request, data)
    except Exception as error:
        words = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return {"error": str(words), "errno": getattr(error, "errno", None)}, b""


def ask_text(request: str, data: str = "") -> str:
    """The same for ways that carry text only: JSON and base64, answered as one base64 text."""
    answer, content = ask(json.loads(base64.b64decode(request)), base64.b64decode(data))
    return base64.b64encode(json.dumps(answer).encode() + b"\n" + content).decode()


def install(shell: Any, longest: int, largest: int) -> None:
    """Have comms of `TARGET` answered, and no message longer than so many characters or bytes.

    A message that is too large costs the connection on its way. Cutting it here is a courtesy.
    """
    shell.kernel.comm_manager.register_target(TARGET, _opened)
    session = shell.kernel.session
    send = session.send

    def send_shorter(
        stream: Any, message: Any, content: Any = None, *more: Any, **named: Any
    ) -> Any:
        try:
            kind = message["msg_type"] if isinstance(message, dict) else message
            said = message["content"] if isinstance(message, dict) else content
            if kind == "stream" and len(said["text"]) > longest:
                said["text"] = _shortened(said["text"], longest)
            elif kind in SHOWN:
                _shrink(said, largest)
        except Exception:  # noqa: S110 - then it goes as it is
            pass
        return send(stream, message, content, *more, **named)

    session.send = send_shorter


def _shortened(text: str, longest: int) -> str:
    head, tail = longest * 3 // 4, longest // 4
    left_out = len(text) - head - tail
    return f"{text[:head]}\n[\u2026 {left_out:,} characters left out \u2026]\n{text[-tail:]}"


def _shrink(content: dict[str, Any], largest: int) -> None:
    size = sum(len(value) for value in content["data"].values() if isinstance(value, str))
    if size > largest:
        note = f"[a figure or table of {size:,} bytes was left out]"
        content["data"], content["metadata"] = {"text/plain": note}, {}


def _opened(comm: Any, _: Any) -> None:
    def hear(message: Any) -> None:
        buffers = message.get("buffers") or [b""]
        answer, content = ask(message["content"]["data"], bytes(buffers[0]))
        comm.send(answer, buffers=[content])

    comm.on_msg(hear)
    comm.send({"ready": True})


# ---- operations ------------------------------------------------------------------------------


def _begin(request: dict[str, Any], _: bytes) -> Answer:
    """Go to the folder for files: the one that is named, or a private one that ends with us."""
    global _folder
    wanted = request["folder"]
    if wanted:
        os.makedirs(wanted, exist_ok=True)
        os.chdir(wanted)
        _folder = wanted
        return {"folder": _folder}, b""
    _folder = os.path.realpath(tempfile.mkdtemp(prefix="code-interpreter-"))
    os.chdir(_folder)
    try:
        # It reads nothing until this process is gone, however that ended.
        subprocess.Popen(
            ["/bin/sh", "-c", 'read -r _; rm -rf -- "$1"', "sh", _folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
    except OSError:
        pass
    return {"folder": _folder}, b""


def _measure(request: dict[str, Any], _: bytes) -> Answer:
    """What can be seen from inside of how this kernel is isolated."""
    status = {}
    try:
        with open("/proc/self/status") as lines:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in lines if ":\t" in line)
    except OSError:
        pass
    reached: list[str] = []
    tries = [threading.Thread(target=_reach, args=(each, reached)) for each in request["targets"]]
    for each in tries:
        each.daemon = True
        each.start()
    for each in tries:
        each.join(request["seconds"] + 1)
    secrets = [name for name, value in os.environ.items() if value and SECRET.search(name)]
    return {
        "uid": os.getuid() if hasattr(os, "getuid") else None,
        "no_new_privileges": status.get("NoNewPrivs", "").strip() == "1",
        "capabilities": status.get("CapEff", "").strip(),
        "seccomp": status.get("Seccomp", "").strip() == "2",
        "secrets": sorted(set(secrets) - set(PUBLIC)),
        "service_account": os.path.exists(SERVICE_ACCOUNT),
        "reached": sorted(reached),
        "host": socket.gethostname(),
    }, b""


def _reach(target: str, reached: list[str]) -> None:
    host, _, port = target.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), 1.0).close()
        reached.append(target)
    except (OSError, ValueError):
        pass


def _list(_request: dict[str, Any], _: bytes) -> Answer:
    """Every plain file as path, times, size and number; dotfiles and caches are left out."""
    found: list[list[Any]] = []
    size, complete = 0, True
    pending = [("", 0)]
    while pending and complete:
        prefix, depth = pending.pop()
        try:
            entries = list(os.scandir(os.path.join(_folder, prefix)))
        except OSError:
            continue
        for entry in entries:
            if entry.name.startswith(".") or entry.name in SKIPPED:
                continue
            try:
                status = entry.stat(follow_symlinks=False)
                name = (prefix + entry.name).encode().decode()
            except (OSError, UnicodeError):
                continue
            if stat.S_ISDIR(status.st_mode):
                if depth < MOST_DEEP:
                    pending.append((name + "/", depth + 1))
            elif stat.S_ISREG(status.st_mode):
                found.append([name, *_signature(status)])
                size += len(name) * 6 + 80
                if size > MOST_LISTED:
                    complete = False
                    break
    return {"complete": complete}, json.dumps(found).encode()


def _get(request: dict[str, Any], _: bytes) -> Answer:
    """At most *size* bytes of a file from *offset* on."""
    with open(os.path.join(_folder, request["path"]), "rb") as file:
        file.seek(request["offset"])
        return {}, file.read(request["size"])


def _put(request: dict[str, Any], data: bytes) -> Answer:
    """Write a piece of a file that is not there yet; with "last" it is there, all at once."""
    partial = os.path.join(_folder, ".incoming-" + request["token"])
    path = os.path.join(_folder, request["path"])
    if not request.get("last") or data:
        number = os.open(partial, os.O_WRONLY | os.O_CREAT, 0o644)
        with open(number, "wb") as file:
            file.seek(request["offset"])
            file.write(data)
    if not request.get("last"):
        return {}, b""
    with open(partial, "ab"):
        pass  # an empty file has no pieces
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.replace(partial, path)
    return {"signature": _signature(os.lstat(path))}, b""


def _link(request: dict[str, Any], _: bytes) -> Answer:
    """Make a name a link to another one beside it, unless something else has that name."""
    name = os.path.join(_folder, request["name"])
    if os.path.islink(name):
        os.unlink(name)
    if not os.path.lexists(name):
        os.symlink(request["target"], name)
    return {}, b""


def _remove(request: dict[str, Any], _: bytes) -> Answer:
    path = os.path.join(_folder, request["path"])
    if os.path.isfile(path) or os.path.islink(path):
        os.unlink(path)
    return {}, b""


def _signature(status: os.stat_result) -> list[int]:
    return [status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino]


_OPERATIONS = {
    "begin": _begin,
    "measure": _measure,
    "list": _list,
    "get": _get,
    "put": _put,
    "link": _link,
    "remove": _remove,
}
