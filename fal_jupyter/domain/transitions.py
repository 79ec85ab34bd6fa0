"""Transition tables: the states of a machine and all transitions between them, as data.

The next state is ``TABLE[state][event]``. A missing pair is an internal error: it raises :class:`IllegalTransition`, and
nothing changes. States and events are string enums, whose hash is computed in C: a transition is two dictionary look-ups. Code on
a hot path binds enum members to module names, since looking up a member costs as much as the rest of a transition.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

E = TypeVar("E", bound=StrEnum)
S = TypeVar("S", bound=StrEnum)


class IllegalTransition(Exception):
    """An event arrived in a state that has no transition for it. A subclass may have its own *sentence*."""

    sentence = "{machine}: {event} cannot happen in the state {state}"

    def __init__(self, state: StrEnum, event: StrEnum) -> None:
        super().__init__(self.sentence.format(machine=type(state).__name__, event=event, state=state))


class Moves(dict[E, S]):
    """The transitions out of one state: event → state. A missing event raises."""

    def __init__(self, state: S, moves: Mapping[E, S], illegal: type[IllegalTransition]) -> None:
        super().__init__(moves)
        self._state, self._illegal = state, illegal

    def __missing__(self, event: E) -> S:
        raise self._illegal(self._state, event)


def transition_table(
    moves: Mapping[S, Mapping[E, S]], illegal: type[IllegalTransition] = IllegalTransition
) -> dict[S, Moves[E, S]]:
    """Make the table of one machine; every state has a row, an end state an empty one. An event without a transition raises *illegal*."""
    return {state: Moves(state, out, illegal) for state, out in moves.items()}
