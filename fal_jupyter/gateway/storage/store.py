"""SQLite in WAL mode, for data that outlives the gateway. One writer thread executes complete transactions."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")
_SCHEMA = (Path(__file__).parent / "store.sql").read_text()


class Store:
    """The writer thread and its queue."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._jobs: queue.SimpleQueue[Callable[[sqlite3.Connection], None] | None] = queue.SimpleQueue()
        self._opened: queue.SimpleQueue[sqlite3.Error | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="store", daemon=True)
        self._thread.start()
        error = self._opened.get()
        if error is not None:
            raise error

    def _work(self) -> None:
        try:
            self._connection = self._open()
        except sqlite3.Error as error:
            self._opened.put(error)
            return
        self._opened.put(None)
        while (job := self._jobs.get()) is not None:
            job(self._connection)
        self._connection.close()

    def _open(self, former: sqlite3.Connection | None = None) -> sqlite3.Connection:
        with contextlib.suppress(OSError):  # a full disk: SQLite reports it
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # its journals inherit the mode
        connection = sqlite3.connect(self._path, isolation_level=None)
        if former is not None:
            former.backup(connection)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.executescript(_SCHEMA)
        self._path.chmod(0o600)
        return connection

    def reopen(self) -> asyncio.Future[None]:
        """The file was removed: copy its contents to a new one, and continue there."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()

        def job(connection: sqlite3.Connection) -> None:
            try:
                if not self._path.exists():
                    self._connection = self._open(former=connection)
                    connection.close()
            except (OSError, sqlite3.Error) as error:
                loop.call_soon_threadsafe(future.set_exception, error)
            else:
                loop.call_soon_threadsafe(future.set_result, None)

        self._jobs.put(job)
        return future

    def transact(self, work: Callable[[sqlite3.Connection], Result]) -> asyncio.Future[Result]:
        """Run *work* in one transaction; the future is done when it is on disk, or has its error."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()

        def settle(result: Result | None, error: BaseException | None) -> None:
            if future.cancelled():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]

        def job(connection: sqlite3.Connection) -> None:
            try:
                connection.execute("BEGIN IMMEDIATE")
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException as error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                loop.call_soon_threadsafe(settle, None, error)
            else:
                loop.call_soon_threadsafe(settle, result, None)

        self._jobs.put(job)
        return future

    def close(self) -> None:
        """Finish queued work, then end the thread."""
        self._jobs.put(None)
        self._thread.join(5)
