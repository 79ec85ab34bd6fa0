"""A small key-value store; here one SQLite file of the state directory, shared by all apps (app-contract C130)."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fal_jupyter import settings
from fal_jupyter.fal.toolkit.exceptions import KVStoreException

SHORTEST, LONGEST = 60, 30 * 86400
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    db TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, expires REAL NOT NULL, PRIMARY KEY (db, key)
) WITHOUT ROWID
"""


class KVStore:
    """The values of one name.

    Args:
        db_name: which of the stores.
    """

    def __init__(self, db_name: str) -> None:
        self.db_name = db_name

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        path = _path()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=10)
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute(_SCHEMA)
                path.chmod(0o600)
                with connection:
                    yield connection
            finally:
                connection.close()
        except (OSError, sqlite3.Error) as error:
            raise KVStoreException(f"Error sending request. Status 500: {error}") from error

    def get(self, key: str) -> str | None:
        """Give the value of *key*, or None where there is none (any more).

        Raises:
            KVStoreException: the store cannot be read.
        """
        with self._open() as db:
            found = db.execute(
                "SELECT value FROM entries WHERE db = ? AND key = ? AND expires > ?", (self.db_name, key, time.time())
            ).fetchone()
        return None if found is None else str(found[0])

    def set(self, key: str, value: str, ttl: int | None = None) -> None:
        """Keep *value* for *ttl* seconds (60 to 2592000; default 30 days).

        Raises:
            KVStoreException: the store cannot be written, or *ttl* is out of range.
        """
        if ttl is not None and not SHORTEST <= ttl <= LONGEST:
            raise KVStoreException(f"Error sending request. Status 400: ttl must be between {SHORTEST} and {LONGEST}")
        now = time.time()
        with self._open() as db:
            db.execute("DELETE FROM entries WHERE expires <= ?", (now,))
            db.execute(
                "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)",
                (self.db_name, key, value, now + (LONGEST if ttl is None else ttl)),
            )

    def delete(self, key: str) -> None:
        """Forget *key*, whether it is there or not.

        Raises:
            KVStoreException: the store cannot be written.
        """
        with self._open() as db:
            db.execute("DELETE FROM entries WHERE db = ? AND key = ?", (self.db_name, key))


def _path() -> Path:
    return settings.read().state / "kv.sqlite"
