"""Requirements as an installer's words."""

from __future__ import annotations

import pytest

from fal_jupyter.domain.environments.requirements import flat_requirements, is_setting


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        ([], []),
        (["a", "b"], ["a", "b"]),
        ([["a"], ["b", "c"]], ["a", "b", "c"]),
        (["a", "--extra-index-url", "https://x.test/simple", "b"], ["a", "--extra-index-url https://x.test/simple", "b"]),
        ([["-f", "https://x.test/w.html", "--pre"], ["-r", "more.txt"]], ["-f https://x.test/w.html", "--pre", "-r more.txt"]),
        (["--extra-index-url=https://x.test", "-f https://y.test"], ["--extra-index-url=https://x.test", "-f https://y.test"]),
        (["-i"], ["-i"]),  # the installer says what is missing
        ([["-i"], ["https://x.test"]], ["-i", "https://x.test"]),  # layers are installed one by one
        (["--no-build-isolation", "flash-attn"], ["--no-build-isolation", "flash-attn"]),
    ],
)  # fmt: skip
def test_an_option_and_its_value_are_one_line(given: list[str] | list[list[str]], lines: list[str]) -> None:
    assert flat_requirements(given) == lines


@pytest.mark.parametrize("line", ["--pre", "-f URL", "--extra-index-url URL", "-i URL", "--no-deps", "-U"])
def test_settings_name_nothing_to_install(line: str) -> None:
    assert is_setting(line)


@pytest.mark.parametrize("line", ["numpy", "-r more.txt", "-e .", "-c limits.txt", "--requirement=more.txt", "./pkg"])
def test_the_rest_does(line: str) -> None:
    assert not is_setting(line)
