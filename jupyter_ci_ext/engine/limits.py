"""What a run may use; the values come from the traits of the application."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RunLimits:
    """Limits of one run. Sizes in bytes or characters, times in seconds."""

    code_calls: int = 20
    """Most pieces of code one run executes; then the model must answer with what it knows."""
    told_characters: int = 12_000
    """Most characters of one execution's output that the model is told, head and tail; 0: all."""
    log_characters: int = 1 << 20
    """Most characters of one execution's output that are kept for people, head and tail."""
    rich_characters: int = 1 << 20
    """Largest rich output (HTML, a chart) that is kept."""
    expiry: int = 600
    """Seconds after which a run that is not over expires, however far it got; 0: never."""
    picture_bytes: int = 4 << 20
    """Largest picture that is shown to a model; larger ones are only mentioned."""
    pictures: int = 8
    """Most pictures in one prompt, the newest first; the others are only mentioned."""
    history: int = 200
    """Most messages of a thread that are looked at for a prompt."""
    shutdown: float = 10.0
    """Seconds in which runs may stop by themselves when the server goes down."""
    snapshot: float = 0.5
    """Seconds after which half-written messages and steps are stored as far as they are."""
    beat: float = 0.01
    """Most seconds a batch of a run's events waits after the one before, so that floods stay cheap."""
    memory: int | None = None
    """Memory the code may use, as the model is told; None: it is not told."""
    execution_time: float | None = None
    """Seconds one execution may take, as the model is told."""
    disk: int | None = None
    """Bytes the code may write to ``/mnt/data``, as the model is told."""
    python: str = ""
    """The interpreter whose packages the model is told of; empty: that of the server."""
    folders: bool = False
    """Whether a thread's metadata may name a folder of the user's for its code to read."""
    packages: tuple[str, ...] | None = None
    """The packages the model is told of, if they are not those of ``python``; empty: not known."""
    network: bool = False
    """Whether the code can reach a network, as the model is told."""
