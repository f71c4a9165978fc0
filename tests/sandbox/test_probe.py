"""What the probe says of hosts that cannot, and what becomes of a start that fails."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from traitlets.config import Config

from jupyter_ci_ext.cli import doctor
from jupyter_ci_ext.cli import main as cli
from jupyter_ci_ext.errors import SandboxUnavailable
from jupyter_ci_ext.sandbox import attest, bubblewrap, fonts, probe
from jupyter_ci_ext.sandbox.policy import Policy
from jupyter_ci_ext.sandbox.probe import HostReport, probe_now

from . import ordinary
from .conftest import ORDINARY, require, require_user
from .harness import kernel


def program(folder: Path, text: str) -> str:
    """A program that pretends to be bwrap."""
    path = folder / "bwrap"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


_OPTIONS = " ".join(bubblewrap._REQUIRED)


def test_the_probe_finds_the_best_level() -> None:
    require(3)
    report = probe_now(Policy())
    assert report.level == 3
    assert report.sufficient
    assert report.isolation is not None
    assert any("seccomp" in layer for layer in report.isolation.layers)
    assert report.check().program


def test_without_bubblewrap_the_next_level_is_taken(tmp_path: Path) -> None:
    require(2)
    report = probe_now(Policy(bubblewrap=str(tmp_path / "none")))
    assert report.level == 2
    assert any("cannot be run" in reason for reason in report.reasons)
    assert any("install bubblewrap" in hint for hint in report.hints)


def test_an_old_bubblewrap_is_not_used(tmp_path: Path) -> None:
    require(2)
    old = program(tmp_path, "echo '--bind --unshare-user --die-with-parent'")
    report = probe_now(Policy(bubblewrap=old))
    assert report.level == 2
    assert any("too old" in reason and "--size" in reason for reason in report.reasons)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("bwrap: setting up uid map: Permission denied", "AppArmor"),
        ("bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted", "AppArmor"),
        ("bwrap: Creating new namespace failed: No space left on device", "max_user_namespaces"),
        ("bwrap: No permissions to create new namespace", "unprivileged_userns_clone"),
    ],
)
def test_a_host_without_namespaces_is_told_what_to_do(
    tmp_path: Path, words: str, hint: str
) -> None:
    require(2)
    refused = program(
        tmp_path, f'[ "$1" = --help ] && echo "{_OPTIONS}" && exit 0\necho "{words}" >&2; exit 1'
    )
    report = probe_now(Policy(bubblewrap=refused, minimum_level=3))
    assert report.level == 2
    assert not report.sufficient
    assert any(words in reason for reason in report.reasons)
    assert any(hint in text for text in report.hints)
    with pytest.raises(SandboxUnavailable) as caught:
        report.check()
    assert words in caught.value.message
    assert "c.Sandbox.minimum_level = 2" in caught.value.message


def test_a_program_that_isolates_nothing_is_found_out(tmp_path: Path) -> None:
    """What a wrong or a tampered bwrap would do: run the command, and just that."""
    require(2)
    hollow = program(
        tmp_path,
        f'[ "$1" = --help ] && echo "{_OPTIONS}" && exit 0\n'
        # report a child, find the stage 2 of this package, and run it unconfined
        f'exec {sys.executable} {tmp_path}/hollow.py "$@"',
    )
    (tmp_path / "hollow.py").write_text(
        "import os, sys\n"
        "from jupyter_ci_ext.sandbox.start import STAGE2\n"
        "options = open(int(sys.argv[2])).read().split('\\0')\n"
        "fd = int(options[options.index('--info-fd') + 1])\n"
        "os.write(fd, b'{\"child-pid\": %d}' % os.getpid())\n"
        "for n in range(3, 100):\n"
        "    try: os.set_inheritable(n, True)\n"
        "    except OSError: pass\n"
        "os.execv(sys.executable, [sys.executable, '-I', str(STAGE2 / '__main__.py'), sys.argv[-1]])\n"
    )
    report = probe_now(Policy(bubblewrap=hollow))
    assert report.level == 2
    assert any("can be read" in reason or "files can be made in" in reason or "no file can be written" in reason
               for reason in report.reasons), report.reasons  # fmt: skip


@pytest.mark.parametrize(
    ("python", "words"),
    [
        ("/nonexistent/python", "cannot be used"),
        ("/bin/true", "cannot run a kernel"),
        ("/etc/passwd", "cannot be run: Permission denied"),
    ],
)
def test_an_unusable_python_is_said(python: str, words: str) -> None:
    report = probe_now(Policy(python=python))
    assert report.level == 0
    with pytest.raises(SandboxUnavailable, match=words):
        report.check()


def test_no_kernel_starts_below_the_minimum(tmp_path: Path) -> None:
    require(2)

    async def run() -> None:
        async with kernel(minimum_level=3, bubblewrap=str(tmp_path / "none")):
            raise AssertionError("it started")

    with pytest.raises(SandboxUnavailable, match="isolation level 3 is required"):
        asyncio.run(run())


def test_level_1_is_taken_by_consent_only() -> None:
    report = HostReport(probe.Plan(1), None, 2, sys.executable)
    assert not report.sufficient

    async def run() -> int:
        async with kernel(maximum_level=1, minimum_level=1) as running:
            assert (await running.run("print(1)")).text == "1\n"
            assert running.provisioner.isolation is not None
            assert "no isolation" in running.provisioner.isolation.notes[0]
            return running.provisioner.isolation.level

    assert asyncio.run(run()) == 1


def test_a_start_that_hangs_is_given_up(tmp_path: Path) -> None:
    require(2)
    hangs = program(tmp_path, f'[ "$1" = --help ] && echo "{_OPTIONS}" && exit 0\nexec sleep 60')
    report = probe_now(Policy(bubblewrap=hangs, start_seconds=1))
    assert any("no report within 1 s" in reason for reason in report.reasons)


_GOOD = {
    "pid": 2, "uid": 1000, "seccomp": 2, "no_new_privs": 1, "capabilities": 0,
    "capabilities_to_gain": 0, "interfaces": ["lo"], "procfs": True, "readable": [], "writable": [],
    "data_error": "", "limits": {"DATA": 100}, "landlock": 7,
}  # fmt: skip


@pytest.mark.parametrize(
    ("fact", "value", "words"),
    [
        ("seccomp", 0, "seccomp"),
        ("no_new_privs", 0, "privileges"),
        ("capabilities", 1 << 21, "capabilities are left"),
        ("capabilities_to_gain", 1 << 21, "can be gained"),
        ("interfaces", ["lo", "eth0"], "eth0"),
        ("readable", ["/etc/shadow"], "/etc/shadow can be read"),
        ("writable", ["/usr"], "/usr"),
        ("data_error", "No space left on device", "Make room on the disk"),
        ("limits", {"DATA": -1}, "RLIMIT_DATA"),
        ("limits", {"DATA": 101}, "RLIMIT_DATA"),
        ("uid", 0, "root"),
        ("pid", 4711, "processes of the host"),
        ("error", "OSError: no", "OSError"),
    ],
)
def test_every_shortcoming_counts(fact: str, value: object, words: str) -> None:
    assert attest.shortcomings(_GOOD, 3, {"DATA": 100}) == []
    (found,) = attest.shortcomings({**_GOOD, fact: value}, 3, {"DATA": 100})
    assert words in found


def test_doctor_reports(capsys: pytest.CaptureFixture[str]) -> None:
    require(2)
    assert cli(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sufficient"] is True
    assert found["isolation"]["level"] == found["level"]
    assert found["kernelspec_problem"] == ""
    assert cli(["doctor"]) == 0
    assert "level" in capsys.readouterr().out


def test_doctor_says_when_no_code_would_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    require(2)
    missing = f"--Sandbox.bubblewrap={tmp_path}/none"
    assert cli(["doctor", "--Sandbox.minimum_level=3", missing]) == 1
    out = capsys.readouterr().out
    assert "NO CODE RUNS" in out
    assert "install bubblewrap" in out


def test_doctor_refuses_nonsense(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["doctor", "--Sandbox.memory=-1"]) == 2
    assert "Sandbox.memory must be at least 256 MiB" in capsys.readouterr().err
    assert cli(["operate"]) == 2
    assert cli(["--help"]) == 0


def test_doctor_looks_at_the_kernelspec_that_is_configured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    require(2)
    for name, words in (
        ("python3", "does not name the provisioner"),
        ("none", "no kernelspec none"),
    ):
        assert cli(["doctor", f"--SessionPool.kernel_name={name}"]) == 1
        out = capsys.readouterr().out
        assert words in out
        assert "c.SessionPool.kernel_name" in out


def test_doctor_finds_a_kernelspec_that_would_not_isolate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "kernels/code-interpreter"
    folder.mkdir(parents=True)
    spec = {"argv": ["python"], "display_name": "x", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert "does not name the provisioner" in doctor.kernelspec_problem(Config())


@pytest.mark.skipif(os.getuid() != 0, reason="only root can cover parts of /proc for one process")
def test_a_covered_proc_costs_proc_and_nothing_else() -> None:
    """As in containers: parts of /proc are mounted over, so no new one can be mounted."""
    require(3)
    require_user("user")
    code = (
        "import json; from jupyter_ci_ext.sandbox.policy import Policy\n"
        "from jupyter_ci_ext.sandbox.probe import probe_now\n"
        "print(json.dumps(probe_now(Policy()).to_dict()))"
    )
    as_user = f"setpriv --reuid {ORDINARY} --regid {ORDINARY} --clear-groups"
    answer = subprocess.run(
        ["unshare", "-m", "sh", "-c", f'mount -t tmpfs -o ro none /proc/irq && exec {as_user} "$0" -c "$1"',
         ordinary.environment().python, code],
        capture_output=True, text=True, cwd="/", check=False,
        env={"PYTHONPATH": str(ordinary.environment().root), "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ["PATH"], "HOME": "/nonexistent"},
    )  # fmt: skip
    if not answer.stdout:
        pytest.skip(f"cannot cover parts of /proc here: {answer.stderr.strip()}")
    found = json.loads(answer.stdout)
    assert found["level"] == 3
    assert found["isolation"]["notes"] == ["no /proc inside: this host does not let it be mounted"]
    assert "Can't mount proc" in found["reasons"][0]


def test_the_list_of_fonts_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require(3)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert fonts.cached(sys.executable) == []
    fonts.make(sys.executable)
    (made,) = fonts.cached(sys.executable)
    changed = made.stat().st_mtime_ns
    fonts.make(sys.executable)
    assert made.stat().st_mtime_ns == changed
    assert [path.name for path in tmp_path.iterdir()] == ["jupyter-ci-ext"]

    async def run() -> str:
        async with kernel() as running:
            await running.run("import matplotlib.pyplot")
            return (await running.run("%ls -A ~/.cache/matplotlib")).text

    assert made.name in asyncio.run(run())
