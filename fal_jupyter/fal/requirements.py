"""Are an app's ``requirements`` met by the running environment? Nothing is ever installed."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from fal_jupyter.fal.describe import flat_requirements


def check_requirements(requirements: Iterable[str] | Iterable[list[str]]) -> list[str]:
    """Give one sentence for each requirement that this environment does not meet; ``[]`` if it meets them all.

    Requirements whose marker does not apply here, installer options (``--extra-index-url …``) and paths are passed
    over: there is nothing to compare them with.
    """
    sentences: list[str] = []
    for line in flat_requirements(list(requirements)):  # type: ignore[arg-type]  # layers or one flat list
        text = line.split(" #")[0].strip()
        if not text or text.startswith(("-", "#", ".", "/", "git+", "http://", "https://", "file:")):
            continue
        try:
            wanted = Requirement(text)
        except InvalidRequirement as error:
            reason = str(error).splitlines()[0]
            sentences.append(f"{text!r} is not a requirement that pip understands: {reason}")
            continue
        if wanted.marker is None or wanted.marker.evaluate():
            sentences.extend(_unmet(wanted, text))
    return sentences


def _unmet(wanted: Requirement, text: str) -> Iterable[str]:
    try:
        installed = importlib.metadata.version(wanted.name)
    except importlib.metadata.PackageNotFoundError:
        yield f"{text} is required, but {wanted.name} is not installed here: pip install {_quoted(text)}"
        return
    try:
        fits = wanted.specifier.contains(Version(installed), prereleases=True)
    except InvalidVersion:
        return
    if not fits:
        yield f"{text} is required, but {wanted.name} {installed} is installed here: pip install {_quoted(text)}"


def _quoted(text: str) -> str:
    return f"'{text}'" if any(sign in text for sign in "<>;[ !~*") else text
