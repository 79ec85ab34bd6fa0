"""Reads the variables and paths of an app's image from its Dockerfile."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from fal_jupyter.fal.app import App

_PATH = re.compile(r"(?<![\w.:/-])/(?:[\w.+@-]+/?)+")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::?-([^}]*))?[^}]*\})")
_HEREDOC = re.compile(r"<<-?\s*[\"']?(\w+)[\"']?")


@dataclass(frozen=True, slots=True)
class DockerImage:
    """Variables that are set in the image's last stage, and paths that its Dockerfile names. Its base image may have more."""

    variables: frozenset[str]
    paths: tuple[PurePosixPath, ...]

    def has(self, path: PurePosixPath) -> bool:
        """True if the Dockerfile names *path*, or a parent or child of it."""
        return any(path.is_relative_to(copied) or copied.is_relative_to(path) for copied in self.paths)


def image_of(cls: type[App]) -> DockerImage | None:
    """Return the image of an app, or ``None`` if it has none."""
    if cls.image is None and cls.host_kwargs.get("kind") != "container":
        return None
    text = getattr(cls.image, "dockerfile_str", "")
    return read_dockerfile(text if isinstance(text, str) else "", getattr(cls.image, "build_args", None) or {})


def read_dockerfile(text: str, build_args: Mapping[str, str]) -> DockerImage:
    """Read the last stage of a Dockerfile, and the stages that it is built from."""
    stages: dict[str, _Stage] = {}
    stage = _Stage({}, [])
    every: dict[str, str] = {}  # ARG variables, of all stages
    for word, rest in _instructions(text):
        if word == "FROM":
            words = _expanded(rest, every).split()
            former = stages.get(words[0].lower()) if words else None
            stage = _Stage(dict(former.variables), list(former.paths)) if former else _Stage({}, [])
            if len(words) > 2 and words[1].upper() == "AS":
                stages[words[2].lower()] = stage
        elif word == "ARG":
            for name, value in _settings(rest):
                every[name] = str(build_args.get(name, _expanded(value, every)))
        elif word == "ENV":
            for name, value in _settings(rest):
                stage.variables[name] = _expanded(value, {**every, **stage.variables})
                stage.paths.extend(_paths_in(stage.variables[name]))
        elif word in ("WORKDIR", "COPY", "ADD", "RUN", "VOLUME"):
            stage.paths.extend(_paths_in(_expanded(rest, {**every, **stage.variables})))
    return DockerImage(frozenset(stage.variables), tuple(dict.fromkeys(stage.paths)))


@dataclass(frozen=True, slots=True)
class _Stage:
    variables: dict[str, str]
    paths: list[PurePosixPath]


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yield each instruction, with its lines joined and without comments; a here-document is part of its instruction."""
    lines = iter(text.splitlines())
    for line in lines:
        whole = line.strip()
        if not whole or whole.startswith("#"):
            continue
        while whole.endswith("\\"):
            following = next(lines, "")
            if following.strip().startswith("#"):
                continue
            whole = whole[:-1] + " " + following.strip()
        for end in _HEREDOC.findall(whole):
            for inner in lines:
                if inner.strip() == end:
                    break
                whole += " " + inner.strip()
        word, _, rest = whole.partition(" ")
        yield word.upper(), rest.strip()


def _settings(rest: str) -> Iterator[tuple[str, str]]:
    """Names and values of ``ENV`` and ``ARG``: ``A=1 B="2 3"``, ``A`` alone, or the legacy form ``A the rest``."""
    try:
        words = shlex.split(rest)
    except ValueError:
        words = rest.split()
    if len(words) > 1 and "=" not in words[0]:
        yield words[0], " ".join(words[1:])
        return
    for word in words:
        name, _, value = word.partition("=")
        yield name, value


def _expanded(text: str, variables: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda match: variables.get(match[1] or match[2]) or match[3] or "", text)


def _paths_in(text: str) -> list[PurePosixPath]:
    """Absolute paths of two parts or more; folders that every Linux has (``/usr``, ``/tmp``) are left out."""
    paths = [PurePosixPath(path) for path in _PATH.findall(text)]
    return [path for path in paths if len(path.parts) > 2 or path.parts[1:2] not in _USUAL]


_USUAL = [
    (name,) for name in ("usr", "bin", "etc", "tmp", "var", "opt", "home", "root", "dev", "proc", "lib", "mnt", "srv")
]
