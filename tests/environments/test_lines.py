"""Lines of requirements as an installer reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_jupyter.environments.lines import digest_of, installer_lines, local_places, masked

BASE = Path("/project")


@pytest.mark.parametrize(
    ("line", "expected", "place"),
    [
        ("numpy==2.1 # pinned", "numpy==2.1", None),
        (".", "/project", "/project"),
        (".[gpu,dev]", "/project[gpu,dev]", "/project"),
        ("./pkg", "/project/pkg", "/project/pkg"),
        ("../other", "/other", "/other"),
        ("wheels/tiny-1.0-py3-none-any.whl", "/project/wheels/tiny-1.0-py3-none-any.whl", "/project/wheels/tiny-1.0-py3-none-any.whl"),
        ("-e ./pkg", "-e /project/pkg", "/project/pkg"),
        ("-r more.txt", "-r /project/more.txt", "/project/more.txt"),
        ("-rmore.txt", "-r /project/more.txt", "/project/more.txt"),
        ("./pkg ; python_version > '3'", "/project/pkg ; python_version > '3'", "/project/pkg"),
        ("./a-1-py3-none-any.whl --hash=sha256:abc", "/project/a-1-py3-none-any.whl --hash=sha256:abc", "/project/a-1-py3-none-any.whl"),
        ("./a-1-py3-none-any.whl#sha256=abc", "/project/a-1-py3-none-any.whl#sha256=abc", "/project/a-1-py3-none-any.whl"),
        ("--find-links=wheels", "--find-links /project/wheels", None),
        ("--find-links https://example.test/wheels", "--find-links https://example.test/wheels", None),
        ("--extra-index-url https://example.test/simple", "--extra-index-url https://example.test/simple", None),
        ("torch; python_version < '3.12'", "torch; python_version < '3.12'", None),
        ("tiny @ file:///wheels/tiny.whl", "tiny @ file:///wheels/tiny.whl", None),
        ("git+https://example.test/x.git@main", "git+https://example.test/x.git@main", None),
    ],
)  # fmt: skip
def test_local_places_are_relative_to_the_app(line: str, expected: str, place: str | None) -> None:
    lines = installer_lines([line], BASE)

    assert lines == [expected]
    assert [str(found) for found in local_places(lines)] == ([place] if place else [])


def test_comments_and_empty_lines_are_nothing() -> None:
    assert installer_lines(["", "  ", "# all of it", "numpy  # why"], BASE) == ["numpy"]


@given(st.lists(st.text(max_size=40)))
def test_any_text_is_read_and_reading_twice_changes_nothing(lines: list[str]) -> None:
    once = installer_lines(lines, BASE)

    assert installer_lines(once, Path("/elsewhere")) == once
    list(local_places(once))


def test_files_of_requirements_name_places_too(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "r.txt").write_text("-r sub/r2.txt\nsix\n")
    (tmp_path / "sub/r2.txt").write_text("./pkg\n-r ../r.txt\n")

    found = list(local_places(installer_lines(["-r r.txt"], tmp_path)))

    assert list(dict.fromkeys(str(path.resolve().relative_to(tmp_path)) for path in found)) == [
        "r.txt",
        "sub/r2.txt",
        "sub/pkg",
    ]


def test_credentials_in_an_address_are_masked() -> None:
    assert masked("--index-url https://me:secret@mirror.test/simple") == "--index-url https://****@mirror.test/simple"
    assert masked("x @ git+https://token@host/x.git@main") == "x @ git+https://****@host/x.git@main"
    assert masked("tiny==1.0 # me@home") == "tiny==1.0 # me@home"


def test_a_folder_is_digested_by_what_it_holds_without_what_tools_leave_in_it(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg/a.py").write_text("A = 1")
    before = digest_of(tmp_path / "pkg")
    (tmp_path / "pkg/__pycache__").mkdir()
    (tmp_path / "pkg/__pycache__/a.cpython-311.pyc").write_bytes(b"x")
    (tmp_path / "pkg/pkg.egg-info").mkdir()
    (tmp_path / "pkg/pkg.egg-info/PKG-INFO").write_text("x")

    assert digest_of(tmp_path / "pkg") == before
    (tmp_path / "pkg/a.py").write_text("A = 2")
    assert digest_of(tmp_path / "pkg") != before
