"""A web service of one's own for the length of the demo: what its http tasks ask."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Status(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"status": "green"}\n'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """The demo's own output tells enough."""


@contextmanager
def serving() -> Iterator[str]:
    """Yields the address of a service on a free port of this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Status) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
