"""Checks one class against every rule."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fal_jupyter.domain.environments.requirements import flat_requirements
from fal_jupyter.fal.adopt import adopted
from fal_jupyter.fal.app import App
from fal_jupyter.fal.classes.function import REALTIME_REQUIREMENTS, SERVE_REQUIREMENTS
from fal_jupyter.fal.classes.routes import endpoints_of
from fal_jupyter.portability.captures import capture_findings
from fal_jupyter.portability.code import Piece, pieces_of
from fal_jupyter.portability.findings import Finding, ordered
from fal_jupyter.portability.image import image_of
from fal_jupyter.portability.imports import Carried, fetches_code, file_findings, import_findings, relative_findings
from fal_jupyter.portability.lifecycle import lifecycle_findings
from fal_jupyter.portability.modules import module_findings, module_pieces
from fal_jupyter.portability.notebook_only import code_findings
from fal_jupyter.portability.options import class_findings, line_of
from fal_jupyter.portability.paths import address_findings, path_findings
from fal_jupyter.portability.surroundings import Surroundings
from fal_jupyter.portability.variables import variable_findings
from fal_jupyter.shipping.dependencies import walk

_PINNED_BY_FAL = ("fastapi", "pydantic", "tblib")  # added by fal to requirements besides SERVE_REQUIREMENTS (C15)


def examine(cls: type[App], surroundings: Surroundings) -> list[Finding]:
    """Return everything that would be different for *cls* in the cloud, the worst first.

    Raises:
        AppRuleBroken: *cls* inherits from the real ``fal.App`` and breaks a rule that ours enforces.
    """
    cls = adopted(cls)
    dependencies = walk(cls).dependencies
    pieces = pieces_of(
        cls, dependencies, surroundings.namespace, also=[str(surroundings.file)] if surroundings.file else []
    )
    carried = _carried(cls, surroundings, pieces)
    secrets = cls.host_kwargs.get("secrets")
    modules = module_pieces(carried, pieces)
    return ordered(
        [
            *class_findings(cls, pieces, surroundings),
            *capture_findings(cls, pieces, dependencies, surroundings),
            *import_findings(pieces, dependencies, surroundings, carried),
            *relative_findings(pieces, surroundings),
            *file_findings(surroundings),
            *code_findings(cls, pieces, surroundings),
            *lifecycle_findings(cls, pieces, surroundings),
            *path_findings(pieces, surroundings, carried.files, image=carried.image),
            *address_findings(pieces, surroundings, [piece for module in modules for piece in module]),
            *module_findings(modules, surroundings, carried, secrets),
            *variable_findings(
                pieces, surroundings, secrets, secrets_location=line_of(cls, pieces, "secrets"), image=carried.image
            ),
        ]
    )


def _carried(cls: type[App], surroundings: Surroundings, pieces: Sequence[Piece]) -> Carried:
    talks = any(marked.route_signature.is_websocket for marked in endpoints_of(cls).values())
    added = (*_PINNED_BY_FAL, *SERVE_REQUIREMENTS, *(REALTIME_REQUIREMENTS if talks else ()))
    base = surroundings.folder / (cls.host_kwargs.get("app_files_context_dir") or "")
    return Carried(
        requirements=flat_requirements(cls.requirements),
        added=added,
        modules=list(cls.local_python_modules or ()),
        files=[str(Path(base / name).resolve()) for name in cls.host_kwargs.get("app_files") or ()],
        image=image_of(cls),
        fetches=any(fetches_code(piece) for piece in pieces),
    )
