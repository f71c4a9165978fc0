"""Starts kernels on other machines: those that an administrator has allowed, and no others."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from jupyter_client.kernelspec import NoSuchKernel
from jupyter_core.utils import ensure_async

from jupyter_ci_ext.errors import CodeInterpreterError, SandboxUnavailable
from jupyter_ci_ext.kernels.config import SessionPool
from jupyter_ci_ext.kernels.connection import Transport, ZmqTransport
from jupyter_ci_ext.kernels.launcher import STOP_SECONDS, Kernel, Launcher
from jupyter_ci_ext.kernels.remote.config import RemoteKernels
from jupyter_ci_ext.kernels.remote.kernel import RemoteKernel
from jupyter_ci_ext.kernels.remote.mirror import Mirror, MirrorLimits
from jupyter_ci_ext.kernels.remote.specs import SECRET, RemoteSpec
from jupyter_ci_ext.sandbox.policy import Launch, Policy

STOP_REMOTE_SECONDS = 10.0
"""How long a remote provisioner may take to end a kernel: it goes to the other machine for that."""
_LOCAL = {"", "local-provisioner"}

NOTHING_ALLOWED = (
    "This server's kernels run behind a gateway ({where}), where its own sandbox cannot hold them, "
    "so no code runs. An administrator can allow a kernelspec there that is isolated by other "
    'means: c.RemoteKernels.allowed = {{"<kernelspec>": {{"isolation": "<what isolates it>"}}}}; '
    "see docs/gateway.md."
)
NOT_ALLOWED = (
    "The kernelspec {name!r} (c.SessionPool.kernel_name) is not among those that may run code "
    "behind a gateway: {allowed} (c.RemoteKernels.allowed)."
)
NO_FOLDERS = "Folders cannot be attached to kernels on other machines. Remove it from the metadata."


def is_gateway(manager: Any) -> bool:
    """Whether the server has its kernels behind a gateway (``--gateway-url``)."""
    module = sys.modules.get("jupyter_server.gateway.managers")  # there if it has
    return module is not None and isinstance(manager, module.GatewayMappingKernelManager)


def launcher_for(
    manager: Any, pool: SessionPool, remote: RemoteKernels, policy: Policy
) -> Launcher:
    """The launcher that fits how this server runs its kernels."""
    if is_gateway(manager) or pool.kernel_name in remote.allowed:
        return RemoteLauncher(manager, pool, remote, policy)
    return Launcher(manager, pool.kernel_name)


class RemoteLauncher(Launcher):
    """Behind a gateway, or with a kernelspec whose provisioner starts kernels elsewhere."""

    def __init__(
        self, manager: Any, pool: SessionPool, remote: RemoteKernels, policy: Policy
    ) -> None:
        self._specs = remote.specs()
        name = pool.kernel_name
        if name == SessionPool.kernel_name.default_value and name not in self._specs:
            name = next(iter(self._specs), name)
        super().__init__(manager, name)
        self._remote = remote
        self._policy = policy
        self._limits = MirrorLimits(pool.max_new_files, pool.max_file_size, policy.disk)
        self._gateway = is_gateway(manager)
        self._newest: RemoteKernel | None = None

    @property
    def remote(self) -> RemoteSpec | None:
        return self._specs.get(self._kernel_name, RemoteSpec(""))

    def report(self) -> dict[str, Any] | None:
        """The same keys as the sandbox's own; what the newest kernel measured, once there is one."""
        reasons: list[str] = []
        try:
            declared = f"declared: {self.spec.isolation}"
        except SandboxUnavailable as error:
            reasons, declared = [error.message], ""
        newest = self._newest.isolation if self._newest is not None else {}
        layers = [declared] if declared else []
        return {
            "level": newest.get("level", 1 if declared else 0),
            "name": "remote",
            "minimum_level": self._policy.minimum_level,
            "sufficient": not reasons,
            "isolation": newest or {"layers": layers, "memory_by": "remote", "notes": []},
            "reasons": reasons,
            "hints": [],
        }

    @property
    def spec(self) -> RemoteSpec:
        """What is said of the kernelspec; raises `SandboxUnavailable` if it is not allowed."""
        if self._kernel_name in self._specs:
            return self._specs[self._kernel_name]
        if not self._specs:
            raise SandboxUnavailable(NOTHING_ALLOWED.format(where=self._where))
        allowed = ", ".join(map(repr, self._specs))
        raise SandboxUnavailable(NOT_ALLOWED.format(name=self._kernel_name, allowed=allowed))

    async def _start(self, launch: Launch) -> Kernel:
        spec = self.spec
        if launch.read_only:
            raise SandboxUnavailable(NO_FOLDERS)
        await self._check_kernelspec()
        try:
            kernel_id = await ensure_async(
                self._manager.start_kernel(kernel_name=self._kernel_name, env=self._env(spec))
            )
        except CodeInterpreterError:
            raise
        except Exception as error:
            raise SandboxUnavailable(
                f"The remote kernel {self._kernel_name!r} could not be started: {_words(error)}"
            ) from error
        self._newest = self._held(kernel_id, launch, spec)
        return self._newest

    async def _check_kernelspec(self) -> None:
        name = self._kernel_name
        try:
            spec = await ensure_async(self._manager.kernel_spec_manager.get_kernel_spec(name))
        except (NoSuchKernel, KeyError):
            raise SandboxUnavailable(
                f"There is no kernelspec named {name!r}"
                f"{' at the gateway' if self._gateway else ''}, so no code runs."
            ) from None
        except Exception as error:
            raise SandboxUnavailable(f"The gateway could not be asked: {_words(error)}") from error
        if not self._gateway and _provisioner(spec) in _LOCAL:
            raise SandboxUnavailable(
                f"The kernelspec {name!r} starts kernels on this machine, without a sandbox. No "
                "code runs in it; c.RemoteKernels.allowed is for kernels on other machines."
            )

    def _held(self, kernel_id: str, launch: Launch, spec: RemoteSpec) -> RemoteKernel:
        return RemoteKernel(
            self._manager,
            kernel_id,
            self._kernel_name,
            spec,
            Mirror(launch.workspace, self._limits, launch.put_bytes),
            self._transport,
            where=self._where,
            targets=self._remote.probe_targets,
            timeout=self._remote.transfer_timeout,
            # Provisioners of other machines lose sight of a kernel that is restarted.
            can_restart=self._gateway,
            stop_seconds=STOP_SECONDS if self._gateway else STOP_REMOTE_SECONDS,
            longest=self._policy.log_bytes,
            largest=self._policy.message_bytes,
        )

    def _transport(self, kernel_id: str) -> Transport:
        if not self._gateway:
            return ZmqTransport(self._manager, kernel_id)
        from jupyter_ci_ext.kernels.remote.websocket import WebsocketTransport

        return WebsocketTransport(
            self._manager,
            kernel_id,
            reconnect=self._remote.reconnect_seconds,
            largest=self._policy.message_bytes,
        )

    @property
    def _where(self) -> str:
        """Where kernels run, in words."""
        if not self._gateway:
            return "on another machine"
        from jupyter_server.gateway.gateway_client import GatewayClient

        address = urlsplit(GatewayClient.instance().url or "")
        return f"behind the gateway {address.hostname}:{address.port}"

    def _env(self, spec: RemoteSpec) -> dict[str, str]:
        """All that goes to the other machine, or to what starts kernels there."""
        user = os.environ.get("KERNEL_USERNAME") or os.environ.get("JUPYTERHUB_USER")
        env = {"KERNEL_USERNAME": user} if user else {}
        if self._gateway:
            # The gateway's client adds what it is allowed to of this process' own.
            env |= {name: "" for name in os.environ if SECRET.search(name)}
        else:
            env |= {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
        return env | dict(spec.env)


def _provisioner(spec: object) -> str:
    metadata = getattr(spec, "metadata", None)
    named = metadata.get("kernel_provisioner") if isinstance(metadata, Mapping) else None
    return str(named.get("provisioner_name") or "") if isinstance(named, Mapping) else ""


def _words(error: Exception) -> str:
    """What an error of the gateway's client says, without its status line."""
    message = getattr(error, "log_message", None)
    return str(message % error.args if message and error.args else message or error)
