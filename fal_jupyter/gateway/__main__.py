"""``python -P -m fal_jupyter.gateway --ready-fd N [--idle-exit SECONDS] [--foreground]``: started by ``fal_jupyter.client``.

There is one per state directory: it holds ``gateway.lock`` while it runs, and only the holder may unlink a stale socket.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import logging.handlers
import os
import shutil
import signal
import socket
import sqlite3
from io import TextIOWrapper

# Until the event loop handles SIGINT, it ends the process as SIGTERM does: without the traceback of a KeyboardInterrupt.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from fal_jupyter import process_logging  # noqa: E402
from fal_jupyter.domain.errors import FalJupyterError, StateRefused  # noqa: E402
from fal_jupyter.gateway.gateway import Gateway  # noqa: E402
from fal_jupyter.gateway.storage.state_lock import bind, take_life_lock  # noqa: E402
from fal_jupyter.processes import become_subreaper, raise_file_limit  # noqa: E402
from fal_jupyter.settings import Settings, read  # noqa: E402
from fal_jupyter.state import check_state  # noqa: E402

log = logging.getLogger("fal_jupyter.gateway")
DRAIN = 30.0  # seconds that a previous gateway may take to end


class _PrivateHandler(logging.handlers.RotatingFileHandler):
    """Creates its files for their owner only, regardless of the umask."""

    def _open(self) -> TextIOWrapper:
        return open(self.baseFilename, "a", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600))


def _start_log(settings: Settings, *, foreground: bool) -> None:
    settings.logs.mkdir(mode=0o700, exist_ok=True)
    file = _PrivateHandler(settings.logs / "gateway.log", maxBytes=2 << 20, backupCount=1)
    process_logging.log_of_process(settings, [file, logging.StreamHandler()] if foreground else [file])
    logging.getLogger("tornado.general").setLevel(logging.ERROR)  # malformed heads need no log entry


async def _serve(settings: Settings, lock: int, unix: socket.socket, idle_exit: float, ready: int) -> None:
    try:
        gateway = Gateway(settings, dict(os.environ), idle_exit, raise_file_limit(), lock)
    except sqlite3.DatabaseError as error:
        refused = _store_refused(settings, error)
        log.error("%s", refused)
        _refuse(ready, refused)
        return
    await gateway.open(unix)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, gateway.stop)
    _report_ready(ready, {"ok": True, "pid": os.getpid()})
    log.info("gateway %s serves %s", os.getpid(), settings.state)
    await gateway.stopping.wait()
    await gateway.close()
    log.info("gateway %s ends", os.getpid())


def _report_ready(ready: int, answer: dict[str, object]) -> None:
    try:
        os.write(ready, json.dumps(answer).encode() + b"\n")
    except BrokenPipeError:
        pass  # the starter was interrupted; the gateway serves the next one
    os.close(ready)


def main() -> None:
    """Run the gateway until it is no longer needed."""
    parser = argparse.ArgumentParser(prog="fal_jupyter.gateway")
    parser.add_argument("--ready-fd", type=int, required=True)
    parser.add_argument("--idle-exit", type=float, default=600.0)
    parser.add_argument("--foreground", action="store_true")
    options = parser.parse_args()
    os.set_inheritable(options.ready_fd, False)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        settings = read()
        try:
            check_state(settings.state)
            lock = take_life_lock(settings, wait=DRAIN)
            _start_log(settings, foreground=options.foreground)
            become_subreaper()
            unix = bind(settings)
        except OSError as error:
            raise _cannot_write(settings, error) from None
    except FalJupyterError as refused:
        _refuse(options.ready_fd, refused)
        raise SystemExit(1) from None
    try:
        _run(_serve(settings, lock, unix, options.idle_exit, options.ready_fd))
    except Exception:
        log.exception("the gateway failed")
        raise


def _refuse(ready: int, error: FalJupyterError) -> None:
    _report_ready(ready, {"ok": False, "kind": type(error).__name__, "error": error.message, "hint": error.hint})


def _cannot_write(settings: Settings, error: OSError | sqlite3.Error) -> StateRefused:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    free = shutil.disk_usage(settings.state).free
    return StateRefused(
        f"the state directory {settings.state} cannot be written: {reason} ({free:,} bytes are free there)",
        hint="free some space, or set FAL_JUPYTER_STATE to a directory on another disk",
    )


def _store_refused(settings: Settings, error: sqlite3.DatabaseError) -> StateRefused:
    if isinstance(error, sqlite3.OperationalError):  # a full disk, a directory without rights …
        return _cannot_write(settings, error)
    return StateRefused(
        f"{settings.store} is damaged ({error}), and was not changed",
        hint=f"type: mv {settings.store} {settings.store}.damaged",
    )


def _run(serving: object) -> None:
    try:
        import uvloop

        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    except ImportError:
        runner = asyncio.Runner()
    with runner:
        runner.run(serving)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
