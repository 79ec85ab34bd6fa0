"""A file's lifecycle as uploads and requests define it: how long it is kept, and who may read it."""

from __future__ import annotations

from typing import Literal, NamedTuple

Access = Literal["allow", "hide", "forbid"]
DECISIONS: tuple[Access, ...] = ("allow", "hide", "forbid")
MOST_SECONDS = 100 * 365 * 86400.0


class Lifecycle(NamedTuple):
    """*lifetime* in seconds, None: unlimited. *access* is the response to a request without a key: the file, 404 (``hide``)
    or 403 (``forbid``)."""

    lifetime: float | None = None
    access: Access = "allow"


def lifecycle_of(preference: object) -> Lifecycle:
    """Read a lifecycle's JSON value.

    Its rules for single users are validated but have no effect: all keys of a local gateway belong to its owner, and
    requests without a key have no user.

    Raises:
        ValueError: it is not valid; the message says what is expected.
    """
    if not isinstance(preference, dict):
        raise ValueError('X-Fal-Object-Lifecycle is JSON such as {"expiration_duration_seconds": 3600}')
    return Lifecycle(_lifetime(preference.get("expiration_duration_seconds")), _access(preference.get("initial_acl")))


def _lifetime(seconds: object) -> float | None:
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= MOST_SECONDS:
        raise ValueError(f"expiration_duration_seconds is a number of seconds, 0 or more, not {seconds!r}"[:200])
    return float(seconds)


def _access(acl: object) -> Access:
    if acl is None:
        return "allow"
    rules = (acl.get("rules") or []) if isinstance(acl, dict) else None
    decisions = [acl.get("default") or "allow"] if isinstance(acl, dict) else []
    for rule in rules if isinstance(rules, list) else (None,):
        decisions.append(rule.get("decision") if isinstance(rule, dict) and isinstance(rule.get("user"), str) else None)
    if not decisions or any(decision not in DECISIONS for decision in decisions):
        raise ValueError(
            'initial_acl is {"default": "allow", "hide" or "forbid", "rules": [{"user": …, "decision": …}]}'
        )
    return DECISIONS[DECISIONS.index(decisions[0])]
