"""A web server that notes who asks it; hostile content points at it, and nobody must come."""

from __future__ import annotations

from tests.fakes.loopback import Handler, Loopback


class Beacon(Loopback):
    """The listener; a context manager. ``hits`` are the paths that were asked for."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.hits: list[str] = []

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return self.root


class _Handler(Handler):
    def do_GET(self) -> None:
        self.server.owner.hits.append(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "image/svg+xml")
        self.end_headers()
        self.wfile.write(b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
