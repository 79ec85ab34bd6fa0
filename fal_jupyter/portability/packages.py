"""Finds the distribution of a package, and the packages of a list of requirements, from this environment's metadata."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import site
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from fal_jupyter.domain.environments.requirements import is_setting

# distributions whose package has another name, for packages not installed here; any of several may contain it
_DISTRIBUTIONS: Mapping[str, tuple[str, ...]] = {
    "PIL": ("pillow", "pillow-simd"),
    "cv2": ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"),
    "sklearn": ("scikit-learn",),
    "skimage": ("scikit-image",),
    "yaml": ("pyyaml",),
    "bs4": ("beautifulsoup4",),
    "dateutil": ("python-dateutil",),
    "dotenv": ("python-dotenv",),
    "jwt": ("pyjwt",),
    "OpenSSL": ("pyopenssl",),
    "Crypto": ("pycryptodome",),
    "serial": ("pyserial",),
    "faiss": ("faiss-cpu", "faiss-gpu", "faiss-gpu-cu12"),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "ffmpeg": ("ffmpeg-python",),
    "attr": ("attrs",),
    "git": ("gitpython",),
    "magic": ("python-magic",),
    "pkg_resources": ("setuptools",),
}


@dataclass(frozen=True, slots=True)
class Brought:
    """Names of distributions that requirements install. *whole*: the list is complete."""

    names: frozenset[str]
    whole: bool

    def has(self, package: str) -> bool:
        """True if one of the distributions that may contain *package* is among them."""
        return not self.names.isdisjoint(canonicalize_name(name) for name in distributions_of(package))


def brought_by(requirements: Iterable[str], added: Iterable[str] = ()) -> Brought:
    """Return the distributions that *requirements* and those *added* by fal install, with their dependencies as installed here."""
    own = _brought_by(requirements)
    return Brought(own.names | _brought_by(added).names, own.whole)


def _brought_by(requirements: Iterable[str]) -> Brought:
    names: set[str] = set()
    whole = True
    todo: list[Requirement] = []
    for line in requirements:
        text = line.split(" #")[0].strip()
        if not text or text.startswith("#") or is_setting(text):
            continue
        try:
            todo.append(Requirement(text))
        except InvalidRequirement:
            whole = False  # a path, a bare URL, a file of requirements
            names.update(
                canonicalize_name(name) for name in re.findall(r"([\w.-]+?)(?:\.git)?(?:@[\w./-]+)?(?:#.*)?$", text)
            )
    visited: set[tuple[str, frozenset[str]]] = set()
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        names.add(name)
        if (name, frozenset(requirement.extras)) in visited:
            continue
        visited.add((name, frozenset(requirement.extras)))
        try:
            needs = importlib.metadata.requires(requirement.name) or []
        except importlib.metadata.PackageNotFoundError:
            whole = False
            continue
        for text in needs:
            try:
                need = Requirement(text)
            except InvalidRequirement:  # older than the standard for versions
                continue
            if need.marker is None or any(
                need.marker.evaluate({"extra": extra}) for extra in ("", *requirement.extras)
            ):
                todo.append(need)
    return Brought(frozenset(names), whole)


def distributions_of(package: str) -> tuple[str, ...]:
    """Return the distributions that may contain a package: the installed one, else the known ones."""
    return tuple(_installed().get(package, ())) or _DISTRIBUTIONS.get(package) or (package,)


def requirement_for(package: str) -> str:
    """Return the requirement to write for a package: with its version if it is installed."""
    name = distributions_of(package)[0]
    version = version_of(name)
    return f"{name}=={version}" if version else name


def version_of(distribution: str) -> str:
    """Return the installed version, or ``""``; without a local part (``+cu121``), which indexes do not have."""
    try:
        return importlib.metadata.version(distribution).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return ""


@lru_cache(maxsize=1)
def _installed() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def file_of_local(package: str) -> Path | None:
    """Return the file (or folder) of a local package outside of any environment, or ``None``."""
    if package in sys.stdlib_module_names or package in _installed():
        return None
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None:
        return None
    folders = list(spec.submodule_search_locations or ())
    origin = spec.origin if spec.origin and spec.has_location else (folders[0] if folders else None)
    if origin is None:
        return None
    path = Path(origin).resolve()
    if any(path.is_relative_to(directory) for directory in _environment()):
        return None
    return path.parent if spec.submodule_search_locations and path.name == "__init__.py" else path


def _environment() -> list[Path]:
    directories = [*site.getsitepackages(), site.getusersitepackages(), *sysconfig.get_paths().values()]
    inside = [
        Path(directory).resolve()
        for directory in directories
        if "site-packages" in directory or "dist-packages" in directory
    ]
    return [*inside, Path(sysconfig.get_paths()["stdlib"]).resolve()]
