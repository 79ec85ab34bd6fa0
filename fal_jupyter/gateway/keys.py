"""Keys: made by clients, known here by id and SHA-256 only, alive as long as their lease."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import sqlite3
import time
from collections.abc import Callable

from fal_jupyter.gateway.store import Store
from fal_jupyter.protocol.feed import KeyRecord

log = logging.getLogger("fal_jupyter.gateway")
_DUMMY = bytes(32)


class Keys:
    """The keys that open the data plane now."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._recordings: set[asyncio.Future[None]] = set()
        self._live: dict[str, tuple[bytes, str, str, float]] = {}

    async def forget_former(self) -> None:
        """Revoke what a gateway before this one left: its leases ended with it."""
        now = time.time()
        await self._record(lambda db: db.execute("UPDATE keys SET revoked = ? WHERE revoked IS NULL", (now,)))

    async def _record(self, work: Callable[[sqlite3.Connection], object]) -> None:
        """Write to the store; what decides is in memory, so that a full disk shuts nobody out (and lets nobody in)."""
        try:
            await self._store.transact(work)
        except sqlite3.Error as error:
            log.warning("the keys could not be recorded: %s", error)

    async def add(self, key_id: str, sha256: bytes, lease: str, holder: str) -> None:
        """Let the key in; it is on disk when this returns, unless the disk is full."""

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO keys VALUES (?, ?, ?, ?, ?, NULL) ON CONFLICT (id) DO UPDATE SET"
                " sha256 = excluded.sha256, lease = excluded.lease, created = excluded.created, revoked = NULL",
                (key_id, sha256, lease, holder, time.time()),
            )

        await self._record(work)
        self._live[key_id] = (sha256, lease, holder, time.time())

    def listed(self) -> list[KeyRecord]:
        """Every living key, by id: what it opens with is known to its holder only."""
        return [
            KeyRecord(id=key_id, holder=holder, created=round(created * 1000, 1))
            for key_id, (_, _, holder, created) in self._live.items()
        ]

    def revoke_one(self, key_id: str) -> bool:
        """Shut out one key, at once; False where there is none of that id."""
        if self._live.pop(key_id, None) is None:
            return False
        now = time.time()
        self._later(lambda db: db.execute("UPDATE keys SET revoked = ? WHERE id = ?", (now, key_id)))
        return True

    def revoke(self, lease: str) -> None:
        """Shut out the lease's key, at once."""
        for key_id in [k for k, (_, owner, _, _) in self._live.items() if owner == lease]:
            del self._live[key_id]
        now = time.time()
        self._later(lambda db: db.execute("UPDATE keys SET revoked = ? WHERE lease = ?", (now, lease)))

    def _later(self, work: Callable[[sqlite3.Connection], object]) -> None:
        self._recordings.add(task := asyncio.ensure_future(self._record(work)))
        task.add_done_callback(self._recordings.discard)

    def is_owners(self, authorization: str) -> bool:
        """True when the key is the user's own: of a kernel, of ``serve`` or of a panel, not one made for somebody else."""
        return self.admits(authorization)

    def admits(self, authorization: str) -> bool:
        """True when the header is ``Key id:secret`` (or ``Bearer``) of a living key; constant time in the secret."""
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() not in ("key", "bearer"):
            return False
        key_id, _, secret = credentials.strip().partition(":")
        expected = self._live.get(key_id, (_DUMMY,))[0]
        given = hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
        return hmac.compare_digest(given, expected) and key_id in self._live
