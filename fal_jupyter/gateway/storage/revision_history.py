"""The history of publications, in the store."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from typing import Final

from fal_jupyter.gateway.storage.store import Store

log = logging.getLogger("fal_jupyter.gateway")
MOST_REVISIONS: Final = 1000  # publications that are stored


class RevisionHistory:
    """The last publications of all apps."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def append(self, alias: str, revision: int, class_name: str, verdict: str, reason: str) -> None:
        """Add a publication; a failure is logged."""
        now = time.time()

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO revisions VALUES (?, ?, ?, ?, ?, ?)", (alias, revision, class_name, verdict, reason, now)
            )
            db.execute("DELETE FROM revisions WHERE rowid <= (SELECT max(rowid) FROM revisions) - ?", (MOST_REVISIONS,))

        self._store.transact(work).add_done_callback(_log_failure)


def _log_failure(future: asyncio.Future[None]) -> None:
    if not future.cancelled() and future.exception() is not None:
        log.warning("the history could not be written: %s", future.exception())
