"""A word that is nearly one of a list: the error names the one that was probably meant, whatever the list."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from tests.support.kernel import Kernel

APP = """%%fal_app
class Near(fal.App):
    @fal.endpoint("/")
    def hi(self) -> int:
        return 1
"""
CLASS = "class Other(fal.App):\n    {}\n    @fal.endpoint('/')\n    def hi(self) -> int:\n        return 1\n"


@pytest.fixture(scope="module")
def near(notebook: Kernel) -> Kernel:
    notebook.run(APP).ok()
    return notebook


@pytest.mark.parametrize(
    ("cell", "meant"),
    [
        ("%%fal_app\n" + CLASS.format("machine_type = 'GPU-H1000'"), "GPU-H100"),
        ("%%fal_app\n" + CLASS.format("machine_type = 'gpu-h100'"), "GPU-H100"),
        ("%%fal_app --machine GPU-H1000\n" + CLASS.format("pass"), "GPU-H100"),
        ("%%fal_app\n" + CLASS.format("app_auth = 'privat'"), "private"),
        ("%%fal_app --auth publc\n" + CLASS.format("pass"), "public"),
        ("%%fal_app --env isolted\n" + CLASS.format("pass"), "isolated"),
        ("%%fal_app --keep-alve 3\n" + CLASS.format("pass"), "--keep-alive"),
        ("%fal doctr", "doctor"),
        ("%fal logs Nera", "Near"),
        ("%fal config timng off", "timing"),
        ("%fal panel Near --tab request", "requests"),
        ("%fal scale Near --max-concurency 2", "--max"),
        ("import fal_jupyter; fal_jupyter.panel('Naer')", "near"),
        ("from fal.toolkit import File; File.from_bytes(b'x', repository='inmemory')", "in_memory"),
        ("from fal.toolkit.image import get_image_size; get_image_size('square-hd')", "square_hd"),
        ("import fal; fal.function('virtualnv')(len)", "virtualenv"),
    ],
)
def test_a_near_miss_is_reported_with_a_suggestion(near: Kernel, cell: str, meant: str) -> None:
    result = near.run(cell)

    assert result.status == "error" or "did you mean" in result.text
    assert any(
        f"id you mean {meant}" in text or f"id you mean '{meant}'" in text
        for text in (result.evalue or "", result.text)
    ), result


HINTS = """%%fal_app
from pydantic import BaseModel

class Price(BaseModel):
    fruit: str
    weights: list[float] = []

class Shop(fal.App):
    @fal.endpoint("/price")
    def price(self, fruit: str, grams: int = 100) -> dict:
        return {"price": grams}

    @fal.endpoint("/model")
    def model(self, wanted: Price) -> dict:
        return {"fruit": wanted.fruit}

    @fal.endpoint("/array")
    def array(self) -> dict:
        import numpy

        return {"found": {"scores": numpy.zeros(2)}}
"""


@pytest.fixture(scope="module")
def shop(notebook: Kernel) -> Kernel:
    notebook.run(HINTS).ok()
    notebook.run("import numpy\nfrom PIL import Image").ok()
    return notebook


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("Shop.price(frut='apple')", "unexpected keyword argument 'frut'\ndid you mean fruit?"),
        ("Shop.price('apple', gramms=3)", "did you mean grams?"),
        ("Shop.model(frut='apple')", "did you mean fruit?"),
        ("Shop.model({'frut': 'apple'})", "did you mean fruit where the input has frut?"),
        ("Shop.model(numpy.zeros(3))", "is a numpy.ndarray, but it takes Price\ngive it to a field by name: weights=….tolist()"),
        ("Shop.price('apple', numpy.zeros(3))", "an array is sent as its .tolist(): send one item of it, or declare the parameter as list[int]"),
        ("Shop.model(fruit=numpy.zeros(3))", "an array is sent as its .tolist(): send str(…) of it, or declare the parameter as list"),
        ("Shop.model(fruit='fig', weights=numpy.zeros((2, 2)))", "send one flat list: of an array, its .ravel().tolist()"),
        ("Shop.model(Price.model_construct(fruit=numpy.zeros(3)))", "give the field fruit its .tolist()"),
        pytest.param(
            "import torch; Shop.price(torch.zeros(3))", "is a torch.Tensor, but it takes str",
            marks=[pytest.mark.long, pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")],
        ),
        ("Shop.price(Image.new('RGB', (2, 2)))", "send fal.toolkit.Image.from_pil("),
        ("Shop.array()", "result['found']['scores'] is a numpy.ndarray, which is not JSON serializable; return its .tolist()"),
        ("Shop.submit.prise('apple')", "did you mean price?"),
        ("Shop.stream.prise('apple')", "did you mean price?"),
        ("Shop.aio.prise('apple')", "did you mean price?"),
    ],
)  # fmt: skip
def test_an_invalid_call_says_what_to_type(shop: Kernel, cell: str, message: str) -> None:
    error = shop.run(cell)

    assert error.status == "error"
    assert message in (error.evalue or ""), error.evalue


def test_an_error_before_sending_shows_the_line_of_its_call(shop: Kernel) -> None:
    error = shop.run("Shop.price('apple')\nShop.price(Image.new('RGB', (2, 2)))")

    assert (error.status, error.ename) == ("error", "BadArguments")
    assert (
        ", line 2\n    Shop.price(Image.new('RGB', (2, 2)))\nBadArguments: argument 'fruit' is a PIL."
        in error.traceback
    )
    assert "plain_values" not in error.traceback


def test_an_attribute_that_a_class_does_not_have_is_followed_by_the_endpoint_that_was_meant(shop: Kernel) -> None:
    near, far = shop.run("Shop.prise(fruit='apple')"), shop.run("Shop.zzz")

    assert (near.ename, far.ename) == ("AttributeError", "AttributeError")
    assert near.text.strip() == "did you mean Shop.price?"
    assert far.text.strip() == "Shop has the endpoints: array, model, price"
    assert shop.run("class Other: pass\nOther.prise").text == ""
