"""A generated app: types × places × values, to be asked of both packages. Nothing here imports ``fal`` on import.

A place is where a value stands: a field of a model, a parameter of each kind, a result. Which of them can be built at all is
asked of both packages first (:func:`built`); the app (:func:`source`) has those that can.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from types import ModuleType
from typing import Any

HEAD = """
import collections, dataclasses, datetime, decimal, enum, ipaddress, pathlib, re, typing, uuid
from typing import Annotated, Any, Dict, Generic, List, Literal, Mapping, NamedTuple, Optional, Sequence, Set, Tuple, TypeVar, Union

import fal
from fal.toolkit import File, Image
from fastapi import Body, Cookie, Form, Header, HTTPException, Path, Query, Response
from pydantic import (
    AfterValidator, AnyUrl, BaseModel, Base64Bytes, BeforeValidator, ByteSize, ConfigDict, Field, FilePath, HttpUrl, Json, PlainSerializer,
    PositiveInt, RootModel, SecretStr, StrictBool, StrictInt, StrictStr, computed_field, conlist, constr, field_validator, model_validator,
)
from typing_extensions import TypedDict

T = TypeVar("T")


class Color(enum.Enum):
    red = "a"
    blue = 1


class Level(enum.IntEnum):
    low = 1


class M(BaseModel):
    x: int = 1


class Sub(M):
    y: int = 2


class Needs(BaseModel):
    x: int
    sub: Optional[M] = None
    more: List[M] = []


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    x: int


class Loose(BaseModel):
    model_config = ConfigDict(extra="allow")
    x: Any = None


class Aliased(BaseModel):
    x: int = Field(1, alias="a")


class Populated(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    x: int = Field(1, validation_alias="a", serialization_alias="out")


class Hides(BaseModel):
    x: int = 1
    hidden: str = Field("secret", exclude=True)

    @computed_field
    @property
    def twice(self) -> int:
        return self.x * 2


class Checked(BaseModel):
    x: int = 1

    @field_validator("x")
    @classmethod
    def check(cls, value):
        if value == 3:
            raise ValueError("not three")
        assert value != 1, "not one"
        return value


class Refuses(BaseModel):
    x: int = 1

    @model_validator(mode="after")
    def check(self):
        raise HTTPException(418, "no")


class Cat(BaseModel):
    kind: Literal["cat"]
    x: int


class Dog(BaseModel):
    kind: Literal["dog"]
    x: str


class Box(BaseModel, Generic[T]):
    x: T


class Root(RootModel[List[int]]):
    pass


class Tree(BaseModel):
    x: int = 1
    children: List["Tree"] = []


@dataclasses.dataclass
class Data:
    x: int
    y: str = "y"


class Typed(TypedDict, total=False):
    x: int


class Named(NamedTuple):
    x: int
    y: str = "y"


def odd(value):
    if value == 1:
        raise KeyError("odd")
    return value


def shown(value):
    if isinstance(value, (set, frozenset)):
        return [type(value).__name__, sorted(map(repr, value))]
    return [type(value).__name__, repr(value)[:200]]


ANSWERS = [
    lambda: None, lambda: True, lambda: 1, lambda: -1.5, lambda: float("nan"), lambda: "a", lambda: "1", lambda: b"ok", lambda: b"\\xff", lambda: [1],
    lambda: (1, "a"), lambda: {3}, lambda: {"x": 1}, lambda: {"x": float("inf")}, lambda: {"a": 5}, lambda: {1: 2}, lambda: M(x=2), lambda: Sub(x=1, y=2),
    lambda: [Sub(x=1)], lambda: datetime.datetime(2020, 1, 2, 3, 4, 5), lambda: datetime.timedelta(seconds=90), lambda: decimal.Decimal("1.50"),
    lambda: uuid.UUID(int=5), lambda: pathlib.Path("a/b"), lambda: Color.red, lambda: Level.low, lambda: object(), lambda: iter([1, 2]), lambda: Data(1),
    lambda: Named(1), lambda: collections.deque([1]), lambda: range(3), lambda: 10**30, lambda: 1j, lambda: ValueError("x"), lambda: int, lambda: "\\ud800",
    lambda: Response("raw", media_type="text/x"), lambda: Box[int](x=1), lambda: Hides(), lambda: Aliased(a=2), lambda: Populated(x=3), lambda: Root([1]),
    lambda: M.model_construct(x="no"), lambda: SecretStr("s"), lambda: re.compile("a"), lambda: {"x": {"y": [{1, 2}, (b"b", None)]}}, lambda: Tree(children=[Tree()]),
]
"""

TYPES = (
    "int", "float", "bool", "str", "bytes", "None", "Any", "object", "Optional[int]", "Optional[str]", "Union[int, str]", "Union[str, int, None]", "'int | None'",
    "Literal['a', 1]", "Color", "Level", "datetime.datetime", "datetime.date", "datetime.time", "datetime.timedelta", "decimal.Decimal", "uuid.UUID", "pathlib.Path",
    "list", "List[int]", "list[str]", "Optional[List[int]]", "Set[int]", "frozenset[str]", "tuple", "Tuple[int, str]", "Tuple[int, ...]", "dict", "Dict[str, int]",
    "dict[int, float]", "Mapping[str, Any]", "Sequence[int]", "collections.deque[int]", "M", "Needs", "Optional[M]", "List[M]", "Dict[str, M]", "Strict", "Loose", "Aliased",
    "Populated", "Hides", "Checked", "Refuses", "Union[M, Needs]", "Union[Needs, int]", "Annotated[Union[Cat, Dog], Field(discriminator='kind')]", "Box[int]", "Root", "Tree",
    "Data", "Typed", "Named", "Annotated[int, Field(gt=0, le=10)]", "Annotated[str, Field(min_length=1, max_length=3, pattern='^a')]", "PositiveInt", "conlist(int, max_length=1)",
    "constr(to_upper=True)", "StrictInt", "StrictBool", "StrictStr", "HttpUrl", "AnyUrl", "SecretStr", "Json", "Json[List[int]]", "Base64Bytes", "ByteSize", "FilePath",
    "ipaddress.IPv4Address", "re.Pattern", "Annotated[int, AfterValidator(odd)]", "Annotated[str, BeforeValidator(odd)]",
    "Annotated[int, PlainSerializer(lambda v: str(v), return_type=str)]", "File", "Image", "complex", "type", "typing.Callable[[], int]", "T",
)  # fmt: skip

PLACES: dict[str, str] = {
    "field": "class F{n}(BaseModel):\n    v: {t}\nclass {name}(fal.App):\n    @fal.endpoint('/field/{n}')\n    def field_{n}(self, m: F{n}):\n        return shown(m.v)",
    "default": "class D{n}(BaseModel):\n    v: {t} = None\nclass {name}(fal.App):\n    @fal.endpoint('/default/{n}')\n    def default_{n}(self, m: D{n}):\n        return shown(m.v)",
    "lone": "class {name}(fal.App):\n    @fal.endpoint('/lone/{n}')\n    def lone_{n}(self, v: {t}):\n        return shown(v)",
    "preset": "class {name}(fal.App):\n    @fal.endpoint('/preset/{n}')\n    async def preset_{n}(self, v: {t} = None):\n        return shown(v)",
    "body": "class {name}(fal.App):\n    @fal.endpoint('/body/{n}')\n    def body_{n}(self, v: {t} = Body()):\n        return shown(v)",
    "two": "class {name}(fal.App):\n    @fal.endpoint('/two/{n}')\n    def two_{n}(self, v: Annotated[{t}, Body()], w: Annotated[int, Body()] = 1):\n        return shown(v)",
    "query": "class {name}(fal.App):\n    @fal.endpoint('/query/{n}')\n    def query_{n}(self, v: Annotated[{t}, Query()]):\n        return shown(v)",
    "header": "class {name}(fal.App):\n    @fal.endpoint('/header/{n}')\n    def header_{n}(self, v: Annotated[{t}, Header()]):\n        return shown(v)",
    "cookie": "class {name}(fal.App):\n    @fal.endpoint('/cookie/{n}')\n    def cookie_{n}(self, v: Annotated[{t}, Cookie()] = None):\n        return shown(v)",
    "path": "class {name}(fal.App):\n    @fal.endpoint('/path/{n}/{{v}}')\n    def path_{n}(self, v: {t}):\n        return shown(v)",
    "returns": "class {name}(fal.App):\n    @fal.endpoint('/returns/{n}')\n    def returns_{n}(self, k: int) -> {t}:\n        return ANSWERS[k]()",
    "result": "class R{n}(BaseModel):\n    v: {t}\nclass {name}(fal.App):\n    @fal.endpoint('/result/{n}')\n    async def result_{n}(self, k: int) -> R{n}:\n        return {{'v': ANSWERS[k]()}}",
    "untyped": "class {name}(fal.App):\n    @fal.endpoint('/untyped/{n}')\n    def untyped_{n}(self, k: int):\n        return ANSWERS[k]()",
}  # fmt: skip
ANSWERS = 48

VALUES = (
    "null", "true", "0", "1", "-1", "3.5", "1e400", "12345678901234567890123", "NaN", '""', '"a"', '"abcd"', '"1"', '"1.5"', '"true"', '"2020-01-01"', '"2020-01-01T10:00:00Z"',
    '"PT90S"', '"b2s="', '"https://a.b/c"', '"\\ud800"', '"00000000-0000-0000-0000-000000000005"', '"[1]"', "[]", "[1]", '["a", "b"]', '[1, "a"]', "[{}]", "[null]", "{}",
    '{"x": 1}', '{"x": "q"}', '{"x": 3, "extra": 1}', '{"a": 5}', '{"kind": "cat", "x": 1}', '{"kind": "cow"}', '{"x": 1, "sub": {"x": "q"}, "more": [{"x": 2}, 5]}', '{"url": "https://a.b/c.png"}',
    "[", '{"x": 1,}', "",
)  # fmt: skip
TEXTS = ("", "1", "-1", "1.5", "true", "a", "null", "2020-01-01", "a,b", "[1]", "é", "https://a.b/c")


def places(every: int) -> list[tuple[str, int, str]]:
    """Give each *every*-th place with a type: its name, the type's number, the source of a class with this one endpoint, called ``App``."""
    found = [
        (place, n, text.format(n=n, t=annotation, name="App"))
        for n, annotation in enumerate(TYPES)
        for place, text in PLACES.items()
        if place != "untyped" or n == 0
    ]
    return found[2::every] if every > 1 else found  # from the third, so that each kind of place is among each fifth


def built(every: int) -> list[str]:
    """Build an application for each such place, with whichever ``fal`` is there: ``""``, or what was raised."""
    found = []
    module = sys.modules["kinds_of_fal"] = ModuleType("kinds_of_fal")  # generic models look their module up
    namespace: dict[str, Any] = vars(module)
    exec(HEAD, namespace)
    for _, _, text in places(every):
        try:
            exec(text, namespace)
            namespace["App"](_allow_init=True)._build_app()
            found.append("")
        except Exception as error:
            found.append(f"{type(error).__name__}: {error}")
    return found


def source(can_be_built: Sequence[bool], every: int) -> str:
    """Give the source of one app with every endpoint that can be built."""
    models, methods = [], []
    for (_, _, text), good in zip(places(every), can_be_built, strict=True):
        if good:
            model, _, method = text.rpartition("class App(fal.App):\n")
            models.append(model)
            methods.append(method)
    return "\n".join([HEAD, *models, "class Kinds(fal.App):\n", "\n\n".join(methods), ""])


def requests(can_be_built: Sequence[bool], every: int, step: int) -> list[tuple[str, str, bytes, dict[str, str]]]:
    """Give each *step*-th of the requests: name, path with query, body, headers.

    They begin one later in each further place of a kind, so that *step* places of a kind have all its values.
    """
    found, turns = [], Counter[str]()
    for (place, n, _), good in zip(places(every), can_be_built, strict=True):
        if good:
            turns[place] += 1
            found += [
                (f"{place}({TYPES[n]}) {shown}", path, body, headers)
                for shown, path, body, headers in islice(_requests(place, n), turns[place] % step, None, step)
            ]
    return found


def _requests(place: str, n: int) -> Iterator[tuple[str, str, bytes, dict[str, str]]]:
    path, json = f"/{place}/{n}", {"content-type": "application/json"}
    if place in ("field", "default", "two"):
        yield "{}", path, b"{}", json
        for value in VALUES:
            yield f'{{"v": {value}}}', path, f'{{"v": {value}}}'.encode(), json
    if place in ("body", "lone", "preset"):
        for value in VALUES:
            if place == "body" or not value.startswith("{"):  # an object's members may be plain parameters here
                yield value, path, value.encode(), json
    if place in ("lone", "preset", "query"):
        yield "?", path, b"", {}
        yield "?v=1&v=2", f"{path}?v=1&v=2", b"", {}
        for text in TEXTS:
            yield f"?v={text}", f"{path}?v={text}", b"", {}
    if place in ("header", "cookie"):
        yield "none", path, b"", {}
        for text in TEXTS:
            if text.isascii():
                yield f"v: {text}", path, b"", {"v": text} if place == "header" else {"cookie": f"v={text}"}
    if place == "path":
        for text in TEXTS:
            yield f"/{text}", f"{path}/{text}", b"", {}
    if place in ("returns", "result", "untyped"):
        for k in range(ANSWERS):
            yield f"answer {k}", f"{path}?k={k}", b"", {}
