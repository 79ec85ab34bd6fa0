"""``local_python_modules``: their contents are deployed by value, so the rules for the class apply to them, too."""

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
from fal_jupyter.shipping.files.local_files import files_used

_MOST_FILES = 300


def module_pieces(carried: Carried, pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Return the code of the deployed modules, a list for each; of a package only what the class's code reaches.

    Other files of a package may belong to other apps.
    """
    files = dict(_files(carried))
    packages = {name.split(".")[0] for name in files if "." in name}
    loaded = [name for name in files if name in sys.modules]
    used = {file.name for file in files_used(loaded, [ast.unparse(piece.node) for piece in pieces])}
    selected = (name for name in files if name.split(".")[0] not in packages or name in used)
    return [pieces_of_module(name, files[name]) for name in selected]


def module_findings(
    modules: Sequence[Sequence[Piece]], surroundings: Surroundings, carried: Carried, secrets: list[str] | None
) -> list[Finding]:
    """Report what functions of the modules do that the cloud does not. Notes only: the class may not use that part."""
    findings: list[Finding] = []
    carried = replace(
        carried, fetches=carried.fetches or any(fetches_code(piece) for pieces in modules for piece in pieces)
    )
    for pieces in modules:
        findings += import_findings(pieces, (), surroundings, carried)
        findings += path_findings(pieces, surroundings, carried.files, image=carried.image)
        findings += [
            f
            for f in variable_findings(pieces, surroundings, secrets, secrets_location=("", 0), image=carried.image)
            if f.code == "environment-missing"
        ]
    return [replace(finding, severity="note") for finding in findings]


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
