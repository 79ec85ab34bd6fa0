"""Code of every kind is examined without an error, and objects of the user's are not asked anything."""

from __future__ import annotations

import pytest

from fal_jupyter.fal import App, endpoint
from fal_jupyter.portability import Finding, Surroundings, as_data, as_text, examine
from fal_jupyter.portability.findings import ordered
from tests.portability.app_folder import AppFolder, app

PROXY = """
class Proxy:
    def __getattr__(self, name):
        raise RuntimeError("asked for " + name)
THING = Proxy()
"""
ODD = {
    "an object that answers nothing": app("return THING and OTHER(THING)", head=f"{PROXY}\ndef OTHER(x): return open(x)"),
    "an endpoint under a decorator": app("return np", head="import functools\ndef again(f):\n    @functools.wraps(f)\n    def g(*a): return f(*a)\n    return g\nnp = 1").replace("@fal", "@again\n    @fal"),
    "a lambda": app("return F(1)", head="F = lambda x: __file__"),
    "a class inside a function": "def make():\n    class Hello(fal.App):\n        @fal.endpoint('/')\n        def hi(self): return __file__\n    return Hello\nHello = make()\n",
    "a mixin, a property and a class method": "class Mixin:\n    @property\n    def at(self): return '~/x'\n    @classmethod\n    def make(cls): return cls\n" + app("return self.at").replace("(fal.App)", "(Mixin, fal.App)"),
    "a class made by type()": "Hello = type('Hello', (fal.App,), {'hi': fal.endpoint('/')(lambda self: 1), '__module__': __name__})\n",
    "a signature that FastAPI refuses": app("return 1", params=", x: object()"),
    "an async generator with match": app("match x:\n    case {'a': [1, *rest]}:\n        yield rest", params=", x: dict").replace("def hi", "async def hi"),
    "walrus, nested functions, globals": app("def inner():\n    nonlocal n\n    n = (m := n + 1)\n    return m\nn = 1\nreturn inner()"),
    "an f-string of f-strings": app("return f'{f\"/home/ada/{1}\"!r:>{10}}'"),
    "odd texts": app(r"return '/' * 9, '/\0/x/y', '~', '://', 'C:', '', 'a' * 9000, b'/home/ada/x.bin'"),
    "requirements in layers": app(options="requirements = [['numpy'], ['-f x', 'not a requirement', './local', 'a @ file:///x']]"),
}  # fmt: skip


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_it_is_examined(app_folder: AppFolder, text: str) -> None:
    for finding in app_folder.examine(text):
        assert finding.message
        assert "\n" not in finding.message


def test_the_mixin_and_the_inner_class_are_seen(app_folder: AppFolder) -> None:
    assert "home-path" in app_folder.codes(ODD["a mixin, a property and a class method"])
    assert "own-file" in app_folder.codes(ODD["a class inside a function"])
    assert "own-file" in app_folder.codes(ODD["a lambda"])


def test_a_class_without_source_has_findings_without_a_place(app_folder: AppFolder) -> None:
    names: dict[str, object] = {"App": App, "endpoint": endpoint, "__name__": "__main__"}
    exec("class Bare(App):\n    @endpoint('/')\n    def hi(self, n: int): return n\n", names)
    found = examine(names["Bare"], Surroundings(folder=app_folder.folder, namespace=names))  # type: ignore[arg-type]
    assert {(f.code, f.where) for f in found} >= {("plain-parameters", ""), ("machine-default", "")}


def test_the_worst_comes_first_and_nothing_twice() -> None:
    one = Finding("own-file", "fails", "a.py:9", "x", "y", ("a.py", 9))
    two = Finding("ugly-name", "note", "a.py:1", "z", "", ("a.py", 1))
    again = Finding("own-file", "fails", "a.py:3", "x", "y", ("a.py", 3))

    assert ordered([two, one, again]) == [again, two]
    assert as_text("Hello", [again, two]).splitlines() == [
        "Hello in the cloud: 1 would fail, 1 note",
        "",
        "  fails in the cloud  own-file  a.py:3",
        "    x",
        "    → y",
        "",
        "  note  ugly-name  a.py:1",
        "    z",
    ]
    assert as_data("Hello", [two]) == {
        "app": "Hello",
        "findings": [{"code": "ugly-name", "severity": "note", "where": "a.py:1", "message": "z", "instead": ""}],
    }
