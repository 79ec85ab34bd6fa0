"""The modules that widgets and extension share: their rules, and the one module that anywidget gets of them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fal_jupyter.domain.errors import FalJupyterError
from fal_jupyter.widgets.bundle import STATIC, bundle

FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|createContextualFragment|srcdoc"
)


def modules(folder: Path, **sources: str) -> Path:
    for name, source in sources.items():
        path = folder / f"{name}.mjs"
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
    return folder


def test_the_joined_module_is_one_that_node_takes(tmp_path: Path) -> None:
    text = bundle()
    assert not re.search(r"^(import|export (?!default))", text, re.MULTILINE)
    assert text.count("export default") == 1
    joined = tmp_path / "joined.mjs"
    joined.write_text(text)
    node = shutil.which("node")
    assert node, "Node.js is needed for the front end's tests"
    subprocess.run([node, "--check", joined], check=True, timeout=60)
    code = f"import widget from '{joined}'; if (typeof widget.render !== 'function') process.exit(3);"
    subprocess.run([node, "--input-type=module", "-e", code], check=True, timeout=60)


@pytest.mark.parametrize("path", sorted(STATIC.rglob("*.mjs")), ids=lambda path: path.name)
def test_no_module_hands_text_to_a_parser_of_html_or_of_programs(path: Path) -> None:
    assert FORBIDDEN.findall(path.read_text()) == []


@pytest.mark.parametrize("path", sorted(STATIC.rglob("*.mjs")), ids=lambda path: path.name)
def test_no_module_requests_anything_from_the_web(path: Path) -> None:
    assert not re.search(r"""(import|from|fetch\()\s*\(?["'`]https?:""", path.read_text())


def test_every_folder_is_on_the_map_of_the_front_end() -> None:
    top = Path(__file__).parent.parent.parent
    page = (top / "docs" / "explanation" / "front-end.md").read_text()
    folders = {path.name for path in STATIC.iterdir() if path.is_dir()}
    assert folders == set(re.findall(r"^\| `(\w+)` \|", page, re.M))
    extension = {path.name for path in (top / "labextension" / "src").iterdir() if path.is_dir()}
    assert extension - {"plugins", "shared"} == set(re.findall(r"^\| `src/(\w+)` \|", page, re.M))


def test_modules_come_before_their_users(tmp_path: Path) -> None:
    folder = modules(
        tmp_path,
        widget='import { a } from "./a.mjs";\nimport { b } from "./b.mjs";\nexport default { render: () => a + b };\n',
        a='import { b } from "./b.mjs";\nexport const a = b + 1;\n',
        b="export const b = 1;\n",
    )
    text = bundle(folder)
    assert text.index("const b = 1") < text.index("const a = b + 1") < text.index("export default")


def test_modules_of_other_folders_are_found_once(tmp_path: Path) -> None:
    sources = {
        "widget": 'import { a } from "./one/a.mjs";\nimport { b } from "./two/b.mjs";\nexport default { render: () => a + b };\n',
        "one/a": 'import { b } from "../two/b.mjs";\nexport const a = b + 1;\n',
        "two/b": "export const b = 1;\n",
    }
    text = bundle(modules(tmp_path, **sources))
    assert text.count("const b = 1") == 1
    assert text.index("const b = 1") < text.index("const a = b + 1")


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ({"widget": 'import { a } from "./a.mjs";\nconst one = a;\n', "a": "export const a = 1;\nconst one = 2;\n"}, "both name one"),
        ({"widget": 'import { a as b } from "./a.mjs";\n', "a": "export const a = 1;\n"}, "renames"),
        ({"widget": 'import { a } from "./a.mjs";\n', "a": 'import { w } from "./widget.mjs";\nexport const a = 1;\n'}, "circle"),
        ({"widget": 'import x from "elsewhere";\n'}, "does not know"),
        ({"widget": "const { a } = b;\n"}, "takes a value apart"),
    ],
)  # fmt: skip
def test_a_broken_rule_is_one_sentence(tmp_path: Path, sources: dict[str, str], message: str) -> None:
    with pytest.raises(FalJupyterError, match=message):
        bundle(modules(tmp_path, **sources))
