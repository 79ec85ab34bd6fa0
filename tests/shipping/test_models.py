from __future__ import annotations

import textwrap
from typing import Any

import pytest

from tests.shipping.notebook import Job, Notebook, arrive, notebook, selected, serve

IMPORTS = """
import dataclasses, datetime, decimal, enum, functools, pathlib, typing, uuid
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, Optional, TypeVar, Union
import pydantic, pydantic.dataclasses
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, RootModel, computed_field
from pydantic import create_model, field_serializer, field_validator, model_serializer, model_validator
from typing_extensions import NotRequired, Required, TypeAliasType, TypedDict
from fastapi import Body, Header, Query, Request
T = TypeVar("T")
"""


def app(signature: str, answer: str, returns: str) -> str:
    """An app with one endpoint."""
    return textwrap.dedent(f"""
        class Hello(fal.App):
            @fal.endpoint("/")
            def hi(self, {signature}) -> {returns}:
                return {answer}
        """)


# Each: the cells before the app, the app, what is posted as (query, body). The local answer is the measure.
ZOO: dict[str, tuple[list[str], str, list[tuple[str, Any]]]] = {
    "plain": (
        ["class In(BaseModel):\n    text: str\n    n: int = 3"],
        app("given: In", "given", "In"),
        [("", {"text": "a"}), ("", {"text": "a", "n": 7}), ("", {"n": "x"})],
    ),
    "nested": (
        [
            "class Leaf(BaseModel):\n    a: int\n    b: list[str]",
            "class Branch(BaseModel):\n    leaf: Leaf\n    more: dict[str, Leaf] = {}\n    pair: tuple[Leaf, int] | None = None",
        ],
        app("given: Branch", "given", "Branch"),
        [
            ("", {"leaf": {"a": 1, "b": ["x"]}, "more": {"k": {"a": 2, "b": []}}, "pair": [{"a": 3, "b": []}, 4]}),
            ("", {"leaf": {"a": "no", "b": []}}),
        ],
    ),
    "a model used twice inside another": (
        [
            "class Point(BaseModel):\n    x: float\n    y: float",
            "class Line(BaseModel):\n    start: Point\n    end: Point\n    via: list[Point] = []",
        ],
        app("line: Line, lines: list[Line]", "{'one': line, 'all': lines}", "dict[str, Line | list[Line]]"),
        [
            (
                "",
                {
                    "line": {"start": {"x": 1, "y": 2}, "end": {"x": 3, "y": 4}, "via": [{"x": 5, "y": 6}]},
                    "lines": [{"start": {"x": 7, "y": 8}, "end": {"x": 9, "y": 10}}],
                },
            )
        ],
    ),
    "a recursive model": (
        ["class Tree(BaseModel):\n    value: int\n    children: list['Tree'] = []\n    up: Optional['Tree'] = None"],
        app("tree: Tree", "tree", "Tree"),
        [
            ("", {"value": 1, "children": [{"value": 2, "children": [{"value": 3}]}], "up": {"value": 0}}),
            ("", {"value": 1, "children": [{"value": "no"}]}),
        ],
    ),
    "models that refer to each other": (
        [
            ("class Author(BaseModel):\n    name: str\n    books: list['Book'] = []\n"
            "class Book(BaseModel):\n    title: str\n    author: Author | None = None\n"
            "    sequels: list['Book'] = []\nAuthor.model_rebuild()")
        ],
        app("author: Author, book: Book", "[author, book]", "tuple[Author, Book]"),
        [
            (
                "",
                {
                    "author": {"name": "A", "books": [{"title": "t", "author": {"name": "B"}}]},
                    "book": {"title": "u", "author": {"name": "C", "books": [{"title": "v"}]}, "sequels": [{"title": "w"}]},
                },
            )
        ],
    ),
    "a model defined after its user": (
        [
            "class Outer(BaseModel):\n    inner: 'Inner'\n    again: 'Inner | None' = None",
            "class Inner(BaseModel):\n    x: int",
        ],
        app("outer: Outer", "outer", "Outer"),
        [("", {"inner": {"x": 1}, "again": {"x": 2}}), ("", {"inner": {}})],
    ),
    "generic models": (
        [
            "class Box(BaseModel, Generic[T]):\n    item: T\n    spare: list[T] = []",
            "class Thing(BaseModel):\n    name: str",
            "class Pair(BaseModel):\n    left: Box[Thing]\n    right: Box[Thing]\n    number: Box[int]\n    deep: Box[Box[Thing]]",
        ],
        app("pair: Pair, loose: Box[Thing]", "{'pair': pair, 'loose': loose}", "dict[str, Pair | Box[Thing]]"),
        [
            (
                "",
                {
                    "pair": {
                        "left": {"item": {"name": "l"}, "spare": [{"name": "m"}]},
                        "right": {"item": {"name": "r"}},
                        "number": {"item": 3, "spare": [4]},
                        "deep": {"item": {"item": {"name": "d"}}},
                    },
                    "loose": {"item": {"name": "o"}},
                },
            )
        ],
    ),
    "a generic model that holds its holder": (
        [
            "class Box(BaseModel, Generic[T]):\n    item: T | None = None\n    many: list[T] = []\n    note: str = ''",
            ("class Node(BaseModel):\n    name: str\n    next: 'Box[Node] | None' = None\n    peer: 'Peer | None' = None\n"
            "class Peer(BaseModel):\n    size: int\n    nodes: Box[Node]\nNode.model_rebuild()"),
        ],
        app("box: Box[Node], node: Node", "{'box': box, 'node': node}", "dict[str, Box[Node] | Node]"),
        [
            (
                "",
                {
                    "box": {
                        "item": {"name": "a", "next": {"item": {"name": "b"}, "note": "n"}},
                        "many": [{"name": "c", "peer": {"size": 3, "nodes": {"many": [{"name": "d"}], "note": "x"}}}],
                    },
                    "node": {"name": "e", "next": {"item": {"name": "f", "next": {"note": "z"}}}},
                },
            )
        ],
    ),
    "a recursive generic model": (
        ["class Tree(BaseModel, Generic[T]):\n    value: T\n    children: list['Tree[T]'] = []"],
        app("tree: Tree[int]", "tree", "Tree[int]"),
        [("", {"value": 1, "children": [{"value": 2, "children": [{"value": "3"}]}]}), ("", {"value": "no"})],
    ),
    "a class of a parametrised generic": (
        [
            ("class Page(BaseModel, Generic[T]):\n    items: list[T]\n    total: int = 0\n"
            "    @property\n    def first(self):\n        return self.items[0]"),
            "class Row(BaseModel):\n    id: int",
            "class Rows(Page[Row]):\n    note: str = 'n'",
        ],
        app("rows: Rows", "{'rows': rows, 'first': rows.first, 'is': isinstance(rows, Page)}", "dict"),
        [("", {"items": [{"id": 1}, {"id": 2}], "total": 2})],
    ),
    "a discriminated union": (
        [
            "class Cat(BaseModel):\n    kind: Literal['cat'] = 'cat'\n    lives: int",
            "class Dog(BaseModel):\n    kind: Literal['dog']\n    bark: str\n    friend: 'Pet | None' = None",
            "Pet = Annotated[Union[Cat, Dog], Field(discriminator='kind')]\nDog.model_rebuild()",
            "class Zoo(BaseModel):\n    pets: list[Pet]\n    best: Pet",
        ],
        app("zoo: Zoo, pet: Pet", "{'zoo': zoo, 'pet': pet, 'kind': type(pet).__name__}", "dict"),
        [
            (
                "",
                {
                    "zoo": {"pets": [{"kind": "cat", "lives": 9}], "best": {"kind": "dog", "bark": "wuff"}},
                    "pet": {"kind": "dog", "bark": "x", "friend": {"kind": "cat", "lives": 7}},
                },
            ),
            ("", {"zoo": {"pets": [{"kind": "fish"}], "best": {"kind": "dog", "bark": "w"}}, "pet": {"kind": "eel"}}),
        ],
    ),
    "dataclasses": (
        [
            "@dataclasses.dataclass\nclass Inner:\n    x: int\n    tags: list[str] = dataclasses.field(default_factory=list)",
            ("@dataclasses.dataclass(frozen=True, kw_only=True)\nclass Outer:\n    left: Inner\n    right: Inner\n"
            "    when: datetime.date | None = None\n    k: typing.ClassVar[int] = 5\n"
            "    def total(self):\n        return self.left.x + self.right.x + self.k"),
        ],
        app("outer: Outer", "{'outer': outer, 'total': outer.total(), 'again': dataclasses.replace(outer, left=Inner(0))}", "dict"),
        [
            ("", {"left": {"x": 1, "tags": ["a"]}, "right": {"x": 2}, "when": "2026-01-02"}),
            ("", {"left": {"x": "no"}, "right": {"x": 2}}),
        ],
    ),
    "a dataclass that refers to itself": (
        ["@dataclasses.dataclass\nclass Chain:\n    x: int\n    rest: 'Chain | None' = None"],
        app("chain: Chain", "chain", "Chain"),
        [("", {"x": 1, "rest": {"x": 2, "rest": {"x": 3}}})],
    ),
    "pydantic's dataclasses": (
        [
            ("@pydantic.dataclasses.dataclass\nclass Part:\n    n: int = Field(gt=0)\n    label: str = 'l'\n"
            "    @field_validator('label')\n    @classmethod\n    def up(cls, v):\n        return v.upper()"),
            "@pydantic.dataclasses.dataclass\nclass Whole:\n    a: Part\n    b: Part\n    c: list[Part] = Field(default_factory=list)",
        ],
        app("whole: Whole", "whole", "Whole"),
        [("", {"a": {"n": 1, "label": "x"}, "b": {"n": "2"}, "c": [{"n": 3}]}), ("", {"a": {"n": 0}, "b": {"n": 1}})],
    ),
    "a dataclass within a model within a dataclass": (
        [
            "@dataclasses.dataclass\nclass A:\n    x: int",
            "class B(BaseModel):\n    a: A\n    other: A | None = None",
            "@dataclasses.dataclass\nclass C:\n    b: B\n    d: B",
        ],
        app("c: C", "c", "C"),
        [("", {"b": {"a": {"x": 1}}, "d": {"a": {"x": 2}, "other": {"x": 3}}})],
    ),
    "TypedDicts": (
        [
            "class Base(TypedDict):\n    a: int",
            "class Child(Base, total=False):\n    b: str\n    c: Required[float]",
            "class Holder(BaseModel):\n    one: Child\n    two: Base",
        ],
        app("child: Child, holder: Holder", "{'c': child, 'h': holder}", "dict[str, Any]"),
        [
            ("", {"child": {"a": 1, "c": 2.5}, "holder": {"one": {"a": 1, "b": "x", "c": 1}, "two": {"a": 3}}}),
            ("", {"child": {"c": 2.5}, "holder": {"one": {"a": 1}, "two": {}}}),
        ],
    ),
    "a recursive TypedDict": (
        ["class Node(TypedDict):\n    value: int\n    children: NotRequired[list['Node']]"],
        app("node: Node", "node", "Node"),
        [
            ("", {"value": 1, "children": [{"value": 2, "children": []}]}),
            ("", {"value": 1, "children": [{"value": "no"}]}),
        ],
    ),
    "enums": (
        [
            "class Colour(enum.Enum):\n    RED = 'r'\n    BLUE = 'b'\n    def shout(self):\n        return self.name + '!'",
            "class Level(enum.IntEnum):\n    LOW = 1\n    HIGH = 2\nclass Flag(enum.Flag):\n    A = 1\n    B = 2",
            "class Style(str, enum.Enum):\n    BOLD = 'bold'",
            "class In(BaseModel):\n    colour: Colour\n    levels: dict[Level, Style] = {}\n    other: Colour = Colour.BLUE",
        ],
        app(
            "given: In, colour: Colour = Colour.RED, style: Style | None = None",
            "{'g': given, 'c': colour, 'same': given.colour is colour, 's': colour.shout(), 'st': style, 'f': (Flag.A | Flag.B).value}",
            "dict",
        ),
        [
            ("colour=b&style=bold", {"colour": "b", "levels": {"1": "bold"}}),
            ("colour=no", {"colour": "x"}),
            ("", {"colour": "r"}),
        ],
    ),
    "validators, serialisers, computed and private": (
        [
            "LIMIT = 5\ndef check(v: int) -> int:\n    if v > LIMIT:\n        raise ValueError(f'over {LIMIT}')\n    return v",
            "Small = Annotated[int, AfterValidator(check)]\ndef make():\n    return ['made', LIMIT]",
            textwrap.dedent("""
                class Full(BaseModel):
                    model_config = ConfigDict(extra='forbid', populate_by_name=True, str_strip_whitespace=True)
                    small: Small
                    name: str = Field(alias='theName', min_length=1, description='d', examples=['e'])
                    when: datetime.datetime = datetime.datetime(2026, 1, 1)
                    made: list[Any] = Field(default_factory=make)
                    _cache: dict[str, int] = PrivateAttr(default_factory=dict)
                    _n: int = 4

                    @field_validator('name')
                    @classmethod
                    def lower(cls, v: str) -> str:
                        return v.lower() + str(LIMIT)

                    @model_validator(mode='after')
                    def both(self) -> 'Full':
                        self._cache['n'] = self.small
                        return self

                    @model_validator(mode='before')
                    @classmethod
                    def early(cls, data: Any) -> Any:
                        if isinstance(data, dict) and data.get('small') == 'one':
                            return {**data, 'small': 1}
                        return data

                    @field_serializer('when')
                    def ser(self, v: datetime.datetime) -> str:
                        return v.strftime('%d/%m')

                    @computed_field
                    @property
                    def double(self) -> int:
                        return self.small * 2 + self._cache['n'] + self._n
                """),
            ("class Sub(Full):\n    extra: Small = 2\n    @field_validator('name')\n    @classmethod\n"
            "    def lower(cls, v: str) -> str:\n        return v.upper()\n"
            "    @computed_field\n    @property\n    def triple(self) -> int:\n        return self.small * 3"),
        ],
        app("full: Full, sub: Sub", "{'f': full, 's': sub}", "dict[str, Any]"),
        [
            ("", {"full": {"small": 3, "theName": " ADA "}, "sub": {"small": "one", "name": "Bo", "extra": 4}}),
            ("", {"full": {"small": 6, "theName": ""}, "sub": {"small": 1, "name": "x", "zzz": 1}}),
        ],
    ),
    "inheritance": (
        [
            "class Base(BaseModel):\n    a: int\n    b: 'str' = 'b'",
            "class Mixin:\n    def sum(self):\n        return super().__str__() and self.a + self.c",
            "class Child(Mixin, Base):\n    c: int\n    b: str = 'over'\n    def sum(self):\n        return super().sum() + 1",
        ],
        app("child: Child, base: Base", "{'c': child, 'b': base, 's': child.sum(), 'i': isinstance(child, Base)}", "dict"),
        [("", {"child": {"a": 1, "c": 2}, "base": {"a": 3}}), ("", {"child": {"a": 1}, "base": {"a": 3, "b": 4}})],
    ),
    "root models and aliases of types": (
        [
            "UserId = NewType('UserId', int)",
            "class Names(RootModel[list[str]]):\n    def n(self):\n        return len(self.root)",
            "Maybe = Optional[Names]\nclass In(BaseModel):\n    names: Names\n    maybe: Maybe = None\n    id: UserId = UserId(3)",
        ],
        app("given: In, names: Names", "{'g': given, 'n': names.n()}", "dict"),
        [("", {"given": {"names": ["a"], "maybe": ["b"], "id": 4}, "names": ["x", "y"]}), ("", {"given": {"names": [1]}})],
    ),
    "standard types": (
        [
            "class Point(NamedTuple):\n    x: int\n    y: int = 2",
            ("class In(BaseModel):\n    p: Point\n    u: uuid.UUID\n    d: decimal.Decimal\n    t: datetime.timedelta\n"
            "    path: pathlib.Path\n    s: frozenset[int]\n    any: Any = None\n    lit: Literal['a', 1] = 1"),
        ],
        app("given: In", "given", "In"),
        [
            (
                "",
                {
                    "p": [1, 3], "u": "12345678-1234-5678-1234-567812345678", "d": "1.10", "t": "PT5S", "path": "/x",
                    "s": [1], "any": {"a": [1]},
                },
            ),
            ("", {"p": ["no"], "lit": 2}),
        ],
    ),
    "aliases that are values": (
        [
            "Names = TypeAliasType('Names', dict[str, list[int]])\nclass In(BaseModel):\n    names: Names\n    more: Names = {}",
        ],
        app("given: In", "given", "In"),
        [("", {"names": {"a": [1]}}), ("", {"names": {"a": ["no"]}})],
    ),
    "a generic TypedDict": (
        [
            "class Cell(TypedDict, Generic[T], total=False):\n    value: Required[T]\n    note: str",
            "class Row(BaseModel):\n    cells: list[Cell[int]]",
        ],
        app("row: Row, cell: Cell[str]", "{'r': row, 'c': cell}", "dict[str, Any]"),
        [("", {"row": {"cells": [{"value": 1, "note": "n"}]}, "cell": {"value": "v"}}), ("", {"row": {}, "cell": {}})],
    ),
    "a model made by a call": (
        ["class Base(BaseModel):\n    a: int", "Made = create_model('Made', __base__=Base, b=(Base, ...), c=(int, 4))"],
        app("made: Made", "made", "Made"),
        [("", {"a": 1, "b": {"a": 2}}), ("", {"a": 1, "b": {}})],
    ),
    "plain parameters": (
        ["class Size(enum.Enum):\n    S = 's'\n    L = 'l'"],
        app("prompt: str, steps: int = 30, size: Size = Size.S, tags: Annotated[list[str], Query()] = []", "[prompt, steps, size, tags]", "list"),
        [
            ("", {"prompt": "p", "steps": 4, "size": "l", "tags": ["a", "b"]}),
            ("prompt=q&tags=a&tags=b", {"prompt": "p", "steps": "5"}),
            ("", {"steps": "no"}),
        ],
    ),
    "marked parameters": (
        ["class In(BaseModel):\n    a: int"],
        app(
            "request: Request, given: Annotated[In, Body(embed=True)], q: Annotated[int, Query(ge=1)] = 2, w: str = Header('none')",
            "{'g': given, 'q': q, 'w': w, 'm': request.method}",
            "dict[str, Any]",
        ),
        [("q=3", {"given": {"a": 1}}), ("q=0", {"a": 1})],
    ),
    "an answer that is filtered by its annotation": (
        ["class Public(BaseModel):\n    a: int\nclass Secret(Public):\n    b: int"],
        app("given: Secret", "given", "Public"),
        [("", {"a": 1, "b": 2})],
    ),
    "an answer that breaks its annotation": (
        ["class Out(BaseModel):\n    a: int"],
        app("n: int", "{'a': n} if n else {'b': n}", "Out"),
        [("", {"n": 1}), ("n=0", None)],
    ),
}  # fmt: skip


def define(book: Notebook, name: str, future: bool) -> Job:
    """Run the cells of one of the zoo, in one style of annotations."""
    cells, source, posts = ZOO[name]
    book.run(IMPORTS)
    for cell in cells:
        book.run(cell, future=future)
    book.run(source, future=future)
    return Job(book.pack(), [("/", query, body) for query, body in posts])


# One of each kind, in the style that hides more: `make test-long` has them all, in both.
USUAL = {
    ("plain", False),
    *(
        (name, True)
        for name in (
            "nested", "models that refer to each other", "generic models", "a discriminated union", "dataclasses",
            "a dataclass within a model within a dataclass", "TypedDicts", "enums", "plain parameters", "marked parameters",
            "validators, serialisers, computed and private", "root models and aliases of types",
            "an answer that breaks its annotation",
        )
    ),
}  # fmt: skip
CASES = [(name, future) for name in ZOO for future in (False, True)]


@pytest.fixture(scope="module")
def both(request: pytest.FixtureRequest) -> dict[tuple[str, bool], tuple[Any, Any]]:
    """What each app answers here, where it was defined, and what it answers after its journey."""
    jobs: list[Job] = []
    here: list[Any] = []
    failed: dict[tuple[str, bool], Any] = {}
    cases = [(test["name"], test["future"]) for test in selected(request, "future")]
    for case in cases:
        with notebook() as book:
            try:
                job = define(book, *case)
            except Exception as error:
                failed[case] = error
                continue
            here.append(serve(book.namespace["Hello"], job.posts))
            jobs.append(job)
    there = iter(arrive(jobs))
    local = iter(here)
    return {case: (failed[case], None) if case in failed else (next(local), next(there)) for case in cases}


@pytest.mark.parametrize(
    ("name", "future"), [pytest.param(*case, marks=() if case in USUAL else pytest.mark.long) for case in CASES]
)
def test_an_app_answers_after_its_journey_as_before(
    both: dict[tuple[str, bool], tuple[Any, Any]], name: str, future: bool
) -> None:
    here, there = both[name, future]

    assert here[0][0] == 200, f"the case measures nothing: {here}"
    assert {status for status, _ in here[:-1]} <= {200, 422, 500}
    assert "requestBody" in here[-1]["paths"]["/"]["post"]
    assert there == here
