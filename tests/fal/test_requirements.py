"""Kinds of lines of ``requirements``, against what is installed here."""

from __future__ import annotations

from pathlib import Path

import pytest

from fal_jupyter import fal

FILES = {
    "all.txt": "# what we need\nfastapi >= 0.1 \\\n    --hash=sha256:abc\n--extra-index-url https://example.test/simple\n-r deep/more.txt\n",
    "deep/more.txt": "pydantic  # with a reason\n-r ../all.txt\n-c old.txt\n",
    "deep/old.txt": "pydantic>=2\nnot-installed-anywhere==1\n",
    "missing.txt": "not-installed-anywhere\n",
    "strict.txt": "fastapi==0.1\n",
    "odd.txt": "git+https://example.test/x.git\n",
}


@pytest.mark.parametrize(
    ("lines", "unmet", "unknown"),
    [
        (["-r all.txt"], "", ""),
        (["-rall.txt", "--requirement=deep/more.txt", "-r", "all.txt"], "", ""),
        (["fastapi --hash=sha256:abc", "pydantic[email]>=2 ; python_version < '3'", "tornado # why"], "", ""),
        (["-r missing.txt"], "not-installed-anywhere is required", ""),
        (["-c strict.txt", "fastapi"], "fastapi==0.1 is a constraint, but fastapi", ""),
        (["-r odd.txt"], "", "git+https://example.test/x.git"),
        (["-r no-such-file.txt"], "", "-r no-such-file.txt"),
        (["-r https://example.test/r.txt"], "", "-r https://example.test/r.txt"),
        (["--find-links", "wheels", "--pre", "fastapi"], "", ""),
        (["."], "", "."),
        (["x @ git+https://example.test/x.git@v1#subdirectory=a"], "x is not installed here", "x @ git+https"),
        (["fastapi[standard"], "is not a requirement that pip understands", ""),
    ],
)
def test_lines_of_every_kind(tmp_path: Path, lines: list[str], unmet: str, unknown: str) -> None:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    messages = fal.check_requirements(lines, base=tmp_path)
    open_ones = fal.unknown_requirements(lines, base=tmp_path)

    assert [unmet in line for line in messages] == ([True] if unmet else [])
    assert [line.startswith(unknown) for line in open_ones] == ([True] if unknown else [])


def test_requirement_files_are_skipped_without_a_base_folder() -> None:
    assert fal.check_requirements(["-r missing.txt"]) == []
    assert fal.unknown_requirements(["-r missing.txt"]) == ["-r missing.txt"]
