"""Permissions of keys: fal's presets and permission names, and their rights on this machine.

Names of presets: fal 1.83.0 (``fal.sdk.KeyPreset``). fal publishes no list of its permissions; those here are the names in its
package, tests and documentation that apply to a gateway, and ``storage:files:upload``, which is ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from fal_jupyter.domain.errors import BadSetting
from fal_jupyter.domain.text.nearest import hint_for

Right = Literal["run", "read", "upload", "owner"]
"""``run`` calls apps and submits to the queue, ``read`` reads the state and results of queued requests and for private files,
``upload`` stores files, ``owner`` counts as the user (webhooks may be delivered to this machine)."""

NOTHING: frozenset[Right] = frozenset()
CALLS: frozenset[Right] = frozenset({"run", "read", "upload"})

PRESETS: dict[str, frozenset[Right]] = {
    "FULL": CALLS | {"owner"},
    "API": CALLS,
    "DEPLOY": frozenset({"upload"}),
    "READONLY": frozenset({"read"}),
    "BILLING": NOTHING,
    "COMPUTE": NOTHING,
    "SERVERLESS": CALLS,
    "AGENT": CALLS,
}
PERMISSIONS: dict[str, frozenset[Right]] = {
    "serverless:apps:run": frozenset({"run", "read"}),
    "models:requests:submit": frozenset({"run", "read"}),
    "models:requests:read": frozenset({"read"}),
    "storage:files:upload": frozenset({"upload"}),
    "billing:usage:read": NOTHING,
}
SCOPES = {"ADMIN": "FULL", "API": "API"}
"""fal's older names of two presets."""
_WORDS: dict[Right, str] = {
    "run": "call apps",
    "read": "read results and private files",
    "upload": "upload files",
    "owner": "act as this machine's user",
}


@dataclass(frozen=True, slots=True)
class Grant:
    """The grant of a key: a preset, or a list of permissions (then *preset* is empty)."""

    preset: str = ""
    permissions: tuple[str, ...] = ()

    @property
    def rights(self) -> frozenset[Right]:
        """Its rights on this machine."""
        if self.preset:
            return PRESETS.get(self.preset, NOTHING)
        return NOTHING.union(*(PERMISSIONS.get(name, NOTHING) for name in self.permissions))

    @property
    def scope(self) -> str:
        """fal's older name of the preset, or ``""``."""
        return next((scope for scope, preset in SCOPES.items() if preset == self.preset), "")

    def __str__(self) -> str:
        return self.preset or ", ".join(self.permissions)


def grant_of(preset: str = "", permissions: Sequence[str] = (), scope: str = "") -> Grant:
    """Return the requested grant; *permissions* may contain comma-separated lists. Without arguments it is API.

    Raises:
        BadSetting: a name is unknown, or more than one kind of argument is used.
    """
    names = [name.strip() for listed in permissions for name in listed.split(",") if name.strip()]
    if sum(map(bool, (preset, permissions, scope))) > 1:
        raise BadSetting("use one of --preset, --permission and --scope", where="keys create")
    if permissions and not names:
        raise BadSetting("--permission needs the name of a permission", hint=_all(PERMISSIONS), where="--permission")
    for name in names:
        _check("permission", name, PERMISSIONS)
    if names:
        return Grant(permissions=tuple(dict.fromkeys(names)))
    if scope:
        _check("scope", scope.upper(), SCOPES)
        return Grant(SCOPES[scope.upper()])
    _check("preset", (preset or "API").upper(), PRESETS)
    return Grant((preset or "API").upper())


def limits_of(grant: Grant) -> str:
    """Describe what a key of that grant may do on this machine."""
    words = [_WORDS[right] for right in _WORDS if right in grant.rights]
    if not words:
        return f"{grant} gives no access on this machine: it has no billing and no compute"
    return f"it may {', '.join(words)}"


def refusal(grant: Grant, right: Right) -> str:
    """Return the message for a valid key that is refused (403)."""
    able = next((name for name, rights in PRESETS.items() if right in rights and name != "FULL"), "FULL")
    return f"this key ({grant}) may not {_WORDS[right]}; make one with: fal-jupyter keys create --preset {able}"


def _check(kind: str, name: str, allowed: Iterable[str]) -> None:
    if name in allowed:
        return
    flag = f"--{kind}"
    raise BadSetting(
        f"there is no {kind} {name!r}",
        hint=hint_for(name, allowed),
        where=flag,
    )


def _all(names: Iterable[str]) -> str:
    return f"there are: {', '.join(names)}"
