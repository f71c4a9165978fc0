"""What one session may take; pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SessionLimits:
    """Limits of one session; 0 means none of that kind."""

    memory: int = 0
    """Bytes, of all its processes together."""
    idle_timeout: float = 0.0
    """Seconds it may be idle."""

    def within(self, most: SessionLimits) -> SessionLimits:
        """Of each kind the tighter one of both."""
        return SessionLimits(
            min(self.memory or most.memory, most.memory or self.memory),
            min(self.idle_timeout or most.idle_timeout, most.idle_timeout or self.idle_timeout),
        )
