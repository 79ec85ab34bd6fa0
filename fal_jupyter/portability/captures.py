"""Checks what the class captures from its notebook or file; fal pickles it on deployment (measured on 1.83: by value, from ``<run_path>``)."""

from __future__ import annotations

import ast
import contextvars
import io
import threading
from collections.abc import Iterator, Sequence

import cloudpickle

from fal_jupyter.domain.errors import NotPicklable
from fal_jupyter.portability.code import Piece, tree_of
from fal_jupyter.portability.findings import Finding
from fal_jupyter.portability.surroundings import Surroundings
from fal_jupyter.shipping.captures import Capture, capture_of
from fal_jupyter.shipping.dependencies import Dependency
from fal_jupyter.shipping.packing import HEAVY

_OF_THE_SHELL = ("get_ipython", "display")
_LOCKS = {type(threading.Lock()): threading.Lock, type(threading.RLock()): threading.RLock}
_UNPICKLABLE_BY_FAL = (contextvars.ContextVar,)
"""Kinds of values that travel to a runner here."""
_OF_THE_MOMENT = (
    "os.environ", "os.getenv", "os.getcwd", "os.cpu_count", "os.path.abspath", "os.path.expanduser", "os.listdir",
    "os.getpid", "pathlib.Path.cwd", "pathlib.Path.home", "platform", "socket.gethostname", "time.time",
    "datetime.datetime.now", "datetime.date.today", "random", "uuid.uuid4", "uuid.uuid1", "secrets.token_hex",
    "secrets.token_urlsafe", "sys.executable", "sys.path", "sys.version_info", "torch.cuda", "open", "subprocess",
    "tempfile", "__file__",
)  # fmt: skip


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """cloudpickle as fal patches it: a lock is replaced by a new one."""

    def reducer_override(self, obj: object) -> object:
        return (_LOCKS[type(obj)], ()) if type(obj) in _LOCKS else super().reducer_override(obj)


def capture_findings(
    cls: type, pieces: Sequence[Piece], dependencies: Sequence[Dependency], surroundings: Surroundings
) -> list[Finding]:
    """Report what has to be copied into the file, what is large, and what cannot be pickled."""
    findings: list[Finding] = []
    elsewhere: dict[str, list[tuple[str, tuple[str, int]]]] = {}
    home = surroundings.cell_of(cls.__name__)
    for dependency in dependencies:
        location = _use_of(dependency, pieces)
        try:
            capture = capture_of(dependency, cls, surroundings.cell_of)
        except NotPicklable as error:
            if dependency.name not in _OF_THE_SHELL and (surroundings.file is None or not _fal_takes(dependency.value)):
                findings.append(surroundings.finding("not-picklable", "fails", location, error.message, error.hint))
            continue
        if capture is None:
            continue
        if type(dependency.value) in _UNPICKLABLE_BY_FAL and not _fal_takes(dependency.value):
            message = f"{dependency.via} takes {capture.name} along, a {type(dependency.value).__name__}, which fal cannot pickle"
            findings.append(surroundings.finding("not-picklable", "fails", location, message, "make it in setup()"))
            continue
        if capture.kind in ("variable", "module") and capture.size > HEAVY:
            message = f"{dependency.via} takes {capture.name} along, {capture.size / 1e6:.1f} MB that are pickled at each deploy and unpickled by each runner"
            findings.append(
                surroundings.finding(
                    "captured-heavy", "differs", location, message, "load it inside setup(), from /data"
                )
            )
        elif surroundings.file is None and capture.cell != home and not dependency.unnamed:
            if capture.kind == "variable":
                findings.append(_value_of_another_cell(capture, home, location, surroundings))
            else:
                elsewhere.setdefault(capture.cell, []).append((capture.name, location))
    findings += [_code_of_another_cell(cell, named, home, surroundings) for cell, named in elsewhere.items()]
    if surroundings.file is not None:
        findings += _computed({dependency.name for dependency in dependencies}, surroundings)
    return findings


def _value_of_another_cell(
    capture: Capture, home: str, location: tuple[str, int], surroundings: Surroundings
) -> Finding:
    message = (
        f"the value {capture.name} ({capture.size:,} bytes) comes from {capture.cell or 'the notebook'}, {_alone(home)}"
    )
    return surroundings.finding("captured-name", "differs", location, message, _above(capture.cell, capture.name))


def _code_of_another_cell(
    cell: str, named: list[tuple[str, tuple[str, int]]], home: str, surroundings: Surroundings
) -> Finding:
    names = ", ".join(dict.fromkeys(name for name, _ in named))
    message = f"{names}: {'come' if ', ' in names else 'comes'} from {cell or 'the notebook'}, {_alone(home)}"
    return surroundings.finding(
        "captured-name", "note", min(location for _, location in named), message, _above(cell, names)
    )


def _alone(home: str) -> str:
    return f"which a file with {home or 'the cell of the class'} alone does not have"


def _above(cell: str, names: str) -> str:
    return (
        f"put {cell} above the class in the file that you deploy"
        if cell
        else f"write {names} into the file that you deploy"
    )


def _fal_takes(value: object) -> bool:
    """True if fal's own pickler, which supports more types than ours, accepts it; a file open for reading is pickled as its text."""
    try:
        _Pickler(io.BytesIO(), protocol=5).dump(value)
    except Exception:
        return False
    return True


def _computed(names: set[str], surroundings: Surroundings) -> Iterator[Finding]:
    """Globals of the file whose value depends on where and when it is read."""
    tree = tree_of(str(surroundings.file))
    if tree is None:
        return
    piece = Piece("the file", tree, str(surroundings.file), surroundings.namespace)
    for node in tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        named = [t.id for t in targets if isinstance(t, ast.Name) and t.id in names]
        if named and (by := _of_the_moment(piece, node.value)):
            message = f"{named[0]} is computed from {by} when the file is deployed, there, and travels as that value; here each runner computes it"
            line = node.lineno
            yield surroundings.finding(
                "computed-once",
                "differs",
                (str(surroundings.file), line),
                message,
                f"compute it in setup(), as self.{named[0].lower()}",
            )


def _of_the_moment(piece: Piece, value: ast.AST) -> str:
    inside = {n for f in ast.walk(value) if isinstance(f, ast.Lambda) for n in ast.walk(f)}
    for node in ast.walk(value):
        if node in inside or not isinstance(node, ast.Name | ast.Attribute) or piece.is_guarded(node):
            continue
        name = piece.full_name(node)
        if any(name == entry or name.startswith(f"{entry}.") for entry in _OF_THE_MOMENT):
            return name
    return ""


def _use_of(dependency: Dependency, pieces: Sequence[Piece]) -> tuple[str, int]:
    for piece in pieces:
        for node in piece.walk():
            if isinstance(node, ast.Name) and node.id == dependency.name.rpartition(".")[2]:
                return piece.filename, node.lineno
    return (pieces[0].filename, getattr(pieces[0].node, "lineno", 0)) if pieces else ("", 0)
