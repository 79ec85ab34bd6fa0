"""Small web servers for tests: any handler, or the files of a folder."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@contextmanager
def web_server(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[int]:
    """Serve by *handler* on a free port, which is yielded."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class QuietFileHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@contextmanager
def folder_server(folder: Path) -> Iterator[int]:
    """Serve the files of *folder* on a free port, which is yielded."""
    with web_server(partial(QuietFileHandler, directory=str(folder))) as port:
        yield port
