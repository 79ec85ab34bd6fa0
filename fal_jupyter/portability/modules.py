"""``local_python_modules``: what they hold goes along by value, so what is said of the class can be said of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from fal_jupyter.portability.code import pieces_of_module
from fal_jupyter.portability.findings import Finding
from fal_jupyter.portability.imports import Carried, import_findings
from fal_jupyter.portability.packages import file_of_local
from fal_jupyter.portability.paths import address_findings, path_findings
from fal_jupyter.portability.surroundings import Surroundings
from fal_jupyter.portability.variables import variable_findings

_MOST_FILES = 300


def module_findings(here: Surroundings, carried: Carried, secrets: list[str] | None) -> list[Finding]:
    """Say what functions of the modules do that the cloud does not. Notes only: the class may not use that part."""
    found: list[Finding] = []
    for name, file in _files(carried):
        pieces = pieces_of_module(name, file)
        found += import_findings(pieces, (), here, carried)
        found += path_findings(pieces, here, carried.files, image=carried.image)
        found += address_findings(pieces, here)
        found += [
            f
            for f in variable_findings(pieces, here, secrets, named_at=("", 0), image=carried.image)
            if f.code == "environment-missing"
        ]
    return [replace(finding, severity="note") for finding in found]


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
