"""A receiver of webhooks on loopback."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

from tests.support.web_server import web_server


@dataclass(frozen=True)
class Delivery:
    """One request of a webhook; names of headers are in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


class WebhookReceiver:
    """What came to ``url``. The next *failures* deliveries are answered with 500, all others with 200."""

    def __init__(self, failures: int) -> None:
        self.url = ""
        self.failures = failures
        self._deliveries: queue.Queue[Delivery] = queue.Queue()

    def next(self) -> Delivery:
        """Wait for a delivery."""
        return self._deliveries.get(timeout=20)

    def add(self, delivery: Delivery) -> int:
        """Take a delivery; returns the status with which it is answered."""
        fails, self.failures = self.failures > 0, self.failures - 1
        self._deliveries.put(delivery)
        return 500 if fails else 200


@contextmanager
def webhook_receiver(failures: int = 0) -> Iterator[WebhookReceiver]:
    """Receive webhooks on a free port."""
    receiver = WebhookReceiver(failures)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(receiver.add(Delivery(self.path, headers, body)))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with web_server(Handler) as port:
        receiver.url = f"http://127.0.0.1:{port}"
        yield receiver
