"""Everything that people define in a cell: an app that uses it answers in a runner as it does where it was defined."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from fal_jupyter.domain.errors import NotPicklable
from tests.shipping.notebook import Job, arrive, notebook, selected, serve
from tests.shipping.zoo import ZOO
from tests.shipping.zoo_classes import CLASSES
from tests.shipping.zoo_newer import NEWER

CASES = (
    ZOO
    | CLASSES
    | {name: case for version, cases in NEWER.items() if sys.version_info >= version for name, case in cases.items()}
)


USUAL = {  # one of each kind
    "validate_call",
    "singledispatch",
    "context managers, wraps, caches with a lock",
    "partials, reducers of operators, bound methods",
    "a recursive alias by name",
    "protocols and abstract classes",
    "dataclasses of every kind",
    "slots of every kind",
    "__init_subclass__ and __set_name__ of the notebook",
    "a metaclass of the notebook",
    "pydantic: settings, discriminators, dataclasses, generics, functional models",
    "an object that holds locks",
    "classes inside classes and functions",
}


@pytest.fixture(scope="module")
def both(request: pytest.FixtureRequest) -> dict[str, tuple[Any, Any]]:
    """What each app answers where it was defined, and in a fresh process."""
    jobs: dict[str, Job] = {}
    here: dict[str, Any] = {}
    names = [test["name"] for test in selected(request, "name")]
    for name in names:
        cells, signature, answer, posts = CASES[name]
        with notebook() as book:
            try:
                for cell in cells:
                    book.run(cell)
                book.run(
                    f"class Hello(fal.App):\n    @fal.endpoint('/')\n    def hi(self, {signature}):\n        return {answer}"
                )
                jobs[name] = Job(book.pack(), [("/", "", body) for body in posts])
                here[name] = serve(book.namespace["Hello"], jobs[name].posts)
            except Exception as error:
                here[name] = error
                jobs.pop(name, None)
    there = dict(zip(jobs, arrive(list(jobs.values())), strict=True))
    return {name: (here[name], there.get(name)) for name in names}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in USUAL else pytest.mark.long) for name in CASES]
)
def test_it_answers_after_its_journey_as_before(both: dict[str, tuple[Any, Any]], name: str) -> None:
    here, there = both[name]

    assert not isinstance(here, Exception), repr(here)
    assert here[0][0] == 200, f"the case measures nothing: {here}"
    assert there == here


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            "class Thing(strict_library.Declared):\n    table = 't'",
            "tests.shipping.strict_library._Strict requires its members at creation (ValueError: Thing has no table)",
        ),
        pytest.param(
            "class Thing(strict_library.Keyworded, kind='k'):\n    n = 1",
            "tests.shipping.strict_library.Keyworded requires its members at creation (TypeError: ",
            marks=pytest.mark.long,
        ),
    ],
)
def test_a_class_that_its_library_cannot_make_anew_is_refused_with_the_reason_and_what_to_do(
    source: str, reason: str
) -> None:
    with notebook() as book:
        book.run(f"from tests.shipping import strict_library\n{source}")
        book.run("class Hello(fal.App):\n    @fal.endpoint('/')\n    def hi(self): return str(Thing)")
        (error,) = arrive([Job(book.pack())])

    last = error.splitlines()[-1]
    assert last.startswith("TypeError: the class Thing of the notebook cannot be rebuilt in a runner: ")
    assert reason in last
    assert last.endswith("Move Thing to a module (a .py file beside the notebook) and import it")


def test_what_a_library_keeps_in_its_classes_is_not_advised_to_be_made_in_setup() -> None:
    with notebook() as book:
        book.run(
            "from tests.shipping import strict_library\nclass Thing(strict_library.Declared):\n    table = 'locked'"
        )
        book.run("class Hello(fal.App):\n    @fal.endpoint('/')\n    def hi(self): return str(Thing)")
        with pytest.raises(NotPicklable) as caught:
            book.pack()

    assert "Thing is a class of tests, whose record of it is a generator, which cannot be sent to a runner" in str(
        caught.value
    )
    assert caught.value.hint == "move Thing to a module (a .py file beside the notebook) and import it"
