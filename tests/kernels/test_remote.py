"""Which kernels on other machines may be used, and what is made of what they say of themselves."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_server.gateway.managers import GatewayMappingKernelManager
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from traitlets import TraitError

from jupyter_ci_ext.errors import SandboxUnavailable, SessionLost
from jupyter_ci_ext.kernels.config import SessionPool
from jupyter_ci_ext.kernels.connection import Channel, Connection, Message, Transport
from jupyter_ci_ext.kernels.launcher import Launcher
from jupyter_ci_ext.kernels.remote import attest, helper
from jupyter_ci_ext.kernels.remote.asking import Asking, CommWay, ExpressionWay, HelperFailed
from jupyter_ci_ext.kernels.remote.config import RemoteKernels
from jupyter_ci_ext.kernels.remote.launcher import RemoteLauncher, launcher_for
from jupyter_ci_ext.kernels.remote.specs import RemoteSpec, parse
from jupyter_ci_ext.sandbox.config import Sandbox
from jupyter_ci_ext.sandbox.policy import Launch

Wait = Callable[[Any], Any]
POD = {"isolation": "gVisor pod"}
CLEAN = {"uid": 1000, "no_new_privileges": True, "secrets": [], "reached": [], "seccomp": True}


# ---- the allow-list ---------------------------------------------------------------------------


def test_an_allowed_kernelspec_is_read_with_its_defaults() -> None:
    spec = parse({"pod": {**POD, "data_path": "/mnt/data/", "env": {"KERNEL_NAMESPACE": "ci"}}})
    assert spec == {
        "pod": RemoteSpec("gVisor pod", data_path="/mnt/data", env=(("KERNEL_NAMESPACE", "ci"),))
    }
    assert spec["pod"].require == ("no_secrets",)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({}, "needs"),
        ({"isolation": "  "}, "needs"),
        ("gVisor", "needs"),
        ({**POD, "isolated": True}, "unknown keys: isolated"),
        ({**POD, "require": ["no_fun"]}, "requires no_fun"),
        ({**POD, "require": "no_network"}, "list of strings"),
        ({**POD, "data_path": "data"}, "absolute"),
        ({**POD, "env": {"OPENAI_API_KEY": "sk"}}, "OPENAI_API_KEY"),
        ({**POD, "env": ["A"]}, "map names"),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused_by_the_setting(entry: Any, words: str) -> None:
    with pytest.raises(TraitError, match=words):
        RemoteKernels(allowed={"pod": entry})


# ---- who starts kernels -----------------------------------------------------------------------


def launcher(manager: Any, name: str = "code-interpreter", **allowed: Any) -> Launcher:
    remote = RemoteKernels(allowed=allowed)
    return launcher_for(manager, SessionPool(kernel_name=name), remote, Sandbox().policy())


def test_without_a_gateway_the_sandbox_of_this_machine_is_used(tmp_path: Path) -> None:
    manager = AsyncMappingKernelManager(connection_dir=str(tmp_path))
    assert type(launcher(manager, pod=POD)) is Launcher
    assert launcher(manager, pod=POD).report() is None


def test_behind_a_gateway_no_code_runs_unless_allowed(wait: Wait, tmp_path: Path) -> None:
    async def refused(launcher: Launcher, words: str) -> None:
        with pytest.raises(SandboxUnavailable, match=words):
            await launcher.start(Launch(tmp_path))
        report = launcher.report()
        assert report is not None
        assert report["sufficient"] is False

    manager = GatewayMappingKernelManager()
    wait(refused(launcher(manager), "RemoteKernels.allowed"))
    wait(refused(launcher(manager, "other", pod=POD), "not among"))
    chosen = launcher(manager, pod=POD)
    assert chosen.remote == RemoteSpec("gVisor pod")
    assert (chosen.report() or {})["isolation"]["layers"] == ["declared: gVisor pod"]


def test_a_local_kernelspec_is_not_made_remote_by_allowing_it(wait: Wait, tmp_path: Path) -> None:
    async def scenario() -> None:
        manager = AsyncMappingKernelManager(
            connection_dir=str(tmp_path), kernel_spec_manager=KernelSpecManager()
        )
        chosen = launcher(manager, "python3", python3=POD)
        with pytest.raises(SandboxUnavailable, match="on this machine, without a sandbox"):
            await chosen.start(Launch(tmp_path))
        assert list(manager.list_kernel_ids()) == []

    wait(scenario())


def test_a_folder_cannot_be_attached_elsewhere(wait: Wait, tmp_path: Path) -> None:
    async def scenario() -> None:
        chosen = launcher(GatewayMappingKernelManager(), pod=POD)
        with pytest.raises(SandboxUnavailable, match="cannot be attached"):
            await chosen.start(Launch(tmp_path, read_only={"/mnt/workspace": tmp_path}))

    wait(scenario())


def test_what_goes_along_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERNEL_ACCESS_TOKEN", "secret")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("JUPYTERHUB_USER", "alice")
    monkeypatch.delenv("KERNEL_USERNAME", raising=False)
    spec = RemoteSpec("x", env=(("KERNEL_NAMESPACE", "ci"),))
    for manager in (GatewayMappingKernelManager(), AsyncMappingKernelManager()):
        chosen = launcher(manager, "pod", pod=POD)
        assert isinstance(chosen, RemoteLauncher)
        env = chosen._env(spec)
        assert "secret" not in env.values()
        assert (env["KERNEL_USERNAME"], env["KERNEL_NAMESPACE"]) == ("alice", "ci")
        if chosen._gateway:  # whose client would add it from this process
            assert env["KERNEL_ACCESS_TOKEN"] == ""
        else:
            assert set(env) == {"PATH", "LANG", "KERNEL_USERNAME", "KERNEL_NAMESPACE"}


# ---- what a kernel measured -------------------------------------------------------------------


def test_a_kernel_that_is_well_kept_has_all_layers() -> None:
    spec = RemoteSpec("gVisor pod", require=("no_secrets", "unprivileged", "no_network"))
    found = attest.findings(CLEAN, targets=True)
    assert attest.refusal(spec, found) is None
    shown = attest.isolation(spec, CLEAN, found, "elsewhere")
    assert shown["level"] == 3
    assert shown["layers"] == [
        "declared: gVisor pod",
        "measured: not root (user 1000)",
        "measured: no new privileges",
        "measured: no network",
        "measured: clean environment",
        "measured: seccomp",
    ]


@pytest.mark.parametrize(
    ("change", "requirement", "words", "level"),
    [
        ({"uid": 0}, "unprivileged", "as root", 1),
        ({"uid": None}, "unprivileged", "not known", 1),
        ({"no_new_privileges": False}, "no_new_privileges", "can be gained", 1),
        ({"reached": ["1.1.1.1:443"]}, "no_network", "connect to 1.1.1.1:443", 2),
        ({"secrets": ["OPENAI_API_KEY"]}, "no_secrets", "OPENAI_API_KEY", 1),
        ({"service_account": True}, "no_secrets", "service account", 1),
    ],
)
def test_what_falls_short_is_refused_where_it_is_required(
    change: dict[str, Any], requirement: str, words: str, level: int
) -> None:
    report = CLEAN | change
    found = attest.findings(report, targets=True)
    assert list(found) == [requirement]
    refused = attest.refusal(RemoteSpec("x", require=(requirement,)), found)
    assert refused is not None
    assert words in refused
    assert attest.refusal(RemoteSpec("x", require=()), found) is None
    shown = attest.isolation(RemoteSpec("x"), report, found, "elsewhere")
    assert shown["level"] == level
    assert words in shown["notes"][-1]


def test_a_network_that_was_not_looked_for_is_not_taken_for_none() -> None:
    assert "no_network" in attest.findings(CLEAN, targets=False)


@pytest.mark.parametrize("report", [{}, {"uid": "0", "secrets": 3, "reached": {}}])
def test_a_report_that_makes_no_sense_attests_nothing(report: dict[str, Any]) -> None:
    assert {"unprivileged", "no_new_privileges"} <= set(attest.findings(report, targets=True))


# ---- questions and answers --------------------------------------------------------------------


class Scripted(Transport):
    """Answers each kind of message as it is told to; *lose* breaks the way instead, so often."""

    def __init__(self, answer: Callable[[str, dict[str, Any], list[bytes]], list[Any]]) -> None:
        self.sent: list[str] = []
        self.lose = 0
        self._answer = answer

    def open(self, deliver: Callable[[Channel, Message], None]) -> None:
        self._deliver = deliver

    def send(
        self,
        channel: Channel,
        msg_type: str,
        content: dict[str, Any],
        buffers: Sequence[bytes] = (),
    ) -> str:
        msg_id = str(len(self.sent))
        self.sent.append(msg_type)
        if self.lose:
            self.lose -= 1
            self.epoch += 1
            return msg_id
        for where, kind, said, parts in self._answer(msg_type, content, list(buffers)):
            message = {"msg_type": kind, "parent_header": {"msg_id": msg_id}, "content": said}
            asyncio.get_running_loop().call_soon(self._deliver, where, message | {"buffers": parts})
        return msg_id

    async def lost(self) -> str | None:
        return None

    def reopen_iopub(self) -> None:
        pass

    def close(self) -> None:
        pass


IDLE = ("iopub", "status", {"execution_state": "idle"}, [])


def kernel(*, comms: bool, drop: bool = False) -> Scripted:
    """A kernel with the helper, whose "get" gives ten bytes; *drop* loses comms' answers."""
    gets = {"op": "get"}

    def answer(msg_type: str, content: dict[str, Any], buffers: list[bytes]) -> list[Any]:
        if msg_type == "comm_open" and comms:
            said = {"comm_id": content["comm_id"], "data": {"ready": True}}
            return [("iopub", "comm_msg", said, []), IDLE]
        if msg_type == "comm_msg" and not drop:
            assert content["data"] == gets
            said = {"comm_id": content["comm_id"], "data": {"way": "comm"}}
            return [("iopub", "comm_msg", said, [buffers[0][::-1]]), IDLE]
        if msg_type == "execute_request":
            reply: dict[str, Any] = {"status": "ok"}
            if content["user_expressions"]:
                question = content["user_expressions"]["answer"].split("'")
                data = base64.b64decode(question[-2])[::-1]
                text = base64.b64encode(json.dumps({"way": "text"}).encode() + b"\n" + data)
                value = {"data": {"text/plain": repr(text.decode())}}
                reply["user_expressions"] = {"answer": value}
            return [("shell", "execute_reply", reply, []), IDLE]
        return [IDLE]

    return Scripted(answer)


@pytest.mark.parametrize(
    ("transport", "way"),
    [
        (lambda: kernel(comms=True), "comm"),
        (lambda: kernel(comms=False), "text"),
        (lambda: kernel(comms=True, drop=True), "text"),
    ],
)
def test_the_best_way_there_is_is_taken(
    wait: Wait, transport: Callable[[], Scripted], way: str
) -> None:
    async def scenario() -> None:
        asking = await Asking.over(Connection(transport()), 5, 100, 100)
        for _ in range(2):
            assert await asking.ask({"op": "get"}, b"abc") == ({"way": way}, b"cba")
        assert asking.chunk == (CommWay if way == "comm" else ExpressionWay).chunk

    wait(scenario())


def test_pieces_for_one_way_are_cut_for_the_other(wait: Wait) -> None:
    async def scenario() -> None:
        there = kernel(comms=True, drop=True)
        asking = await Asking.over(Connection(there), 5, 100, 100)
        before = len(there.sent)
        data = bytes(CommWay.chunk)
        await asking.ask({"op": "put", "offset": 0, "last": True}, data)
        assert there.sent[before:] == ["comm_msg", "execute_request", "execute_request"]

    wait(scenario())


def test_a_question_is_put_again_when_the_way_broke(wait: Wait) -> None:
    async def scenario() -> None:
        there = kernel(comms=True)
        asking = await Asking.over(Connection(there), 5, 100, 100)
        there.lose = 2
        assert await asking.ask({"op": "get"}, b"abc") == ({"way": "comm"}, b"cba")
        there.lose = 3
        with pytest.raises(SessionLost, match="did not answer"):
            await asking.ask({"op": "get"}, b"abc")

    wait(scenario())


def test_a_reply_that_was_lost_is_not_waited_for(wait: Wait) -> None:
    """A kernel answers in order: when a later question is answered, no reply is to come."""

    async def scenario() -> None:
        there = Scripted(lambda kind, *_: [("shell", "kernel_info_reply", {}, [])])
        connection = Connection(there)
        there.lose = 1
        request = connection.execute("1 + 1", lambda _: None)
        request.epoch = 0
        while not await connection.wait(request, 5):
            pass
        assert request.broken
        assert there.sent == ["execute_request", "kernel_info_request"]

    wait(scenario())


def test_a_helper_that_talks_nonsense_fails(wait: Wait) -> None:
    async def scenario() -> None:
        def answer(msg_type: str, content: dict[str, Any], buffers: list[bytes]) -> list[Any]:
            if msg_type == "comm_open":
                said = {"comm_id": content["comm_id"], "data": {"ready": True}}
                return [("iopub", "comm_msg", said, [])]
            if msg_type == "comm_msg":
                return [("iopub", "comm_msg", {"comm_id": content["comm_id"], "data": 3}, [])]
            return [("shell", "execute_reply", {"status": "ok"}, []), IDLE]

        asking = await Asking.over(Connection(Scripted(answer)), 5, 100, 100)
        with pytest.raises(HelperFailed, match="make no sense"):
            await asking.ask({"op": "get"})

    wait(scenario())


# ---- inside -----------------------------------------------------------------------------------


def test_what_is_too_long_is_cut_inside_the_kernel() -> None:
    class Shell:
        """As much of IPython's as the helper touches."""

        def __init__(self) -> None:
            self.kernel = self.comm_manager = self.session = self
            self.said: list[Any] = []

        def register_target(self, name: str, opened: object) -> None:
            self.target = name

        def send(self, stream: Any, message: Any, content: Any = None, parent: Any = None) -> None:
            self.said.append(content if isinstance(message, str) else message["content"])

    shell = Shell()
    helper.install(shell, 40, 50)
    shell.send(None, "stream", {"text": "a" * 30 + "b" * 20 + "c" * 10})
    shell.send(None, {"msg_type": "stream", "content": {"text": "short"}})
    shell.send(None, {"msg_type": "display_data", "content": {"data": {"image/png": "x" * 51}}})
    shell.send(None, {"msg_type": "stream", "content": None})
    shell.send(None, "execute_reply", {"status": "ok"}, {})
    assert shell.target == helper.TARGET
    first, *rest = shell.said
    assert first["text"] == "a" * 30 + "\n[… 20 characters left out …]\n" + "c" * 10
    assert rest == [
        {"text": "short"},
        {
            "data": {"text/plain": "[a figure or table of 51 bytes was left out]"},
            "metadata": {},
        },
        None,
        {"status": "ok"},
    ]
