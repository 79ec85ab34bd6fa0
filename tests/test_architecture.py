"""The house rule, executable: imports go one way, down the floors; the ground floor reads no clock, file or chance."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "fal_jupyter"
ROOMS = (
    "domain",
    "protocol",
    "fal",
    "shipping",
    "portability",
    "settings",
    "runner",
    "server_record",
    "gateway",
    "client",
    "widgets",
    "notebook",
    "server",
    "cli",
)

# room -> (rooms of ours it may import, third-party packages it may import)
MAY: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "domain": ((), ()),
    "protocol": ((), ()),
    "settings": (("domain",), ("platformdirs",)),
    "processes": ((), ()),
    "forks": ((), ()),
    "installed": ((), ()),
    "local_modules": ((), ()),
    "credentials": ((), ()),
    "gateway_offer": ((), ()),
    "state": (("domain",), ()),
    "data_mount": (("settings",), ()),
    "server_record": (("processes", "atomic_write"), ()),
    "atomic_write": ((), ()),
    "net_guard": ((), ()),
    "filestore": (("domain",), ()),
    "secret_store": (("domain", "credentials", "atomic_write"), ()),
    "environments": (("domain", "processes", "atomic_write"), ()),
    "fal": (
        ("domain", "protocol", "settings", "filestore", "net_guard"),
        ("packaging", "pydantic", "PIL", "fastapi", "anyio", "onnxruntime", "httpx", "msgpack", "websockets"),
    ),
    "shipping": (("domain", "protocol", "fal", "local_modules"), ("cloudpickle", "pydantic", "pydantic_core")),
    "portability": (("domain", "fal", "shipping", "environments"), ("cloudpickle", "fastapi", "packaging")),
    "runner": (
        ("domain", "protocol", "fal", "shipping", "settings"),
        (
            "fastapi",
            "starlette",
            "pydantic",
            "anyio",
            "uvloop",
            "msgspec",
            "threadpoolctl",
            "torch",
            "cloudpickle",
            "websockets",
            "msgpack",
        ),
    ),
    "gateway": (
        (
            "domain",
            "protocol",
            "settings",
            "state",
            "processes",
            "credentials",
            "net_guard",
            "filestore",
            "secret_store",
            "atomic_write",
        ),
        ("tornado", "httptools", "msgspec", "psutil", "pynvml", "uvloop", "cryptography", "websockets"),
    ),
    "client": (
        (
            "domain",
            "local_modules",
            "protocol",
            "fal",
            "shipping",
            "settings",
            "state",
            "processes",
            "credentials",
            "secret_store",
            "environments",
        ),
        (
            "msgspec",
            "pydantic",
            "pydantic_core",
            "psutil",
            "websockets",
            "msgpack",
            "fal_client",
            "httpx",
            "asyncstdlib",
        ),
    ),
    "cli": (
        (
            "domain",
            "local_modules",
            "protocol",
            "fal",
            "shipping",
            "portability",
            "settings",
            "data_mount",
            "state",
            "credentials",
            "filestore",
            "secret_store",
            "environments",
            "client",
        ),
        (),
    ),
    "server": (
        ("domain", "protocol", "settings", "state", "processes", "server_record", "client"),
        ("tornado", "jupyter_server", "jupyter_core", "traitlets", "httptools"),
    ),
    "widgets": (("domain", "protocol", "client"), ("anywidget", "traitlets")),
    "notebook": (
        (
            "domain",
            "local_modules",
            "protocol",
            "fal",
            "shipping",
            "portability",
            "settings",
            "data_mount",
            "server_record",
            "secret_store",
            "environments",
            "client",
            "cli",
            "widgets",
        ),
        ("IPython", "traitlets", "ipykernel", "jupyter_core", "fal_client"),
    ),
}
GROUND = ("domain", "protocol")
FORBIDDEN_ON_THE_GROUND = {
    "time", "datetime", "os", "io", "pathlib", "random", "secrets", "uuid", "socket", "threading", "asyncio",
    "logging", "subprocess", "signal", "tempfile", "shutil", "selectors", "multiprocessing", "sqlite3",
}  # fmt: skip
FORBIDDEN_CALLS_ON_THE_GROUND = {"open", "print", "input", "exec", "eval", "__import__"}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative imports hide the floor"
            assert node.module is not None
            if node.module == "fal_jupyter":
                for alias in node.names:
                    yield f"fal_jupyter.{alias.name}", node.lineno
            else:
                yield node.module, node.lineno


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_from_below(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return  # the public face resolves lazily; see the import test below
    ours, strangers = MAY[room]
    wrong = []
    for name, line in imports_of(ast.parse(path.read_text())):
        top, *rest = name.split(".")
        if top == "fal_jupyter":
            target = rest[0] if rest else "__init__"
            if target in ROOMS and target != room and target not in ours:
                wrong.append(f"line {line}: {room} may not import fal_jupyter.{target}")
        elif top not in sys.stdlib_module_names and top != "__future__" and top not in strangers:
            wrong.append(f"line {line}: {room} may not import {name}")
    assert wrong == []


@pytest.mark.parametrize(
    "path", [p for p in modules() if room_of(p) in GROUND], ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_the_ground_floor_reads_no_clock_file_or_chance(path: Path) -> None:
    tree = ast.parse(path.read_text())
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


def test_only_settings_reads_the_environment_of_this_project() -> None:
    wrong = []
    for path in modules():
        if room_of(path) == "settings":
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


def test_no_file_swallows_the_house() -> None:
    too_long = {
        str(path.relative_to(PACKAGE)): lines
        for path in modules()
        if (lines := len(path.read_text().splitlines())) > 600
    }
    assert too_long == {}
