from __future__ import annotations

import pytest

from fal_jupyter.domain.text.nearest import hint_for, nearest

MACHINES = ("XS", "S", "GPU", "GPU-A100", "GPU-H100", "GPU-H200")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("GPU-H1000", "GPU-H100"),
        ("gpu_h100", "GPU-H100"),
        ("H100", "GPU-H100"),
        ("gpu", "GPU"),
        ("xs", "XS"),
        ("GPU-H100", ""),
        ("abacus", ""),
        ("", ""),
    ],
)
def test_the_nearest_word_is_the_one_that_was_probably_meant(word: str, expected: str) -> None:
    assert nearest(word, MACHINES) == expected


def test_of_two_words_with_equal_folding_the_first_counts() -> None:
    assert nearest("keepalive", ("keep-alive", "keep_alive")) == "keep-alive"


@pytest.mark.parametrize(
    ("word", "otherwise", "expected"),
    [
        ("GPU-H1000", None, "did you mean GPU-H100?"),
        ("abacus", None, "there are: XS, S, GPU, GPU-A100, GPU-H100, GPU-H200"),
        ("abacus", "look it up", "look it up"),
        (3, "", ""),
    ],
)
def test_a_hint_is_the_nearest_word_or_all_of_them(word: object, otherwise: str | None, expected: str) -> None:
    assert hint_for(word, MACHINES, otherwise) == expected


def test_a_word_that_is_too_far_is_not_offered() -> None:
    assert hint_for("GPU-L40", MACHINES, "", cutoff=0.8) == ""
