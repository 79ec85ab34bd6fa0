"""The kernel's end of a widget: sends its requests to the gateway, and the gateway's feed to all widgets of this kernel.

Nothing runs on the kernel's main thread, so a busy cell delays only requests, by the comm itself; answers and the feed are sent
while cells run.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol
from urllib.parse import quote

from fal_jupyter import forks
from fal_jupyter.client.connection.control_client import ControlClient
from fal_jupyter.client.connection.response import Response
from fal_jupyter.domain.errors import FalJupyterError, GatewayError
from fal_jupyter.protocol.api import ADMIN

_APP = r"apps/[a-z0-9][a-z0-9_.-]*"
_REQUEST = r"requests/[0-9a-f-]{36}"
ALLOWED = {
    "GET": re.compile(
        rf"hello|snapshot|apps|runners|keys|{_APP}(/(scaling|logs|schema|picture))?|{_REQUEST}(/(answer|input))?"
    ),
    "POST": re.compile(rf"{_APP}/(scaling|start|restart|unload|calls|keys)"),
    "DELETE": re.compile(rf"{_APP}|runners/[a-z0-9][a-z0-9_.-]*|{_REQUEST}|keys/\w+"),
}
"""Requests that a widget may make, the same as a page through the server extension: never publish, lease or shut down."""
FILE = re.compile(r"cdn/files/[0-9a-f]{32}/[\w.%~+-]*", re.ASCII)
"""A file of the local CDN, whose URL is secret: without a Jupyter server a widget cannot load it otherwise."""
PASSED = ("content-type", "x-fal-status", "retry-after")
_SENT_TYPE = re.compile(r"[\x20-\x7e]{1,200}")
"""A valid content type: a line break in it could smuggle a second request past ``ALLOWED``."""
NO_GATEWAY = "no gateway is running: run the app's cell again"
PAUSE = 2.0  # seconds between two attempts to reach a gateway that ended; only while a widget listens


class Sending(Protocol):
    """The interface of a widget for the relay."""

    def send(self, content: dict[str, object], buffers: list[bytes] | None = None) -> None:
        """Send a message to every view of it."""


class CommRelay:
    """One per kernel. Widgets join by :meth:`listen` and leave by :meth:`leave`."""

    def __init__(self, control: ControlClient) -> None:
        self._control = control
        self._lock = threading.Lock()
        self._widgets: list[Sending] = []
        self._pending: dict[
            tuple[int, str], Response | None
        ] = {}  # by widget and request; None until the response head arrives
        self._feed: Response | None = None
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        forks.changes_in_child(self)

    def forked(self) -> None:
        """A forked child has no widgets: the front end is connected to its parent."""
        self._lock, self._wake = threading.Lock(), threading.Event()
        self._widgets, self._pending, self._feed, self._thread = [], {}, None, None

    # --- the feed -----------------------------------------------------------------------------------------------
    def listen(self, widget: Sending) -> None:
        """The widget is displayed: it gets the complete state, then changes."""
        with self._lock:
            if widget not in self._widgets:
                self._widgets.append(widget)
            if self._thread is None:
                self._wake.clear()
                self._thread = threading.Thread(target=self._follow, name="fal_jupyter feed", daemon=True)
                self._thread.start()
        snapshot = None
        with contextlib.suppress(FalJupyterError, ValueError):  # it is shutting down; the feed reports that
            snapshot = self._control.snapshot()
        if snapshot is not None:
            widget.send({"feed": [snapshot]})

    def leave(self, widget: Sending) -> None:
        """The widget was closed: abort its pending requests."""
        for key in [key for key in list(self._pending) if key[0] == id(widget)]:
            self._stop(key)
        with self._lock:
            if widget in self._widgets:
                self._widgets.remove(widget)
            last = not self._widgets
        if last:
            self.close()

    def close(self) -> None:
        """The last widget left: stop following the feed."""
        for key in list(self._pending):
            self._stop(key)
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
                feed = self._control.open("GET", f"{ADMIN}feed")
                with self._lock:
                    self._feed = feed
                    if self._thread is not mine:  # closed while connecting, so this thread must close it
                        feed.close()
                rest = b""
                for piece in feed:
                    *lines, rest = (rest + piece).split(b"\n")
                    self._send_lines(lines)
            except (OSError, ValueError, FalJupyterError):
                pass  # reported below
            if self._thread is not mine:
                return
            self._broadcast({"feed": [{"kind": "off", "reason": NO_GATEWAY, "time": time.time() * 1000}]})
            self._wake.wait(PAUSE)

    def _send_lines(self, lines: Sequence[bytes]) -> None:
        messages = [json.loads(line) for line in lines]
        if messages:
            self._broadcast({"feed": messages})

    def _broadcast(self, message: dict[str, object]) -> None:
        for widget in list(self._widgets):
            with contextlib.suppress(Exception):  # a closing comm; :meth:`leave` follows
                widget.send(message)

    # --- requests -----------------------------------------------------------------------------------------------
    def take(self, widget: Sending, message: Mapping[str, object], buffers: Sequence[bytes | memoryview]) -> None:
        """Handle one message of a widget; each request runs in its own thread."""
        if message.get("listen"):
            threading.Thread(target=self.listen, args=(widget,), daemon=True).start()
            return
        question = str(message.get("id", ""))
        key = (id(widget), question)
        if message.get("stop"):
            if self._stop(key):
                widget.send({"id": question, "error": "stopped"})
            return
        body = bytes(buffers[0]) if buffers else b""
        with self._lock:
            self._pending[key] = None
        threading.Thread(
            target=self._answer_question, args=(widget, question, dict(message), body), daemon=True
        ).start()

    def _stop(self, key: tuple[int, str]) -> bool:
        """Abort a request, even before its response head arrived. False: it has already ended."""
        with self._lock:
            if key not in self._pending:
                return False
            answer = self._pending.pop(key)
        if answer is not None:
            answer.close()
        return True

    def _answer_question(self, widget: Sending, question: str, message: dict[str, object], body: bytes) -> None:
        key = (id(widget), question)
        try:
            for content, buffers in self._answered(key, message, body):
                if key not in self._pending:
                    return
                widget.send({"id": question, **content}, buffers)
        except OSError:
            problem = NO_GATEWAY
        except GatewayError as error:
            problem = error.message
        except ValueError as error:
            problem = f"the gateway's answer is invalid: {error}"
        else:
            problem = ""
        finally:
            with self._lock:
                is_pending = key in self._pending
                self._pending.pop(key, None)
        if problem and is_pending:
            widget.send({"id": question, "error": problem})

    def _answered(
        self, key: tuple[int, str], message: Mapping[str, object], body: bytes
    ) -> Iterator[tuple[dict[str, object], list[bytes]]]:
        """The messages that answer one request, in order."""
        method, path = str(message.get("method", "")), str(message.get("path", ""))
        plain, _, query = path.partition("?")
        allowed = ALLOWED.get(method)
        is_file = method == "GET" and FILE.fullmatch(plain) is not None
        if not is_file and (allowed is None or not allowed.fullmatch(plain)):
            yield {"error": f"a panel may not request {method} {plain[:80]}"}, []
            return
        sent_headers = message.get("headers")
        sent_type = (
            str(sent_headers.get("Content-Type", "application/json"))
            if isinstance(sent_headers, Mapping)
            else "application/json"
        )
        if not _SENT_TYPE.fullmatch(sent_type):
            yield {"error": f"{sent_type[:80]!r} is not a content type"}, []
            return
        target = ("/" if is_file else ADMIN) + plain + (f"?{quote(query, safe='=&%+,:;@/?-._~')}" if query else "")
        answer = self._control.open(method, target, [("content-type", sent_type)], body)
        with self._lock:
            is_pending = key in self._pending
            if is_pending:
                self._pending[key] = answer
        if not is_pending:  # stopped before its head arrived
            answer.close()
        yield {"status": answer.status, "headers": {n: v for n, v in answer.headers.items() if n in PASSED}}, []
        for piece in answer:
            yield {"chunk": True}, [piece]
        yield {"end": True}, []
