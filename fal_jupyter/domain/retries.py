"""What an answer means for its runner. Source: fal's documentation, "Retries and Error Handling"."""

from __future__ import annotations

_TRUE = frozenset({"1", "true", "yes"})
_FALSE = frozenset({"0", "false", "no"})


def flag(value: str) -> bool | None:
    """Read a header that is a switch (``1``/``true``/``yes``, ``0``/``false``/``no``); None for anything else."""
    word = value.strip().lower()
    return True if word in _TRUE else False if word in _FALSE else None


def ends_runner(status: int, asked: bool | None) -> bool:
    """True when an answer of *status* ends its runner: a 503 does, unless the answer's ``x-fal-stop-runner`` (*asked*) says otherwise."""
    return status == 503 if asked is None else asked
