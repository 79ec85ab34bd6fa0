"""``ContainerImage``: accepted and kept, so that a class written for the cloud is defined here too; never built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fal_jupyter.domain.errors import AppRuleBroken
from fal_jupyter.domain.text.nearest import hint_for

IGNORED = (
    ".git", ".gitignore", ".dockerignore", "Dockerfile", "Dockerfile.*", "*.md", "__pycache__", "*.pyc", ".DS_Store",
    ".venv", "venv", ".env", "node_modules",
)  # fmt: skip
"""Default ignore patterns of a build's context, those of the real package."""
BUILDERS = ("depot", "service", "worker")


@dataclass(kw_only=True)
class ContainerImage:
    """A Dockerfile with its build settings."""

    dockerfile_str: str
    build_args: dict[str, str] = field(default_factory=dict)
    registries: dict[str, dict[str, str]] = field(default_factory=dict)
    builder: str | None = None
    compression: str = "gzip"
    force_compression: bool = False
    secrets: dict[str, str] = field(default_factory=dict)
    entrypoint: str | list[str] | None = None
    cmd: str | list[str] | None = None
    use_isolate: bool | None = None
    context_dir: Path = field(default_factory=Path.cwd)
    dockerignore: list[str] | None = None
    dockerignore_path: str | Path | None = None

    def __post_init__(self) -> None:
        if not self.dockerfile_str or not self.dockerfile_str.strip():
            raise AppRuleBroken(
                "Invalid dockerfile: Dockerfile is required.\n"
                "Either use ContainerImage.from_dockerfile_str() or ContainerImage.from_dockerfile() to create a "
                "container image."
            )
        if self.builder is not None and self.builder not in BUILDERS:
            raise AppRuleBroken(
                f"Invalid builder: {self.builder}, must be one of {', '.join(BUILDERS)}",
                hint=hint_for(self.builder, BUILDERS, ""),
            )
        for registry in self.registries.values():
            if not isinstance(registry, Mapping) or not {"username", "password"} <= set(registry):
                raise AppRuleBroken("Username and password are required for each registry")
        for name in ("entrypoint", "cmd"):
            value = getattr(self, name)
            words = [value] if isinstance(value, str) or value is None else value
            if not isinstance(words, list) or not all(isinstance(word, str | None) for word in words):
                raise AppRuleBroken(f"{name} must be a string or list of strings.")
        if self.dockerignore_path is not None and not Path(self.dockerignore_path).exists():
            raise FileNotFoundError(f"Specified .dockerignore file not found: {self.dockerignore_path}")
        if self.use_isolate is not None and not isinstance(self.use_isolate, bool):
            raise AppRuleBroken("use_isolate must be a bool.")

    @classmethod
    def from_dockerfile_str(cls, text: str, **settings: Any) -> ContainerImage:
        """Take the text of a Dockerfile."""
        return cls(dockerfile_str=text, **settings)

    @classmethod
    def from_dockerfile(cls, path: str | Path, **settings: Any) -> ContainerImage:
        """Read a Dockerfile.

        Raises:
            FileNotFoundError: there is none at *path*.
        """
        return cls(dockerfile_str=Path(path).read_text(), **settings)

    def add_dockerignore(self, patterns: list[str] | None = None, path: str | Path | None = None) -> None:
        """Say which files of the context stay out, by patterns or by the path of an ignore file.

        Raises:
            FileNotFoundError: there is no file at *path*.
        """
        if path is not None and not Path(path).exists():
            raise FileNotFoundError(f"Specified .dockerignore file not found: {path}")
        self.dockerignore, self.dockerignore_path = patterns, path

    def get_copy_add_sources(self) -> list[str]:
        """Return the files of the context that the Dockerfile copies."""
        sources: dict[str, None] = {}
        for line in self.dockerfile_str.replace("\\\n", " ").splitlines():
            word, rest = (line.split() or [""])[0], line.split()[1:]
            if word.upper() not in ("COPY", "ADD"):
                continue
            if word.upper() == "COPY" and any(part.startswith("--from=") for part in rest):
                continue
            names = [part for part in rest if not part.startswith("--")][:-1]
            sources |= {name: None for name in names if "://" not in name}
        return list(sources)

    def to_dict(self) -> dict[str, Any]:
        """Return the image as the platform's builder expects it, with the ignore patterns as written."""
        names = ("dockerfile_str", "build_args", "registries", "builder", "compression", "force_compression", "secrets")
        ignored = list(IGNORED) if self.dockerignore is None else self.dockerignore
        if self.dockerignore_path is not None:
            ignored = Path(self.dockerignore_path).read_text().splitlines()
        fields = {name: getattr(self, name) for name in names} | {
            "docker_context_dir": str(self.context_dir),
            "docker_files_list": self.get_copy_add_sources(),
            "docker_ignore": [*ignored],
        }
        optional = {name: getattr(self, name) for name in ("entrypoint", "cmd", "use_isolate")}
        return fields | {name: value for name, value in optional.items() if value is not None}

    def __getstate__(self) -> dict[str, Any]:
        """Registries and build secrets never travel."""
        return {**self.__dict__, "registries": {}, "secrets": {}}
