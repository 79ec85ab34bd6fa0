"""API keys, stored as id and SHA-256 only: those of a lease end with it, persistent ones when they are revoked."""

from __future__ import annotations

import asyncio
import hmac
import logging
import sqlite3
import time
from collections.abc import Callable

from fal_jupyter.credentials import id_and_hash
from fal_jupyter.domain.access.key_grants import Grant, Right, refusal
from fal_jupyter.gateway.auth.app_keys import AppKeys
from fal_jupyter.gateway.storage.store import Store
from fal_jupyter.protocol.feed import KeyRecord
from fal_jupyter.secret_store import PersistentKey, SecretStore, SecretStoreDamaged

log = logging.getLogger("fal_jupyter.gateway")
_DUMMY = bytes(32)


OF_APPS = Grant(preset="API")  # rights of an app's own key


def panel_of(name: str) -> str:
    """The holder of a key that a panel of the owner *name* made."""
    return f"a panel of {name}"


class ApiKeys:
    """The currently valid keys of the data plane."""

    def __init__(self, store: Store, secret_store: SecretStore) -> None:
        self._store, self._secret_store = store, secret_store
        self._persistent: dict[str, PersistentKey] = {}
        self._recordings: set[asyncio.Future[None]] = set()
        self._live: dict[str, tuple[bytes, str, str, float]] = {}
        self.of_apps = AppKeys()

    async def forget_former(self) -> None:
        """Remove the keys of a previous gateway, whose leases ended with it."""
        await self._record(lambda db: db.execute("DELETE FROM keys"))

    def read_persistent(self) -> None:
        """Load the persistent keys from disk; if they cannot be read, none is accepted."""
        try:
            self._persistent = {key.id: key for key in self._secret_store.persistent_keys()}
        except (OSError, SecretStoreDamaged) as error:
            log.warning("persistent keys are not accepted: %s", error)
            self._persistent = {}

    async def _record(self, work: Callable[[sqlite3.Connection], object]) -> None:
        """Write to the store; decisions use memory, so that a full disk affects no caller."""
        try:
            await self._store.transact(work)
        except sqlite3.Error as error:
            log.warning("the keys could not be recorded: %s", error)

    async def add(self, key_id: str, sha256: bytes, lease: str, holder: str) -> None:
        """Accept a key; it is on disk when this returns, unless the disk is full."""

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO keys (id, sha256, lease, holder, created) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
                " sha256 = excluded.sha256, lease = excluded.lease, created = excluded.created",
                (key_id, sha256, lease, holder, time.time()),
            )

        await self._record(work)
        self._live[key_id] = (sha256, lease, holder, time.time())

    async def rename(self, lease: str, former: str, name: str) -> None:
        """Change the name of the owner of a lease: that of its own key, and in those of its panels."""
        renamed = {former: name, panel_of(former): panel_of(name)}
        for key_id, (sha256, owner, holder, created) in list(self._live.items()):
            if owner == lease and holder in renamed:
                self._live[key_id] = (sha256, owner, renamed[holder], created)

        def work(db: sqlite3.Connection) -> None:
            for before, after in renamed.items():
                db.execute("UPDATE keys SET holder = ? WHERE lease = ? AND holder = ?", (after, lease, before))

        await self._record(work)

    def listed(self) -> list[KeyRecord]:
        """Every valid key, by id; only its holder knows the secret."""
        return (
            [
                KeyRecord(id=key_id, holder=holder, created=round(created * 1000, 1))
                for key_id, (_, _, holder, created) in self._live.items()
            ]
            + [
                KeyRecord(
                    id=key.id, holder=f"{key.name} (persistent, {key.grant})", created=round(key.created * 1000, 1)
                )
                for key in self._persistent.values()
            ]
            + self.of_apps.listed()
        )

    def revoke_one(self, key_id: str) -> bool:
        """Revoke one key immediately; False if there is none of that id."""
        if self._persistent.pop(key_id, None) is not None:
            return self._secret_store.remove_key(key_id)
        if self.of_apps.revoke_one(key_id):
            return True
        if self._live.pop(key_id, None) is None:
            return False
        self._later(lambda db: db.execute("DELETE FROM keys WHERE id = ?", (key_id,)))
        return True

    def revoke(self, lease: str) -> None:
        """Revoke the lease's key immediately."""
        for key_id in [k for k, (_, owner, _, _) in self._live.items() if owner == lease]:
            del self._live[key_id]
        self._later(lambda db: db.execute("DELETE FROM keys WHERE lease = ?", (lease,)))

    def _later(self, work: Callable[[sqlite3.Connection], object]) -> None:
        self._recordings.add(task := asyncio.ensure_future(self._record(work)))
        task.add_done_callback(self._recordings.discard)

    def is_owners(self, authorization: str) -> bool:
        """True if the key is the user's own: of a kernel, of ``serve``, of a panel, or a persistent one of preset FULL."""
        return self.admits(authorization, "owner")

    def admits(self, authorization: str, right: Right) -> bool:
        """True if the header is ``Key id:secret`` (or ``Bearer``) of a valid key with that right; constant time in the secret."""
        key_id = self.id_of(authorization)
        persistent = self._persistent.get(key_id)
        if persistent is not None:
            return right in persistent.grant.rights
        if key_id in self._live:
            return True
        return key_id != "" and right in OF_APPS.rights

    def refusal(self, authorization: str, right: Right) -> str:
        """Describe why a valid key does not have that right; ``""`` if the header is not that of a valid key."""
        persistent = self._persistent.get(self.id_of(authorization))
        return (
            refusal(persistent.grant, right) if persistent is not None and right not in persistent.grant.rights else ""
        )

    def lives(self, key_id: str) -> bool:
        """True while the key of that id is valid."""
        return key_id in self._live or key_id in self._persistent or self.of_apps.hash_of(key_id) is not None

    def id_of(self, authorization: str) -> str:
        """Return the id of the valid key in the header, or ``""``."""
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() not in ("key", "bearer"):
            return ""
        key_id, digest = id_and_hash(credentials.strip())
        persistent = self._persistent.get(key_id)
        expected = (
            persistent.sha256 if persistent is not None else self._live.get(key_id, (self.of_apps.hash_of(key_id),))[0]
        )
        return key_id if hmac.compare_digest(digest, expected or _DUMMY) and expected is not None else ""
