"""The surroundings of a class: its notebook or file, its folder, and the settings of this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fal_jupyter.portability.findings import Finding, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The surroundings, as the caller of the check provides them.

    Attributes:
        folder: the working directory of runners and the folder of the app's files: that of the notebook or file.
        namespace: the globals of the class.
        file: the file of the class, or ``None`` for a notebook. imported: fal imports it, so that it is in its package.
        label: returns ``cell [3]`` for the file name of a cell's code, or ``""``.
        cell_of: returns ``cell [3]`` for a name bound in that cell, or ``""``.
        secrets: names of the secrets that are set here.
        environ: the environment variables of runners.
        run_options: options set for the running app in addition to its class, by fal's names.
        data_is_mounted: returns whether runners see the persistent folder at ``/data``; called only when needed.
        set_by: variables that the notebook set, with the cell.
    """

    folder: Path
    namespace: Mapping[str, object]
    file: Path | None = None
    imported: bool = False
    label: Callable[[str], str] = lambda filename: ""
    cell_of: Callable[[str], str] = lambda name: ""
    secrets: frozenset[str] = frozenset()
    environ: Mapping[str, str] = field(default_factory=dict)
    data_is_mounted: Callable[[], bool] = lambda: False
    run_options: Mapping[str, object] = field(default_factory=dict)
    set_by: Mapping[str, str] = field(default_factory=dict)

    def where(self, filename: str, line: int) -> str:
        """Return a location as the user knows it."""
        if cell := self.label(filename):
            return f"{cell}, line {line}" if line else cell
        name = Path(filename).name
        return "" if filename.startswith("<") or not name else f"{name}:{line}" if line else name

    def finding(
        self, code: str, severity: Severity, location: tuple[str, int], message: str, instead: str = ""
    ) -> Finding:
        """Return a finding at *location*, a file name and a line; ``("", 0)`` for none."""
        return Finding(code, severity, self.where(*location) if location[0] else "", message, instead, location)
