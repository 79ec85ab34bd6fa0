"""The runner's end of its socketpair: frames out from any thread, frames in on the loop.

Sending blocks neither the event loop nor user code: data that the socket does not accept immediately is written by a separate
thread. Bodies are bounded by the credit of their streams; output is bounded here: beyond the limit lines are dropped and
counted, so that excessive output costs neither time nor memory.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import NoReturn

from fal_jupyter.processes import end_orphans
from fal_jupyter.protocol import frames
from fal_jupyter.protocol.frames import Decoder, Frame, Kind
from fal_jupyter.runner.process.children import end_returned_child

OUTPUT_BOUND = 1 << 20
READ_SIZE = 1 << 20


class RunnerChannel:
    """Frames between this runner and the gateway."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._drained = threading.Condition(self._lock)
        self._pending: deque[memoryview] = deque()
        self._pending_bytes = 0
        self._writer: threading.Thread | None = None
        self._decoder = Decoder()
        self._arena = memoryview(bytearray(READ_SIZE))
        self._closed = self._in_child = False
        os.register_at_fork(before=self._lock.acquire, after_in_parent=self._lock.release, after_in_child=self._forked)

    def _forked(self) -> None:
        self._lock.release()
        self._closed = self._in_child = True  # it must neither send for its parent nor keep its connection open
        self.sock.close()

    @property
    def backlog(self) -> int:
        """Bytes that the gateway has not read yet."""
        return self._pending_bytes

    def send(self, data: bytes, payload: memoryview | None = None) -> None:
        """Send one or more complete frames, or one frame's head and payload; they keep their order."""
        with self._lock:
            if self._closed:
                if self._in_child:
                    end_returned_child()
                return
            size = len(data) + (len(payload) if payload is not None else 0)
            sent = 0
            if not self._pending:
                try:
                    sent = self.sock.send(data) if payload is None else self.sock.sendmsg((data, payload))
                except BlockingIOError:
                    pass
                except OSError:
                    self._closed = True
                    return
                if sent == size:
                    return
            self._pending_bytes += size - sent
            for part in (data, payload if payload is not None else b""):
                if sent < len(part):
                    self._pending.append(_unchanging(part)[sent:])
                sent -= min(sent, len(part))
            if self._writer is None:
                self._writer = threading.Thread(target=self._write, name="fal-jupyter-channel", daemon=True)
                self._writer.start()
            self._room.notify()

    def _write(self) -> None:
        poller = select.poll()
        poller.register(self.sock, select.POLLOUT)
        while True:
            with self._lock:
                while not self._pending:
                    self._room.wait()
                if self._closed:
                    return
                data = self._pending[0]
                try:
                    sent = self.sock.send(data)
                except BlockingIOError:
                    sent = 0
                except OSError:
                    self._closed = True
                    self._drained.notify_all()
                    return
                self._pending_bytes -= sent
                if sent == len(data):
                    self._pending.popleft()
                    if not self._pending:
                        self._drained.notify_all()
                else:
                    self._pending[0] = data[sent:]
            if sent == 0:
                poller.poll()

    def receive(self) -> list[Frame]:
        """Return the frames that have arrived; called when the socket is readable. Ends the process on end of file."""
        end_returned_child()  # a forked child that runs its parent's loop
        try:
            size = self.sock.recv_into(self._arena)
        except BlockingIOError:
            return []
        except OSError:
            size = 0
        if not size:
            die()
        return list(self._decoder.feed(self._arena[:size]))

    def flush(self, seconds: float) -> None:
        """Wait until everything is written, *seconds* at most; for the last output of a process."""
        with self._lock:
            self._drained.wait_for(lambda: self._closed or not self._pending, seconds)

    def wait_for_frame(self, predicate: Callable[[Frame], bool]) -> Frame:
        """Block until a frame that *predicate* accepts arrives (used before there is a loop)."""
        poller = select.poll()
        poller.register(self.sock, select.POLLIN)
        while True:
            poller.poll()
            for frame in self.receive():
                if predicate(frame):
                    return frame


def _unchanging(data: bytes | memoryview) -> memoryview:
    """Return a view of data that is sent later: of a copy, where user code may change it meanwhile."""
    if isinstance(data, memoryview) and type(data.obj) is bytes:
        return data
    return memoryview(bytes(data))


def die() -> NoReturn:
    """The gateway has ended: end this process and its children, except helpers that clean up; the template ends the others."""
    try:
        end_orphans(())
    finally:
        os.kill(os.getpid(), signal.SIGKILL)
    raise SystemExit  # not reached


__all__ = ["OUTPUT_BOUND", "Kind", "RunnerChannel", "die", "frames"]
