"""Finds code that works only here: names of the notebook, additions of this package, shared globals."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Sequence

from fal_jupyter.fal import App
from fal_jupyter.fal.classes.routes import endpoints_of
from fal_jupyter.portability.code import Function, Piece
from fal_jupyter.portability.findings import Finding
from fal_jupyter.portability.surroundings import Surroundings

_SHELL = ("get_ipython", "display")
_ASKING = ("input", "breakpoint")
_PICTURES = ("open", "new", "fromarray", "frombytes", "frombuffer", "merge", "blend", "composite", "alpha_composite")
_STILL_PICTURES = (
    "convert", "resize", "crop", "rotate", "copy", "transpose", "filter", "point", "quantize", "transform", "reduce", "effect_spread",
)  # fmt: skip


def code_findings(cls: type[App], pieces: Sequence[Piece], surroundings: Surroundings) -> list[Finding]:
    """Report what the code uses that the cloud does not have."""
    findings: list[Finding] = []
    for piece in pieces:
        for node in piece.walk():
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in piece.bound:
                findings += _names(piece, node, surroundings)
            elif isinstance(node, ast.Global):
                message = (
                    f"{piece.owner(node)} changes the global {', '.join(node.names)}, which each runner has for itself"
                )
                findings.append(
                    surroundings.finding(
                        "global-state",
                        "note",
                        piece.place(node),
                        message,
                        "keep what runners share below /data or in a KVStore",
                    )
                )
    methods = list(_methods(cls, pieces))
    findings += _logger(cls, methods, surroundings)
    names = set(endpoints_of(cls))
    for piece, method in methods:
        if method.name in names:
            findings += _pictures(piece, method, surroundings)
    return findings


def _names(piece: Piece, node: ast.Name, surroundings: Surroundings) -> Iterator[Finding]:
    value = surroundings.namespace.get(node.id, getattr(builtins, node.id, None))
    if node.id in _SHELL:
        home = str(getattr(value, "__module__", None) or type(value).__module__)
        if value is None or home.startswith(("IPython", "ipykernel")):
            message = f"{piece.owner(node)} uses {node.id}, which exists in the notebook only"
            instead = (
                "a magic line is one, too"
                if node.id == "get_ipython"
                else "return what you want to see, and show it in a cell"
            )
            yield surroundings.finding("notebook-only", "fails", piece.place(node), message, instead)
    elif node.id in _ASKING and isinstance(piece.parent(node), ast.Call) and _is_builtin(node.id, value, surroundings):
        message = f"{piece.owner(node)} calls {node.id}(), but a runner has no input"
        yield surroundings.finding(
            "notebook-only", "fails", piece.place(node), message, "take it as a parameter of the endpoint"
        )


def _is_builtin(name: str, value: object, surroundings: Surroundings) -> bool:
    return name not in surroundings.namespace or value is getattr(builtins, name, None)


def _methods(cls: type[App], pieces: Sequence[Piece]) -> Iterator[tuple[Piece, Function]]:
    """The methods of the app and of its local bases."""
    names = {base.__name__ for base in cls.__mro__}
    for piece in pieces:
        if isinstance(piece.node, ast.ClassDef) and piece.node.name in names:
            for node in piece.node.body:
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield piece, node


def _logger(cls: type[App], methods: Sequence[tuple[Piece, Function]], surroundings: Surroundings) -> Iterator[Finding]:
    if next(base for base in cls.__mro__ if "logger" in vars(base)) is not App:
        return
    uses = [(piece, node) for piece, method in methods for node in _self_loggers(method)]
    if any(not isinstance(node.ctx, ast.Load) for _, node in uses):
        return
    for piece, node in uses[:1]:
        message = f"{piece.owner(node)} uses self.logger, which fal.App does not have in the cloud"
        yield surroundings.finding(
            "self-logger",
            "fails",
            piece.place(node),
            message,
            "self.logger = logging.getLogger(__name__) in setup(), or print",
        )


def _self_loggers(method: Function) -> Iterator[ast.Attribute]:
    first = next((argument.arg for argument in (*method.args.posonlyargs, *method.args.args)), "")
    for node in ast.walk(method):
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr="logger") if name == first:
                yield node


def _pictures(piece: Piece, method: Function, surroundings: Surroundings) -> Iterator[Finding]:
    annotation = method.returns
    annotated = annotation is not None and any(_is_picture_class(piece, node) for node in ast.walk(annotation))
    returned: ast.AST | None = annotation if annotated else None
    if returned is None:
        for node in ast.walk(method):
            match node:
                case ast.Return(value=value) if piece.function_of(node) is method:
                    if any(_is_picture(piece, method, leaf) for leaf in _leaves(value)):
                        returned = node
                        break
    if returned is not None:
        message = f"{method.name}() returns a PIL picture, which becomes a file here; fal answers 500, or does not deploy where it is the annotation"
        yield surroundings.finding(
            "picture-returned", "fails", piece.place(returned), message, "return fal.toolkit.Image.from_pil(picture)"
        )


def _is_picture_class(piece: Piece, node: ast.AST) -> bool:
    return isinstance(node, ast.Name | ast.Attribute) and piece.full_name(node) == "PIL.Image.Image"


def _leaves(node: ast.AST | None) -> Iterator[ast.AST]:
    if node is None:
        return
    if isinstance(node, ast.Dict):
        parts: Sequence[ast.AST] = node.values
    elif isinstance(node, ast.List | ast.Tuple):
        parts = node.elts
    else:
        yield node
        return
    for part in parts:
        yield from _leaves(part)


def _is_picture(piece: Piece, method: Function, node: ast.AST, depth: int = 8) -> bool:
    """True only if it is certainly a picture: made by PIL, a pipeline's ``.images[0]``, or a name used for nothing else."""
    if not depth:
        return False
    if isinstance(node, ast.Subscript):
        value = node.value
        return (
            isinstance(value, ast.Attribute)
            and value.attr == "images"
            and isinstance(value.value, ast.Call)
            and isinstance(node.slice, ast.Constant)
        )
    if isinstance(node, ast.Call):
        home, _, name = piece.full_name(node.func).rpartition(".")
        if home == "PIL.Image" and name in _PICTURES:
            return True
        function = node.func
        return (
            isinstance(function, ast.Attribute)
            and function.attr in _STILL_PICTURES
            and _is_picture(piece, method, function.value, depth - 1)
        )
    if isinstance(node, ast.Name):
        values = [n.value for n in ast.walk(method) if isinstance(n, ast.Assign) and _binds(n.targets, node.id)]
        stores = sum(
            isinstance(n, ast.Name) and n.id == node.id and isinstance(n.ctx, ast.Store) for n in ast.walk(method)
        )
        return bool(values) and stores == len(values) and all(_is_picture(piece, method, v, depth - 1) for v in values)
    return False


def _binds(targets: Sequence[ast.AST], name: str) -> bool:
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)
