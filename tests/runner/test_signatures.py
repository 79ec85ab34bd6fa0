"""A signature that FastAPI cannot read: the error names the endpoint, the parameter and its annotation."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable
from typing import Annotated, Any

import fastapi
import pytest
from pydantic import Field

import fal_jupyter.fal as fal
from fal_jupyter.domain.errors import AppRuleBroken
from fal_jupyter.fal.toolkit.image import ImageField
from fal_jupyter.runner.application import endpoints


class Plain:
    pass


def built(annotations: dict[str, Any], go: Callable[..., Any]) -> fastapi.FastAPI:
    go.__annotations__ = annotations
    app = type("A", (fal.App,), {"go": fal.endpoint("/")(go), "__module__": __name__})
    return endpoints.build(app(_allow_init=True))


@pytest.mark.parametrize(
    ("hint", "written"),
    [
        (Plain, "Plain"),
        (Plain | None, "Plain | None"),
        (list[Plain], "list["),
        (io.BytesIO, "BytesIO"),
        (type(threading.Lock()), "lock"),
        (Annotated[dict, fastapi.Query()], "Query"),
        (5, "5"),
    ],
)
def test_an_annotation_that_is_no_type_of_a_body_is_named(hint: Any, written: str) -> None:
    def go(self: Any, first: int, x: Any) -> Any: ...

    with pytest.raises(AppRuleBroken, match="FastAPI cannot read the annotation of 'x'") as raised:
        built({"first": int, "x": hint}, go)
    assert written in str(raised.value)
    assert "go()" in str(raised.value)
    assert "annotate x with" in raised.value.hint


@pytest.mark.parametrize("hint", [Plain, list[Plain], io.BytesIO, 5])
def test_a_return_annotation_of_which_no_response_can_be_made_is_named(hint: Any) -> None:
    def go(self: Any, x: int) -> Any: ...

    with pytest.raises(AppRuleBroken, match=r"go\(\): FastAPI cannot make a response of .*return"):
        built({"x": int, "return": hint}, go)


def test_what_fastapi_reads_is_left_to_it() -> None:
    def go(self: Any, request: Any, x: Any) -> Any: ...

    assert built({"request": fastapi.Request, "x": dict[str, int], "return": fastapi.Response}, go).routes


def test_a_field_as_a_default_is_named_with_the_annotation_that_fastapi_takes() -> None:
    def go(self: Any, image_url: str = ImageField(default="x")) -> Any: ...

    with pytest.raises(AppRuleBroken, match="the default of 'image_url' is a pydantic field") as raised:
        built({"image_url": str}, go)
    assert "write image_url: Annotated[str, Field(…)] = 'x'" in raised.value.hint
    assert getattr(raised.value.definition, "__name__", "") == "go"

    def several(self: Any, image: dict[str, int], width: int = Field(40, ge=8), seed: int = Field(ge=0)) -> Any: ...

    with pytest.raises(AppRuleBroken, match="the defaults of 'width' and 'seed' are pydantic fields") as raised:
        built({"image": dict[str, int], "width": int, "seed": int}, several)
    assert "write width: Annotated[int, Field(…)] = 40, seed: Annotated[int, Field(…)]: the field" in raised.value.hint

    def plain(self: Any, image_url: str) -> Any: ...

    properties = built({"image_url": Annotated[str, ImageField(examples=["x"])]}, plain).openapi()["paths"]["/"]["post"]
    body = properties["requestBody"]["content"]["application/json"]["schema"]["properties"]["image_url"]
    assert (body["ui"], body["examples"]) == ({"field": "image"}, ["x"])


@pytest.mark.parametrize(
    ("hint", "message", "instead"),
    [
        (list, "go(): the annotation of 'x' has no type for its items", "write x: list[str]"),
        (tuple | None, "go(): the annotation of 'x' has no type for its items", "write x: list[str]"),
        (Annotated[int, fastapi.Form()], "go() takes a form or a file", "pip install python-multipart"),
        (fastapi.UploadFile, "go() takes a form or a file", "pip install python-multipart"),
    ],
)
def test_what_fastapi_takes_for_a_form_is_named_where_forms_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], hint: Any, message: str, instead: str
) -> None:
    def go(self: Any, n: int = 1, x: Any = None) -> Any: ...

    for name in ("python_multipart", "multipart"):
        monkeypatch.setitem(sys.modules, name, None)  # as where it is not installed
    with pytest.raises(AppRuleBroken) as error:
        built({"n": int, "x": hint}, go)
    assert message in str(error.value)
    assert instead in error.value.hint
    assert "".join(capfd.readouterr()) == ""
