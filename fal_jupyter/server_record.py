"""Lets a kernel find its Jupyter server: a small file that our server extension writes to Jupyter's runtime directory.

Needs neither Tornado nor jupyter_server, so that a kernel can read it. The file is private (0600), replaced atomically,
and valid only while the process that it names is running: by pid and start time.
"""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from fal_jupyter.atomic_write import write_whole
from fal_jupyter.processes import start_time

OLD = 7 * 24 * 3600.0  # seconds


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """A Jupyter server with our extension.

    Attributes:
        pid: the server's process.
        start_time: when it started, in clock ticks since boot.
        base_url: the path prefix of all its URLs, percent-encoded (``/user/a%20b/``).
        origin: ``scheme://host[:port]`` under which the user's browser reaches it; ``""`` before the first request.
        labextension: True if our front-end extension is installed beside the server.
    """

    pid: int
    start_time: int
    base_url: str
    origin: str
    labextension: bool

    def url(self, path: str) -> str:
        """Return the address of *path* (``fal/run/…``) in the user's browser; without an origin it begins with the base URL."""
        return self.origin + self.base_url + path.lstrip("/")


def record_path(runtime_dir: Path, pid: int) -> Path:
    """Path of the record of the server *pid*."""
    return runtime_dir / f"fal-jupyter-server-{pid}.json"


def find(runtime_dir: Path, pid: int) -> ServerRecord | None:
    """Return the record of the running server *pid* (a kernel's ``JPY_PARENT_PID``), or None if there is none or it is stale."""
    import msgspec  # start-up

    try:
        record = msgspec.json.decode(record_path(runtime_dir, pid).read_bytes(), type=ServerRecord)
    except (OSError, ValueError, msgspec.MsgspecError):  # before msgspec 0.21 its own is no ValueError
        return None
    if record.pid != pid or record.start_time == 0 or start_time(pid) != record.start_time:
        return None
    return record


def write(runtime_dir: Path, record: ServerRecord) -> None:
    """Write a server's record atomically, and remove old ones of killed servers.

    Raises:
        OSError: the directory cannot be written.
    """
    write_whole(record_path(runtime_dir, record.pid), json.dumps(asdict(record)).encode())
    for path in runtime_dir.glob("fal-jupyter-server-*.json"):
        with contextlib.suppress(OSError, ValueError):
            old = (
                path.stat().st_mtime < time.time() - OLD
            )  # a recent one may be from another machine with the same home directory
            if old and find(runtime_dir, int(path.stem.rpartition("-")[2])) is None:
                path.unlink()


def remove(runtime_dir: Path, pid: int) -> None:
    """Remove a server's record."""
    try:
        record_path(runtime_dir, pid).unlink(missing_ok=True)
    except OSError:
        pass  # the directory was removed first
