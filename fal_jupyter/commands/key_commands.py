"""``keys create|list|revoke``: persistent API keys, stored as hashes and displayed once, and those that end with a notebook or an app."""

from __future__ import annotations

import argparse
import time
from typing import Protocol

from fal_jupyter.commands.tables import table
from fal_jupyter.credentials import make_key
from fal_jupyter.domain.access.key_grants import grant_of, limits_of
from fal_jupyter.domain.errors import BadSetting, NotServed
from fal_jupyter.protocol.feed import KeyRecord
from fal_jupyter.secret_store import PersistentKey, SecretStore

MAX_NAME_LENGTH = 80


class GatewayKeys(Protocol):
    """The running gateway, as far as it has keys; without one there are none."""

    def keys_changed(self) -> None:
        """Make it reload the persistent keys."""

    def valid_keys(self) -> list[KeyRecord]:
        """Return the keys that open it now."""

    def revoke_key(self, key_id: str) -> bool:
        """Revoke one of them; False if there is none of that id."""


def execute(args: argparse.Namespace, secret_store: SecretStore, gateway: GatewayKeys) -> tuple[object, str]:
    """Execute the command and return its result as data and text.

    Raises:
        BadSetting: an id is missing or unexpected. NotServed: there is no such key.
    """
    options = [f"--{name}" for name in ("preset", "permission", "scope", "name", "desc") if getattr(args, name)]
    if options and args.action != "create":
        raise BadSetting(
            f"{options[0]} is an option of create, not of {args.action}", hint="keys create --help", where="keys"
        )
    if args.action == "revoke":
        return _revoke(args.id, secret_store, gateway)
    if args.id is not None:
        raise BadSetting(f"unexpected word {args.id!r}", hint=f"keys {args.action}", where="keys")
    if args.action == "create":
        return _create(args, secret_store, gateway)
    keys = secret_store.persistent_keys()
    data = [_described(key) | {"created": key.created, "ends_with": None} for key in keys]
    rows = [[k.id, str(k.grant), k.name, _minute(k.created)] for k in keys]
    for live in gateway.valid_keys():
        if all(live["id"] != key.id for key in keys):
            created = float(live["created"]) / 1000
            described: dict[str, object] = {
                "id": live["id"],
                "scope": None,
                "preset": None,
                "permissions": [],
                "name": live["holder"],
            }
            data.append(described | {"created": created, "ends_with": live["holder"]})
            rows.append([live["id"], "call apps, until its holder ends", live["holder"], _minute(created)])
    return data, table(["id", "may", "name", "made"], rows) if rows else "There are no keys. Create one: keys create"


def _minute(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))


def _create(args: argparse.Namespace, secret_store: SecretStore, gateway: GatewayKeys) -> tuple[object, str]:
    name = args.name or args.desc or "no name"
    if len(name) > MAX_NAME_LENGTH or not name.isprintable():
        raise BadSetting(f"expected a name of one line with at most {MAX_NAME_LENGTH} characters", where="--name")
    grant = grant_of(args.preset or "", args.permission or (), args.scope or "")
    key = make_key()
    created = secret_store.add_key(key, grant, name)
    gateway.keys_changed()
    return (
        _described(created) | {"key": key},
        f"{key}\nIt is displayed only once. As a variable: FAL_KEY={key.partition(':')[0]}:…  To revoke it: keys revoke {created.id}\n"
        f"With {grant}, {limits_of(grant)}."
        if grant.rights
        else f"{key}\nIt is displayed only once. {limits_of(grant)}.",
    )


def _described(key: PersistentKey) -> dict[str, object]:
    grant = key.grant
    return {
        "id": key.id,
        "scope": grant.scope or None,
        "preset": grant.preset or None,
        "permissions": list(grant.permissions),
        "name": key.name,
    }


def _revoke(key_id: str | None, secret_store: SecretStore, gateway: GatewayKeys) -> tuple[object, str]:
    if key_id is None:
        raise BadSetting("which key?", hint="keys list shows the ids; then: keys revoke ID", where="keys")
    key_id = key_id.partition(":")[0]  # the complete key is accepted, too
    if secret_store.remove_key(key_id):
        gateway.keys_changed()
    elif not gateway.revoke_key(key_id):
        raise NotServed(f"there is no key {key_id!r}", hint="keys list")
    return {"revoked": key_id}, f"{key_id} is no longer valid."
