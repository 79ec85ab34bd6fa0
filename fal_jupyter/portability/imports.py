"""Checks the imports of a class: packages that no requirement installs, and local modules that are not deployed."""

from __future__ import annotations

import ast
import builtins
import re
import sys
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fal_jupyter.portability.code import Piece, tree_of
from fal_jupyter.portability.findings import Finding
from fal_jupyter.portability.image import DockerImage
from fal_jupyter.portability.packages import (
    Brought,
    brought_by,
    distributions_of,
    file_of_local,
    requirement_for,
    version_of,
)
from fal_jupyter.portability.surroundings import Surroundings
from fal_jupyter.shipping.dependencies import Dependency
from fal_jupyter.shipping.pickling import home_of

_ADDERS = ("sys.path.append", "sys.path.insert", "sys.path.extend", "site.addsitedir")
_FETCHING = re.compile(r"\bgit clone\b|\bpip3? install\b|\buv (?:pip install|sync|add)\b")
NOTEBOOK = ("IPython", "ipywidgets", "ipykernel", "anywidget", "google.colab")


@dataclass(frozen=True, slots=True)
class _Import:
    package: str  # the whole dotted name
    who: str
    piece: Piece
    node: ast.AST
    inside: bool = False  # executed by the running code, not when the file was imported


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What is deployed: *requirements* of the class, those *added* by fal, *modules* by value, *files* copied (absolute paths).

    *image*: it contains unknown packages. *fetches*: the code obtains modules by itself.
    """

    requirements: Sequence[str]
    added: Sequence[str]
    modules: Sequence[str]
    files: Sequence[str]
    image: DockerImage | None
    fetches: bool = False


def fetches_code(piece: Piece) -> bool:
    """True if the code obtains modules while it runs: it clones a repository, or adds folders to ``sys.path``."""
    for node in piece.walk():
        if isinstance(node, ast.Call):
            name = piece.full_name(node.func)
            if name.rpartition(".")[2] == "clone_repository" or name in _ADDERS:
                return True
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _FETCHING.search(node.value):
            return not piece.is_prose(node)
        if isinstance(node, ast.List | ast.Tuple) and _FETCHING.search(
            " ".join(str(element.value) for element in node.elts if isinstance(element, ast.Constant))
        ):
            return True
    return False


def import_findings(
    pieces: Sequence[Piece], dependencies: Sequence[Dependency], surroundings: Surroundings, carried: Carried
) -> list[Finding]:
    """Report imports that fail in the cloud."""
    findings: list[Finding] = []
    brought = brought_by(carried.requirements, carried.added)
    local: dict[str, Path] = {}
    this = surroundings.file.resolve() if surroundings.file is not None else None
    reported: set[str] = set()  # each package once, at its first place
    for imported in (imported for piece in pieces for imported in (*_inside(piece), *_by_name(piece, dependencies))):
        top = imported.package.split(".")[0]
        if top in sys.stdlib_module_names or top in ("fal", "__main__", "builtins") or top in reported:
            continue
        own = top == "fal_jupyter" or imported.package.startswith(NOTEBOOK)
        path = None if own else file_of_local(top)
        if path is not None and path != this:  # a file with the name of a package that it imports: the package is meant
            local[top] = path
        new = list(_of_one(imported, top, local.get(top), surroundings, carried, brought))
        findings += new
        reported |= {top} if new else set()
    return findings


def _of_one(
    imported: _Import, top: str, path: Path | None, surroundings: Surroundings, carried: Carried, brought: Brought
) -> Iterator[Finding]:
    location = imported.piece.place(imported.node)
    if top == "fal_jupyter":
        if imported.inside or not imported.package.startswith("fal_jupyter.fal"):
            message = f"{imported.who} uses fal_jupyter, which is not in the cloud"
            yield surroundings.finding(
                "own-package", "fails", location, message, "leave calls of fal_jupyter to the notebook"
            )
    elif imported.package.startswith(NOTEBOOK):
        message = f"{imported.who} uses {top}, which belongs to the notebook"
        yield surroundings.finding(
            "notebook-only", "fails", location, message, "return what you want to see, and show it in a cell"
        )
    elif path is not None:
        yield from _of_local(imported, path, surroundings, carried)
    elif (
        carried.image is None
        and not brought.has(top)
        and not (carried.fetches and not version_of(distributions_of(top)[0]))
    ):
        yield _missing(imported.who, top, brought, surroundings, location)


def file_findings(surroundings: Surroundings) -> list[Finding]:
    """Report where a file imports ``fal`` from this package: its classes do not inherit from the real ``fal.App``."""
    tree = tree_of(str(surroundings.file)) if surroundings.file is not None else None
    findings = []
    for node in tree.body if tree is not None else ():
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        if any(f"{name}.".startswith("fal_jupyter.fal.") for name in names):
            message = "the file takes fal from fal_jupyter, so that fal deploy finds no fal.App in it"
            findings.append(
                surroundings.finding(
                    "own-package", "fails", (str(surroundings.file), node.lineno), message, "import fal"
                )
            )
    return findings


def relative_findings(pieces: Sequence[Piece], surroundings: Surroundings) -> list[Finding]:
    """Report relative imports: in the cloud the file has no package, unless it is imported."""
    findings: list[Finding] = []
    if surroundings.imported:
        return findings
    for piece in pieces:
        for node in piece.walk():
            if isinstance(node, ast.ImportFrom) and node.level:
                imported = _Import("", piece.owner(node), piece, node)
                message = f"{imported.who} imports relatively ({ast.unparse(node)}), and there is no package around the file in the cloud"
                findings.append(
                    surroundings.finding(
                        "relative-import",
                        "fails",
                        imported.piece.place(imported.node),
                        message,
                        "import it by its whole name, and name it in local_python_modules",
                    )
                )
    return findings


def _inside(piece: Piece) -> Iterator[_Import]:
    for node in piece.walk():
        if piece.is_guarded(node, "ImportError", "ModuleNotFoundError"):
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield _Import(alias.name, piece.owner(node), piece, node, inside=True)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield _Import(node.module, piece.owner(node), piece, node, inside=True)


def _by_name(piece: Piece, dependencies: Sequence[Dependency]) -> Iterator[_Import]:
    """The objects that the code refers to and that were imported outside of it."""
    captured = {dependency.name: dependency.value for dependency in dependencies if not dependency.missing}
    for node in piece.walk():
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            if not isinstance(piece.node, ast.ClassDef) and piece.is_forgotten(node):
                continue
            value = captured.get(node.id) if node.id in piece.bound else piece.value_of(node)
            if home := _home_of(value):
                yield _Import(home, piece.owner(node), piece, node)


def _home_of(value: object) -> str:
    """The module that a value of a library needs, or ``""``."""
    if issubclass(type(value), types.ModuleType):
        return str(getattr(value, "__name__", ""))
    of_itself = issubclass(type(value), (type, types.FunctionType, types.BuiltinFunctionType))
    owner: Any = value if of_itself else type(value)
    home = owner.__module__
    if home == "builtins" and getattr(builtins, owner.__name__, None) is not owner:
        home = home_of(owner) or ""  # a compiled class that does not name its module
    return home if isinstance(home, str) and home in sys.modules and home != "builtins" else ""


def _of_local(imported: _Import, path: Path, surroundings: Surroundings, carried: Carried) -> Iterator[Finding]:
    top = imported.package.split(".")[0]
    if any(path.is_relative_to(Path(brought)) for brought in carried.files) or top == _package_of(surroundings.file):
        return
    is_listed = any(imported.package == name or imported.package.startswith(f"{name}.") for name in carried.modules)
    if not is_listed and top not in carried.modules:
        message = f"{imported.who} uses the module {top} ({path.name} on this machine), which does not go to the cloud"
        own = carried.image is not None and imported.inside
        yield surroundings.finding(
            "local-module",
            "note" if own else "fails",
            imported.piece.place(imported.node),
            f"{message}, unless the image has it" if own else message,
            f'local_python_modules = ["{top}"], imported at the top of the file',
        )
    elif imported.inside:
        message = f"{imported.who} imports {top} while it runs: local_python_modules go along by value, and there is no file to import"
        yield surroundings.finding(
            "local-import",
            "fails",
            imported.piece.place(imported.node),
            message,
            f"move the import of {top} to the top of the file",
        )


def _package_of(file: Path | None) -> str:
    """The package that contains a file and is deployed as a whole, or ``""``."""
    name = ""
    folder = file.parent if file is not None else None
    while folder is not None and (folder / "__init__.py").exists():
        name, folder = folder.name, folder.parent
    return name


def _missing(
    subject: str, top: str, brought: Brought, surroundings: Surroundings, location: tuple[str, int]
) -> Finding:
    message = f"{subject} needs {top}, which no requirement of the class brings"
    instead = f'requirements = […, "{requirement_for(top)}"]'
    if brought.whole:
        return surroundings.finding("import-missing", "fails", location, message, instead)
    return surroundings.finding(
        "import-missing", "note", location, f"{message}, unless one that is not installed here does", instead
    )
