"""The runner's end of its socketpair: what waits to be sent."""

from __future__ import annotations

import socket

from fal_jupyter.protocol.frames import CHUNK, Decoder, Frame, Kind, head_of
from fal_jupyter.runner.channel import RunnerChannel


def received(sock: socket.socket, number: int) -> list[Frame]:
    decoder, found = Decoder(), list[Frame]()
    while len(found) < number:
        found += decoder.feed(sock.recv(CHUNK))
    return found


def test_what_waits_to_be_sent_is_as_it_was_when_it_was_given() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel = RunnerChannel(ours)
        fixed, changed = b"a" * CHUNK, bytearray(b"b" * CHUNK)
        for piece in (memoryview(fixed), memoryview(changed), memoryview(changed)[1:], memoryview(fixed)[:3]):
            channel.send(head_of(Kind.BODY, 7, piece), piece)
        assert channel.backlog > CHUNK  # the socket does not take all of it
        changed[:] = b"c" * CHUNK
        frames = received(theirs, 4)
        channel.flush(10)
    assert [frame.payload for frame in frames] == [b"a" * CHUNK, b"b" * CHUNK, b"b" * (CHUNK - 1), b"aaa"]
    assert channel.backlog == 0
