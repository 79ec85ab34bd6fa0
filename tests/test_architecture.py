"""The law of imports, executable: imports go one way, nothing imports itself in a circle, and the ground floor reads no clock, file or chance."""

from __future__ import annotations

import ast
import functools
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.code_size import attributes_of, definition_lines

PACKAGE = Path(__file__).parent.parent / "fal_jupyter"

# A package or module directly below fal_jupyter -> those of ours that it may import, and the third-party packages that it may import.
MAY: dict[str, tuple[str, str]] = {
    # F0, ground
    "domain": ("", ""),
    "protocol": ("", ""),
    # F1, shared
    "credentials": ("", ""),
    "forks": ("", ""),
    "installed": ("", ""),
    "local_modules": ("", ""),
    "net_guard": ("", ""),
    "outbound_http": ("domain net_guard", "httpx"),
    "processes": ("", ""),
    "atomic_write": ("", ""),
    "gateway_offer": ("", ""),
    "settings": ("domain", "platformdirs"),
    "state": ("domain", ""),
    "process_logging": ("settings", ""),
    "filestore": ("domain", ""),
    "data_mount": ("settings", ""),
    "server_record": ("processes atomic_write", "msgspec"),
    "secret_store": ("domain credentials atomic_write", "msgspec"),
    "environments": ("domain processes atomic_write", ""),
    "fal": (
        "domain settings filestore outbound_http atomic_write gateway_offer",
        "packaging pydantic PIL fastapi anyio onnxruntime httpx msgpack websockets",
    ),
    "shipping": ("domain protocol fal local_modules", "cloudpickle pydantic pydantic_core"),
    "portability": ("domain fal shipping environments", "cloudpickle fastapi packaging"),
    # F2, processes
    "runner": (
        "domain protocol fal shipping settings process_logging installed processes",
        "fastapi starlette pydantic anyio uvloop msgspec threadpoolctl torch cloudpickle websockets msgpack",
    ),
    "gateway": (
        "domain protocol settings process_logging state processes credentials outbound_http filestore secret_store atomic_write installed",
        "tornado httptools msgspec psutil pynvml uvloop cryptography websockets",
    ),
    "client": (
        "domain protocol fal shipping settings process_logging state processes credentials secret_store environments forks local_modules outbound_http",
        "msgspec pydantic pydantic_core psutil websockets msgpack fal_client httpx asyncstdlib",
    ),
    # F3, fronts
    "commands": (
        "domain protocol fal portability settings data_mount state credentials filestore secret_store environments client installed",
        "",
    ),
    "widgets": ("domain protocol client forks", "anywidget traitlets"),
    "server": (
        "domain protocol settings process_logging state processes server_record client",
        "tornado jupyter_server jupyter_core traitlets httptools msgspec",
    ),
    "cli": ("domain protocol fal settings secret_store local_modules client commands", ""),
    "notebook": (
        "domain protocol fal shipping portability settings data_mount server_record secret_store environments forks local_modules client commands widgets",
        "IPython traitlets ipykernel jupyter_core fal_client",
    ),
    "__init__": (
        "domain fal gateway_offer notebook server",
        "",
    ),  # the public face; all of it is resolved when it is used
}
GROUND = ("domain", "protocol")
FORBIDDEN_ON_THE_GROUND = {
    "time", "datetime", "os", "io", "pathlib", "random", "secrets", "uuid", "socket", "threading", "asyncio",
    "logging", "subprocess", "signal", "tempfile", "shutil", "selectors", "multiprocessing", "sqlite3",
}  # fmt: skip
FORBIDDEN_CALLS_ON_THE_GROUND = {"open", "print", "input", "exec", "eval", "__import__"}
MIRROR = "fal_jupyter.fal"  # has the names of the real package, whatever ours are called


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def top_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


MODULES = {name_of(path): path for path in modules()}


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports_of(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every import of a module, wherever it stands: at its top, in a function, or for the type checker only."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative imports hide where they lead"
            assert node.module is not None
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield (inner if inner in MODULES else node.module), node.lineno


@functools.cache
def edges() -> dict[str, dict[str, int]]:
    """Which module imports which of ours, with the line."""
    found: dict[str, dict[str, int]] = {}
    for name, path in MODULES.items():
        for target, line in imports_of(tree_of(path)):
            if target in MODULES and target != name:
                found.setdefault(name, {}).setdefault(target, line)
    return found


def circles(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """The strongly connected components of more than one node (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in graph.get(node, ()):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            at = stack.index(node)
            component = sorted(stack[at:])
            del stack[at:]
            if len(component) > 1:
                found.append(component)

    for node in graph:
        if node not in index:
            visit(node)
    return found


def folder_of(module: str) -> str:
    """The folder of a module; one that stands directly in a package that has folders counts as a folder by itself."""
    parts = module.split(".")
    return ".".join(parts[:3]) if len(parts) > 3 else module


def test_every_part_of_the_package_has_a_rule() -> None:
    assert {top_of(path) for path in modules()} == set(MAY)
    assert {name for ours, _ in MAY.values() for name in ours.split()} <= set(MAY)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_from_below(path: Path) -> None:
    top = top_of(path)
    ours, strangers = (set(names.split()) for names in MAY[top])
    wrong = []
    for name, line in imports_of(tree_of(path)):
        package, *rest = name.split(".")
        if package == "fal_jupyter":
            target = rest[0] if rest else "__init__"
            assert target in MAY, f"line {line}: there is no fal_jupyter.{target}"
            if target != top and target not in ours:
                wrong.append(f"line {line}: {top} may not import fal_jupyter.{target}")
        elif package not in sys.stdlib_module_names and package != "__future__" and package not in strangers:
            wrong.append(f"line {line}: {top} may not import {name}")
    assert wrong == []


def test_the_rules_have_no_circle_and_no_stale_line() -> None:
    assert circles({top: ours.split() for top, (ours, _) in MAY.items()}) == []
    used: dict[str, set[str]] = {}
    for name, targets in edges().items():
        used.setdefault(top_of(MODULES[name]), set()).update(top_of(MODULES[target]) for target in targets)
    stale = {top: sorted(set(ours.split()) - used.get(top, set())) for top, (ours, _) in MAY.items()}
    assert {top: names for top, names in stale.items() if names} == {}


def test_no_module_imports_itself_in_a_circle() -> None:
    """Imports in functions and for the type checker count: a reader follows them all the same."""
    assert circles(edges()) == []


def test_no_folder_imports_itself_in_a_circle() -> None:
    folders: dict[str, set[str]] = {}
    for name, targets in edges().items():
        folders.setdefault(folder_of(name), set()).update(
            folder_of(t) for t in targets if folder_of(t) != folder_of(name)
        )
    assert circles(folders) == []


def test_imports_in_functions_have_a_comment_about_start_up() -> None:
    """Others stand at the top of their module. One in a ``try`` asks whether something optional is there."""
    wrong = []
    for path in modules():
        lines = path.read_text().splitlines()
        tree = tree_of(path)
        optional = {
            id(node) for t in ast.walk(tree) if isinstance(t, ast.Try) for part in t.body for node in ast.walk(part)
        }
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.Import | ast.ImportFrom) and id(node) not in optional:
                    where = " ".join(lines[node.lineno - 1 : node.end_lineno])
                    if "start-up" not in where:
                        wrong.append(f"{path.relative_to(PACKAGE)}:{node.lineno}: {lines[node.lineno - 1].strip()}")
    assert sorted(set(wrong)) == []


def test_names_of_public_classes_are_unique() -> None:
    places: dict[str, list[str]] = {}
    for name, path in MODULES.items():
        if name == MIRROR or name.startswith(f"{MIRROR}."):
            continue
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(name)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


@pytest.mark.parametrize(
    "path", [p for p in modules() if top_of(p) in GROUND], ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_the_ground_floor_reads_no_clock_file_or_chance(path: Path) -> None:
    tree = tree_of(path)
    wrong = [
        f"line {line}: import {name}"
        for name, line in imports_of(tree)
        if name.split(".")[0] in FORBIDDEN_ON_THE_GROUND
    ]
    wrong += [
        f"line {node.lineno}: {node.func.id}()"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in FORBIDDEN_CALLS_ON_THE_GROUND
    ]
    assert wrong == []


def test_only_the_engine_reads_the_fleet() -> None:
    """Handlers, panels and the queue ask the engine (``EngineServices`` and its like); the fleet behind it is not theirs."""
    engine = PACKAGE / "gateway" / "engine"
    wrong = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}: {ast.unparse(node)}"
        for path in (PACKAGE / "gateway").rglob("*.py")
        if not path.is_relative_to(engine)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute)
        and node.attr in ("fleet", "_fleet")
        and not (isinstance(node.value, ast.Name) and node.value.id == "self")
    ]
    assert wrong == []


def test_fork_hooks_are_in_forks_and_in_the_runner_only() -> None:
    """A hook is never removed, so it keeps its object for ever: ``forks`` has one over weak references. A runner has one of each of its objects."""
    places = {name for name, path in MODULES.items() if "register_at_fork(" in path.read_text()}
    assert {name for name in places if top_of(MODULES[name]) != "runner"} == {"fal_jupyter.forks"}


def test_only_settings_reads_the_environment_of_this_project() -> None:
    wrong = []
    for path in modules():
        if top_of(path) == "settings":
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if "FAL_JUPYTER_" in line and ("environ" in line or "getenv" in line) and "FAL_JUPYTER_RUNNER" not in line:
                wrong.append(f"{path.relative_to(PACKAGE)}:{number}: {line.strip()}")
    assert wrong == []


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, json, fal_jupyter;"
        "print(json.dumps([m for m in ('torch','tornado','fastapi','ipywidgets','anywidget','jupyter_server','IPython','pydantic','numpy')"
        " if m in sys.modules]))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(answer.stdout) == []


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        (
            "import fal_jupyter; fal_jupyter.load_ipython_extension",
            "pydantic fastapi numpy PIL fal_jupyter.fal.toolkit",
        ),
        ("import fal_jupyter.runner.template", "importlib.metadata email tempfile difflib"),
        ("import fal_jupyter.cli.main", "importlib.metadata email tempfile difflib asyncio"),
    ],
)
def test_what_a_user_waits_for_loads_nothing_that_it_does_not_need(code: str, heavy: str) -> None:
    code = f"import sys; before = set(sys.modules); {code}; print(*set(sys.modules) - before)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert set(answer.stdout.split()) & set(heavy.split()) == set()


LINES_OF_A_CLASS, ATTRIBUTES_OF_A_CLASS, LINES_OF_A_FUNCTION = 300, 20, 60


def test_classes_and_functions_are_small() -> None:
    large: list[str] = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            where = f"{path.relative_to(PACKAGE)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.ClassDef):
                lines, attributes = definition_lines(node), attributes_of(node)
                if lines > LINES_OF_A_CLASS or attributes > ATTRIBUTES_OF_A_CLASS:
                    large.append(f"{where} {node.name}: {lines} lines, {attributes} attributes")
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = definition_lines(node)
                if lines > LINES_OF_A_FUNCTION:
                    large.append(f"{where} {node.name}: {lines} lines")
    assert large == []


def test_no_folder_has_more_than_sixteen_modules() -> None:
    """``fal`` itself has the names of the real package."""
    found: dict[str, int] = {}
    for path in modules():
        if path.name != "__init__.py" and path.parent not in (PACKAGE, PACKAGE / "fal"):
            folder = str(path.parent.relative_to(PACKAGE))
            found[folder] = found.get(folder, 0) + 1
    assert {folder: count for folder, count in found.items() if count > 16} == {}
