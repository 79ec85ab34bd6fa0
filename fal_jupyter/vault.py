"""What its user keeps for apps and callers: secrets and lasting keys, each a file of the state directory of mode 0600.

A file is replaced whole and under a lock, so that it can be changed with and without a running gateway, by several
processes at once. Secrets are stored as they are: there is nothing on this machine to encrypt them with that their
thief would not read as well.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from fal_jupyter.domain.errors import FalJupyterError

Scope = Literal["API", "ADMIN"]
SCOPES: tuple[Scope, ...] = ("API", "ADMIN")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class VaultDamaged(FalJupyterError):
    """A file of ours is not as we wrote it."""


@dataclass(frozen=True, slots=True)
class LastingKey:
    """A key that lives until it is revoked. *sha256* is of its secret, in hexadecimal digits; *created* in Unix seconds."""

    id: str
    sha256: str
    scope: Scope
    name: str
    created: float


class Vault:
    """The two files below a state directory."""

    def __init__(self, state: Path) -> None:
        self._keys, self._secrets = state / "keys.json", state / "secrets.json"

    # --- keys -----------------------------------------------------------------------------------------------------
    def lasting_keys(self) -> list[LastingKey]:
        """Every lasting key, the oldest first.

        Raises:
            VaultDamaged: the file cannot be understood.
        """
        try:
            return [LastingKey(**found) for found in _read(self._keys).values()]
        except TypeError:
            raise VaultDamaged(f"{self._keys} is damaged", hint="move it away, and make new keys") from None

    def add_key(self, key: str, scope: Scope, name: str) -> LastingKey:
        """Keep a key, as its hash."""
        key_id, _, secret = key.partition(":")
        made = LastingKey(key_id, hashlib.sha256(secret.encode()).hexdigest(), scope, name, time.time())
        with _changing(self._keys) as held:
            held[key_id] = asdict(made)
        return made

    def remove_key(self, key_id: str) -> bool:
        """Forget a key; False where there is none of that id."""
        if not self._keys.exists():
            return False
        with _changing(self._keys) as held:
            return held.pop(key_id, None) is not None

    # --- secrets --------------------------------------------------------------------------------------------------
    def secrets(self) -> dict[str, str]:
        """Every secret's value by its name.

        Raises:
            VaultDamaged: the file cannot be understood.
        """
        return {str(name): str(value) for name, value in _read(self._secrets).items()}

    def set_secrets(self, values: dict[str, str]) -> None:
        """Keep secrets beside those that are there."""
        with _changing(self._secrets) as held:
            held.update(values)

    def unset_secret(self, name: str) -> bool:
        """Forget a secret; False where there is none of that name."""
        if not self._secrets.exists():
            return False
        with _changing(self._secrets) as held:
            return held.pop(name, None) is not None


def is_secret_name(name: str) -> bool:
    """True for the name of a variable of the environment that is not one of ours."""
    return bool(_NAME.fullmatch(name)) and not name.startswith("FAL_JUPYTER_")


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise VaultDamaged(f"{path} is damaged", hint="move it away, and set its contents again")
    return found


@contextmanager
def _changing(path: Path) -> Iterator[dict[str, Any]]:
    """Give the file's values to change; they are on disk when the block ends."""
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        held = _read(path)
        yield held
        new = path.with_suffix(".new")
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump(held, file)
            file.flush()
            os.fsync(handle)
        os.replace(new, path)
    finally:
        os.close(lock)
