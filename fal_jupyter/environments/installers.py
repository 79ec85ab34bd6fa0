"""Runs of ``uv`` or ``pip``: the commands, their settings, and the reason of a failure."""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

# pip's setting for each variable of uv, and the separator that uv uses between several values
_OF_PIP = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_EXTRA_INDEX_URL", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "constraint": ("UV_CONSTRAINT", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", ""),
    "no-index": ("UV_NO_INDEX", ""),
    "default-timeout": ("UV_HTTP_TIMEOUT", ""),
    "timeout": ("UV_HTTP_TIMEOUT", ""),
}

_ELSEWHERE = frozenset({"PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_PYTHON", "PIP_DRY_RUN", "UV_TARGET", "UV_PREFIX"})
_MORE_INDEXES = ("--extra-index-url", "--find-links", "-f")
_ALL_INDEXES = "unsafe-best-match"  # like pip: the best version of all indexes
_COLOURS = frozenset({"FORCE_COLOR", "CLICOLOR_FORCE", "PY_COLORS"})
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True, slots=True)
class Installer:
    """The installer of this machine; *command* runs it."""

    name: Literal["uv", "pip"]
    command: tuple[str, ...]

    def making(self, folder: Path, python: str) -> list[str]:
        """The command that creates an empty environment; *python* is an interpreter or, for uv, a version."""
        if self.name == "uv":
            return [
                *self.command,
                "venv",
                "--no-project",
                "--no-config",
                "--allow-existing",
                "--python",
                python,
                str(folder),
            ]
        return [python, "-m", "venv", str(folder)]

    def filling(self, folder: Path, requirements: Path, settings: Sequence[str] = ()) -> list[str]:
        """The command that installs a requirements file into it.

        Args:
            settings: lines such as ``--pre``: some are not allowed in the file, and fal passes them on the command line, too.
        """
        python = str(folder / "bin/python")
        words = [word for line in settings for word in _words(line)]
        if self.name == "uv":
            if any(word.startswith(_MORE_INDEXES) for word in words) and "--index-strategy" not in words:
                words += ["--index-strategy", _ALL_INDEXES]
            return [*self.command, "pip", "install", "--no-config", "--python", python, *words, "-r", str(requirements)]
        own = ["--no-input", "--disable-pip-version-check"]
        return [python, "-m", "pip", "install", *own, *words, "-r", str(requirements)]


def _words(line: str) -> list[str]:
    """Split an option from its value, which may contain spaces."""
    option, _, value = line.partition(" ")
    return [option, value.strip()] if value.strip() else [option]


def find_installer() -> Installer:
    """Return the uv of this environment, else that of the machine, else pip."""
    spec = importlib.util.find_spec("uv")
    if spec is not None and spec.origin is not None:  # a folder of that name does not count
        return Installer("uv", (sys.executable, "-P", "-m", "uv"))
    if (path := shutil.which("uv")) is not None:
        return Installer("uv", (path,))
    return Installer("pip", ())


def variables_for(installer: Installer, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the installer's environment: *environment* without variables that change the target or colour the output."""
    kept = {name: value for name, value in environment.items() if name not in _ELSEWHERE and name not in _COLOURS}
    return kept | {"NO_COLOR": "1"} | ({"PIP_USER": "0", "PYTHONUNBUFFERED": "1"} if installer.name == "pip" else {})


def uv_variables(pip_config: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Pass pip's settings to uv, which does not read them; uv's own variables in *environment* take precedence.

    Args:
        pip_config: what ``pip config list`` prints.
    """
    collected: dict[str, list[str]] = {}
    separators = {}
    for line in pip_config.splitlines():
        option, _, literal = line.partition("=")
        scope, _, name = option.rpartition(".")
        if name not in _OF_PIP or scope not in ("global", "install", ":env:"):
            continue
        try:
            value = str(ast.literal_eval(literal))
        except (ValueError, SyntaxError):
            continue
        variable, separators[variable] = _OF_PIP[name]
        words = collected.setdefault(variable, [])
        if not separators[variable]:
            words.clear()  # a single value: the last scope is the most specific one
            words.append(value)
        else:
            words += [word for word in re.split(r"[\s]+", value) if word and word not in words]
    variables = {name: (separators[name] or " ").join(values) for name, values in collected.items()}
    if "UV_EXTRA_INDEX_URL" in variables or "UV_FIND_LINKS" in variables:
        variables["UV_INDEX_STRATEGY"] = _ALL_INDEXES
    return {name: value for name, value in variables.items() if name not in environment}


_CHATTER = re.compile(
    r"^(?:Using (?:CPython|Python)|Creating virtual|Activate with|warning:|WARNING:|hint:|\[notice\])"
)


def plain(text: str) -> str:
    """Return *text* without terminal colours."""
    return _ESCAPES.sub("", text)


def is_chatter(line: str) -> bool:
    """True for lines without information for the user: what our first line already says, and advice for a shell."""
    return _CHATTER.match(line.strip()) is not None


def reason(output: str, installer: str) -> str:
    """Return the installer's own reason for its failure, as one sentence."""
    lines = [line.rstrip() for line in output.splitlines() if line.strip() and not is_chatter(line)]
    if installer == "uv":
        begin = next((i for i, line in enumerate(lines) if re.match(r"\s*(?:error:|×)", line)), 0)
        text = " ".join(line.strip() for line in lines[begin:])
        text = re.sub(r"\bin `[^`]*` at position \d+", "", text)
        text = re.sub(r"(?:^|\s)(?:error:|cause:|×|╰─▶|├─▶|│)\s*", " ", text)
        match = re.search(r"Because .*", text)
        text = match[0] if match else text
    else:
        errors = [line.partition("ERROR:")[2].strip() for line in lines if line.startswith("ERROR:")]
        caused = [line.strip() for line in lines if re.match(r"\s+(?:The user requested|\S+ \S+ depends on)", line)]
        # pip's last line only repeats that it failed
        text = "; ".join(dict.fromkeys([*errors[:1], *caused])) or (lines[-1] if lines else "")
    text = re.sub(r"\s+", " ", text).strip()
    return text if len(text) <= 1200 else f"{text[:1200]} …"
