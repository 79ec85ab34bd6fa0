"""Keys of running apps: each is valid for calls by the app's own code, is stored in this process only, and ends with the app."""

from __future__ import annotations

import time

from fal_jupyter.credentials import id_and_hash, make_key
from fal_jupyter.protocol.feed import KeyRecord


class AppKeys:
    """One key per app whose code calls others, by alias."""

    def __init__(self) -> None:
        self._by_alias: dict[str, tuple[str, float]] = {}
        self._hashes: dict[str, bytes] = {}

    def key_of(self, alias: str) -> str:
        """The app's key; created on first use, and again after it was revoked."""
        if alias not in self._by_alias:
            key = make_key()
            key_id, sha256 = id_and_hash(key)
            self._by_alias[alias] = key, time.time()
            self._hashes[key_id] = sha256
        return self._by_alias[alias][0]

    def hash_of(self, key_id: str) -> bytes | None:
        """SHA-256 of the secret of a valid key, or None."""
        return self._hashes.get(key_id)

    def end(self, alias: str) -> None:
        """Revoke the key of an app that has ended."""
        if alias in self._by_alias:
            key, _ = self._by_alias.pop(alias)
            del self._hashes[id_and_hash(key)[0]]

    def revoke_one(self, key_id: str) -> bool:
        """Revoke the key of that id; False if there is none."""
        for alias, (key, _) in self._by_alias.items():
            if id_and_hash(key)[0] == key_id:
                self.end(alias)
                return True
        return False

    def listed(self) -> list[KeyRecord]:
        """Every valid key, by id."""
        return [
            KeyRecord(id=id_and_hash(key)[0], holder=f"{alias} (app)", created=round(created * 1000, 1))
            for alias, (key, created) in self._by_alias.items()
        ]
