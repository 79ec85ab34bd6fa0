"""A machine that slept: what arrived meanwhile is handled before any time limit."""

from __future__ import annotations

from fal_jupyter.domain.fleet.suspension import CATCH_UP, LATE, SuspensionGuard


def test_a_timer_in_time_is_handled_at_once() -> None:
    guard = SuspensionGuard()
    assert guard.fired(due=100, now=100 + LATE) is None
    assert not guard.catching_up


def test_a_timer_far_too_late_is_delayed_once() -> None:
    guard = SuspensionGuard()
    woken = 100 + LATE + 1
    assert guard.fired(due=100, now=woken) == woken + CATCH_UP
    assert guard.catching_up
    much_later = woken + CATCH_UP + 10 * LATE  # late again: no endless delay
    assert guard.fired(due=woken + CATCH_UP, now=much_later) is None
    assert not guard.catching_up
