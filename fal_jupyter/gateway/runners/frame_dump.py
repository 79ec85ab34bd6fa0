"""A dump of the frames between the gateway and its runners, for debugging (``FAL_JUPYTER_RECORD``)."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from fal_jupyter.gateway.json_lines_file import JsonLinesFile
from fal_jupyter.gateway.runners.channel import GatewayChannel
from fal_jupyter.protocol.frames import Decoder, Frame, FrameError, Kind

SHOWN_BYTES: Final = 2000  # of each payload


class DumpedFrame(msgspec.Struct, frozen=True):
    """One line: wall seconds, runner, receiver (``runner`` or ``gateway``), and the frame with the beginning of its payload.

    The payload of a LOAD frame is left out: it has the app's environment, with its secrets.
    """

    time: float
    runner: str
    to: str
    kind: str
    stream: int
    size: int
    payload: str


class FrameDump:
    """Writes one line per frame into ``DIR/frames-PID.jsonl``. A full disk ends the dump, never the gateway."""

    def __init__(self, directory: Path) -> None:
        path = directory / f"frames-{os.getpid()}.jsonl"
        self._file = JsonLinesFile(path)

    def channel(
        self, runner_id: str, sock: socket.socket, on_frame: Callable[[Frame], None], on_end: Callable[[], None]
    ) -> GatewayChannel:
        """Make a runner's channel whose frames are dumped."""
        return _DumpedChannel(self, runner_id, sock, on_frame, on_end)

    def write(self, runner_id: str, to: str, frame: Frame) -> None:
        """Add a frame."""
        kind = Kind(frame.kind)
        excerpt = b"" if kind is Kind.LOAD else bytes(frame.payload[:SHOWN_BYTES])
        text = excerpt.decode("utf-8", "backslashreplace")
        self._file.write(DumpedFrame(time.time(), runner_id, to, kind.name, frame.stream, len(frame.payload), text))

    def close(self) -> None:
        """End the dump."""
        self._file.close()


class _DumpedChannel(GatewayChannel):
    """A channel that also decodes its own frames, in both directions."""

    def __init__(
        self,
        dump: FrameDump,
        runner_id: str,
        sock: socket.socket,
        on_frame: Callable[[Frame], None],
        on_end: Callable[[], None],
    ) -> None:
        super().__init__(sock, on_frame, on_end)
        self._dump, self._runner_id = dump, runner_id
        self._sent, self._received = Decoder(), Decoder()

    def send(self, data: bytes, payload: bytes | memoryview = b"") -> bool:
        self._write("runner", self._sent, data + payload)
        return super().send(data, payload)

    def _take(self, data: bytes | memoryview) -> None:
        self._write("gateway", self._received, data)
        super()._take(data)

    def _write(self, to: str, decoder: Decoder, data: bytes | memoryview) -> None:
        try:
            for frame in decoder.feed(data):
                self._dump.write(self._runner_id, to, frame)
        except (FrameError, ValueError):  # handled by the channel itself
            pass
