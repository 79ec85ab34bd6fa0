"""Which files ``app_files`` means: the same as the real package's, on trees with links, patterns and ways out."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fal_jupyter.domain.errors import AppRuleBroken
from fal_jupyter.shipping.files.app_files import collect
from tests.support.examples import examples
from tests.support.real_fal import PYTHON as REAL_FAL

ASK_REAL = """
import json, re, sys
from fal.file_sync import FileSync
for line in sys.stdin:
    paths, base, context, ignore = json.loads(line)
    sync = FileSync.__new__(FileSync)
    sync.local_file_path = base
    patterns = [re.compile(p) for p in ignore]
    try:
        found = sync.collect_files(paths, context, patterns)
        names = sorted({f.relative_path for f in found if not any(p.search(f.relative_path) for p in patterns)})
    except Exception as error:
        names = str(error).splitlines()[0].partition(" for ")[0]
    print(json.dumps(names), file=sys.stderr, flush=True)
"""
PATHS = (
    "a",
    "a/b",
    "a/b/c.txt",
    "d.py",
    "d.pyc",
    "gone",
    "../out.txt",
    "../gone",
    ".",
    "link",
    "away",
    "./a/../d.py",
    "",
)
IGNORE = (r"\.pyc$", "b/", "^a", "c", r"\.\./", "link", "txt")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree") / "project"
    (root / "a/b").mkdir(parents=True)
    for name in ("a/b/c.txt", "a/x.pyc", "d.py", "d.pyc", "app.py", "../out.txt"):
        (root / name).write_text(name)
    (root / "link").symlink_to("a")
    (root / "away").symlink_to("../out.txt")
    return root


@pytest.fixture(scope="module")
def real(tree: Path) -> Any:
    process = subprocess.Popen(
        [REAL_FAL, "-c", ASK_REAL], stdin=subprocess.PIPE, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    yield process
    process.communicate(timeout=20)


def ours(tree: Path, paths: list[str], context: str | None, ignore: list[str]) -> list[str] | str:
    try:
        return sorted(collect(paths, base=tree, context=context, ignore=ignore).files)
    except AppRuleBroken as error:
        return error.message.partition(" for ")[0]


@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    paths=st.lists(st.sampled_from(PATHS), max_size=4),
    context=st.sampled_from([None, ".", "a", "..", "a/.."]),
    ignore=st.lists(st.sampled_from(IGNORE), max_size=2),
)
def test_the_same_files_as_in_the_real_package(
    tree: Path, real: Any, paths: list[str], context: str | None, ignore: list[str]
) -> None:
    real.stdin.write(json.dumps([paths, str(tree / "app.py"), context, ignore]) + "\n")
    real.stdin.flush()

    assert ours(tree, paths, context, ignore) == json.loads(real.stderr.readline())


def test_where_the_app_is_below_its_context(tree: Path) -> None:
    found = collect(["d.py"], base=tree / "a", context="..", ignore=[])

    assert (found.place, list(found.files), found.missing) == ("a", ["d.py"], ())
    assert collect(["nothing"], base=tree, context=None, ignore=[]).missing == ("nothing",)
