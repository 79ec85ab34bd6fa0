"""What every transition table must satisfy."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import pytest

from fal_jupyter.domain.transitions import IllegalTransition


def assert_transition_table(
    table: Mapping[StrEnum, Mapping[StrEnum, StrEnum]], states: type[StrEnum], events: type[StrEnum], first: StrEnum
) -> None:
    """Every state has a row and is reachable from *first*, every event occurs, and every missing pair raises."""
    assert set(table) == set(states)
    reached, new = set(), {first}
    while new:
        reached |= new
        new = {after for state in new for after in table[state].values()} - reached
    assert reached == set(states)
    assert {event for row in table.values() for event in row} == set(events)
    for state in states:
        before = dict(table[state])
        for event in set(events) - set(table[state]):
            with pytest.raises(IllegalTransition, match=f"{event} cannot happen in the state {state}"):
                table[state][event]
        assert dict(table[state]) == before
