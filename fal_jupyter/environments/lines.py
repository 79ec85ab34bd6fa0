"""Lines of ``requirements`` as installers read them: without comments, with absolute local paths, and with a digest of what these contain."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

_WITH_PLACE = re.compile(
    r"(-e|--editable|-r|--requirement|-c|--constraint|-f|--find-links)(?:\s+|=|(?<=^-[ercf]))(\S.*)"
)
_FILES = ("-r", "--requirement", "-c", "--constraint")
_LOCAL = re.compile(
    r"(\.{1,2}(?:/[^\[\];#]*?)?|[/~][^\[\];#]*?|[^\s@:;=<>!\[\]#]+\.(?:whl|tar\.gz|zip))"
    r"(\[[^\]]*\])?((?:#\S*)?(?:\s*;.*|\s+--.*)?)",
    re.ASCII,
)
_PASSED_OVER = frozenset({"__pycache__", ".git", ".venv", "build", "dist", ".ipynb_checkpoints", "node_modules"})
_SECRET = re.compile(r"(?<=://)[^/\s@]+(?=@)")


def masked(text: str) -> str:
    """Return *text* without the credentials in its URLs."""
    return _SECRET.sub("****", text)


def installer_lines(requirements: Iterable[str], base: Path) -> list[str]:
    """Return the lines of a requirements file; local paths in them are relative to *base*."""
    lines = []
    for line in requirements:
        text = line.split(" #")[0].strip()
        if not text or text.startswith("#"):
            continue
        if option := _WITH_PLACE.fullmatch(text):
            path = option[2].strip()
            text = f"{option[1]} {path if '://' in path else base / os.path.expanduser(path)}"
        elif local := _LOCAL.fullmatch(text):
            text = f"{(base / os.path.expanduser(local[1].strip())).resolve()}{local[2] or ''}{local[3]}"
        lines.append(text)
    return lines


def local_places(lines: Iterable[str], seen: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Yield the local files and folders named in *lines* of :func:`installer_lines`, including those named in nested requirements files."""
    for line in lines:
        option = _WITH_PLACE.fullmatch(line)
        local = _LOCAL.fullmatch(line)
        location = option[2] if option else local[1].strip() if local else ""
        if not location.startswith("/") or (option and option[1] in ("-f", "--find-links")):
            continue
        path = Path(os.path.normpath(location.partition("[")[0]))
        yield path
        if option and option[1] in _FILES and path not in seen:
            try:
                inner = path.read_text().splitlines()
            except (OSError, UnicodeDecodeError):
                continue  # the installer reports what is wrong with it
            yield from local_places(installer_lines(inner, path.parent), seen | {path})


def digest_of(path: Path) -> str:
    """Digest a file, or a folder's contents without the files that tools generate; a missing path counts as empty."""
    digest = hashlib.sha256()
    for file in sorted(_files(path)):
        try:
            with open(file, "rb") as source:
                inside = hashlib.file_digest(source, "sha256").hexdigest()
        except OSError:
            continue  # removed meanwhile
        digest.update(f"{file.relative_to(path)}\0{inside}\0".encode())
    return digest.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    for folder, folders, names in os.walk(path):
        folders[:] = [name for name in folders if name not in _PASSED_OVER and not name.endswith(".egg-info")]
        paths = (Path(folder, name) for name in names if not name.endswith(".pyc"))
        yield from (path for path in paths if path.is_file())  # reading a pipe would block
