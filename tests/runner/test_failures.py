"""Describing an exception never raises and is bounded, whatever the exception is."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

import fal_jupyter.fal as fal
from fal_jupyter.domain.errors import AppRuleBroken
from fal_jupyter.protocol import frames
from fal_jupyter.runner.application import endpoints, failures
from tests.support.examples import examples


class Liar(Exception):
    """Lies about everything that can be asked of it."""

    def _no(self) -> Any:
        raise KeyboardInterrupt

    __class__ = __traceback__ = __cause__ = __context__ = __notes__ = __suppress_context__ = property(_no)  # type: ignore[assignment]

    def __str__(self) -> str:
        raise SystemExit

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    def __hash__(self) -> int:
        raise RuntimeError


Liar.__module__ = 5  # type: ignore[assignment]


class Text(str):
    def __getitem__(self, key: Any) -> Any:
        raise ValueError

    def __len__(self) -> int:
        raise ValueError

    encode = __getitem__


class Says(Exception):
    def __init__(self, text: Any) -> None:
        self.text = text

    def __str__(self) -> Any:
        return self.text


def odd_syntax_error(*values: Any) -> SyntaxError:
    error = SyntaxError("x")
    error.filename, error.lineno, error.offset, error.text, error.end_lineno, error.end_offset, error.msg = values
    return error


ANY = st.one_of(
    st.none(),
    st.integers(),
    st.binary(),
    st.text(st.characters(codec=None, categories=None), max_size=50),
    st.just(object()),
)
LEAVES: st.SearchStrategy[BaseException] = st.one_of(
    st.builds(ValueError, st.text(st.characters(categories=None))),
    st.builds(Says, st.one_of(ANY, st.builds(Text, st.text()))),
    st.builds(odd_syntax_error, *[ANY] * 7),
    st.builds(lambda: Liar()),
    st.builds(KeyError, st.builds(object)),
    st.builds(lambda size: ValueError("\x01" * size), st.integers(0, 3_000_000)),
    st.builds(SystemExit, ANY),
    st.builds(lambda name: NameError("no", name=name), ANY),
    st.builds(lambda obj: AttributeError("no", name="x", obj=obj), ANY),
    st.builds(UnicodeDecodeError, st.just("utf-8"), st.binary(), st.integers(-5, 5), st.integers(-5, 5), st.text()),
)


def raised(error: BaseException, former: BaseException | None, notes: Any) -> BaseException:
    """*error* raised while *former* was handled, with notes of any kind."""
    try:
        try:
            if former is not None:
                raise former
        except BaseException:
            raise error  # noqa: B904
        raise error
    except BaseException as done:
        try:
            done.__notes__ = notes
        except BaseException:
            pass  # its class says no
        return done


ERRORS = st.recursive(
    st.builds(raised, LEAVES, st.none(), ANY),
    lambda inner: st.one_of(
        st.builds(raised, LEAVES, inner, st.lists(ANY, max_size=3)),
        st.builds(lambda many: BaseExceptionGroup("group", many), st.lists(inner, min_size=1, max_size=4)),
    ),
    max_leaves=8,
)


def check(error: BaseException) -> dict[str, Any]:
    described = failures.describe(error, "request")
    encoded = failures.encode(described)
    assert len(encoded) < frames.MAX_PAYLOAD
    assert json.loads(encoded)["text"]
    return dict(described)


@settings(max_examples=examples(150))
@given(ERRORS)
def test_whatever_it_is_it_is_described(error: BaseException) -> None:
    check(error)


def chained(size: int) -> BaseException:
    error: BaseException = ValueError(0)
    for number in range(1, size):
        new = ValueError(number)
        new.__context__ = error
        error = new
    return error


def test_a_long_chain_is_cut_in_its_middle() -> None:
    text = check(chained(5000))["text"]

    assert "4,980 more exceptions" in text
    assert text.startswith("ValueError: 0\n")
    assert text.endswith("ValueError: 4999\n")
    assert text.count("ValueError") == failures.MAX_CHAIN


def test_cycles_end() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__context__ = two
    two.__cause__ = one

    assert check(one)["text"].count("ValueError") == 2


def test_groups_are_bounded_in_depth_and_width() -> None:
    error: Exception = ValueError("innermost")
    for _ in range(3000):
        error = ExceptionGroup("deep", [error])
    assert "nested too deeply" in check(error)["text"]

    wide = ExceptionGroup("wide", [ExceptionGroup("inner", [ValueError(n) for n in range(100)]) for _ in range(100)])
    text = check(wide)["text"]
    assert "and 85 more exceptions" in text
    assert "ValueError: 14" in text


def test_an_exception_of_an_endless_recursion_is_short() -> None:
    def again(depth: int) -> None:
        again(depth + 1)

    try:
        again(0)
    except RecursionError as error:
        text = check(error)["text"]

    assert "again(depth + 1)" in text
    assert "Previous line repeated" in text


def test_an_ordinary_one_is_as_python_prints_it() -> None:
    error = raised(KeyError("b"), raised(ValueError("a"), None, None), ["a note"])
    text = check(error)["text"]

    assert "ValueError: a\n\nDuring handling of the above exception, another exception occurred:\n\n" in text
    assert text.endswith("KeyError: 'b'\na note\n")


def test_a_syntax_error_shows_its_line() -> None:
    with pytest.raises(SyntaxError) as caught:
        compile("x = (1,\n  2 3)\n", "cell.py", "exec")
    text = check(caught.value)["text"]

    assert 'File "cell.py", line 2' in text
    assert "2 3)" in text
    assert "^" in text


def test_describing_works_in_any_thread() -> None:
    described: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: described.append(check(ValueError("x"))))
    thread.start()
    thread.join()

    assert described[0]["message"] == "x"


def test_a_broken_rule_is_shown_at_the_function_that_breaks_it() -> None:
    def chart(self: Any, image: dict[str, int], width: int = Field(40, ge=8)) -> Any: ...

    app = type("A", (fal.App,), {"chart": fal.endpoint("/")(chart), "__module__": __name__})
    with pytest.raises(AppRuleBroken) as raised:
        endpoints.build(app(_allow_init=True))
    described = failures.describe(raised.value, "load")
    assert [(frame["function"], frame["line"].strip()[:10]) for frame in described["frames"]] == [
        ("chart", "def chart(")
    ]
    assert described["type"] == "AppRuleBroken"
    assert "contextlib" not in described["text"]
