"""Decides whether an answer ends its runner and whether its request is retried. Source: fal's documentation, "Retries and Error Handling".

Only queued requests are retried: up to ten attempts, with independent budgets per condition if the app or the caller sets them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from fal_jupyter.domain.json_fields import members, texts

CONDITIONS: Final = ("connection_error", "server_error", "timeout")
MOST_ATTEMPTS: Final = 10
FIRST_WAIT: Final = 0.25  # seconds before the second attempt; each further wait is twice as long …
LONGEST_WAIT: Final = 30.0  # … up to this

_TRUE = frozenset({"1", "true", "yes"})
_FALSE = frozenset({"0", "false", "no"})
_CONDITION_OF: Mapping[str, str] = {
    "request_timeout": "timeout",
    "runner_disconnected": "server_error",
    "runner_incomplete_response": "server_error",
    "runner_connection_error": "connection_error",
    "runner_connection_refused": "connection_error",
    "runner_connection_timeout": "connection_error",
}


def flag(value: str) -> bool | None:
    """Read a header that is a switch (``1``/``true``/``yes``, ``0``/``false``/``no``); None for anything else."""
    word = value.strip().lower()
    return True if word in _TRUE else False if word in _FALSE else None


def ends_runner(status: int, requested: bool | None) -> bool:
    """True when an answer of *status* ends its runner: a 503 does, unless the answer's ``x-fal-stop-runner`` (*requested*) says otherwise."""
    return status == 503 if requested is None else requested


def budgets_of(value: object) -> dict[str, int]:
    """Return the retries of each condition in ``{"timeout": {"retries": 1}}``; anything else is ignored."""
    if not isinstance(value, dict):
        return {}
    return {
        condition: max(0, entry["retries"])
        for condition, entry in value.items()
        if condition in CONDITIONS
        and isinstance(entry, dict)
        and set(entry) == {"retries"}
        and isinstance(entry["retries"], int)
        and not isinstance(entry["retries"], bool)
    }


def budgets_of_header(text: str) -> dict[str, int]:
    """Read ``X-Fal-Retry-Config``; invalid values are ignored, as on fal."""
    try:
        return budgets_of(json.loads(text))
    except (ValueError, RecursionError):
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRules:
    """An app's retry settings.

    Attributes:
        skip: conditions that are never retried (``skip_retry_conditions``).
        budgets: retries of each condition (``retry_config``); a missing condition has no separate limit.
    """

    skip: tuple[str, ...] = ()
    budgets: Mapping[str, int] = field(default_factory=dict)

    @staticmethod
    def from_json(data: object) -> RetryRules:
        """Rebuild from plain JSON values; budgets that are not numbers are ignored.

        Raises:
            TypeError: a field has another form.
        """
        rules = members(data)
        budgets = members(rules.get("budgets", {}))
        return RetryRules(
            skip=texts(rules.get("skip", ())),
            budgets={name: retries for name, retries in budgets.items() if isinstance(retries, int)},
        )


@dataclass(frozen=True, slots=True)
class AttemptFailure:
    """How an attempt ended.

    Attributes:
        error_type: fal's name for the failure if the gateway answered, ``""`` if the app did.
        needs_retry: the answer's ``x-fal-needs-retry``; None if it does not say.
    """

    status: int
    error_type: str = ""
    needs_retry: bool | None = None

    @property
    def condition(self) -> str | None:
        """The condition of fal that this is, or None if it is not retried by default."""
        if self.error_type:
            return _CONDITION_OF.get(self.error_type)
        return "server_error" if self.status in (503, 504) else None


@dataclass(slots=True)
class Attempts:
    """The attempts of one queued request. *number* is that of the latest one."""

    number: int = 1
    _used: dict[str, int] = field(default_factory=dict)

    def next(self, failure: AttemptFailure, rules: RetryRules) -> float | None:
        """Return the seconds until the next attempt, which is counted then; None if there is none.

        ``x-fal-needs-retry`` applies to 5xx and 429 only, and takes precedence over everything but the limit of ten attempts.
        """
        if self.number >= MOST_ATTEMPTS:
            return None
        condition = failure.condition
        heard = failure.needs_retry if failure.status >= 500 or failure.status == 429 else None
        if heard is False or (heard is None and (condition is None or not self._may(condition, rules))):
            return None
        if condition is not None:
            self._used[condition] = self._used.get(condition, 0) + 1
        self.number += 1
        return float(min(FIRST_WAIT * 2 ** (self.number - 2), LONGEST_WAIT))

    def _may(self, condition: str, rules: RetryRules) -> bool:
        budget = rules.budgets.get(condition)
        return condition not in rules.skip and (budget is None or self._used.get(condition, 0) < budget)
