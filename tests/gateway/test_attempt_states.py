"""The states of a queued request's attempts, as data."""

from __future__ import annotations

import pytest

from fal_jupyter.domain.transitions import IllegalTransition
from fal_jupyter.gateway.queue.attempt_states import ATTEMPT, AttemptEvent, AttemptState


def test_the_next_attempt_is_due_when_the_last_has_failed_and_is_released_in_either_order() -> None:
    for order in ([AttemptEvent.FAILED, AttemptEvent.RELEASED], [AttemptEvent.RELEASED, AttemptEvent.FAILED]):
        state = AttemptState.RUNNING
        for event in order:
            assert state is not AttemptState.DUE
            state = ATTEMPT[state][event]
        assert state is AttemptState.DUE
        assert ATTEMPT[state][AttemptEvent.STARTED] is AttemptState.RUNNING


def test_every_state_can_end_and_nothing_begins_after_the_end() -> None:
    assert set(ATTEMPT) == set(AttemptState)
    assert {row[AttemptEvent.ENDED] for row in ATTEMPT.values()} == {AttemptState.OVER}
    assert ATTEMPT[AttemptState.OVER][AttemptEvent.RELEASED] is AttemptState.OVER
    for event in (AttemptEvent.STARTED, AttemptEvent.FAILED):
        with pytest.raises(IllegalTransition):
            ATTEMPT[AttemptState.OVER][event]
