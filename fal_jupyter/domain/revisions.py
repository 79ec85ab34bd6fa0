"""Compares two revisions of an app: no change, only scaling, or a rebuild, and the parts that require it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

SCALING_PART = "option "
_SURROUNDINGS = ("the working directory", "sys.path", "the interpreter")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The effect of a publication. *reason* is a sentence; *changed* names the parts, in order."""

    kind: Literal["nothing", "scaled", "rebuild"]
    reason: str
    changed: tuple[str, ...] = ()


def compare(old: Mapping[str, str], new: Mapping[str, str]) -> Verdict:
    """Compare two fingerprints (part name → hash).

    Parts named ``option …`` are scaling and timeouts: they apply to running runners. Everything else is code,
    captured values or environment, and needs new runners.

    Example:
        >>> compare({"class Hello": "1"}, {"class Hello": "2"}).reason
        'class Hello changed'
    """
    changed = sorted((name for name in old.keys() | new.keys() if old.get(name) != new.get(name)), key=_rank)
    if not changed:
        return Verdict("nothing", "nothing changed")
    code = [name for name in changed if not name.startswith(SCALING_PART)]
    if code:
        return Verdict("rebuild", _sentence(code, old, new), tuple(changed))
    return Verdict("scaled", _sentence(changed, old, new), tuple(changed))


def _rank(name: str) -> tuple[int, str]:
    """Sort key: the user's own code first, its environment last."""
    if name.startswith("class "):
        return 0, name
    return 2 if name.startswith("%env ") or name in _SURROUNDINGS else 1, name


def _sentence(names: list[str], old: Mapping[str, str], new: Mapping[str, str]) -> str:
    listed = [
        f"{name} {'is new' if name not in old else 'is gone' if name not in new else 'changed'}" for name in names[:3]
    ]
    more = len(names) - len(listed)
    return ", ".join(listed) + (f" and {more} more" if more else "")
