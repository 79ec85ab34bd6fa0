"""What is installed for an interpreter, and whether that has changed since a process started from it.

Two levels: the *stamps* of a few paths (one ``stat`` each) show at every start that nothing happened; only where one differs are the
distributions listed, since a directory also changes when bytecode is cached in it.
"""

from __future__ import annotations

import hashlib
import os
import site
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass

_RECORDS = (".dist-info", ".egg-info", ".egg-link", ".pth")
Stamp = list[int] | None


def version() -> str:
    """Return the version of this package; ``"0"`` where it is not installed but only on the path."""
    from importlib import metadata  # start-up: what it imports costs more than all else here

    try:
        return metadata.version("fal_jupyter")
    except metadata.PackageNotFoundError:
        return "0"


@dataclass(slots=True)
class Installed:
    """The packages that a process started with.

    Attributes:
        folders: where the interpreter finds installed packages, whether or not they exist yet.
        files: single files that matter as well: ``.pth`` files (which may be edited in place) and the interpreter itself.
        stamps: inode, size and time of change of all of these, in that order; None if one is missing.
        records: digest of the distributions' records in *folders*, each with its stamp.
    """

    folders: list[str]
    files: list[str]
    stamps: list[Stamp]
    records: str

    def changed(self) -> bool:
        """True if packages were installed, removed or replaced since."""
        stamps = _stamps([*self.folders, *self.files])
        if stamps == self.stamps:
            return False
        count = len(self.folders)
        if stamps[count:] != self.stamps[count:] or _digest(self.folders) != self.records:
            return True
        self.stamps = stamps
        return False


def installed_here() -> Installed:
    """Return what is installed for this interpreter now; of a process that has not changed ``sys.path`` yet."""
    folders = _folders()
    pth = [path for path in _records(folders) if path.endswith(".pth")]
    files = [*pth, sys.executable, str(os.__file__)]
    return Installed(folders, files, _stamps([*folders, *files]), _digest(folders))


def _folders() -> list[str]:
    library = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    library |= {os.path.join(path, "lib-dynload") for path in library}
    users = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    paths = [*sys.path, *site.getsitepackages(), *users]
    return [path for path in dict.fromkeys(paths) if path and path not in library]


def _stamps(paths: Iterable[str]) -> list[Stamp]:
    return [_stamp(path) for path in paths]


def _stamp(path: str) -> Stamp:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_ino, status.st_size, status.st_mtime_ns]


def _digest(folders: Iterable[str]) -> str:
    stamped = [(path, _stamp(path)) for path in _records(folders)]
    return hashlib.sha256(repr(stamped).encode("utf-8", "surrogateescape")).hexdigest()


def _records(folders: Iterable[str]) -> list[str]:
    records: list[str] = []
    for folder in folders:
        try:
            names = sorted(name for name in os.listdir(folder) if name.endswith(_RECORDS))
        except OSError:  # missing, or a zip file
            continue
        records += [os.path.join(folder, name) for name in names]
    return records
