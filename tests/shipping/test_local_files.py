"""Which module files of the user's an app uses, found without importing anything."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fal_jupyter.local_modules import EditWatch, is_users, read_module
from fal_jupyter.shipping.files.local_files import files_used, imported_names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("import a", {"a"}),
        ("import a.b as c, d", {"a", "a.b", "d"}),
        ("def f():\n    from a.b import (\n        c as x,  # why\n        d,\n    )", {"a", "a.b", "a.b.c", "a.b.d"}),
        ("x = 1; import a; from b import c", {"a", "b", "b.c"}),
        ("if x: import a", {"a"}),
        ("from . import a\nfrom .b import c\nfrom ..d import e", {"p.q", "p.q.a", "p.q.b", "p.q.b.c", "p.d", "p.d.e", "p"}),
        ("from .... import a", set()),
        ("from a import *", {"a"}),
        ("importer = important", set()),
    ],
)  # fmt: skip
def test_imports_are_found_in_a_source(text: str, names: set[str]) -> None:
    assert set(imported_names(text, "p.q")) | {"p"} == names | {"p"}


def test_files_are_followed_through_packages_without_importing_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "fj_a.py": "def f():\n    import fj_pack.part\n",
        "fj_pack/__init__.py": "raise RuntimeError('it is not imported')",
        "fj_pack/part.py": "from . import other\nimport json, numpy, fj_missing\n",
        "fj_pack/other.py": "from fj_a import f\n",
        "fj_pack/unused.py": "",
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = files_used((), ["import fj_a, fal_jupyter"])

    assert sorted(file.label for file in found) == ["fj_a.py", "fj_pack/__init__.py", "fj_pack/other.py", "fj_pack/part.py"]  # fmt: skip
    assert not {"fj_a", "fj_pack"} & set(sys.modules)


def test_files_of_python_of_packages_and_of_fal_jupyter_are_not_the_users() -> None:
    import json

    import pydantic

    import fal_jupyter

    assert [is_users(str(module.__file__)) for module in (json, pydantic, fal_jupyter)] == [False, False, False]
    assert is_users("/home/me/project/src/mine/__init__.py")


def test_many_edited_files_are_one_sentence(tmp_path: Path) -> None:
    paths = [tmp_path / f"m{number}.py" for number in range(6)]
    for path in paths:
        path.write_text("1")
    read = [read_module(path.stem, str(path)) for path in paths]
    watch = EditWatch(found[0] for found in read if found is not None)
    assert watch.news("Hello", "serve it again") == []
    for path in paths[:5]:
        path.write_text("22")
    paths[5].unlink()

    assert watch.news("Hello", "serve it again", cell=1) == [
        "m0.py, m1.py and 3 more files changed after Hello was served; serve it again to use them",
        "m5.py was removed after Hello was served",
    ]
    assert watch.news("Hello", "serve it again", cell=2) == []
