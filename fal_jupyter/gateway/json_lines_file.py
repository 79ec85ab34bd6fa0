"""A file for debugging that gets a line of JSON for each thing that happens."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec


class JsonLinesFile:
    """Writes records as lines of JSON. A full disk ends the file, never the gateway."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)

    def write(self, record: msgspec.Struct) -> None:
        """Add a line."""
        if self._file < 0:
            return
        try:
            os.write(self._file, msgspec.json.encode(record) + b"\n")
        except OSError:
            self.close()

    def close(self) -> None:
        """Write no more."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
