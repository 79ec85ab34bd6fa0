"""What is known of where a class stands: the notebook or file, its folder, and what is set on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fal_jupyter.portability.findings import Finding, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Facts of the front that asks.

    Attributes:
        folder: where runners of the app work, and where its files lie: the notebook's or the file's.
        namespace: the globals that the class knows.
        file: the file of the class, or ``None`` for a notebook. imported: it is imported there, so that it is in its package.
        label: gives ``cell [3]`` for the file name of a cell's code, or ``""``.
        cell_of: gives ``cell [3]`` for the name that it bound, or ``""``.
        secrets: names of the secrets that are set here.
        environ: the environment that runners get.
        run_options: options that the running app was given beside its class, by fal's names.
        data_is_mounted: tells whether runners see the persistent folder at ``/data``; asked where it matters.
        set_by: variables that the notebook itself set, with the cell that did.
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
        """Name a place as its reader knows it."""
        if cell := self.label(filename):
            return f"{cell}, line {line}" if line else cell
        name = Path(filename).name
        return "" if filename.startswith("<") or not name else f"{name}:{line}" if line else name

    def finding(
        self, code: str, severity: Severity, location: tuple[str, int], message: str, instead: str = ""
    ) -> Finding:
        """Return a finding at *location*, a file name and a line; ``("", 0)`` for none."""
        return Finding(code, severity, self.where(*location) if location[0] else "", message, instead, location)
