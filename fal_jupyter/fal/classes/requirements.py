"""Are an app's ``requirements`` met by the running environment? Nothing is ever installed here."""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from fal_jupyter.domain.environments.requirements import flat_requirements, is_setting

_NO_NAME = ("-", ".", "/", "~", "git+", "http://", "https://", "file:")
_ENDS_OF_FILES = (".whl", ".tar.gz", ".zip")
_FILE = re.compile(r"(?:-r|--requirement)(?:\s+|=|(?<=-r))(\S.*)")
_CONSTRAINTS = re.compile(r"(?:-c|--constraint)(?:\s+|=|(?<=-c))(\S.*)")
_OWN_OPTIONS = re.compile(r"\s+--(?:hash|config-settings?|global-option)\b.*")  # of one requirement


def check_requirements(requirements: Iterable[str] | Iterable[list[str]], *, base: Path | None = None) -> list[str]:
    """Return one sentence for each requirement that this environment does not meet; ``[]`` if it meets them all.

    Requirements whose marker does not apply here are met. Those of :func:`unknown_requirements` are passed over: there is
    nothing to compare them with. *base* is the folder that files of requirements and constraints (``-r``, ``-c``) are
    relative to; without it they are passed over, too.
    """
    sentences: list[str] = []
    for text in _lines(requirements, base):
        if base is not None and (inner := _lines_of_file(_CONSTRAINTS, text, base)) is not None:
            sentences += [sentence for line in inner for sentence in _broken_constraint(line)]
        if _has_no_name(text):
            continue
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            reason = str(error).splitlines()[0]
            sentences.append(f"{text!r} is not a requirement that pip understands: {reason}")
            continue
        if requirement.marker is None or requirement.marker.evaluate():
            sentences.extend(_unmet(requirement, text))
    return sentences


def unknown_requirements(requirements: Iterable[str] | Iterable[list[str]], *, base: Path | None = None) -> list[str]:
    """Return the requirements for which it cannot be decided whether they are met: folders, files, addresses, and files of requirements that
    cannot be read (without *base*, none can).

    Settings of the installer (``--pre``, ``--extra-index-url …``) name nothing to install, and are not among them. ``name @ address`` is known where what is installed says that it came from that address.
    """
    unknown = []
    for text in _lines(requirements, base):
        if _has_no_name(text):
            readable = base is not None and _lines_of_file(_CONSTRAINTS, text, base) is not None
            if not (is_setting(text) or readable):
                unknown.append(text)
            continue
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.url is not None and requirement.url not in _install_origins(requirement.name):
            unknown.append(text)
    return unknown


def _lines(requirements: Iterable[str] | Iterable[list[str]], base: Path | None) -> Iterator[str]:
    flat = flat_requirements(list(requirements))  # type: ignore[arg-type]  # layers or one flat list
    yield from _expanded(flat, base, frozenset())


def _expanded(lines: Iterable[str], base: Path | None, seen: frozenset[Path]) -> Iterator[str]:
    """The lines without comments and options of one requirement, and those of files of requirements in place of these."""
    for line in lines:
        text = _OWN_OPTIONS.sub("", line.split(" #")[0].strip())
        if not text or text.startswith("#"):
            continue
        if base is not None and (constraints := _path_of(_CONSTRAINTS, text, base)) is not None:
            text = f"-c {constraints}"  # relative to the file that names it
        path = _path_of(_FILE, text, base) if base is not None else None
        inner = _lines_of_file(_FILE, text, base) if base is not None and path not in seen else None
        if path is None or inner is None:
            if path is None or path not in seen:
                yield text
        else:
            yield from _expanded(inner, path.parent, seen | {path})


def _path_of(option: re.Pattern[str], text: str, base: Path) -> Path | None:
    match = option.fullmatch(text)
    return None if match is None or "://" in match[1] else (base / Path(match[1].strip()).expanduser()).resolve()


def _lines_of_file(option: re.Pattern[str], text: str, base: Path) -> list[str] | None:
    """The lines of the file that *text* names by *option*, continued ones joined, or ``None`` where it cannot be read."""
    path = _path_of(option, text, base)
    try:
        return None if path is None else re.sub(r"\\\n", " ", path.read_text()).splitlines()
    except (OSError, UnicodeDecodeError):
        return None


def _broken_constraint(line: str) -> Iterator[str]:
    try:
        requirement = Requirement(_OWN_OPTIONS.sub("", line.split("#")[0].strip()))
        version = Version(importlib.metadata.version(requirement.name))
    except (InvalidRequirement, InvalidVersion, importlib.metadata.PackageNotFoundError):
        return
    applies = requirement.marker is None or requirement.marker.evaluate()
    if applies and not requirement.specifier.contains(version, prereleases=True):
        yield f"{line.strip()} is a constraint, but {requirement.name} {version} is installed here"


def _has_no_name(text: str) -> bool:
    return text.startswith(_NO_NAME) or text.partition("[")[0].endswith(_ENDS_OF_FILES)


def _unmet(requirement: Requirement, text: str, seen: frozenset[str] = frozenset()) -> Iterable[str]:
    try:
        distribution = importlib.metadata.distribution(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        yield f"{text} is required, but {requirement.name} is not installed here: pip install {_quoted(text)}"
        return
    try:
        fits = requirement.specifier.contains(Version(distribution.version), prereleases=True)
    except InvalidVersion:
        return
    if not fits:
        yield f"{text} is required, but {requirement.name} {distribution.version} is installed here: pip install {_quoted(text)}"
    elif requirement.extras and requirement.name not in seen:
        for needed in map(Requirement, distribution.requires or ()):
            of_extra = not _applies(needed, "") and any(_applies(needed, extra) for extra in requirement.extras)
            if of_extra and any(_unmet(needed, str(needed), seen | {requirement.name})):
                message = f"{text} is required, but {needed.name}, which it needs, is not installed here"
                yield f"{message}: pip install {_quoted(text)}"


def _applies(needed: Requirement, extra: str) -> bool:
    return needed.marker is None or needed.marker.evaluate({"extra": extra})


def _install_origins(name: str) -> tuple[str, ...]:
    """Addresses that an installed package may be said to have come from (PEP 610)."""
    try:
        record: Mapping[str, object] = json.loads(
            importlib.metadata.distribution(name).read_text("direct_url.json") or "{}"
        )
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return ()
    url, version = str(record.get("url", "")), record.get("vcs_info")
    if not isinstance(version, dict):
        return (url,)
    git = f"{version.get('vcs')}+{url}"
    return tuple(f"{git}@{version[key]}" for key in ("requested_revision", "commit_id") if version.get(key)) or (git,)


def _quoted(text: str) -> str:
    return f"'{text}'" if any(sign in text for sign in "<>;[ !~*") else text
