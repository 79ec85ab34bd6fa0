"""The user's secrets and persistent API keys, each a file of mode 0600 in the state directory.

A file is replaced atomically and under a lock, so that it can be changed with and without a running gateway, by several
processes at once. Secrets are stored unencrypted: an encryption key on the same machine could be read by the same
attacker.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from fal_jupyter.atomic_write import write_whole
from fal_jupyter.credentials import id_and_hash
from fal_jupyter.domain.access.key_grants import SCOPES, Grant
from fal_jupyter.domain.errors import FalJupyterError
from fal_jupyter.domain.text.json_forms import whole_text

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class SecretStoreDamaged(FalJupyterError):
    """A file of the store is damaged."""


@dataclass(frozen=True, slots=True)
class PersistentKey:
    """A key that is valid until revoked. *sha256* is of its secret; *created* in Unix seconds."""

    id: str
    sha256: bytes
    grant: Grant
    name: str
    created: float


class SecretStore:
    """The two files below a state directory."""

    def __init__(self, state: Path) -> None:
        self._keys, self._secrets = state / "keys.json", state / "secrets.json"

    # --- keys -----------------------------------------------------------------------------------------------------
    def persistent_keys(self) -> list[PersistentKey]:
        """Every persistent API key, the oldest first.

        Raises:
            SecretStoreDamaged: the file cannot be parsed.
        """
        try:
            records = msgspec.convert(_read(self._keys), dict[str, _StoredKey])
            return [record.key() for record in records.values()]
        except (msgspec.ValidationError, ValueError, KeyError):
            raise SecretStoreDamaged(f"{self._keys} is damaged", hint="move it away, and make new keys") from None

    def add_key(self, key: str, grant: Grant, name: str) -> PersistentKey:
        """Store the hash of a key."""
        persistent = PersistentKey(*id_and_hash(key), grant, name, time.time())
        with _changing(self._keys) as records:
            records[persistent.id] = {
                "id": persistent.id,
                "sha256": persistent.sha256.hex(),
                "preset": grant.preset,
                "permissions": list(grant.permissions),
                "name": name,
                "created": persistent.created,
            }
        return persistent

    def remove_key(self, key_id: str) -> bool:
        """Remove a key; False if no key has that id."""
        if not self._keys.exists():
            return False
        with _changing(self._keys) as records:
            return records.pop(key_id, None) is not None

    # --- secrets --------------------------------------------------------------------------------------------------
    def secrets(self) -> dict[str, str]:
        """Every secret's value by its name.

        Raises:
            SecretStoreDamaged: the file cannot be parsed.
        """
        return {str(name): str(value) for name, value in _read(self._secrets).items()}

    def set_secrets(self, values: dict[str, str]) -> None:
        """Add or replace secrets."""
        with _changing(self._secrets) as stored:
            stored.update(values)

    def unset_secrets(self, names: Iterable[str]) -> None:
        """Remove secrets; a missing one is not an error."""
        with _changing(self._secrets) as stored:
            for name in names:
                stored.pop(name, None)


def is_secret_name(name: str) -> bool:
    """True for the name of a variable of the environment that is not one of ours."""
    return bool(_NAME.fullmatch(name)) and not name.startswith("FAL_JUPYTER_")


def fault_of_value(value: str) -> str:
    """Why a value cannot be that of a variable of the environment; ``""`` if it can."""
    if "\0" in value:
        return "contains a null byte"
    return "" if whole_text(value) == value else "is not UTF-8 text"


class _StoredKey(msgspec.Struct):
    """A key in its file. *scope* was written by versions without presets."""

    id: str
    sha256: str
    name: str
    created: float
    preset: str | None = None
    scope: str = ""
    permissions: tuple[str, ...] = ()

    def key(self) -> PersistentKey:
        preset = SCOPES[self.scope] if self.preset is None else self.preset
        return PersistentKey(
            self.id, bytes.fromhex(self.sha256), Grant(preset, self.permissions), self.name, self.created
        )


def _read(path: Path) -> dict[str, object]:
    try:
        values = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise SecretStoreDamaged(f"{path} is damaged", hint="move it away, and set its contents again")
    return values


@contextmanager
def _changing(path: Path) -> Iterator[dict[str, object]]:
    """Provide the file's values to change; they are on disk when the block ends."""
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        values = _read(path)
        yield values
        write_whole(path, json.dumps(values).encode(), sync=True)
    finally:
        os.close(lock)
