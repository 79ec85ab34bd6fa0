"""``python -P -m fal_jupyter.gateway --ready-fd N [--idle-exit SECONDS]``: started by ``fal_jupyter.client``, never by hand.

One a state directory: it holds ``gateway.lock`` as long as it lives, and only the holder may unlink a stale socket.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import logging
import logging.handlers
import os
import signal
import socket
import stat

from fal_jupyter import settings as settings_module
from fal_jupyter.domain.errors import FalJupyterError, GatewayError, StateRefused
from fal_jupyter.gateway.house import House
from fal_jupyter.processes import become_subreaper, raise_file_limit
from fal_jupyter.settings import Settings
from fal_jupyter.state import address_of, check_state

log = logging.getLogger("fal_jupyter.gateway")


def take_life_lock(settings: Settings) -> int:
    """Take the lock that says "I am the gateway".

    Raises:
        GatewayError: another gateway holds it.
    """
    fd = os.open(settings.life_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise GatewayError(f"another gateway holds {settings.life_lock}") from None
    return fd


def bind(settings: Settings) -> socket.socket:
    """Bind the Unix socket; a stale one of ours is replaced, anything else is refused."""
    path = settings.socket
    try:
        found = path.lstat()
    except FileNotFoundError:
        pass
    else:
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.getuid():
            raise StateRefused(f"{path} is not our socket", hint="remove it, or set another FAL_JUPYTER_STATE")
        path.unlink()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with address_of(path) as address:
        sock.bind(address)
    path.chmod(0o600)
    sock.listen(512)
    sock.setblocking(False)
    return sock


def _start_log(settings: Settings) -> None:
    settings.logs.mkdir(mode=0o700, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(settings.logs / "gateway.log", maxBytes=2 << 20, backupCount=1)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)
    logging.getLogger("tornado.general").setLevel(logging.ERROR)  # a hostile head is no event of ours


async def _serve(settings: Settings, unix: socket.socket, idle_exit: float, ready: int) -> None:
    house = House(settings, dict(os.environ), idle_exit, raise_file_limit())
    await house.open(unix)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, house.stop)
    _say(ready, {"ok": True, "pid": os.getpid()})
    log.info("gateway %s serves %s", os.getpid(), settings.state)
    await house.stopping.wait()
    settings.socket.unlink(missing_ok=True)
    await house.close()
    log.info("gateway %s ends", os.getpid())


def _say(ready: int, answer: dict[str, object]) -> None:
    try:
        os.write(ready, json.dumps(answer).encode() + b"\n")
    except BrokenPipeError:
        pass  # the starter was interrupted; the gateway serves the next one
    os.close(ready)


def main() -> None:
    """Be the gateway until nobody needs one."""
    parser = argparse.ArgumentParser(prog="fal_jupyter.gateway")
    parser.add_argument("--ready-fd", type=int, required=True)
    parser.add_argument("--idle-exit", type=float, default=600.0)
    options = parser.parse_args()
    os.set_inheritable(options.ready_fd, False)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        settings = settings_module.read()
        check_state(settings.state)
        lock = take_life_lock(settings)
        _start_log(settings)
        become_subreaper()
        unix = bind(settings)
    except FalJupyterError as error:
        answer = {"ok": False, "kind": type(error).__name__, "error": error.message, "hint": error.hint}
        _say(options.ready_fd, answer)
        raise SystemExit(1) from None
    try:
        _run(_serve(settings, unix, options.idle_exit, options.ready_fd))
    except Exception:
        log.exception("the gateway failed")
        raise
    finally:
        os.close(lock)


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
