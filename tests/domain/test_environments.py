"""Which environment an app's runners get."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_jupyter.domain.environments.isolation import MODES, check_mode, choose
from fal_jupyter.domain.errors import AppRuleBroken, BadSetting


def chosen(mode: str = "auto", **facts: Any) -> str:
    usual: dict[str, Any] = {"unmet": (), "unknown": (), "python": "", "here": "3.11", "by_value": False}
    return choose(check_mode(mode), class_name="Hello", **{**usual, **facts})


@pytest.mark.parametrize(
    ("mode", "facts", "expected"),
    [
        ("auto", {}, "kernel"),
        ("auto", {"python": "3.11"}, "kernel"),
        ("auto", {"unmet": ["x is not installed"]}, "isolated"),
        ("auto", {"unknown": ["./pkg"]}, "isolated"),
        ("auto", {"python": "3.12"}, "isolated"),
        ("isolated", {}, "isolated"),
        ("isolated", {"python": "3.13"}, "isolated"),
        ("kernel", {}, "kernel"),
        ("kernel", {"unknown": ["./pkg"]}, "kernel"),
    ],
)
def test_the_kernels_environment_is_taken_where_it_has_all(mode: str, facts: dict[str, Any], expected: str) -> None:
    assert chosen(mode, **facts) == expected


@pytest.mark.parametrize(
    ("mode", "facts", "words"),
    [
        ("kernel", {"unmet": ["numpy is not installed"]}, ["Hello", "numpy is not installed", "--env kernel"]),
        ("kernel", {"python": "3.12"}, ["Python 3.12", "Python 3.11", "--env kernel"]),
        ("auto", {"python": "3.12", "by_value": True}, ["Python 3.12", "fal-jupyter serve FILE.py::Hello"]),
        ("auto", {"python": "3.10"}, ["Python 3.10", "3.11 or newer"]),
        ("auto", {"python": "3"}, ["'3'", 'python_version="3.11"']),
        ("auto", {"python": "3.١"}, ["python_version"]),
        ("auto", {"python": "3.12.1"}, ["'3.12.1'"]),
    ],
)
def test_what_cannot_be_had_is_one_sentence(mode: str, facts: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(AppRuleBroken) as refused:
        chosen(mode, **facts)

    for word in words:
        assert word in str(refused.value)


def test_another_mode_is_refused() -> None:
    with pytest.raises(BadSetting, match="auto, kernel, isolated"):
        check_mode("conda")


@given(
    mode=st.sampled_from(MODES), unmet=st.lists(st.just("a")), unknown=st.lists(st.just("b")), by_value=st.booleans()
)
def test_without_another_python_only_unmet_requirements_in_the_kernel_are_refused(
    mode: str, unmet: list[str], unknown: list[str], by_value: bool
) -> None:
    if mode == "kernel" and unmet:
        with pytest.raises(AppRuleBroken):
            chosen(mode, unmet=unmet, unknown=unknown, by_value=by_value)
    else:
        clean = not unmet and not (unknown and mode == "auto")
        assert chosen(mode, unmet=unmet, unknown=unknown, by_value=by_value) == (
            "kernel" if clean and mode != "isolated" else "isolated"
        )
