"""How many sessions there are, how long they live, and what they keep."""

from __future__ import annotations

from traitlets import Float, Integer, List, Unicode

from ..site_limits import Limited, at_most, bounded, exactly


class SessionPool(Limited):
    """Lifetimes and numbers of the code interpreter's sessions: one kernel per thread."""

    tightened = {  # noqa: RUF012
        "kernel_name": exactly,
        **dict.fromkeys(("max_life", "idle_timeout"), bounded),
        **dict.fromkeys(("max_sessions", "warm_spares", "start_timeout"), at_most),
        **dict.fromkeys(("max_new_files", "max_file_size", "max_display_bytes"), at_most),
    }

    kernel_name = Unicode(
        "code-interpreter",
        help="Name of the kernelspec that sessions use. It must name this package's provisioner, or "
        "be among c.RemoteKernels.allowed; any other is refused and no code runs.",
    ).tag(config=True)

    max_life = Float(
        3600,
        min=0,
        help="Seconds a session lives at most; then its kernel is closed as soon as it is idle. "
        "Its files are kept. 0 means without limit.",
    ).tag(config=True)

    idle_timeout = Float(
        1800,
        min=0,
        help="Seconds a session may be idle before its kernel is closed. Its files are kept. "
        "0 means without limit.",
    ).tag(config=True)

    max_sessions = Integer(
        8,
        min=1,
        help="Number of sessions alive at a time, warm spares not counted. When all are in use, "
        "further runs wait in a queue; an idle session gives way, the least recently used first.",
    ).tag(config=True)

    warm_spares = Integer(
        1,
        min=0,
        help="Number of kernels kept started and pre-imported for the next thread, from the first "
        "use of the code interpreter on. 0 means that every session starts cold.",
    ).tag(config=True)

    preload = List(
        Unicode(),
        default_value=["numpy", "pandas", "matplotlib.pyplot"],
        help="Modules imported in a warm spare before it is needed; one that is not installed is "
        "passed over. An empty list means none.",
    ).tag(config=True)

    start_timeout = Float(
        60,
        min=1,
        help="Seconds a kernel may take to start and answer before the run that waits for it fails.",
    ).tag(config=True)

    max_new_files = Integer(
        50,
        min=0,
        help="Number of new or changed files collected after one execution; further ones stay in "
        "/mnt/data only. 0 means that no file is collected.",
    ).tag(config=True)

    max_file_size = Integer(
        512 * 1024 * 1024,
        min=0,
        help="Bytes of the largest file that is collected; larger ones stay in /mnt/data only.",
    ).tag(config=True)

    max_display_bytes = Integer(
        64 * 1024 * 1024,
        min=0,
        help="Bytes of rich outputs (figures, tables, HTML) kept per execution; what comes after "
        "is left out with a note. 0 means none is kept.",
    ).tag(config=True)
