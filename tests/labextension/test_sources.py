"""What the extension's sources, the package and the Python side have to agree on."""

from __future__ import annotations

import graphlib
import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

import hatch_build
from fal_jupyter.notebook import panels
from fal_jupyter.notebook.display import saved_panels
from fal_jupyter.protocol.feed import TABS, source_hash

TOP = Path(__file__).parent.parent.parent
FRONT = TOP / "labextension"
SHARED = TOP / "fal_jupyter" / "widgets" / "static"
PACKAGE = json.loads((FRONT / "package.json").read_text())
SOURCES = {
    str(path.relative_to(FRONT / "src")): path.read_text()
    for path in (FRONT / "src").rglob("*.ts")
    if "shared" not in path.parts
}
SCHEMAS = {path.stem: json.loads(path.read_text()) for path in (FRONT / "schema").glob("*.json")}
PLUGINS = {
    name
    for file, text in SOURCES.items()
    if file.startswith("plugins/")
    for name in re.findall(r'(?:\bid: |const ID = )"fal-jupyter:([\w-]+)"', text)
}


def test_no_line_is_wider_than_160_columns() -> None:
    """The formatter wraps at 120, but leaves strings, regular expressions and comments as they are."""
    files = [path for folder in (FRONT / "src", FRONT / "test", SHARED) for path in folder.rglob("*.*")]
    wide = [
        f"{path.relative_to(TOP)}:{number}"
        for path in files
        if "shared" not in path.parts
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > 160
    ]
    assert wide == []


def imported_modules(folder: Path) -> dict[str, set[str]]:
    """Return what each module of *folder* imports from it; imports of types count."""
    files = {path for path in folder.rglob("*.*") if path.suffix in {".ts", ".mjs"} and "shared" not in path.parts}
    imports: dict[str, set[str]] = {}
    for path in files:
        text = path.read_text()
        # "import … from", "export … from", import() of code, and import() of types in comments
        named = re.findall(r'(?:\bfrom |\bimport\(|^import )"(\.[^"]+)"', text, re.M)
        targets = {(path.parent / name).resolve() for name in named}
        known = {target for name in targets for target in (name, name.with_name(f"{name.name}.ts")) if target in files}
        imports[str(path.relative_to(folder))] = {str(target.relative_to(folder)) for target in known} - {
            str(path.relative_to(folder))
        }
    return imports


@pytest.mark.parametrize("folder", [FRONT / "src", SHARED], ids=["extension", "panels"])
def test_no_modules_import_one_another_in_a_circle(folder: Path) -> None:
    imports = imported_modules(folder)
    assert sum(map(len, imports.values())) > 60
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def test_every_function_of_the_front_end_has_at_most_60_lines() -> None:
    """Biome counts; only tests are excepted."""
    config = json.loads((FRONT / "biome.json").read_text())
    rule = "noExcessiveLinesPerFunction"
    assert config["linter"]["rules"]["complexity"][rule] == {"level": "error", "options": {"maxLines": 60}}
    excepted = [one["includes"] for one in config["overrides"] if rule in one["linter"]["rules"]["complexity"]]
    assert excepted == [["**/test/**"]]


def test_package_and_extension_have_one_version() -> None:
    assert PACKAGE["version"] == tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["version"]


def test_what_is_installed_is_pinned_and_names_no_host() -> None:
    lock = (FRONT / "yarn.lock").read_text()
    assert not re.findall(r"\w+://\S+", lock)
    for name, version in PACKAGE["resolutions"].items():
        assert f'"{name}@npm:{version}"' in lock, name


def test_every_shared_name_is_exported_where_it_is_taken_from() -> None:
    taken = [
        (file, module, name.split(" as ")[0].strip())
        for file, text in SOURCES.items()
        for names, module in re.findall(r'import \{([^}]*)\} from "(?:\.\./|\./)+shared/([\w/]+\.mjs)"', text)
        for name in names.split(",")
    ]
    assert len(taken) > 15
    for file, module, name in taken:
        exported = re.search(
            rf"^export (?:async )?(?:function|const|let|class) {name}\b", (SHARED / module).read_text(), re.M
        )
        assert exported, f"{file} takes {name} from {module}, which has no such export"


def test_each_tab_of_a_card_is_drawn_saved_and_documented() -> None:
    drawn = (SHARED / "card" / "card.mjs").read_text().partition("export const TABS = [")[2].partition("\n];")[0]
    assert re.findall(r'^ +(?:\{ )?name: "(\w+)"', drawn, re.M) == list(TABS)
    assert list(saved_panels._PANELS) == list(TABS)
    assert re.findall(r"``(\w+)``", panels.panel.__doc__ or "") == list(TABS)


def test_every_schema_is_of_a_plugin() -> None:
    assert set(SCHEMAS) <= PLUGINS
    for schema in SCHEMAS.values():
        assert schema["additionalProperties"] is False


def test_every_plugin_has_a_file_named_like_it_and_is_documented() -> None:
    files = {file.removeprefix("plugins/").removesuffix(".ts") for file in SOURCES if file.startswith("plugins/")}
    assert files == {{"plugin": "connection"}.get(name, name.replace("-", "_")) for name in PLUGINS}
    page = (TOP / "docs" / "how-to" / "jupyterlab.md").read_text()
    assert set(re.findall(r"^\| `fal-jupyter:([\w-]+)`", page, re.M)) == PLUGINS


def test_every_command_of_the_schemas_exists() -> None:
    named = {
        name
        for schema in SCHEMAS.values()
        for name in re.findall(
            r'"fal-jupyter:([\w-]+)"',
            json.dumps([schema.get("jupyter.lab.menus"), schema.get("jupyter.lab.shortcuts")]),
        )
    }
    known = {name for text in SOURCES.values() for name in re.findall(r'\bid: "([\w-]+)"', text)}
    assert named
    assert named <= known


def test_every_setting_is_described_and_read() -> None:
    for name, setting in SCHEMAS["plugin"]["properties"].items():
        assert setting["title"], name
        assert setting["description"], name
        assert "default" in setting, name
        assert f'settings.get("{name}")' in SOURCES["connection/preferences.ts"], f"nobody reads {name}"


@pytest.mark.parametrize("text", ["", "  foobar\n", "%%fal_app\nclass A(fal.App): ...\n", "é€😀\n\n", "\t x"])
def test_the_chip_hashes_a_cell_as_the_kernel_does(text: str) -> None:
    node = shutil.which("node")
    assert node, "there is no Node.js here; install Node.js 20 or newer"
    plain = re.sub(r"\(text: string\): string", "(text)", SOURCES["cards/source.ts"])
    program = f"{plain}\nprocess.stdout.write(sourceHash({json.dumps(text)}));"
    ran = subprocess.run(
        [node, "--input-type=module", "-e", program], capture_output=True, text=True, timeout=30, check=True
    )
    assert ran.stdout == source_hash(text)


def test_the_hash_of_the_sources_covers_the_shared_modules_too(tmp_path: Path) -> None:
    for path in hatch_build.sources(TOP):
        copy = tmp_path / path.relative_to(TOP)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    before = hatch_build.source_hash(tmp_path)
    assert before == hatch_build.source_hash(TOP)
    for name in (
        "labextension/src/index.ts",
        "labextension/yarn.lock",
        "fal_jupyter/widgets/static/card/card.mjs",
        "labextension/schema/plugin.json",
        "labextension/scripts/bundle.cjs",
    ):
        changed = tmp_path / name
        kept = changed.read_bytes()
        changed.write_bytes(kept + b"\n")
        assert hatch_build.source_hash(tmp_path) != before, name
        changed.write_bytes(kept)
    assert hatch_build.source_hash(tmp_path) == before


def test_a_build_installs_neither_linters_nor_tests(tmp_path: Path) -> None:
    """Where they are installed already they stay, for a build must not take a developer's tools away."""
    builder = json.loads((FRONT / "builder" / "package.json").read_text())
    needed = builder["dependencies"]
    assert needed == {name: PACKAGE["devDependencies"][name] for name in needed}
    assert not needed.keys() & {"@biomejs/biome", "vitest", "jsdom", "axe-core"}
    command = hatch_build.installation(tmp_path)
    assert command[:3] == ("workspaces", "focus", "--production")
    assert set(command[3:]) == {PACKAGE["name"], builder["name"]}
    (tmp_path / "node_modules" / "vitest").mkdir(parents=True)
    assert hatch_build.installation(tmp_path) == ("install", "--immutable")


def test_making_the_lab_does_not_ask_for_the_linters() -> None:
    make = ["make", "-n", "-B", "--no-print-directory"]
    steps = {
        target: subprocess.run([*make, target], cwd=TOP, capture_output=True, text=True, timeout=30, check=True).stdout
        for target in ("lab", "lint-front")
    }
    assert "hatch_build.installation" in steps["lab"]
    assert "install --immutable" not in steps["lab"]
    assert "install --immutable" in steps["lint-front"]
