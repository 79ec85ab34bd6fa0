"""What an answer means for its runner."""

from __future__ import annotations

import pytest

from fal_jupyter.domain.retries import ends_runner, flag


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("1", True),
        (" TRUE ", True),
        ("yes", True),
        ("0", False),
        ("False", False),
        ("no", False),
        ("2", None),
        ("", None),
    ],
)
def test_a_switch_is_read_as_it_is_written(value: str, read: bool | None) -> None:
    assert flag(value) is read


@pytest.mark.parametrize(
    ("status", "asked", "ends"),
    [(503, None, True), (200, None, False), (504, None, False), (503, False, False), (200, True, True)],
)
def test_a_503_ends_its_runner_unless_its_header_says_otherwise(status: int, asked: bool | None, ends: bool) -> None:
    assert ends_runner(status, asked) is ends
