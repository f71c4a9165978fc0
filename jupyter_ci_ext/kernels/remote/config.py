"""Which kernels on other machines code may run in."""

from __future__ import annotations

from traitlets import Dict, Float, List, TraitError, Unicode, validate

from ...site_limits import Limited, exactly
from .specs import RemoteSpec, parse


class RemoteKernels(Limited):
    """Kernels on other machines (``--gateway-url``, or a remote kernel provisioner)."""

    tightened = {"allowed": exactly}  # noqa: RUF012

    allowed = Dict(
        help="Kernelspecs of other machines in which code may run, by name: what isolates them, in "
        'words ("isolation", required, shown to people), and what is known of them: "data_path" '
        '(the folder for files if each kernel has one of its own, such as "/mnt/data"; else each '
        'session makes a private one), "require" (measurements without which no code runs: '
        '"no_secrets", the default, "unprivileged", "no_new_privileges", "no_network"), "network" '
        '(whether code is to reach one, false), "packages" (names and versions the model is told '
        'of), "env" (variables for the kernel\'s start, such as KERNEL_NAMESPACE; no secrets). '
        "Behind a gateway the kernelspec is c.SessionPool.kernel_name, or the first of these if "
        "that is left alone. Empty: no code runs on other machines."
    ).tag(config=True)

    probe_targets = List(
        Unicode(),
        default_value=["1.1.1.1:443", "169.254.169.254:80"],
        help="Addresses (host:port) that a new kernel tries to connect to, for a second and before "
        "it gets any code, to find out whether code can reach a network; nothing is sent. An empty "
        "list means that this is not tried, and no_network is never met.",
    ).tag(config=True)

    reconnect_seconds = Float(
        30,
        min=0,
        help="Seconds for which a connection to the gateway that broke is tried again, while its "
        "kernels go on; then the sessions are lost. 0 means that they are lost at once.",
    ).tag(config=True)

    transfer_timeout = Float(
        30,
        min=1,
        help="Seconds without an answer after which bringing files to a kernel, or fetching them, "
        "fails.",
    ).tag(config=True)

    @validate("allowed")
    def _valid_allowed(self, proposal: dict[str, object]) -> object:
        try:
            parse(proposal["value"])
        except ValueError as error:
            raise TraitError(f"c.RemoteKernels.allowed: {error}") from None
        return proposal["value"]

    def specs(self) -> dict[str, RemoteSpec]:
        """The allowed kernelspecs by name."""
        return parse(self.allowed)
