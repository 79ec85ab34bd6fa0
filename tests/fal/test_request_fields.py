"""Where plain parameters come from is found without FastAPI; it must agree with FastAPI."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from typing import Annotated, Any, Literal, Optional

import pytest
from pydantic import BaseModel, Field, RootModel
from starlette.routing import compile_path

from fal_jupyter.fal.classes import signatures


class Text(BaseModel):
    text: str = "hello"


class Texts(RootModel[list[str]]):
    pass


NO_DEFAULT = object()
HINTS = (int, str, bool, Optional[float], int | None, Text, Texts, list[int], dict, Text | None, Literal["a"], bytes)  # noqa: UP045
DEFAULTS = (NO_DEFAULT, None, 3, "text", True, 0.5, Text())
ANNOTATED = (Annotated[int, Field(gt=0)], Annotated[Text, "note"], Any)
PATHS = ("/", "/{first}", "/{first:path}/x", "/{second}")


def method(*parameters: tuple[str, object, object]) -> Callable[..., object]:
    """Return a method with these parameters: name, annotation, default."""
    required = [p for p in parameters if p[2] is NO_DEFAULT]
    optional = [p for p in parameters if p[2] is not NO_DEFAULT]
    names = ", ".join([*(n for n, _, _ in required), *(f"{n}=d_{n}" for n, _, _ in optional)])
    namespace: dict[str, object] = {f"d_{n}": default for n, _, default in parameters}
    exec(f"def method(self, {names}): ...", namespace)
    made: Any = namespace["method"]
    made.__annotations__ = {n: hint for n, hint, _ in parameters}
    return made  # type: ignore[no-any-return]


def by_fastapi(function: Callable[..., object], path: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    with monkeypatch.context() as patch:
        patch.setattr(signatures, "_plain_fields", lambda function, path: None)
        return signatures.request_fields(function, compile_path(path)[1])  # as its routes ask


def test_plain_parameters_come_from_where_fastapi_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    agreed = 0
    firsts = list(itertools.product(("first",), (*HINTS, *ANNOTATED), DEFAULTS))
    seconds = [("second", int, NO_DEFAULT), ("second", Text, NO_DEFAULT), ("second", str | None, None)]
    for first, second, path in itertools.product(firsts, seconds, PATHS):
        function = method(first, second)
        plain = signatures._plain_fields(function, path)
        if plain is None:
            continue
        asked = by_fastapi(function, path, monkeypatch)
        assert asked is not None, (first, second, path)
        for name, field in plain.items():
            its = asked[name]
            assert (field.place, field.key, field.spread, field.inner, field.form, field.hyphens) == (
                (its.place, its.key, its.spread, its.inner, its.form, its.hyphens)
            ), (first, second, path)
            assert field.default is its.default or field.default == its.default, (first, second, path)
        assert set(plain) == set(asked)
        agreed += 1
    assert agreed > 150


@pytest.mark.parametrize(
    "parameters",
    [
        [("n", Annotated[int, Field(gt=0)], NO_DEFAULT)],
        [("n", list[int], NO_DEFAULT)],
        [("n", Text, Text())],
        [("n", "Unknown", NO_DEFAULT)],
        [("n", int, Field(default=3))],
    ],
    ids=["annotated", "list", "default model", "unknown name", "field"],
)
def test_fastapi_is_asked_about_every_other_signature(parameters: list[tuple[str, object, object]]) -> None:
    assert signatures._plain_fields(method(*parameters), "/") is None


def test_variadic_parameters_are_left_to_fastapi() -> None:
    def hi(self: object, *names: str) -> None: ...

    def bye(self: object, **names: str) -> None: ...

    assert signatures._plain_fields(hi, "/") is None
    assert signatures._plain_fields(bye, "/") is None


def test_a_plain_signature_needs_neither_fastapi_nor_pydantic() -> None:
    program = """
import sys
from fal_jupyter.fal.classes.signatures import request_fields
def hi(self, n: int, name: str = "x") -> dict: ...
assert {n: f.place for n, f in request_fields(hi, "/{n}").items()} == {"n": "path", "name": "query"}
assert "fastapi" not in sys.modules and "pydantic" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
