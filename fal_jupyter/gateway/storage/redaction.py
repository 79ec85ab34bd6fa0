"""Removes secrets from stored text: values of variables that are named like secrets, and our own keys."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import cast
from urllib.parse import quote

from fal_jupyter.protocol.api import ErrorDescription, ErrorFrame

_NAMED_LIKE_A_SECRET = re.compile(
    r"token|secret|passw|credential|(api|access|private|signing|encryption|account)_?key|_key$|^key$|_auth$|dsn$", re.I
)
_SHORT = 6  # characters: a shorter value is also an ordinary word
_OUR_KEYS = r"(?P<key>fjk_[0-9A-Za-z]{8}):[0-9A-Za-z]{49}"


def redactor(environment: Mapping[str, str], secrets: Iterable[tuple[str, str]] = ()) -> Callable[[str], str]:
    """Return a function that replaces each secret value in a text by ``[redacted NAME]``: those of *secrets*, and of variables in
    *environment* that are named like one. A value of several lines is redacted line by line, since text arrives in lines; a value
    with characters that Python, JSON or a URL escape is also redacted in those forms."""
    named: dict[str, str] = {}
    for name, value in environment.items():
        if _NAMED_LIKE_A_SECRET.search(name):
            named |= dict.fromkeys(_forms(value), name)
    for name, value in secrets:
        for line in (value, *value.splitlines()):
            named |= dict.fromkeys(_forms(line.strip()), name)
    named = {value: name for value, name in named.items() if len(value) >= _SHORT}
    longest_first = sorted(named, key=len, reverse=True)
    pattern = re.compile("|".join([_OUR_KEYS, *map(re.escape, longest_first)]))

    def name_of(match: re.Match[str]) -> str:
        return f"{match['key']}:[redacted]" if match["key"] else f"[redacted {named[match[0]]}]"

    return lambda text: pattern.sub(name_of, text)


def _forms(value: str) -> set[str]:
    """A value unchanged and as it appears within a dict, in JSON and in a URL."""
    coded = json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]
    in_addresses = (quote(value, safe=safe, errors="surrogateescape") for safe in ("/", ""))
    return {value, repr(value)[1:-1], *coded, *in_addresses}


def error_without_secrets(error: ErrorDescription, redact: Callable[[str], str]) -> ErrorDescription:
    """Return an exception of user code without secrets."""
    frames = [cast(ErrorFrame, {**frame, "line": redact(frame["line"])}) for frame in error["frames"]]
    return {**error, "message": redact(error["message"]), "text": redact(error["text"]), "frames": frames}
