from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_jupyter.protocol import frames
from fal_jupyter.protocol.frames import Decoder, Frame, FrameError, Kind

some_frames = st.lists(
    st.tuples(st.sampled_from(list(Kind)), st.integers(0, 2**32 - 1), st.binary(max_size=200)), max_size=12
)


@given(some_frames, st.lists(st.integers(1, 64), max_size=60))
def test_frames_arrive_as_they_were_sent_however_the_bytes_are_cut(
    sent: list[tuple[Kind, int, bytes]], cuts: list[int]
) -> None:
    data = b"".join(frames.encode(*frame) for frame in sent)
    decoder, got, at = Decoder(), [], 0
    for cut in cuts:
        got += decoder.feed(data[at : at + cut])
        at += cut
    got += decoder.feed(data[at:])

    assert got == [Frame(*frame) for frame in sent]
    assert decoder.pending == 0


@given(st.binary(max_size=300), st.binary(max_size=300), st.booleans())
def test_a_message_keeps_head_body_and_end(head: bytes, body: bytes, end: bool) -> None:
    (frame,) = Decoder().feed(frames.encode_message(Kind.REQUEST, 7, head, body, end=end))

    assert frames.decode_message(frame.payload) == (head, body, end)


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_a_load_keeps_head_and_payload(head: bytes, payload: bytes) -> None:
    (frame,) = Decoder().feed(frames.encode_load(head, payload))

    assert frames.decode_load(frame.payload) == (head, payload)


def test_a_window_frame_carries_its_credit() -> None:
    (frame,) = Decoder().feed(frames.encode_window(3, 65536))

    assert (frame.kind, frame.stream, int.from_bytes(frame.payload, "big")) == (Kind.WINDOW, 3, 65536)


@pytest.mark.parametrize("data", [b"\0\0\0\0\0\0\0\0\0", b"\0\0\0\0\x63\0\0\0\0"], ids=["kind 0", "kind 99"])
def test_an_unknown_kind_ends_the_connection(data: bytes) -> None:
    with pytest.raises(FrameError, match="unknown frame kind"):
        Decoder().feed(data)


def test_a_length_that_no_frame_may_have_is_refused_before_its_bytes_are_awaited() -> None:
    with pytest.raises(FrameError, match="declares"):
        Decoder().feed(b"\x7f\xff\xff\xff\x07\0\0\0\x01")


@pytest.mark.parametrize("kind", [Kind.BODY, Kind.OUTPUT])
def test_a_payload_too_long_for_its_kind_is_refused_by_the_sender(kind: Kind) -> None:
    with pytest.raises(FrameError, match="cannot hold"):
        frames.encode(kind, 1, bytes(frames.MAX_PAYLOAD + 1))
    with pytest.raises(FrameError, match="too long"):
        frames.encode_message(Kind.REQUEST, 1, b"", bytes(frames.MAX_PAYLOAD), end=True)


@pytest.mark.parametrize("payload", [b"", b"\0\0\0\0", b"\0\0\0\0\x09{}"])
def test_a_message_shorter_than_its_head_is_refused(payload: bytes) -> None:
    with pytest.raises(FrameError):
        frames.decode_message(payload)


@pytest.mark.parametrize("payload", [b"", b"\0\0\0\x09{}"])
def test_a_load_shorter_than_its_head_is_refused(payload: bytes) -> None:
    with pytest.raises(FrameError):
        frames.decode_load(payload)
