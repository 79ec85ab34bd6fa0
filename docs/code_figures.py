"""Figures of the code at one or more commits, as a Markdown table: ``python -m docs.code_figures 5c54334 HEAD``.

Lines are lines of files, comments and blank ones too. Imports count wherever they stand: at the top of a module, in a function, or for
the type checker only. The numbers of the front end's functions come from Biome (``labextension/node_modules``), and are left out without it.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from tests.support.code_size import attributes_of, definition_lines

TOP = Path(__file__).parent.parent
BIOME = TOP / "labextension" / "node_modules" / ".bin" / "biome"
SUPPRESSIONS = {
    "Python (`type: ignore`, `noqa`, `pragma: no cover`)": r"#\s*(type:\s*ignore|noqa|pragma:\s*no cover|pyright:\s*ignore)",
    "front end (`biome-ignore`, `@ts-…`)": r"biome-ignore|@ts-(ignore|nocheck|expect-error)",
}
REPEATED = 8  # as many equal lines of code in a row, in two places, are a duplicate

Sources = dict[str, str]


def sources_at(commit: str) -> Sources:
    """The Python and front-end sources of *commit*, by their paths."""
    archive = subprocess.run(["git", "archive", commit], cwd=TOP, capture_output=True, check=True).stdout
    texts: Sources = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for member in files:
            if member.isfile() and PurePosixPath(member.name).suffix in (".py", ".mjs", ".ts", ".css"):
                data = files.extractfile(member)
                assert data is not None
                texts[member.name] = data.read().decode()
    return texts


def below(texts: Sources, *folders: str, suffixes: tuple[str, ...] = (".py",)) -> Sources:
    return {name: text for name, text in texts.items() if name.startswith(folders) and name.endswith(suffixes)}


def lines_of(texts: Sources) -> int:
    return sum(len(text.splitlines()) for text in texts.values())


def module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def import_edges(trees: Mapping[str, ast.Module]) -> dict[str, set[str]]:
    """Which module imports which; ``from package import module`` leads to the module."""
    known = {module_name(path) for path in trees}
    edges: dict[str, set[str]] = {}
    for path, tree in trees.items():
        targets: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                targets |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                targets |= {name if name in known else node.module for name in names}
        edges[module_name(path)] = (targets & known) - {module_name(path)}
    return edges


def circles(graph: Mapping[str, Iterable[str]]) -> list[int]:
    """The sizes of the strongly connected components of more than one node (by reachability: graphs here are small)."""
    reached: dict[str, set[str]] = {}
    for start in graph:
        seen: set[str] = set()
        stack = list(graph[start])
        while stack:
            node = stack.pop()
            if node not in seen:
                seen.add(node)
                stack += graph.get(node, ())
        reached[start] = seen
    components = {frozenset(b for b in seen if a in reached.get(b, ())) for a, seen in reached.items() if a in seen}
    return sorted((len(one) for one in components if len(one) > 1), reverse=True)


def room_of(module: str) -> str:
    """The folder of a module two levels below the package; one that stands directly in a package is a room by itself, as in test_architecture."""
    parts = module.split(".")
    return ".".join(parts[:3]) if len(parts) > 3 else module


def between_rooms(edges: Mapping[str, set[str]]) -> dict[str, set[str]]:
    graph: dict[str, set[str]] = {}
    for module, targets in edges.items():
        graph.setdefault(room_of(module), set()).update(room_of(t) for t in targets if room_of(t) != room_of(module))
    return graph


def imports_in_functions(trees: Mapping[str, ast.Module]) -> int:
    return len(
        {
            (path, node.lineno)
            for path, tree in trees.items()
            for function in ast.walk(tree)
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
            for node in ast.walk(function)
            if isinstance(node, ast.Import | ast.ImportFrom)
        }
    )


def code_lines(text: str) -> list[str]:
    """Lines without blank ones, comments, imports and closing brackets, which are alike everywhere."""
    stripped = (line.strip() for line in text.splitlines())
    return [
        line for line in stripped if re.search(r"\w", line) and not re.match(r"#|//|\*|import |from |\}? ?from ", line)
    ]


def repeated_lines(texts: Sources) -> int:
    """How many lines of code lie in runs of equal lines that stand in more than one place, the first place left out."""
    windows: dict[tuple[str, ...], list[tuple[str, int]]] = {}
    for path, text in texts.items():
        lines = code_lines(text)
        for at in range(len(lines) - REPEATED + 1):
            windows.setdefault(tuple(lines[at : at + REPEATED]), []).append((path, at))
    return len({(path, at + i) for places in windows.values() for path, at in places[1:] for i in range(REPEATED)})


def long_functions(texts: Sources) -> str:
    """How many functions of the front end have more than 60 lines, and the longest, as Biome counts."""
    if not BIOME.exists():
        return "–"
    with tempfile.TemporaryDirectory() as folder:
        for path, text in texts.items():
            file = Path(folder, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        rule = '{"level": "error", "options": {"maxLines": 60}}'
        config = f'{{"linter": {{"rules": {{"complexity": {{"noExcessiveLinesPerFunction": {rule}}}}}}}}}'
        Path(folder, "biome.json").write_text(config)
        ran = subprocess.run(
            [BIOME, "lint", "--only=complexity/noExcessiveLinesPerFunction", "--max-diagnostics=none", "--colors=off", "."],
            cwd=folder, capture_output=True, text=True,
        )  # fmt: skip
        counts = [int(count) for count in re.findall(r"too many lines \((\d+)\)", ran.stdout + ran.stderr)]
    return f"{len(counts)}" + (f" (longest {max(counts)})" if counts else "")


def figures(texts: Sources) -> Iterator[tuple[str, str]]:
    package, tests = below(texts, "fal_jupyter/"), below(texts, "tests/")
    front = below(texts, "fal_jupyter/widgets/static/", "labextension/src/", suffixes=(".mjs", ".ts", ".css"))
    front_tests = below(texts, "labextension/test/", suffixes=(".mjs", ".ts"))
    trees = {path: ast.parse(text) for path, text in package.items()}
    edges = import_edges(trees)
    rooms = between_rooms(edges)
    packages = {str(PurePosixPath(path).parent) for path in package}
    sizes = Counter(str(PurePosixPath(path).parent) for path in package if not path.endswith("__init__.py"))
    largest_folder, most = max(sizes.items(), key=lambda item: item[1])
    nodes = [(path, node) for path, tree in trees.items() for node in ast.walk(tree)]
    classes = [node for _, node in nodes if isinstance(node, ast.ClassDef)]
    functions = [node for _, node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    longest, widest = max(classes, key=definition_lines), max(classes, key=attributes_of)
    longest_function = max(functions, key=definition_lines)
    limits = [one for one in classes if definition_lines(one) > 300 or attributes_of(one) > 20]

    yield "Python modules (lines)", f"{len(package)} ({lines_of(package):,})"
    yield "packages", f"{len(packages)}"
    yield "modules in the largest folder", f"{most} (`{largest_folder.removeprefix('fal_jupyter/')}`)"
    yield "imports between modules", f"{sum(map(len, edges.values()))}"
    yield "rooms: packages, and modules beside packages", f"{len(rooms)}"
    yield "imports between rooms", f"{sum(map(len, rooms.values()))}"
    yield "circles of modules (sizes)", ", ".join(map(str, circles(edges))) or "none"
    yield "circles of rooms (sizes)", ", ".join(map(str, circles(rooms))) or "none"
    yield "largest class", f"{definition_lines(longest)} lines (`{longest.name}`)"
    yield "most attributes in a class", f"{attributes_of(widest)} (`{widest.name}`)"
    yield "classes over 300 lines or 20 attributes", f"{len(limits)}"
    yield "largest function", f"{definition_lines(longest_function)} lines (`{longest_function.name}`)"
    yield "functions over 60 lines", f"{sum(definition_lines(one) > 60 for one in functions)}"
    yield (
        "`Any` (lines), all / outside `fal`",
        " / ".join(
            str(
                sum(
                    bool(re.search(r"\bAny\b", line))
                    for path, text in package.items()
                    if path.startswith("fal_jupyter/fal/") <= all_
                    for line in text.splitlines()
                    if not re.match(r"\s*from typing import", line)
                )
            )
            for all_ in (True, False)
        ),
    )
    yield "imports in functions", f"{imports_in_functions(trees)}"
    everywhere = {**package, **front}
    for name, pattern in SUPPRESSIONS.items():
        yield f"suppressions: {name}", f"{sum(len(re.findall(pattern, text)) for text in everywhere.values())}"
    yield f"repeated lines (runs of {REPEATED} or more): package", f"{repeated_lines(package)}"
    yield (
        f"repeated lines (runs of {REPEATED} or more): front end",
        f"{repeated_lines(below(front, '', suffixes=('.mjs', '.ts')))}",
    )
    yield f"repeated lines (runs of {REPEATED} or more): tests", f"{repeated_lines(tests)}"
    yield "test : code, Python", f"{lines_of(tests) / lines_of(package):.2f}"
    yield "test : code, all", f"{(lines_of(tests) + lines_of(front_tests)) / (lines_of(package) + lines_of(front)):.2f}"
    yield "front-end modules (lines)", f"{len(front)} ({lines_of(front):,})"
    yield "front-end functions over 60 lines", long_functions(below(front, "", suffixes=(".mjs", ".ts")))
    yield (
        "front-end lines over 160 columns",
        f"{sum(len(line) > 160 for text in front.values() for line in text.splitlines())}",
    )


def main() -> None:
    commits = sys.argv[1:] or ["HEAD"]
    columns = [list(figures(sources_at(commit))) for commit in commits]
    print(f"| figure | {' | '.join(commits)} |\n|{' --- |' * (len(commits) + 1)}")
    for rows in zip(*columns, strict=True):
        print(f"| {rows[0][0]} | {' | '.join(value for _, value in rows)} |")


if __name__ == "__main__":
    main()
