"""The states of a request that the proxy passes on, as data."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import pytest

from fal_jupyter.server.proxy_states import (
    ANSWER,
    RECEIVE,
    PassedAnswerEvent,
    PassedAnswerState,
    PassedRequestEvent,
    PassedRequestState,
)
from tests.support.transition_tables import assert_transition_table

TABLES: list[tuple[Any, type[StrEnum], type[StrEnum], StrEnum]] = [
    (RECEIVE, PassedRequestState, PassedRequestEvent, PassedRequestState.RECEIVING),
    (ANSWER, PassedAnswerState, PassedAnswerEvent, PassedAnswerState.PENDING),
]


@pytest.mark.parametrize(("table", "states", "events", "first"), TABLES, ids=["receive", "answer"])
def test_every_state_has_a_row_and_is_reached_and_every_missing_pair_raises(
    table: Mapping[StrEnum, Mapping[StrEnum, StrEnum]], states: type[StrEnum], events: type[StrEnum], first: StrEnum
) -> None:
    assert_transition_table(table, states, events, first)


def test_an_answer_is_complete_once_and_nothing_follows_a_closed_connection() -> None:
    assert set(ANSWER[PassedAnswerState.COMPLETE]) == {PassedAnswerEvent.CONNECTION_CLOSED}
    assert set(ANSWER[PassedAnswerState.DISCONNECTED].values()) == {PassedAnswerState.DISCONNECTED}
