"""The page of a report on 127.0.0.1, kept fresh while its round trains."""

from __future__ import annotations

import threading
from collections.abc import Callable
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")
CLOSED = "default-src 'none';"


class PageServer:
    """Serves the newest page of a report to browsers on this machine, and nothing else.

    Only requests whose `Host` is this machine's own name are answered, so that no page of another
    site reads the report through a name that leads here (DNS rebinding). The page asks for
    `/version`, and loads itself again when it has changed.
    """

    def __init__(self, port: int = 0) -> None:
        self._page, self._version = b"", b""
        self._server = ThreadingHTTPServer((HOST, port), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    @property
    def address(self) -> str:
        """Where a browser finds the page."""
        return f"http://{HOST}:{self._server.server_address[1]}/"

    def show(self, page: str) -> None:
        """Serve this page from now on; its own policy then lets it ask this server."""
        opened = page.replace(CLOSED, f"{CLOSED} connect-src 'self';", 1).encode()
        self._page, self._version = opened, sha256(opened).hexdigest().encode()

    def __enter__(self) -> PageServer:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> Callable[..., BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                """Answer with the page or its version."""
                name, _, _ = (self.headers.get("Host") or "").partition(":")
                if name not in NAMES:
                    self.send_error(403, "only for browsers on this machine")
                elif self.path == "/":
                    self._answer("text/html; charset=utf-8", outer._page)
                elif self.path == "/version":
                    self._answer("text/plain", outer._version)
                else:
                    self.send_error(404)

            def _answer(self, kind: str, content: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Cache-Control", "no-store")
                self.send_header("X-Content-Type-Options", "nosniff")
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *arguments: object) -> None:
                """Print nothing per request."""

        return Handler
