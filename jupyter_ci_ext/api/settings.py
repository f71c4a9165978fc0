"""What of the configuration concerns HTTP, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ApiSettings:
    """Limits and choices of the API; ``None`` means no limit, or off."""

    strict: bool = False
    """Whether a request that names no version of the API is refused."""
    upload_bytes: int | None = 512 * 1024 * 1024
    """Largest file that is taken."""
    json_bytes: int = 32 * 1024 * 1024
    """Largest JSON body that is taken."""
    poll_after_ms: int | None = 300
    """What polling clients are told to wait while a run is not over."""
    keep_alive: float | None = None
    """After how many silent seconds a stream gets a comment line."""
    stall: float = 300.0
    """For how many seconds a reader of a stream or of a file may take nothing at all."""
