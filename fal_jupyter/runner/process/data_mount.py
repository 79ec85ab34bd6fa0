"""Mounts the persistent folder at ``/data``, its path on fal, in a mount namespace of the template and its runners.

Needs a single-threaded process, and either CAP_SYS_ADMIN or a kernel that allows unprivileged user namespaces. An ordinary user cannot create
a directory in ``/``, so the namespace gets its own root: a read-only tmpfs with a bind mount of everything in ``/``, and ``data``
beside it (what bubblewrap does). An existing ``/data`` is not changed.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

from fal_jupyter.processes import prctl

DATA = "/data"
_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_SLAVE = 1, 2, 4, 32, 4096, 16384, 1 << 19
_MNT_DETACH = 2
_CAP_SYS_ADMIN = 21
_PR_SET_DUMPABLE = 4
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}
_libc = ctypes.CDLL(None, use_errno=True)
refusal = (
    ""  # why this process, and those forked from it, do not see the persistent folder at /data though they need it
)


def missing(error: BaseException) -> str:
    """Return a message if *error* is about a file below a ``/data`` that could not be mounted, else ``""``."""
    if not refusal or not issubclass(type(error), OSError):
        return ""
    name = OSError.filename.__get__(error)  # type: ignore[attr-defined]  # not what its class says of itself
    if type(name) is not str or not (name + "/").startswith(DATA + "/"):
        return ""
    return f"{DATA} is not the persistent folder here: {refusal}; use fal.toolkit.FAL_PERSISTENT_DIR"


def enter(folder: str) -> str:
    """Mount *folder*, and record the reason of a failure; see :func:`mount_data`."""
    global refusal
    refusal = mount_data(folder)
    return refusal


def mount_data(folder: str) -> str:
    """Mount *folder* at ``/data`` for this process and its future forks; returns the reason of a failure, or ``""``.

    A child tries it first, since a failed step would leave a process with an incomplete root.
    """
    if os.path.lexists(DATA):
        return f"{DATA} exists on this machine"
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        read, write = os.pipe()
    except OSError as error:
        return str(error)
    child = os.fork()
    if child == 0:
        why = b"it cannot be tried"
        try:
            _enter(folder)
            why = b"" if os.path.samestat(os.stat(DATA), os.stat(folder)) else b"it is another folder"
        except OSError as error:
            why = str(error).encode()
        finally:
            os.write(write, why)
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        why_not = pipe.read().decode()
    os.waitpid(child, 0)
    if not why_not:
        _enter(folder)
    return why_not


def _enter(folder: str) -> None:
    _unshare()
    _mount("none", "/", None, _MS_REC | _MS_SLAVE)  # later mounts of the machine are propagated here, but not back
    _mount("tmpfs", "/tmp", "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=0755")  # any directory: it is left immediately
    os.mkdir("/tmp/old", 0o755)
    os.mkdir("/tmp/new", 0o755)
    _mount("/tmp/new", "/tmp/new", None, _MS_BIND)
    _pivot("/tmp", "/tmp/old")
    os.chdir("/")
    for entry in os.scandir("/old"):
        _take_along(entry)
    os.mkdir(f"/new{DATA}")
    _mount(f"/old{folder}", f"/new{DATA}", None, _MS_BIND | _MS_REC)
    os.chdir("/new")
    _pivot(".", ".")  # the old root is now stacked below the new one, and is unmounted next
    _call(_libc.umount2, b".", _MNT_DETACH)
    os.chdir("/")
    _mount("none", "/", None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID | _MS_NODEV)


def _unshare() -> None:
    capabilities = int(Path("/proc/self/status").read_text().partition("CapEff:")[2].split()[0], 16)
    if capabilities >> _CAP_SYS_ADMIN & 1:
        _call(_libc.unshare, _CLONE_NEWNS)
        return
    uid, gid = os.getuid(), os.getgid()
    _call(_libc.unshare, _CLONE_NEWNS | _CLONE_NEWUSER)
    for file, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        Path(f"/proc/self/{file}").write_text(text)
    prctl(_PR_SET_DUMPABLE, 1)  # reset by the new credentials: children read our files below /proc


def _take_along(entry: os.DirEntry[str]) -> None:
    target = f"/new/{entry.name}"
    if entry.is_symlink():
        os.symlink(os.readlink(entry.path), target)
        return
    if entry.is_dir():
        os.mkdir(target)
    else:
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o600))
    _mount(entry.path, target, None, _MS_BIND | _MS_REC)


def _mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    encoded = [os.fsencode(source), os.fsencode(target), kind and kind.encode(), flags, options.encode()]
    _call(_libc.mount, *encoded, name=f"mount {target}")


def _pivot(new: str, old: str) -> None:
    number = _PIVOT_ROOT.get(platform.machine())
    if number is None:
        raise OSError(f"pivot_root is not known for {platform.machine()}")
    _call(_libc.syscall, number, new.encode(), old.encode(), name="pivot_root")


def _call(function: Callable[..., int], *arguments: object, name: str = "") -> None:
    converted = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments]
    if function(*converted) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name or getattr(function, "__name__", ""))


if __name__ == "__main__":
    print(mount_data(sys.argv[1]))
