"""What an answer means for its runner, and when a queued request is retried."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_jupyter.domain.queue.retries import (
    CONDITIONS,
    LONGEST_WAIT,
    MOST_ATTEMPTS,
    AttemptFailure,
    Attempts,
    RetryRules,
    budgets_of,
    budgets_of_header,
    ends_runner,
    flag,
)

CRASH, SLOW, REFUSED = (
    AttemptFailure(503, "runner_disconnected"),
    AttemptFailure(504, "request_timeout"),
    AttemptFailure(503, "runner_connection_refused"),
)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("1", True),
        (" TRUE ", True),
        ("yes", True),
        ("0", False),
        ("False", False),
        ("no", False),
        ("2", None),
        ("", None),
    ],
)
def test_a_switch_is_read_as_it_is_written(value: str, read: bool | None) -> None:
    assert flag(value) is read


@pytest.mark.parametrize(
    ("status", "asked", "ends"),
    [(503, None, True), (200, None, False), (504, None, False), (503, False, False), (200, True, True)],
)
def test_a_503_ends_its_runner_unless_its_header_overrides(status: int, asked: bool | None, ends: bool) -> None:
    assert ends_runner(status, asked) is ends


@pytest.mark.parametrize(
    ("text", "budgets"),
    [
        ('{"timeout": {"retries": 0}, "server_error": {"retries": 3}}', {"timeout": 0, "server_error": 3}),
        ('{"connection_error": {"retries": -2}}', {"connection_error": 0}),
        ('{"nope": {"retries": 1}, "timeout": {"retries": 1}}', {"timeout": 1}),
        ('{"timeout": 3}', {}),
        ('{"timeout": {"retries": true}}', {}),
        ('{"timeout": {"retries": "1"}}', {}),
        ('{"timeout": {"retries": 1, "more": 1}}', {}),
        ("[1]", {}),
        ("{", {}),
        ("[" * 100_000, {}),
        ("", {}),
    ],
)
def test_what_cannot_be_read_of_a_callers_limits_counts_as_not_given(text: str, budgets: dict[str, int]) -> None:
    assert budgets_of_header(text) == budgets


@pytest.mark.parametrize(
    ("failure", "condition"),
    [
        (CRASH, "server_error"),
        (SLOW, "timeout"),
        (REFUSED, "connection_error"),
        (AttemptFailure(502, "runner_incomplete_response"), "server_error"),
        (AttemptFailure(503), "server_error"),
        (AttemptFailure(504), "server_error"),
        (AttemptFailure(500), None),
        (AttemptFailure(502), None),
        (AttemptFailure(429), None),
        (AttemptFailure(200), None),
        (AttemptFailure(503, "runner_scheduling_failure"), None),
        (AttemptFailure(504, "startup_timeout"), None),
        (AttemptFailure(500, "internal_error"), None),
    ],
)
def test_each_failure_has_fals_condition_or_none(failure: AttemptFailure, condition: str | None) -> None:
    assert failure.condition == condition
    assert (Attempts().next(failure, RetryRules()) is not None) == (condition is not None)


@pytest.mark.parametrize(
    ("status", "header", "rules", "retried"),
    [
        (500, True, RetryRules(), True),
        (429, True, RetryRules(), True),
        (503, True, RetryRules(skip=("server_error",)), True),
        (503, True, RetryRules(budgets={"server_error": 0}), True),
        (503, False, RetryRules(), False),
        (504, False, RetryRules(), False),
        (200, True, RetryRules(), False),
        (302, True, RetryRules(), False),
        (404, True, RetryRules(), False),
        (503, None, RetryRules(skip=("server_error",)), False),
        (503, None, RetryRules(skip=("timeout", "client_error")), True),
        (503, None, RetryRules(budgets={"server_error": 0}), False),
        (503, None, RetryRules(budgets={"timeout": 0}), True),
    ],
)
def test_who_decides(status: int, header: bool | None, rules: RetryRules, retried: bool) -> None:
    assert (Attempts().next(AttemptFailure(status, "", header), rules) is not None) is retried


def test_each_condition_has_a_budget_of_its_own() -> None:
    attempts, rules = Attempts(), RetryRules(budgets={"server_error": 2, "timeout": 1})
    waits = [attempts.next(failure, rules) for failure in (CRASH, SLOW, SLOW, CRASH, CRASH, REFUSED)]
    assert waits == [0.25, 0.5, None, 1.0, None, 2.0]
    assert attempts.number == 5


def test_ten_attempts_are_the_absolute_limit() -> None:
    attempts = Attempts()
    waits = [attempts.next(AttemptFailure(503, "", True), RetryRules(budgets={"server_error": 99})) for _ in range(10)]
    assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, None]


@given(
    st.lists(
        st.builds(
            AttemptFailure, st.integers(100, 599), st.sampled_from(["", *"ab"]), st.sampled_from([None, True, False])
        )
    ),
    st.dictionaries(st.sampled_from(CONDITIONS), st.integers(0, 20)),
)
def test_attempts_are_counted_and_bounded(failures: list[AttemptFailure], budgets: dict[str, int]) -> None:
    attempts, rules = Attempts(), RetryRules(budgets=budgets)
    waits = [wait for failure in failures if (wait := attempts.next(failure, rules)) is not None]
    assert attempts.number == 1 + len(waits) <= MOST_ATTEMPTS
    assert waits == sorted(waits)
    assert all(0 < wait <= LONGEST_WAIT for wait in waits)


def test_rules_travel_as_json() -> None:
    rules = RetryRules(skip=("timeout",), budgets=budgets_of({"timeout": {"retries": 2}}))
    assert RetryRules.from_json({"skip": ["timeout"], "budgets": {"timeout": 2}}) == rules
    assert RetryRules.from_json({}) == RetryRules()
