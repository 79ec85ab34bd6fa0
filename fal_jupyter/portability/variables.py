"""Checks environment variables: those that the class reads and the cloud does not have, and those that a notebook set."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fal_jupyter.portability.code import Piece
from fal_jupyter.portability.findings import Finding, Severity
from fal_jupyter.portability.image import DockerImage
from fal_jupyter.portability.surroundings import Surroundings

EVERYWHERE = frozenset({
    "PATH", "HOME", "PWD", "LANG", "LC_ALL", "HOSTNAME", "TMPDIR", "SHELL", "USER", "TERM", "CUDA_VISIBLE_DEVICES",
    "PYTHONPATH", "HF_HOME",
})  # fmt: skip
OF_FAL = ("FAL_", "NOMAD_", "ISOLATE_", "IS_ISOLATE_AGENT")
_GETTERS = ("os.environ.get", "os.getenv", "os.environ.pop")
_SETTERS = ("os.environ.setdefault", "os.putenv")


@dataclass(frozen=True, slots=True)
class _Read:
    name: str
    piece: Piece
    node: ast.AST
    needed: bool  # it raises if the variable is missing


def variable_findings(
    pieces: Sequence[Piece],
    surroundings: Surroundings,
    secrets: Sequence[str] | None,
    *,
    secrets_location: tuple[str, int],
    image: DockerImage | None,
) -> list[Finding]:
    """Report variables that are missing in the cloud or on this machine.

    *secrets* are those that the class names, at *secrets_location*; those set by the *image* exist, and its base may set others.
    """
    findings = []
    of_image = image.variables if image is not None else frozenset()
    assigned = {name for piece in pieces for name in _assigned_names(piece)}
    reads = [read for piece in pieces for read in _reads(piece) if read.name not in assigned]
    for name in secrets or ():
        if name not in surroundings.secrets:
            read = next((read for read in reads if read.name == name), None)
            message = f"the class names the secret {name}, which is not set here, so its runners do not have it"
            location = read.piece.place(read.node) if read else secrets_location
            findings.append(
                surroundings.finding("secret-missing", "differs", location, message, f"fal-jupyter secrets set {name}")
            )
    secret_names = set(surroundings.secrets if secrets is None else secrets)
    reported = set()
    for read in reads:
        if read.name in secret_names | of_image or read.name in EVERYWHERE:
            continue
        if read.name.startswith(OF_FAL) and not read.name.startswith("FAL_JUPYTER_"):
            continue
        is_set_here = read.name in surroundings.environ
        if not (is_set_here or read.needed):
            continue
        reported.add(read.name)
        by = f" ({surroundings.set_by[read.name]})" if read.name in surroundings.set_by else ""
        state = f"is set here{by} and not in the cloud" if is_set_here else "is set neither here nor in the cloud"
        message = f"{read.piece.owner(read.node)} reads the variable {read.name}, which {state}"
        if read.name in surroundings.secrets:
            message = (
                f"{read.piece.owner(read.node)} reads the secret {read.name}, which the class does not name in secrets"
            )
        if image is not None:
            message += ", unless the base of the image sets it"
        instead = f'secrets = ["{read.name}"], and: fal secrets set {read.name}=VALUE'
        severity: Severity = "fails" if read.needed and image is None else "differs"
        findings.append(
            surroundings.finding("environment-missing", severity, read.piece.place(read.node), message, instead)
        )
    for name, cell in surroundings.set_by.items():
        if name in surroundings.environ and name not in reported | secret_names | assigned:
            message = (
                f"{cell} sets the variable {name} for the runners of this notebook, and the cloud does not have it"
            )
            instead = f'os.environ["{name}"] = … in setup(), or a secret'
            findings.append(Finding("environment-set", "note", cell, message, instead))
    return findings


def _reads(piece: Piece) -> Iterator[_Read]:
    tested = {
        piece.text_of(n.left)
        for n in piece.walk()
        if isinstance(n, ast.Compare) and _is_environ(piece, n.comparators[0])
    }
    for node in piece.walk():
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and _is_environ(piece, node.value):
            key, raises = node.slice, True
        elif isinstance(node, ast.Call) and piece.full_name(node.func) in _GETTERS and node.args:
            key = node.args[0]
            pops = piece.full_name(node.func) == "os.environ.pop"
            raises = pops and len(node.args) + len(node.keywords) == 1
            if pops and not raises and isinstance(piece.parent(node), ast.Expr):
                continue  # removed, not read
        else:
            continue
        if (name := piece.text_of(key)) is not None:
            needed = raises and name not in tested and not piece.is_guarded(node, "KeyError", "LookupError")
            yield _Read(name, piece, node, needed)


def _assigned_names(piece: Piece) -> Iterator[str]:
    """Names that the code itself sets."""
    for node in piece.walk():
        if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load) and _is_environ(piece, node.value):
            yield from _texts(piece, [node.slice])
        elif isinstance(node, ast.Call):
            name = piece.full_name(node.func)
            if name in _SETTERS:
                yield from _texts(piece, node.args[:1])
            elif name == "os.environ.update":
                yield from (keyword.arg for keyword in node.keywords if keyword.arg)
                for part in node.args:
                    yield from _texts(piece, part.keys) if isinstance(part, ast.Dict) else ()


def _texts(piece: Piece, nodes: Sequence[ast.AST | None]) -> Iterator[str]:
    yield from (text for node in nodes if (text := piece.text_of(node)) is not None)


def _is_environ(piece: Piece, node: ast.AST) -> bool:
    return piece.full_name(node) == "os.environ"
