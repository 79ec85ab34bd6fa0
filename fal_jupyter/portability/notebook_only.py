"""Code that works here and not in the cloud, whatever it is about: names of the notebook, additions of ours, shared globals."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Sequence
from typing import Any

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


def code_findings(cls: type[Any], pieces: Sequence[Piece], here: Surroundings) -> list[Finding]:
    """Say what the code uses that the cloud does not have."""
    found: list[Finding] = []
    for piece in pieces:
        for node in piece.walk():
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in piece.bound:
                found += _names(piece, node, here)
            elif isinstance(node, ast.Global):
                told = (
                    f"{piece.owner(node)} changes the global {', '.join(node.names)}, which each runner has for itself"
                )
                found.append(
                    here.finding(
                        "global-state",
                        "note",
                        piece.place(node),
                        told,
                        "keep what runners share below /data or in a KVStore",
                    )
                )
    methods = list(_methods(cls, pieces))
    found += _logger(cls, methods, here)
    names = set(endpoints_of(cls))
    for piece, method in methods:
        if method.name in names:
            found += _pictures(piece, method, here)
    return found


def _names(piece: Piece, node: ast.Name, here: Surroundings) -> Iterator[Finding]:
    value = here.namespace.get(node.id, getattr(builtins, node.id, None))
    if node.id in _SHELL:
        home = str(getattr(value, "__module__", None) or type(value).__module__)
        if value is None or home.startswith(("IPython", "ipykernel")):
            told = f"{piece.owner(node)} uses {node.id}, which exists in the notebook only"
            instead = (
                "a magic line is one, too"
                if node.id == "get_ipython"
                else "return what you want to see, and show it in a cell"
            )
            yield here.finding("notebook-only", "fails", piece.place(node), told, instead)
    elif node.id in _ASKING and isinstance(piece.parent(node), ast.Call) and _is_builtin(node.id, value, here):
        told = f"{piece.owner(node)} calls {node.id}(), and nobody sits before a runner"
        yield here.finding("notebook-only", "fails", piece.place(node), told, "take it as a parameter of the endpoint")


def _is_builtin(name: str, value: object, here: Surroundings) -> bool:
    return name not in here.namespace or value is getattr(builtins, name, None)


def _methods(cls: type[Any], pieces: Sequence[Piece]) -> Iterator[tuple[Piece, Function]]:
    """The methods of the app and of its local bases."""
    names = {base.__name__ for base in cls.__mro__}
    for piece in pieces:
        if isinstance(piece.node, ast.ClassDef) and piece.node.name in names:
            for node in piece.node.body:
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield piece, node


def _logger(cls: type[Any], methods: Sequence[tuple[Piece, Function]], here: Surroundings) -> Iterator[Finding]:
    if next(base for base in cls.__mro__ if "logger" in vars(base)) is not App:
        return
    uses = [(piece, node) for piece, method in methods for node in _self_loggers(method)]
    if any(not isinstance(node.ctx, ast.Load) for _, node in uses):
        return
    for piece, node in uses[:1]:
        told = f"{piece.owner(node)} uses self.logger, which fal.App does not have in the cloud"
        yield here.finding(
            "self-logger",
            "fails",
            piece.place(node),
            told,
            "self.logger = logging.getLogger(__name__) in setup(), or print",
        )


def _self_loggers(method: Function) -> Iterator[ast.Attribute]:
    first = next((argument.arg for argument in (*method.args.posonlyargs, *method.args.args)), "")
    for node in ast.walk(method):
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr="logger") if name == first:
                yield node


def _pictures(piece: Piece, method: Function, here: Surroundings) -> Iterator[Finding]:
    annotation = method.returns
    annotated = annotation is not None and any(_is_picture_class(piece, node) for node in ast.walk(annotation))
    place: ast.AST | None = annotation if annotated else None
    if place is None:
        for node in ast.walk(method):
            match node:
                case ast.Return(value=value) if piece.function_of(node) is method:
                    if any(_is_picture(piece, method, leaf) for leaf in _leaves(value)):
                        place = node
                        break
    if place is not None:
        told = f"{method.name}() returns a PIL picture, which becomes a file here; fal answers 500, or does not deploy where it is the annotation"
        yield here.finding(
            "picture-returned", "fails", piece.place(place), told, "return fal.toolkit.Image.from_pil(picture)"
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
    """True only for what is certainly one: PIL made it, a pipeline's ``.images[0]``, or a name that is nothing else."""
    if not depth:
        return False
    if isinstance(node, ast.Subscript):
        held = node.value
        return (
            isinstance(held, ast.Attribute)
            and held.attr == "images"
            and isinstance(held.value, ast.Call)
            and isinstance(node.slice, ast.Constant)
        )
    if isinstance(node, ast.Call):
        home, _, name = piece.full_name(node.func).rpartition(".")
        if home == "PIL.Image" and name in _PICTURES:
            return True
        made = node.func
        return (
            isinstance(made, ast.Attribute)
            and made.attr in _STILL_PICTURES
            and _is_picture(piece, method, made.value, depth - 1)
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
