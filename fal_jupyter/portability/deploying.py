"""Checks what prevents a deployment: refusals of ``fal.wrap_app``, files that cannot be uploaded, requirements that do not exist."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from fal_jupyter.domain.environments.requirements import flat_requirements
from fal_jupyter.domain.errors import AppRuleBroken, FalJupyterError
from fal_jupyter.environments.lines import installer_lines, local_places, masked
from fal_jupyter.fal.app import App
from fal_jupyter.fal.classes.function import sorted_options, wrap_app
from fal_jupyter.fal.classes.options import SET_BY_FAL
from fal_jupyter.portability.findings import Finding
from fal_jupyter.portability.surroundings import Surroundings
from fal_jupyter.shipping.files.app_files import collect_for

Locate = Callable[[str], tuple[str, int]]
_LONGEST = 300  # characters of a quoted error message


def deploying_findings(cls: type[App], surroundings: Surroundings, location: Locate) -> Iterator[Finding]:
    """Report why *cls* cannot be deployed although it follows the rules of ``fal.App``. *location* returns an option's line."""
    try:
        wrap_app(cls)
    except Exception as error:  # building the OpenAPI document runs code of the user's models
        option, instead = _culprit(cls)
        yield surroundings.finding("cannot-deploy", "fails", location(option), _refused(cls, _reason(error)), instead)
    yield from _files(cls, surroundings, location)
    yield from _requirements(cls, surroundings, location)


def _culprit(cls: type[App]) -> tuple[str, str]:
    """Return the option that ``wrap_app`` refuses, and what to type instead."""
    hosted = cls.host_kwargs
    kind = hosted.get("kind", "virtualenv")
    for name in SET_BY_FAL:
        if name in hosted:
            return "host_kwargs", f"take {name} out of host_kwargs: fal sets it itself"
    if kind == "container" and hosted.get("app_files"):
        return "app_files", "COPY them in the Dockerfile of its image, and take app_files out"
    if kind not in ("virtualenv", "container"):
        return "kind", 'take kind out, or write kind = "container" with an image'
    for name, value in hosted.items():
        try:
            sorted_options(kind, {name: value} if name != "kind" else {})
        except ValueError:
            return name, f"take {name} out, which kind {kind!r} does not have"
    return "", "for parameters and answers, take types that pydantic can describe as JSON"


def _reason(error: BaseException) -> str:
    """An error and its causes, in one line."""
    parts = [error.message if isinstance(error, FalJupyterError) else str(error)]
    if error.__cause__ is not None:
        parts.append(f"{type(error.__cause__).__name__}: {error.__cause__}")
    text = " ".join(": ".join(parts).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _refused(cls: type[App], reason: str) -> str:
    return f"fal refuses to deploy {cls.__name__}: {reason.rstrip('.')}"


def _files(cls: type[App], surroundings: Surroundings, location: Locate) -> Iterator[Finding]:
    if not cls.host_kwargs.get("app_files") or cls.host_kwargs.get("kind") == "container":
        return
    at = location("app_files")
    try:
        collected = collect_for(cls.host_kwargs, surroundings.folder)
    except AppRuleBroken as error:
        yield surroundings.finding("cannot-deploy", "fails", at, _refused(cls, error.message), error.hint)
        return
    except OSError as error:
        message = f"{error.filename} cannot be taken along: {error.strerror}"
        yield surroundings.finding("cannot-deploy", "fails", at, message, "leave it out with app_files_ignore")
        return
    for name, path in collected.files.items():
        if not os.access(path, os.R_OK):
            message = f"app_files takes {name} along, which cannot be read"
            yield surroundings.finding(
                "cannot-deploy", "fails", at, message, "make it readable, or leave it out with app_files_ignore"
            )
    for name in collected.missing:
        message = f"app_files names {name}, which is not there, so nothing of it goes along"
        yield surroundings.finding("app-file-missing", "note", at, message, f"put {name} there, or take the name out")


def _requirements(cls: type[App], surroundings: Surroundings, location: Locate) -> Iterator[Finding]:
    if cls.host_kwargs.get("kind") == "container":
        return  # its image may contain them
    base = surroundings.folder / (cls.host_kwargs.get("requirements_context_dir") or "")
    for line in flat_requirements(cls.requirements):
        for path in local_places(installer_lines([line], base)):
            if not path.exists():
                message = f"requirements has {masked(line)!r}, and there is no {masked(os.path.relpath(path, surroundings.folder))}"
                instead = "put it there, or take the line out; places are relative to requirements_context_dir"
                yield surroundings.finding("requirement-missing", "fails", location("requirements"), message, instead)
