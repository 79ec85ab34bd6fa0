"""One feed of the gateway for all listening panels, byte for byte; ``off`` lines while there is no gateway.

The server listens even without panels, to detect running requests for JupyterHub's culler.
Frames are numbered, so a listener that joins later, or was too slow, gets its own snapshot and continues after it.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from fal_jupyter.domain.errors import FalJupyterError, GatewayUnreachable
from fal_jupyter.domain.text.json_forms import encode_json
from fal_jupyter.protocol.api import A_FEED, A_SNAPSHOT
from fal_jupyter.protocol.feed import BEAT_EVERY, FeedLine
from fal_jupyter.server.upstream import NO_GATEWAY, ConnectionLost, Upstream, get
from fal_jupyter.server.watch import SocketWatch

log = logging.getLogger("fal_jupyter.server")
QUEUE_LIMIT: Final = 16  # lines queued for one listener; one that is further behind gets a snapshot
PATIENCE: Final = (
    0.01,
    0.05,
    0.2,
    1.0,
)  # seconds between the socket's appearance and a gateway that accepts connections
_HEAD = re.compile(rb'\{"kind":"(\w+)","time":[-+.\deE]+(?:,"seq":(\d+))?')
_ENDED = "the gateway ended"


class FeedSubscriber:
    """One panel's end of the feed."""

    def __init__(self, relay: FeedRelay) -> None:
        self._relay = relay
        self._lines: deque[tuple[str, int, bytes]] = deque(maxlen=QUEUE_LIMIT)
        self._news = asyncio.Event()
        self._at: int | None = None  # the last frame that it has received
        self._closed = False

    def put(self, kind: str, seq: int, line: bytes) -> None:
        """Add a line; a snapshot or an end replaces earlier ones."""
        if kind in ("snapshot", "off"):
            self._lines.clear()
        self._lines.append((kind, seq, line))
        self._news.set()

    def close(self) -> None:
        """The panel disconnected."""
        self._closed = True
        self._news.set()

    async def next(self) -> bytes | None:
        """Return the next line for the panel, waiting for it; None when the panel has disconnected."""
        while not self._closed:
            self._news.clear()
            line = self._take()
            if line is None and self._needs_snapshot():
                line = await self._snapshot()
            if line is not None:
                return line
            try:
                await asyncio.wait_for(self._news.wait(), None if self._relay.live else BEAT_EVERY)
            except TimeoutError:
                return encode(FeedLine(kind="beat", time=now()))
        return None

    def _take(self) -> bytes | None:
        """Take the next line for the panel."""
        while self._lines:
            kind, seq, line = self._lines[0]
            if kind == "frame" and (self._at is None or seq > self._at + 1):
                return None  # some lines are missing
            self._lines.popleft()
            if kind == "frame" and self._at is not None and seq <= self._at:
                continue  # included in the snapshot
            if kind == "off":
                self._at = None
            elif kind != "beat":
                self._at = seq
            return line
        return None

    def _needs_snapshot(self) -> bool:
        return self._relay.live and (self._at is None or bool(self._lines))

    async def _snapshot(self) -> bytes | None:
        snapshot = await self._relay.snapshot()
        if snapshot is None:
            return None  # the gateway is ending, which the relay reports
        seq, line = snapshot
        if self._lines and self._lines[0][0] in ("snapshot", "off"):
            return self._take()  # lines received meanwhile are newer
        self._at = seq
        return line


class FeedRelay:
    """The gateway's feed and its listeners. *on_line* sees every line that comes from the gateway, *on_off* each end."""

    def __init__(self, upstream: Upstream, on_line: Callable[[str, bytes], None], on_off: Callable[[], None]) -> None:
        self._upstream, self._on_line, self._on_off = upstream, on_line, on_off
        self._listeners: set[FeedSubscriber] = set()
        self._watch = SocketWatch(upstream.settings)
        self._off_line, self._reason = b"", ""  # while there is no gateway
        self._task: asyncio.Task[None] | None = None
        self.live = False

    # --- listeners ----------------------------------------------------------------------------------------------
    def listen(self) -> FeedSubscriber:
        """Add a panel, which gets a snapshot, or a notice that there is no gateway."""
        listener = FeedSubscriber(self)
        if not self.live and self._off_line:
            listener.put("off", 0, self._off_line)
            self._watch.changed.set()  # a panel is listening: check again
        self._listeners.add(listener)
        return listener

    def leave(self, listener: FeedSubscriber) -> None:
        """The panel disconnected."""
        self._listeners.discard(listener)
        listener.close()

    async def snapshot(self) -> tuple[int, bytes] | None:
        """Return everything as one line with its number; None if no gateway answers."""
        try:
            status, line = await get(self._upstream, A_SNAPSHOT)
        except FalJupyterError:
            return None
        return (head_of(line)[1], line) if status == 200 else None

    # --- the gateway --------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Follow the gateway, whenever there is one, until :meth:`close`."""
        self._task = asyncio.ensure_future(self._run())

    def wake(self) -> None:
        """A gateway was started: connect to it."""
        self._watch.changed.set()

    async def close(self) -> None:
        """The server ends."""
        self._watch.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        for listener in list(self._listeners):
            listener.close()

    async def _run(self) -> None:
        while True:
            refused = ""
            try:
                self._watch.arm()
            except FalJupyterError as error:
                refused = error.message
            except OSError as error:
                refused = f"{NO_GATEWAY} ({error.strerror or error})"
            self._watch.changed.clear()
            followed = await self._follow()
            self._off(refused or followed)
            await self._watch.changed.wait()

    async def _follow(self) -> str:
        """Follow the gateway's feed until it ends; returns the reason if there is no gateway."""
        for wait in (*PATIENCE, None):
            try:
                connection = await self._upstream.connect()
            except GatewayUnreachable as error:
                if wait is None or not self._upstream.settings.socket.exists():
                    return error.message
                await asyncio.sleep(wait)  # there is no event to await between bind and listen
                continue
            log.debug("following the feed of the gateway")
            follower = _Follower(self._line)
            connection.begin(follower, "GET", bounded=False)  # a stopped gateway resumes when it is continued
            connection.write(f"GET {A_FEED} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
            connection.complete()
            try:
                await follower.over
            finally:
                connection.drop()
                self.live = False
            return _ENDED if follower.status == 200 else f"the gateway has no feed (status {follower.status})"
        raise AssertionError

    def _line(self, line: bytes) -> None:
        kind, seq = head_of(line)
        self.live, self._off_line = True, b""
        for listener in self._listeners:
            listener.put(kind, seq, line)
        self._on_line(kind, line)

    def _off(self, reason: str) -> None:
        if reason == self._reason and self._off_line:
            return  # already reported
        log.debug("no feed: %s", reason)
        self._reason = reason
        self._off_line = encode(FeedLine(kind="off", time=now(), reason=reason))
        for listener in self._listeners:
            listener.put("off", 0, self._off_line)
        self._on_off()


class _Follower:
    """Receives the gateway's feed and splits it into lines."""

    def __init__(self, on_line: Callable[[bytes], None]) -> None:
        self.status = 0
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._on_line = on_line
        self._parts: list[bytes] = []

    def began(self, status: int, headers: list[tuple[str, str]]) -> None:
        self.status = status

    def piece(self, data: bytes) -> None:
        if self.status != 200:
            return
        first, *parts = data.split(b"\n")
        self._parts.append(first)
        for part in parts:
            self._on_line(b"".join(self._parts) + b"\n")
            self._parts = [part]

    def settled(self) -> None:
        pass

    def ended(self) -> None:
        if not self.over.done():
            self.over.set_result(None)

    def lost(self, why: ConnectionLost) -> None:
        self.ended()


def head_of(line: bytes) -> tuple[str, int]:
    """Return a line's kind and number (0: none) without parsing it completely."""
    match = _HEAD.match(line)
    if match is not None:
        return match[1].decode(), int(match[2] or 0)
    from fal_jupyter.server.feed_lines import load_of  # start-up

    head = load_of(line)
    return head.kind, head.seq


def encode(line: FeedLine) -> bytes:
    """Return a line of the server itself."""
    return encode_json(line) + b"\n"


def now() -> float:
    """Milliseconds since 1970."""
    return time.time() * 1000
