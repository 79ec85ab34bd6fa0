"""The states of a websocket in a runner, as data."""

from __future__ import annotations

import pytest

from fal_jupyter.domain.transitions import IllegalTransition
from fal_jupyter.runner.requests.websockets import HANDSHAKE, HandshakeEvent, HandshakeState


def test_every_state_has_a_row_and_is_reached_and_every_missing_pair_raises() -> None:
    assert set(HANDSHAKE) == set(HandshakeState)
    reached, new = set[HandshakeState](), {HandshakeState.CONNECTING}
    while new:
        reached |= new
        new = {after for state in new for after in HANDSHAKE[state].values()} - reached
    assert reached == set(HandshakeState)
    for state in HandshakeState:
        for event in set(HandshakeEvent) - set(HANDSHAKE[state]):
            with pytest.raises(IllegalTransition, match=f"{event} cannot happen in the state {state}"):
                HANDSHAKE[state][event]


def test_a_websocket_is_accepted_once() -> None:
    for state in (HandshakeState.OPEN, HandshakeState.CLOSING):
        assert HandshakeEvent.ACCEPTED not in HANDSHAKE[state]
