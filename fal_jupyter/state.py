"""The state directory: private to the user or refused, and its socket's address for paths of any length."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fal_jupyter.domain.errors import StateRefused

AF_UNIX_LIMIT = 107  # bytes of a path in a sockaddr_un, its final zero not counted
_ANOTHER = "set FAL_JUPYTER_STATE to a directory of your own"


def check_state(state: Path) -> None:
    """Refuse a state directory that is not private to the user; create a missing one, and make an empty one private.

    Raises:
        StateRefused: the message says why, the hint what to type.
    """
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = state.lstat()
    except FileExistsError:
        raise StateRefused(f"{state} is not a directory", hint=_ANOTHER) from None
    except OSError as error:
        raise StateRefused(f"the state directory {state} cannot be created: {error.strerror}", hint=_ANOTHER) from None
    if not stat.S_ISDIR(status.st_mode):
        raise StateRefused(f"{state} is not a directory", hint=_ANOTHER)
    if status.st_uid != os.getuid():
        raise StateRefused(f"the state directory {state} belongs to another user (uid {status.st_uid})", hint=_ANOTHER)
    if status.st_mode & 0o022:
        raise StateRefused(f"others can write to the state directory {state}", hint=_private(state))
    if status.st_mode & 0o077 and not _made_private(state):
        raise StateRefused(f"others can read the state directory {state}", hint=_private(state))


def _made_private(state: Path) -> bool:
    """Remove other users' permissions on an empty directory; a non-empty one may be shared on purpose."""
    try:
        if any(state.iterdir()):
            return False
        state.chmod(0o700)
        return not state.lstat().st_mode & 0o077
    except OSError:
        return False


def _private(state: Path) -> str:
    return f"type: chmod 700 {shlex.quote(str(state))}  (or {_ANOTHER})"


@contextmanager
def address_of(path: Path) -> Iterator[str]:
    """Provide an address to bind or connect a Unix socket at *path* by, good inside the ``with`` block."""
    if len(os.fsencode(path)) <= AF_UNIX_LIMIT:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
