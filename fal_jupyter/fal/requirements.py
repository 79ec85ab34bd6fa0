"""Are an app's ``requirements`` met by the running environment? Nothing is ever installed here."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterable, Iterator, Mapping

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from fal_jupyter.domain.requirements import flat_requirements, is_setting

_NO_NAME = ("-", ".", "/", "~", "git+", "http://", "https://", "file:")
_ENDS_OF_FILES = (".whl", ".tar.gz", ".zip")


def check_requirements(requirements: Iterable[str] | Iterable[list[str]]) -> list[str]:
    """Give one sentence for each requirement that this environment does not meet; ``[]`` if it meets them all.

    Requirements whose marker does not apply here are met. Those of :func:`unknown_requirements` are passed over: there is
    nothing to compare them with.
    """
    sentences: list[str] = []
    for text in _lines(requirements):
        if _has_no_name(text):
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


def unknown_requirements(requirements: Iterable[str] | Iterable[list[str]]) -> list[str]:
    """Give the requirements of which nothing tells whether they are met: folders, files, addresses, files of requirements.

    Settings of the installer (``--pre``, ``--extra-index-url …``) name nothing to install, and are not among them. ``name @ address`` is known where what is installed says that it came from that address.
    """
    unknown = []
    for text in _lines(requirements):
        if _has_no_name(text):
            if not is_setting(text):
                unknown.append(text)
            continue
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            continue
        if wanted.url is not None and wanted.url not in _came_from(wanted.name):
            unknown.append(text)
    return unknown


def _lines(requirements: Iterable[str] | Iterable[list[str]]) -> Iterator[str]:
    for line in flat_requirements(list(requirements)):  # type: ignore[arg-type]  # layers or one flat list
        text = line.split(" #")[0].strip()
        if text and not text.startswith("#"):
            yield text


def _has_no_name(text: str) -> bool:
    return text.startswith(_NO_NAME) or text.partition("[")[0].endswith(_ENDS_OF_FILES)


def _unmet(wanted: Requirement, text: str, seen: frozenset[str] = frozenset()) -> Iterable[str]:
    try:
        found = importlib.metadata.distribution(wanted.name)
    except importlib.metadata.PackageNotFoundError:
        yield f"{text} is required, but {wanted.name} is not installed here: pip install {_quoted(text)}"
        return
    try:
        fits = wanted.specifier.contains(Version(found.version), prereleases=True)
    except InvalidVersion:
        return
    if not fits:
        yield f"{text} is required, but {wanted.name} {found.version} is installed here: pip install {_quoted(text)}"
    elif wanted.extras and wanted.name not in seen:
        for needed in map(Requirement, found.requires or ()):
            of_extra = not _applies(needed, "") and any(_applies(needed, extra) for extra in wanted.extras)
            if of_extra and any(_unmet(needed, str(needed), seen | {wanted.name})):
                told = f"{text} is required, but {needed.name}, which it needs, is not installed here"
                yield f"{told}: pip install {_quoted(text)}"


def _applies(needed: Requirement, extra: str) -> bool:
    return needed.marker is None or needed.marker.evaluate({"extra": extra})


def _came_from(name: str) -> tuple[str, ...]:
    """Addresses that an installed package may be said to have come from (PEP 610)."""
    try:
        told: Mapping[str, object] = json.loads(
            importlib.metadata.distribution(name).read_text("direct_url.json") or "{}"
        )
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return ()
    url, version = str(told.get("url", "")), told.get("vcs_info")
    if not isinstance(version, dict):
        return (url,)
    git = f"{version.get('vcs')}+{url}"
    return tuple(f"{git}@{version[key]}" for key in ("requested_revision", "commit_id") if version.get(key)) or (git,)


def _quoted(text: str) -> str:
    return f"'{text}'" if any(sign in text for sign in "<>;[ !~*") else text
