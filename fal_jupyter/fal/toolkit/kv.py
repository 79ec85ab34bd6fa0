"""A small key-value store; here one SQLite file of the state directory, shared by all apps (docs/contract.md, C130)."""

from __future__ import annotations

import http.client
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from fal_jupyter import settings
from fal_jupyter.fal.toolkit.exceptions import KVStoreException

SHORTEST, LONGEST = 60, 30 * 86400
_UNSENDABLE = re.compile("[\x00-\x20\x7f]")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    db TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, expires REAL NOT NULL, PRIMARY KEY (db, key)
) WITHOUT ROWID
"""


class KVStore:
    """The values of one name.

    Names and keys are parts of an address, as on fal: they are ASCII without spaces and control characters, and what
    an address does not send (white space at its end, ``#`` and what follows) does not tell two keys apart.

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
            raise KVStoreException(
                f"Error sending request. Status 500: the file {path} can be neither read nor written as a key-value store"
            ) from error

    def get(self, key: str) -> str | None:
        """Return the value of *key*, or None if there is none (or no longer).

        Raises:
            KVStoreException: the store cannot be read.
            http.client.InvalidURL, UnicodeEncodeError: *key* cannot be sent.
        """
        entry = self._entry("GET", key)
        with self._open() as db:
            row = db.execute(
                "SELECT value FROM entries WHERE db = ? AND key = ? AND expires > ?", (*entry, time.time())
            ).fetchone()
        return None if row is None else str(row[0])

    def set(self, key: str, value: str, ttl: int | None = None) -> None:
        """Keep *value* for *ttl* seconds (60 to 2592000; default 30 days).

        Raises:
            AttributeError: *value* is not a string.
            KVStoreException: the store cannot be written, or *ttl* is out of range.
            http.client.InvalidURL, UnicodeEncodeError: *key* cannot be sent.
        """
        text = value.encode().decode()  # another value has no encode(): the same error as on fal
        entry = self._entry("PUT", key, "" if ttl is None else f"?{urlencode({'ttl': ttl})}")
        lives = _seconds(ttl)
        now = time.time()
        with self._open() as db:
            db.execute("DELETE FROM entries WHERE expires <= ?", (now,))
            db.execute(
                "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)",
                (*entry, text, now + lives),
            )

    def delete(self, key: str) -> None:
        """Forget *key*, whether it is there or not.

        Raises:
            KVStoreException: the store cannot be written.
            http.client.InvalidURL, UnicodeEncodeError: *key* cannot be sent.
        """
        entry = self._entry("DELETE", key)
        with self._open() as db:
            db.execute("DELETE FROM entries WHERE db = ? AND key = ?", entry)

    def _entry(self, method: str, key: str, query: str = "") -> tuple[str, str]:
        """The row of *key*, once the request that fal would send for it is one that can be sent."""
        sent = _sent(f"/{_VERBS[method]}/{self.db_name}/{key}{query}")
        if match := _UNSENDABLE.search(sent):
            raise http.client.InvalidURL(
                f"URL can't contain control characters. {sent!r} (found at least {match.group()!r})"
            )
        f"{method} {sent} HTTP/1.1".encode("ascii")
        return f"{self.db_name}", _sent(f"/{key}")[1:]


_VERBS = {"GET": "get", "PUT": "set", "DELETE": "delete"}


def _sent(path: str) -> str:
    """What of *path* an HTTP client sends: no white space around it, and no fragment."""
    head, mark, _ = path.strip().rpartition("#")
    return head if mark else path.strip()


def _seconds(ttl: object) -> float:
    """Read *ttl*, which travels as text.

    Raises:
        KVStoreException: it is not a number in the range.
    """
    if ttl is None:
        return LONGEST
    try:
        seconds = float(f"{ttl}")
    except ValueError:
        seconds = 0.0
    if not SHORTEST <= seconds <= LONGEST:
        raise KVStoreException(f"Error sending request. Status 400: ttl must be between {SHORTEST} and {LONGEST}")
    return seconds


def _path() -> Path:
    return settings.read().state / "kv.sqlite"
