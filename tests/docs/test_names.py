"""What the documentation names exists: folders, modules, classes, tests, targets of make, and what its links lead to."""

from __future__ import annotations

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent.parent
PACKAGE = TOP / "fal_jupyter"
PAGES = sorted(
    path
    for path in (*TOP.glob("*.md"), *(TOP / "docs").rglob("*.md"), *(TOP / "bench").glob("*.md"))
    if "_build" not in path.parts and "api" not in path.parts
)
TEXTS = {str(path.relative_to(TOP)): path.read_text(encoding="utf-8") for path in PAGES}
HISTORY = "CHANGELOG.md"  # names what was true when it was written
ROOTS = (TOP, PACKAGE, TOP / "tests", TOP / "tests" / "e2e", PACKAGE / "widgets" / "static", TOP / "docs")
ENDINGS = ("", ".py", ".mjs", ".ts", ".md", ".json", ".d.ts")
MADE = ("docs/_build", "htmlcov", ".venv")  # by make, not in a clone
FIRST = {path.name for root in (TOP, PACKAGE, TOP / "tests") for path in root.iterdir() if path.is_dir()}


def code_words(text: str) -> set[str]:
    """What stands between single backticks, outside of blocks."""
    prose = re.sub(r"^( *)```.*?^ *```$", "", text, flags=re.M | re.S)
    return set(re.findall(r"(?<!`)`([^`\n]+)`(?!`)", prose))


def paths_in(text: str) -> set[str]:
    found = {word.split("::")[0] for word in code_words(text) if re.fullmatch(r"[\w.-]+(/[\w.-]+)+(::\w+)?/?", word)}
    return {path for path in found if path.split("/")[0] in FIRST and not path.startswith(MADE)}


def exists(path: str) -> bool:
    return any((root / (path.rstrip("/") + ending)).exists() for root in ROOTS for ending in ENDINGS)


@cache
def names_of(path: Path) -> frozenset[str]:
    """Every name that a module or a package defines, imports or mentions as an attribute of a class."""
    names: set[str] = set()
    for file in (path, *path.parent.glob("*.py")) if path.name == "__init__.py" else (path,):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Name):
                names.add(node.id)
            elif isinstance(node, ast.Attribute):
                names.add(node.attr)
            elif isinstance(node, ast.alias):
                names.add(node.asname or node.name)
    return frozenset(names)


def module_of(parts: list[str]) -> tuple[Path, list[str]] | None:
    """The module that the longest beginning of *parts* names, and the rest."""
    for length in range(len(parts), 0, -1):
        base = PACKAGE.joinpath(*parts[:length])
        for file in (base.with_suffix(".py"), base / "__init__.py"):
            if file.exists():
                return file, parts[length:]
    return None


ROOMS = {
    path.stem
    for path in PACKAGE.iterdir()
    if (path / "__init__.py").exists() or (path.suffix == ".py" and path.stem != "__init__")
}


def missing_names(text: str) -> list[str]:
    missing = []
    for word in code_words(text):
        dotted = re.fullmatch(r"((?:fal_jupyter\.)?(\w+)(?:\.\w+)+)(?:\(.*\))?", word)
        if dotted is None or dotted[2] not in ROOMS - {"fal", "settings", "state", "server", "client", "runner"}:
            continue  # `fal.App` and its like are users' names, and `runner.x` may be an object
        parts = dotted[1].removeprefix("fal_jupyter.").split(".")
        found = module_of(parts)
        if found is None or not set(found[1]) <= names_of(found[0]):
            missing.append(word)
    return missing


def known_tests() -> set[str]:
    files = list((TOP / "tests").rglob("test_*.py"))
    return {path.stem for path in files} | {
        name for path in files for name in re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))
    }


@pytest.mark.parametrize("page", [page for page in TEXTS if page != HISTORY])
def test_every_path_that_a_page_names_exists(page: str) -> None:
    assert [path for path in sorted(paths_in(TEXTS[page])) if not exists(path)] == []


@pytest.mark.parametrize("page", [page for page in TEXTS if page != HISTORY])
def test_every_module_and_name_in_it_that_a_page_names_exists(page: str) -> None:
    assert missing_names(TEXTS[page]) == []


def test_every_test_that_a_page_names_exists() -> None:
    known = known_tests()
    named = {
        (page, word)
        for page, text in TEXTS.items()
        if page != HISTORY
        for word in code_words(text)
        if re.fullmatch(r"test_\w+", word)
    }

    assert sorted((page, word) for page, word in named if word not in known) == []


@pytest.mark.parametrize("page", list(TEXTS))
def test_every_link_between_files_leads_somewhere(page: str) -> None:
    """Sphinx looks at sections of pages too (``make docs``)."""
    links = set(re.findall(r"\]\(([^)#\s]+)[^)]*\)", TEXTS[page]))
    here = (TOP / page).parent

    assert sorted(link for link in links if not re.match(r"https?:|mailto:", link) and not (here / link).exists()) == []


def test_every_make_target_that_a_page_names_exists() -> None:
    listed = subprocess.run(["make", "-s", "help"], cwd=TOP, capture_output=True, text=True, check=True).stdout
    targets = set(re.findall(r"^  ([a-z0-9-]+) ", listed, re.M))
    words = {
        word
        for page, text in TEXTS.items()
        for code in (*code_words(text), *re.findall(r"^ *```sh\n(.*?)^ *```", text, re.M | re.S))
        for line in re.findall(r"^make ([a-z][a-z -]*)", code, re.M)
        for word in line.split()
    }

    assert words <= targets


def test_hooks_of_every_stage_are_installed() -> None:
    """``pre-commit install`` installs those of the stage pre-commit only, if the file names no others."""
    config = (TOP / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    installed = re.search(r"^default_install_hook_types: \[(.*)\]$", config, re.M)
    assert installed is not None
    assert set(re.findall(r"tages: \[(.*?)\]", config)) <= set(installed[1].split(", "))


def test_no_paper_outside_of_the_repository_is_referred_to() -> None:
    files = [*PAGES, *PACKAGE.rglob("*.py"), *(TOP / "tests").rglob("*.py"), TOP / "pyproject.toml", TOP / "Makefile"]
    found = [
        f"{path.relative_to(TOP)}:{number}"
        for path in files
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"(policy|reliability) paper|\bthe paper\b|app-contract|wire-protocol|fal-surface", line)
    ]

    assert found == []
