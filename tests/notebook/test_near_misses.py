"""A word that is nearly one of a list: the error names the one that was probably meant, whatever the list."""

from __future__ import annotations

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
def test_a_near_miss_is_told_with_what_was_meant(near: Kernel, cell: str, meant: str) -> None:
    told = near.run(cell)

    assert told.status == "error" or "did you mean" in told.text
    assert any(
        f"id you mean {meant}" in text or f"id you mean '{meant}'" in text for text in (told.evalue or "", told.text)
    ), told
