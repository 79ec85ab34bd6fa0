"""The kernel's end of a widget: carries its questions to the gateway, and the gateway's feed to all widgets of this kernel.

Nothing runs on the kernel's main thread, so a busy cell delays what a widget asks only by the comm itself; answers and feed go out
while cells run.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import quote

from fal_jupyter.client.watching import RawAnswer, Watching
from fal_jupyter.domain.errors import FalJupyterError, GatewayError
from fal_jupyter.protocol.api import ADMIN

_APP = r"apps/[a-z0-9][a-z0-9_.-]*"
_REQUEST = r"requests/[0-9a-f-]{36}"
ALLOWED = {
    "GET": re.compile(
        rf"hello|snapshot|apps|runners|keys|{_APP}(/(scaling|logs|schema|picture))?|{_REQUEST}(/answer)?"
    ),
    "POST": re.compile(rf"{_APP}/(scaling|restart|unload|calls|keys)"),
    "DELETE": re.compile(rf"{_APP}|runners/[a-z0-9][a-z0-9_.-]*|{_REQUEST}|keys/\w+"),
}
"""What a widget may ask, as the server extension allows it to pages: never to publish, to lease or to shut down."""
PASSED = ("content-type", "x-fal-status", "retry-after")
NO_GATEWAY = "no gateway is running: run the app's cell again"
PAUSE = 2.0  # seconds between two looks for a gateway that is gone; only while a widget listens


class Sending(Protocol):
    """What the relay needs of a widget."""

    def send(self, content: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        """Send a message to every view of it."""


class Relay:
    """One a kernel. Widgets come by :meth:`listen` and go by :meth:`leave`."""

    def __init__(self, client: Watching) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._widgets: list[Sending] = []
        self._answers: dict[str, RawAnswer] = {}
        self._feed: RawAnswer | None = None
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    # --- the feed -----------------------------------------------------------------------------------------------
    def listen(self, widget: Sending) -> None:
        """The widget is shown somewhere: it gets everything, then the news."""
        with self._lock:
            if widget not in self._widgets:
                self._widgets.append(widget)
            if self._thread is None:
                self._wake.clear()
                self._thread = threading.Thread(target=self._follow, name="fal_jupyter feed", daemon=True)
                self._thread.start()
        snapshot = self._client.snapshot()
        if snapshot is not None:
            widget.send({"feed": [snapshot]})

    def leave(self, widget: Sending) -> None:
        """The widget is closed."""
        with self._lock:
            if widget in self._widgets:
                self._widgets.remove(widget)
            last = not self._widgets
        if last:
            self.close()

    def close(self) -> None:
        """Nobody looks any more."""
        with self._lock:
            self._widgets.clear()
            thread, self._thread = self._thread, None
            feed = self._feed
        self._wake.set()
        if feed is not None:
            feed.close()
        if thread is not None and thread is not threading.current_thread():
            thread.join(5)

    def _follow(self) -> None:
        mine = threading.current_thread()
        while self._thread is mine:
            try:
                self._feed = self._client.ask_raw("GET", f"{ADMIN}feed")
                rest = b""
                for piece in self._feed:
                    *lines, rest = (rest + piece).split(b"\n")
                    self._send_lines(lines)
            except (OSError, FalJupyterError):
                pass  # told below
            if self._thread is not mine:
                return
            self._tell({"feed": [{"kind": "off", "reason": NO_GATEWAY, "time": time.time() * 1000}]})
            self._wake.wait(PAUSE)

    def _send_lines(self, lines: Sequence[bytes]) -> None:
        import json

        found = [json.loads(line) for line in lines]
        if found:
            self._tell({"feed": found})

    def _tell(self, message: dict[str, Any]) -> None:
        for widget in list(self._widgets):
            with contextlib.suppress(Exception):  # a comm that is closing; its leave follows
                widget.send(message)

    # --- questions ----------------------------------------------------------------------------------------------
    def take(self, widget: Sending, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        """Take one message of a widget; whatever it asks is done in a thread of its own."""
        if message.get("listen"):
            threading.Thread(target=self.listen, args=(widget,), daemon=True).start()
            return
        question = str(message.get("id", ""))
        if message.get("stop"):
            answer = self._answers.get(question)
            if answer is not None:
                answer.close()
            return
        body = bytes(buffers[0]) if buffers else b""
        threading.Thread(target=self._ask, args=(widget, question, dict(message), body), daemon=True).start()

    def _ask(self, widget: Sending, question: str, message: dict[str, Any], body: bytes) -> None:
        method, path = str(message.get("method", "")), str(message.get("path", ""))
        plain, _, query = path.partition("?")
        allowed = ALLOWED.get(method)
        if allowed is None or not allowed.fullmatch(plain):
            widget.send({"id": question, "error": f"a panel may not ask {method} {plain[:80]}"})
            return
        headers = [("content-type", str(message.get("headers", {}).get("Content-Type", "application/json")))]
        target = ADMIN + plain + (f"?{quote(query, safe='=&%+,:;@/?-._~')}" if query else "")
        try:
            answer = self._answers[question] = self._client.ask_raw(method, target, headers, body)
            kept = {name: value for name, value in answer.headers.items() if name in PASSED}
            widget.send({"id": question, "status": answer.status, "headers": kept})
            for piece in answer:
                widget.send({"id": question, "chunk": True}, [piece])
            widget.send({"id": question, "end": True})
        except OSError:
            widget.send({"id": question, "error": NO_GATEWAY})
        except GatewayError as error:
            widget.send({"id": question, "error": error.message})
        finally:
            self._answers.pop(question, None)
