"""``local_python_modules``: what they hold goes along by value, so what is said of the class can be said of them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from fal_jupyter.portability.code import Piece, pieces_of_module
from fal_jupyter.portability.findings import Finding
from fal_jupyter.portability.imports import Carried, fetches_code, import_findings
from fal_jupyter.portability.packages import file_of_local
from fal_jupyter.portability.paths import path_findings
from fal_jupyter.portability.surroundings import Surroundings
from fal_jupyter.portability.variables import variable_findings

_MOST_FILES = 300


def module_pieces(carried: Carried, pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Give the code of the modules that go along, a list for each; of a package only what the class's code leads to.

    Other files of a package may belong to other apps.
    """
    files = dict(_files(carried))
    packages = {name.split(".")[0] for name in files if "." in name}
    read: dict[str, list[Piece]] = {}
    wanted = [name for name in files if name.split(".")[0] not in packages or name in sys.modules]
    wanted += [name for piece in pieces for name in _imported(piece, "")]
    while wanted:
        name = wanted.pop()
        if name in files and name not in read:
            read[name] = pieces_of_module(name, files[name])
            package = name if files[name].name == "__init__.py" else name.rpartition(".")[0]
            wanted += [inner for piece in read[name] for inner in _imported(piece, package)]
    return list(read.values())


def module_findings(
    modules: Sequence[Sequence[Piece]], here: Surroundings, carried: Carried, secrets: list[str] | None
) -> list[Finding]:
    """Say what functions of the modules do that the cloud does not. Notes only: the class may not use that part."""
    found: list[Finding] = []
    carried = replace(
        carried, fetches=carried.fetches or any(fetches_code(piece) for pieces in modules for piece in pieces)
    )
    for pieces in modules:
        found += import_findings(pieces, (), here, carried)
        found += path_findings(pieces, here, carried.files, image=carried.image)
        found += [
            f
            for f in variable_findings(pieces, here, secrets, named_at=("", 0), image=carried.image)
            if f.code == "environment-missing"
        ]
    return [replace(finding, severity="note") for finding in found]


def _imported(piece: Piece, package: str) -> Iterator[str]:
    """The modules that code may import: each name of an import with all packages above it."""
    for node in piece.walk():
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            home = ".".join([*above, *([node.module] if node.module else [])])
            names = [home, *(f"{home}.{one.name}" for one in node.names)]
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[:at]) for at in range(1, len(parts) + 1))


def _files(carried: Carried) -> Iterator[tuple[str, Path]]:
    for name in carried.modules:
        top = name.split(".")[0]
        path = file_of_local(top)
        if path is None:
            continue
        if not path.is_dir():
            yield top, path
            continue
        for file in sorted(path.rglob("*.py"))[:_MOST_FILES]:
            parts = [top, *file.relative_to(path).with_suffix("").parts]
            yield ".".join(parts).removesuffix(".__init__"), file
