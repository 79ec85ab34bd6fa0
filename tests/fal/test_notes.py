"""Notes that are shown once when a class is served: options with no local effect, and ugly derived names."""

from __future__ import annotations

import warnings
from typing import Annotated, Any

import pytest
from fastapi import Query
from pydantic import Field

from fal_jupyter import fal
from fal_jupyter.fal.app import describe
from fal_jupyter.fal.classes.notes import NO_LOCAL_EFFECT, DroppedDefault, NoLocalEffect, UglyName
from fal_jupyter.fal.classes.options import OPTIONS


def made(name: str = "Hello", **attributes: Any) -> Any:
    return type(fal.App)(name, (fal.App,), {"hi": fal.endpoint("/")(lambda self: "hi"), **attributes})


def notes_of(cls: Any) -> list[warnings.WarningMessage]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        describe(cls)
    return caught


def test_options_of_the_platform_are_named_once_in_one_sentence() -> None:
    cls = made(regions=["eu-west"], data_mounts=["/data"], metrics_port=9000, keep_alive=5)
    (note,) = notes_of(cls)
    assert note.category is NoLocalEffect
    assert str(note.message) == "Hello: no local effect, kept for fal.ai: regions, data_mounts, metrics_port"
    assert note.filename == __file__
    assert notes_of(cls) == []
    assert cls.host_kwargs["data_mounts"] == ["/data"]


def test_machine_types_is_named_since_nothing_reads_it() -> None:
    cls = type(fal.App)("Hello", (fal.App,), {"hi": fal.endpoint("/")(lambda self: "hi")}, machine_types=["S"])
    (note,) = notes_of(cls)
    assert str(note.message) == "Hello: no local effect, kept for fal.ai: machine_types"
    assert notes_of(made(host_kwargs={"machine_types": "S"}))


def test_an_image_is_named_with_its_kind() -> None:
    (note,) = notes_of(made(image=fal.ContainerImage.from_dockerfile_str("FROM x")))
    assert "image" in str(note.message)


def test_a_class_without_them_is_silent() -> None:
    assert notes_of(made(min_concurrency=1, secrets=["TOKEN"], request_timeout=5)) == []


def test_every_name_of_the_list_is_an_option() -> None:
    assert set(NO_LOCAL_EFFECT) <= set(OPTIONS)


@pytest.mark.parametrize(
    ("name", "better"),
    [("SDXL", "sdxl"), ("ONNXModel", "onnx-model"), ("T2V", "t2v"), ("HTTPServer", "http-server")],
)
def test_an_ugly_name_gets_a_hint(name: str, better: str) -> None:
    (note,) = notes_of(made(name))
    assert note.category is UglyName
    assert f'app_name = "{better}"' in str(note.message)


def test_a_default_inside_of_an_annotation_that_fastapi_does_not_read_is_named() -> None:
    def chart(
        self: Any,
        image: dict[str, int],
        width: Annotated[int, Field(40, ge=8)],
        kept: Annotated[int, Field(ge=8)] = 4,
        free: Annotated[int, Field(ge=8)] = Field(5),
        query: Annotated[int, Query()] = 3,
    ) -> int: ...

    (note,) = notes_of(made(chart=fal.endpoint("/chart")(chart)))
    assert note.category is DroppedDefault
    assert "the default 40 in the Field of 'width' has no effect, as on fal" in str(note.message)
    assert "write width: Annotated[…, Field(…)] = 40" in str(note.message)


@pytest.mark.parametrize("name", ["Hello", "MyApp", "Flux2Pro", "A"])
def test_a_good_name_gets_none(name: str) -> None:
    assert notes_of(made(name)) == []


def test_a_chosen_name_gets_none() -> None:
    assert notes_of(made("SDXL", app_name="xl")) == []
