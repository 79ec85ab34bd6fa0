"""``requirements`` of a class as arguments of the installer: fal passes them to ``pip install`` unchanged, including options."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

CONTENT_OPTIONS: Final = ("-r", "--requirement", "-e", "--editable", "-c", "--constraint")
"""Options that name what to install; the others (``--pre``, ``-f URL``) say how or from where."""

_WITH_VALUE: Final = frozenset({
    *CONTENT_OPTIONS, "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--trusted-host", "--no-binary",
    "--only-binary", "--platform", "--python-version", "--implementation", "--abi", "--config-settings", "-C",
    "--timeout", "--retries", "--proxy", "--cert", "--client-cert", "--index-strategy", "--prerelease", "--index",
    "--default-index", "--progress-bar", "--upgrade-strategy", "--use-feature",
})  # fmt: skip


def flat_requirements(requirements: Sequence[str] | Sequence[Sequence[str]]) -> list[str]:
    """Return the requirements as one list of lines, layer after layer.

    An option and its value may be two items of a layer (``"--extra-index-url", "https://…"``): they become one line.
    """
    return [line for item in _layers(requirements) for line in _lines(item)]


def is_setting(line: str) -> bool:
    """True for an installer option that does not name anything to install."""
    return line.startswith("-") and not line.startswith(CONTENT_OPTIONS)


def _layers(requirements: Sequence[str] | Sequence[Sequence[str]]) -> list[list[str]]:
    layers: list[list[str]] = [[]]
    for item in requirements:
        if isinstance(item, str):
            layers[-1].append(item)
        else:
            layers += [list(item), []]
    return layers


def _lines(items: Iterable[str]) -> list[str]:
    lines: list[str] = []
    option = ""
    for item in items:
        if option:
            lines.append(f"{option} {item.strip()}")
            option = ""
        elif item.strip() in _WITH_VALUE:
            option = item.strip()
        else:
            lines.append(item)
    return [*lines, option] if option else lines
