"""Secrets out of what is written down: values of variables that are named like secrets, and keys of our own make."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

_NAMED_LIKE_A_SECRET = re.compile(
    r"token|secret|passw|credential|(api|access|private|signing|encryption|account)_?key|_key$|^key$|_auth$|dsn$", re.I
)
_SHORT = 6  # characters: a shorter value is also an ordinary word
_OUR_KEYS = r"(?P<key>fjk_[0-9A-Za-z]{8}):[0-9A-Za-z]{49}"


def redactor(environment: Mapping[str, str], secrets: Iterable[tuple[str, str]] = ()) -> Callable[[str], str]:
    """Give a function that puts ``[redacted NAME]`` in place of each secret value in a text: those of *secrets*, and of
    *environment* what is named like one. A value of several lines is taken out line by line, as texts come."""
    named = {value: name for name, value in environment.items() if _NAMED_LIKE_A_SECRET.search(name)}
    for name, value in secrets:
        named |= {line.strip(): name for line in (value, *value.splitlines())}
    named = {value: name for value, name in named.items() if len(value) >= _SHORT}
    longest_first = sorted(named, key=len, reverse=True)
    found = re.compile("|".join([_OUR_KEYS, *map(re.escape, longest_first)]))

    def name_of(match: re.Match[str]) -> str:
        return f"{match['key']}:[redacted]" if match["key"] else f"[redacted {named[match[0]]}]"

    return lambda text: found.sub(name_of, text)
