from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_jupyter import fal
from fal_jupyter.domain.revisions import compare
from fal_jupyter.protocol.api import Environment
from fal_jupyter.shipping import fingerprint_of_environment, fingerprint_of_spec
from fal_jupyter.shipping.fingerprint import contents_digest
from tests.shipping.edits import EDITS, SAME
from tests.shipping.notebook import Notebook, notebook
from tests.shipping.test_zoo import CASES
from tests.shipping.test_zoo import USUAL as USUAL_CASES

ROOT = Path(__file__).parents[2]


@pytest.fixture
def book() -> Iterator[Notebook]:
    with notebook() as opened:
        yield opened


def whole(book: Notebook) -> dict[str, str]:
    """The fingerprint of the class and of its options, as it is published."""
    return book.pack().fingerprint | fingerprint_of_spec(fal.describe(book.namespace["Hello"]))


# Each is one cell whose pieces stand for what users capture; @ is what is changed.
CELL = """
import dataclasses, enum, functools
from typing import Annotated, Literal, TypedDict
import pydantic
from pydantic import AfterValidator, BaseModel, Field

WORDS = {"one", "two", "three", "@set"}
TABLE = {"a": [1, 2, {"deep": "@deep"}], "b": frozenset({"x", "y", "z"})}

class Colour(enum.Enum):
    RED = "@enum"

class Settings(BaseModel):
    x: Literal["@literal", "@default"] = "@default"
    many: list[int] = Field(default=[1], description="@field")

@dataclasses.dataclass
class Point:
    x: int = len("@dataclass")

class Keys(TypedDict):
    a: Literal["@typed"]

class Base:
    def base(self):
        return "@base"

class Helper(Base):
    held = "@held"
    def get(self):
        return self.held, "@method"

def helper(t="@param", *, k="@keyword"):
    "@doc"
    if t in {"p", "q", "r", "s"}:
        return "@helper"
    return [lambda v: "@nested" for _ in t]

@functools.lru_cache
def cached():
    return "@cached"

def make(n):
    return lambda: n
closed = make("@closure")
nameless = lambda t: t in {"u", "v", "w"} or "@lambda"
bound = functools.partial(helper, "@partial")
CHOICE = {"f": [nameless, helper], "g": lambda: "@table"}
SETTINGS = Settings(many=[len("@instance")])
HELP = Helper()
HELP.mine = "@mine"

def check(v: int) -> int:
    return v + len("@validator")

class Hello(fal.App):
    limit = "@attribute"
    keep_alive = 7

    def setup(self):
        self.model = "@setup"  # a comment
        self.all = [WORDS, TABLE, Colour.RED, Point(), Helper, cached, closed, nameless, bound, CHOICE, SETTINGS, HELP]

    @fal.endpoint("/")
    def hi(self, x: Annotated[int, AfterValidator(check)] = len("@endpoint"), k: "Keys | None" = None) -> "Settings":
        return self.limit + "@body"
"""
MARKS = sorted(set(re.findall(r'"@(\w+)"', CELL)))


def test_the_same_cell_run_again_is_the_same_app(book: Notebook) -> None:
    book.run(CELL)
    before = whole(book)
    book.run(CELL)

    assert compare(before, whole(book)).reason == "nothing changed"


def test_comments_and_white_space_change_nothing(book: Notebook) -> None:
    book.run(CELL)
    before = whole(book)
    book.run("# more\n\n" + CELL.replace("# a comment", "# another").replace("return v + ", "return  v  +  "))

    assert compare(before, whole(book)).reason == "nothing changed"


REASONS = {
    "body": "class Hello changed",
    "attribute": "class Hello changed",
    "set": "variable WORDS changed",
    "deep": "variable TABLE changed",
    "helper": "function helper changed",
    "cached": "function cached changed",
    "method": "class Helper changed",
    "held": "class Helper changed",
    "base": "class Base changed",
    "enum": "class Colour changed",
    "validator": "function check changed",
    "typed": "class Keys changed",
    "dataclass": "class Point changed",
    "mine": "variable HELP changed",
    "instance": "variable SETTINGS changed",
}


@pytest.fixture(scope="module")
def written() -> Iterator[tuple[Notebook, dict[str, str]]]:
    """A notebook in which the cell was run, and the fingerprint of its app then."""
    with notebook() as opened:
        opened.run(CELL)
        yield opened, whole(opened)


@pytest.mark.parametrize(
    "mark", [pytest.param(mark, marks=pytest.mark.long if mark in REASONS else ()) for mark in MARKS]
)
def test_a_change_of_any_part_is_another_app(written: tuple[Notebook, dict[str, str]], mark: str) -> None:
    book, before = written
    book.run(CELL.replace(f'"@{mark}"', f'"@other {mark}"'))

    verdict = compare(before, whole(book))

    assert verdict.kind == "rebuild", verdict


@pytest.mark.parametrize(("mark", "reason"), REASONS.items())
def test_the_reason_names_the_part_that_changed(
    written: tuple[Notebook, dict[str, str]], mark: str, reason: str
) -> None:
    book, before = written
    book.run(CELL.replace(f'"@{mark}"', f'"@other {mark}"'))

    verdict = compare(before, whole(book))

    assert reason in verdict.reason
    assert verdict.kind == "rebuild", verdict


def test_a_value_taken_at_definition_counts_though_the_source_is_the_same(book: Notebook) -> None:
    app = "class Hello(fal.App):\n    name = NAME\n    @fal.endpoint('/')\n    def hi(self, n=NAME): return n"
    book.run("NAME = 'a'")
    book.run(app)
    before = whole(book)
    book.run("NAME = 'b'")
    book.run(app)

    assert compare(before, whole(book)).reason == "class Hello changed"


def test_an_array_is_compared_by_what_is_in_it(book: Notebook) -> None:
    pytest.importorskip("torch")
    app = "class Hello(fal.App):\n    @fal.endpoint('/')\n    def hi(self): return [A.sum(), T.sum()]"
    data = "import numpy, torch\nA = numpy.arange(6.0)\nT = torch.arange(6.0)"
    book.run(data)
    book.run(app)
    before = whole(book)
    book.run(data)

    assert whole(book) == before
    book.run("A[3] = 7")
    assert compare(before, whole(book)).reason == "variable A changed"
    book.run("A[3] = 3\nT[0] = 1")
    assert compare(before, whole(book)).reason == "variable T changed"


def test_a_method_of_a_helpers_name_is_not_the_helper(book: Notebook) -> None:
    cell = "def run(): return 1\nclass Hello(fal.App):\n    @fal.endpoint('/')\n    def hi(self): return run()\n    def run(self): return 3"
    book.run(cell)
    before = whole(book)
    book.run(cell.replace("return 1", "return 2"))

    assert compare(before, whole(book)).reason == "function run changed"


def test_a_class_without_source_is_identified_by_its_code(book: Notebook) -> None:
    text = "class Hello(fal.App):\n    @fal.endpoint('/')\n    def hi(self, name='a'): return name in {'x', 'y', 'z'}"
    found = []
    for source in (text, text, text.replace("'z'", "'other'"), text.replace("name", "text")):
        exec(compile(source, "<never kept>", "exec"), book.namespace)
        found.append(whole(book))

    assert found[0] == found[1]
    assert compare(found[0], found[2]).reason == "class Hello changed"
    assert compare(found[0], found[3]).reason == "class Hello changed"


@pytest.mark.parametrize(
    ("overrides", "kind", "reason"),
    [
        ({}, "nothing", "nothing changed"),
        ({"keep_alive": 5}, "scaled", "option keep_alive changed"),
        ({"warm": 2}, "scaled", "option warm changed"),
        ({"max_concurrency": 9, "max_multiplexing": 3}, "scaled", "option max_concurrency changed, option max_multiplexing changed"),
        ({"auth": "public"}, "scaled", "option app_auth changed"),
    ],
)  # fmt: skip
def test_options_of_scaling_leave_the_runners_alive(
    book: Notebook, overrides: dict[str, object], kind: str, reason: str
) -> None:
    book.run(CELL)
    cls, packed = book.namespace["Hello"], book.pack().fingerprint

    verdict = compare(
        packed | fingerprint_of_spec(fal.describe(cls)), packed | fingerprint_of_spec(fal.describe(cls, overrides))
    )

    assert (verdict.kind, verdict.reason) == (kind, reason)


def test_another_machine_or_requirement_needs_new_runners(book: Notebook) -> None:
    app = "class Hello(fal.App):\n    {}\n    @fal.endpoint('/')\n    def hi(self): return 1"
    book.run(app.format("pass"))
    before = fingerprint_of_spec(fal.describe(book.namespace["Hello"]))
    for option in ("machine_type = 'GPU-A100'", "num_gpus = 1", "requirements = ['numpy']"):
        book.run(app.format(option))
        verdict = compare(before, fingerprint_of_spec(fal.describe(book.namespace["Hello"])))
        assert (verdict.kind, verdict.reason) == ("rebuild", f"{option.split()[0]} changed")


def environment(**changes: str) -> Environment:
    env = {"HOME": "/home/me", "TOKEN": "secret", "COLUMNS": "80", "JPY_PARENT_PID": "1", "_": "/bin/python"}
    return Environment(python="/py", env=env | changes, cwd="/here", sys_path=["/a", "/b"], preload=[], isolated="")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("TOKEN", "other", "%env TOKEN changed"),
        ("NEW", "x", "%env NEW is new"),
        ("_UNDERSCORED", "x", "%env _UNDERSCORED is new"),
        ("COLUMNS", "81", "nothing changed"),
        ("JPY_PARENT_PID", "2", "nothing changed"),
        ("FAL_JUPYTER_STATE", "/s", "nothing changed"),
        ("_", "/bin/sh", "nothing changed"),
        ("ODD", "\udcff", "%env ODD is new"),
        ("FAL_KEY", "fjk_1:2", "nothing changed"),
        ("FAL_KEY", "cloud:key", "%env FAL_KEY is new"),
    ],
)
def test_the_environment_counts_but_for_what_changes_by_itself(name: str, value: str, reason: str) -> None:
    before, after = fingerprint_of_environment(environment()), fingerprint_of_environment(environment(**{name: value}))

    assert compare(before, after).reason == reason


def test_no_value_of_the_environment_is_in_its_fingerprint() -> None:
    assert "secret" not in json.dumps(fingerprint_of_environment(environment()))


def test_the_order_of_the_path_counts() -> None:
    other = environment() | {"sys_path": ["/b", "/a"]}

    assert (
        compare(fingerprint_of_environment(environment()), fingerprint_of_environment(other)).reason
        == "sys.path changed"
    )


# --- every kind of edit ----------------------------------------------------------------------------------------------
def fingerprint_with(number: int, cell: str) -> dict[str, str]:
    with notebook() as book:
        book.run(cell.replace("NUMBER", str(number)))
        book.run("class Hello(fal.App):\n    @fal.endpoint('/')\n    def hi(self) -> str:\n        return repr(K)")
        return book.pack().fingerprint


USUAL = {  # one of each kind: `make test-long` has the variants
    "attrs.define", "struct", "namedtuple", "dataclass", "make_dataclass", "slots", "keyword of a metaclass", "metaclass code",
    "enum", "typeddict", "pydantic", "pydantic alias", "create_model", "generic code", "newtype", "regex", "descriptor",
    "property", "partialmethod", "lru", "dispatch", "validate_call body", "lambda default", "numpy", "patched method", "bases",
    "attribute of a function", "torch", "torch weights", "default of __init__", "dunder method set later", "defaultdict",
    "bytearray", "nested class", "class in a closure", "async", "classvar", "used in list attr", "hidden in library object",
    "swapped functions", "closure of __init__", "partial kw", "jinja", "router", "property setter", "order of fields",
    "dict order", "bool int", "nan", "module", "function in a namespace", "function as a key",
    "state of a decorator's object", "what an exception handler covers", "items of a subclass of set",
}  # fmt: skip


@pytest.mark.parametrize(
    "edit", [pytest.param(edit, marks=() if edit in USUAL else pytest.mark.long) for edit in EDITS]
)
def test_an_edit_of_what_an_app_uses_is_seen_and_when_it_is_undone_it_is_the_same_app(edit: str) -> None:
    if "import torch" in EDITS[edit]:
        pytest.importorskip("torch")
    first, edited, undone = (fingerprint_with(number, EDITS[edit]) for number in (1, 2, 1))

    assert edited != first
    assert undone == first


@pytest.mark.parametrize("cell", SAME)
def test_what_is_made_anew_or_was_used_is_the_same_app(book: Notebook, cell: str) -> None:
    if "import torch" in SAME[cell]:
        pytest.importorskip("torch")
    hello = "class Hello(fal.App):\n    @fal.endpoint('/')\n    def hi(self) -> str:\n        return repr(K)"
    book.run(SAME[cell])
    book.run(hello)
    first = book.pack().fingerprint

    book.run(hello)
    assert book.pack().fingerprint == first
    book.run(SAME[cell])
    book.run(hello)
    assert book.pack().fingerprint == first


FORWARD = """
from typing import Annotated, Literal, Union
from pydantic import BaseModel, Field

class Cat(BaseModel):
    kind: Literal["cat"]

class Dog(BaseModel):
    kind: Literal["dog"]
    friend: "Pet | None" = None

Pet = Annotated[Union[Cat, Dog], Field(discriminator="kind")]

class Hello(fal.App):
    @fal.endpoint("/")
    def hi(self, pet: Pet) -> str:
        return str(pet)
"""


def test_a_model_that_names_what_follows_it_is_the_same_however_often_its_cell_is_run(book: Notebook) -> None:
    found = []
    for _ in range(4):  # from the second time on, pydantic finds the name of the time before
        book.run(FORWARD)
        found.append(book.pack().fingerprint)

    assert found[1:] == found[:1] * 3


def test_a_class_that_is_reached_by_an_attribute_is_named_when_it_changes(book: Notebook) -> None:
    cells = (
        "class Tool:\n    size = NUMBER\nclass Holder:\n    tool = Tool",
        "class Hello(fal.App):\n    @fal.endpoint('/')\n    def hi(self) -> str:\n        return str(Holder.tool.size)",
    )
    found = []
    for number in "12":
        for cell in cells:
            book.run(cell.replace("NUMBER", number))
        found.append(book.pack().fingerprint)

    assert compare(*found).reason == "class Tool changed"


# --- other processes ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("cases", ["usual", pytest.param("all", marks=pytest.mark.long)])
def test_a_fingerprint_is_the_same_in_every_process_whatever_the_seed_of_its_hashes(cases: str) -> None:
    program = textwrap.dedent("""
        import json, sys
        from tests.shipping.notebook import notebook
        for cell in json.load(sys.stdin):
            with notebook() as book:
                for part in cell:
                    book.run(part)
                print(json.dumps(book.pack().fingerprint))
        """)
    hello = "class Hello(fal.App):\n    @fal.endpoint('/')\n    def hi(self, {}):\n        return {}"
    app = hello.format("", "repr(K)")
    books = [
        [CELL],
        [FORWARD],
        *([cell, app] for cell in SAME.values() if "import torch" not in cell),
        *(
            [*cells, hello.format(takes, gives)]
            for name, (cells, takes, gives, _) in CASES.items()
            if cases == "all" or name in USUAL_CASES
        ),
    ]
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        for seed in ("1", "77")
    ]
    one, other = (
        [json.loads(line) for line in starter.communicate(json.dumps(books), timeout=100)[0].splitlines()]
        for starter in starters
    )

    assert len(one) == len(books)
    assert "variable WORDS" in one[0]
    assert [names for names in map(_different, one, other) if names] == []


def _different(one: dict[str, str], other: dict[str, str]) -> list[str]:
    return [name for name in one | other if one.get(name) != other.get(name)]


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(st.lists(st.text(), max_size=8), st.randoms(use_true_random=False))
def test_a_set_is_the_same_however_it_was_filled(items: list[str], chance: object) -> None:
    shuffled = list(items)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]

    assert contents_digest(set(shuffled)) == contents_digest(set(items))
    assert contents_digest([frozenset(shuffled)]) == contents_digest([frozenset(items)])


@given(plain_values, plain_values)
def test_equal_digests_are_equal_values(one: object, other: object) -> None:
    assert (repr(one) == repr(other)) or contents_digest(one) != contents_digest(other)


def test_things_that_hold_themselves_by_sets_have_a_digest() -> None:
    class Node:
        def __init__(self) -> None:
            self.near: set[Node] = set()

    nodes = [Node() for _ in range(30)]
    for node in nodes:
        node.near.update(nodes)

    assert contents_digest(nodes)
