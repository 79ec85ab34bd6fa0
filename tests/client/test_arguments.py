from __future__ import annotations

import asyncio
import dataclasses
import datetime
import decimal
import enum
import ipaddress
import json
import pathlib
import re
import socket
import sys
import uuid
from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np
import pydantic
import pytest
from fastapi import Body, Cookie, Depends, Form, Header, Query, Request, UploadFile
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field, computed_field

from fal_jupyter import fal
from fal_jupyter.client.calls.arguments.arguments import Arguments
from fal_jupyter.domain.errors import BadArguments
from fal_jupyter.fal.toolkit import File, Image
from fal_jupyter.runner.application import endpoints
from tests.shipping.notebook import post


class Colour(enum.Enum):
    RED = "r"


class Level(enum.IntEnum):
    HIGH = 2


class In(BaseModel):
    text: str
    n: int = 1


class Aliased(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: int = Field(alias="theSize")
    depth: int = Field(default=0, validation_alias="in", serialization_alias="out")
    inner: list[In] = []

    @computed_field  # type: ignore[prop-decorator]
    @property
    def double(self) -> int:
        return self.size * 2


class Kept(BaseModel):
    """What a model leaves out, or takes by another name than it writes it, at every depth."""

    secret: str = Field(default="none", exclude=True)
    where: int = Field(default=0, validation_alias=AliasPath("at", 1, "x"))
    why: int = Field(default=0, validation_alias=AliasPath("at", 0))
    chosen: int = Field(default=0, validation_alias=AliasChoices(AliasPath("c", "d"), "choice", "other"))
    token: pydantic.SecretStr | None = Field(default=None, exclude=True)
    unset: Any = Field(default_factory=object, exclude=True)
    kids: list[Kept] = []
    by_name: dict[str, Kept] = {}
    data: bytes = b""
    price: decimal.Decimal = decimal.Decimal(0)

    def as_list(self) -> Any:
        own = [self.secret, self.where, self.why, self.chosen, self.token and self.token.get_secret_value()]
        return [
            *own,
            self.data.decode(),
            str(self.price),
            [kid.as_list() for kid in [*self.kids, *self.by_name.values()]],
        ]


class Written(BaseModel):
    """What serializers write for readers is not what the model takes."""

    when: datetime.date
    price: Annotated[int, pydantic.PlainSerializer(lambda v: f"${v}")] = 1
    doubled: int = 1
    array: Annotated[Any, pydantic.BeforeValidator(np.array), pydantic.PlainSerializer(lambda v: v.tolist())] = None
    token: pydantic.SecretStr = ""  # type: ignore[assignment]  # a default that is none, as people write it

    @pydantic.field_serializer("when")
    def day_first(self, when: datetime.date) -> str:
        return when.strftime("%d.%m.%Y")

    @pydantic.field_serializer("doubled")
    def twice(self, doubled: int) -> int:
        return 2 * doubled

    def as_list(self) -> Any:
        return [
            str(self.when),
            self.price,
            self.doubled,
            None if self.array is None else np.asarray(self.array).tolist(),
        ]


class Whole(BaseModel):
    x: int
    inner: list[Written] = []

    @pydantic.model_serializer
    def as_text(self) -> str:
        return f"<{self.x}>"


class Years(BaseModel):
    first: int = Field(default=2000, alias="from")
    last: int = Field(default=2001, validation_alias=AliasChoices("to", "until"))


class Common(BaseModel):
    save_data: bool = False
    x_tags: list[str] = []


class Names(pydantic.RootModel[list[str]]):
    pass


@dataclasses.dataclass
class Point:
    x: int
    label: str = "p"
    inner: In | None = None


def dependency() -> str:
    return "depended"


def page(limit: int, skip: Annotated[int, Query(alias="from")] = 0, x_mode: Annotated[str, Header()] = "m") -> Any:
    return [limit, skip, x_mode]


def user(name: Annotated[str, Body()], deeper: Annotated[Any, Depends(page)]) -> Any:
    return [name, deeper]


class Table(fal.App):
    """One endpoint a way of taking parameters; each gives what it got."""

    @fal.endpoint("/plain")
    def plain(self, prompt: str, steps: int = 30, tags: Annotated[list[str], Query()] = []) -> Any:  # noqa: B006
        return [prompt, steps, tags]

    @fal.endpoint("/optional")
    def optional(self, n: int | None = 5) -> Any:
        return n

    @fal.endpoint("/keyword")
    def keyword(self, a: int, *, b: str = "b") -> Any:
        return [a, b]

    @fal.endpoint("/bare")
    def bare(self, input_data) -> Any:  # type: ignore[no-untyped-def]
        return input_data

    @fal.endpoint("/nothing")
    def nothing(self) -> Any:
        return "nothing"

    @fal.endpoint("/request")
    def request(self, request: Request, name: str) -> Any:
        return [request.method, name]

    @fal.endpoint("/model")
    def model(self, given: In) -> Any:
        return given

    @fal.endpoint("/beside")
    def beside(self, given: In, q: int = 2, on: bool = False, many: Annotated[list[int], Query()] = []) -> Any:  # noqa: B006
        return [given, q, on, many]

    @fal.endpoint("/perhaps")
    def perhaps(self, given: In | None = None, q: int = 2) -> Any:
        return [given, q]

    @fal.endpoint("/both")
    def both(self, given: In, point: Point, q: str = "q") -> Any:
        return [given, point, q]

    @fal.endpoint("/embedded")
    def embedded(self, given: Annotated[In, Body(embed=True)]) -> Any:
        return given

    @fal.endpoint("/scalar")
    def scalar(self, n: Annotated[int, Body()]) -> Any:
        return n

    @fal.endpoint("/old")
    def old(self, n: int = Body(3), q: list[int] = Query([1])) -> Any:  # noqa: B008
        return [n, q]

    @fal.endpoint("/renamed")
    def renamed(self, q: Annotated[str, Query(alias="theQ")], n: Annotated[int, Query(alias="no")] = 1) -> Any:
        return [q, n]

    @fal.endpoint("/depending")
    def depending(self, n: int, d: str = Depends(dependency), w: Annotated[str, Header()] = "none") -> Any:
        return [n, d, w]

    @fal.endpoint("/headed")
    def headed(
        self,
        n: int = 0,
        x_word: Annotated[str | None, Header()] = None,
        many: Annotated[list[int], Header()] = [],  # noqa: B006
        own: Annotated[str, Header(alias="Under_Score")] = "o",
        session: Annotated[str, Cookie()] = "s",
        other: Annotated[str, Cookie(alias="the-other")] = "t",
    ) -> Any:
        return [n, x_word, many, own, session, other]

    @fal.endpoint("/common")
    def common(self, given: In, common: Annotated[Common, Header()]) -> Any:
        return [given, common]

    @fal.endpoint("/taken")
    def taken(self, authorization: Annotated[str, Header()]) -> Any:
        return authorization

    @fal.endpoint("/paged")
    def paged(self, n: int, page: Annotated[Any, Depends(page)]) -> Any:
        return [n, page]

    @fal.endpoint("/user")
    def user(self, given: In, user: Annotated[Any, Depends(user)]) -> Any:
        return [given, user]

    @fal.endpoint("/kept")
    def kept(self, kept: Kept) -> Any:
        return kept.as_list()

    @fal.endpoint("/written")
    def written(self, written: Written) -> Any:
        return written.as_list()

    @fal.endpoint("/serialized")
    def serialized(self, whole: Whole) -> Any:
        return [whole.x, [one.as_list() for one in whole.inner]]

    @fal.endpoint("/file-of")
    def file_of(self, file: File, more: list[Image] = []) -> Any:  # noqa: B006
        return [file.url, file.file_name, [image.url for image in more]]

    @fal.endpoint("/span")
    def span(self, given: In, span: datetime.timedelta = datetime.timedelta(0)) -> Any:
        return [given, span.total_seconds()]

    @fal.endpoint("/years")
    def years(self, years: Annotated[Years, Query()]) -> Any:
        return [years.first, years.last]

    @fal.endpoint("/made")
    def made(self, many: Annotated[list[int], Field(default_factory=lambda: [7])], n: int = 1) -> Any:
        return [many, n]

    @fal.endpoint("/some")
    def some(self, many: list[int], n: int = 1) -> Any:
        return [many, n]

    @fal.endpoint("/exact")
    def exact(self, price: decimal.Decimal, data: bytes, where: ipaddress.IPv4Address | None = None) -> Any:
        return [str(price), data.decode(), str(where)]

    @fal.endpoint("/aliased")
    def aliased(self, given: Aliased) -> Any:
        return [given.size, given.depth, given.inner]

    @fal.endpoint("/root")
    def root(self, names: Names) -> Any:
        return names

    @fal.endpoint("/point")
    def point(self, point: Point) -> Any:
        return point

    @fal.endpoint("/dict")
    def whole(self, data: dict[str, Any]) -> Any:
        return data

    @fal.endpoint("/list")
    def several(self, items: list[In]) -> Any:
        return items

    @fal.endpoint("/item/{name}/{n:int}")
    def item(self, name: str, n: int, extra: int = 0) -> Any:
        return [name, n, extra]

    @fal.endpoint("/file/{where:path}")
    def file(self, where: str) -> Any:
        return where


APP = endpoints.build(Table(_allow_init=True))


def sent(name: str, /, *args: Any, **kwargs: Any) -> Any:
    marked = Table.__dict__[name]
    return Arguments(name, marked.route_signature.path, marked.__wrapped__).place(args, kwargs)


def call(name: str, /, *args: Any, **kwargs: Any) -> Any:
    """What the endpoint answers to what is sent."""
    found = sent(name, *args, **kwargs)
    status, answer = asyncio.run(post(APP, found.path, found.query, found.body, found.headers))
    assert status == 200, answer
    return answer


def given_to(name: str, /, *args: Any, **kwargs: Any) -> Callable[[], Any]:
    return lambda: call(name, *args, **kwargs)


ADA = {"text": "Ada", "n": 1}
KEPT = Kept.model_validate(
    {"secret": "s", "at": [3, {"x": 4}], "c": {"d": 5}, "token": "hush", "kids": [{"secret": "k", "choice": 6, "data": "b"}],
     "by_name": {"n": {"secret": "i", "at": [1]}}, "data": "d", "price": "1.10"}
)  # fmt: skip
FILE = File(url="data:,a", file_name="a.bin", file_data=b"\xff\x00")  # as File.from_bytes makes it
IMAGE = Image(url="data:,b", file_data=b"\xfe")
ARRIVES: list[tuple[Callable[[], Any], Any]] = [
    # by position, by name, as a dict, as a model
    (given_to("plain", "p"), ["p", 30, []]),
    (given_to("plain", "p", 4, ["a", "b"]), ["p", 4, ["a", "b"]]),
    (given_to("plain", "p", tags=["x"], steps=2), ["p", 2, ["x"]]),
    (given_to("plain", {"prompt": "d", "steps": 7}), ["d", 7, []]),
    (given_to("keyword", 1, b="c"), [1, "c"]),
    (given_to("optional"), 5),
    (given_to("optional", None), None),
    (given_to("optional", 6), 6),
    (given_to("nothing"), "nothing"),
    (given_to("bare", "text"), "text"),
    (given_to("bare", {"a": [1]}), {"a": [1]}),
    (given_to("bare", {"input_data": 3}), 3),
    (given_to("bare", input_data=[1, 2]), [1, 2]),
    (given_to("bare", In(text="m")), {"text": "m", "n": 1}),
    (given_to("request", "Ada"), ["POST", "Ada"]),
    (given_to("request", name="Ada"), ["POST", "Ada"]),
    (given_to("model", In(text="Ada")), ADA),
    (given_to("model", {"text": "Ada"}), ADA),
    (given_to("model", given={"text": "Ada"}), ADA),
    (given_to("model", text="Ada"), ADA),
    (given_to("beside", In(text="Ada"), 3, True, [1, 2]), [ADA, 3, True, [1, 2]]),
    (given_to("beside", {"text": "Ada"}, on=True), [ADA, 2, True, []]),
    (given_to("beside", text="Ada", q=4), [ADA, 4, False, []]),
    (given_to("beside", {"given": {"text": "Ada"}, "q": 5}), [ADA, 5, False, []]),
    (given_to("perhaps"), [None, 2]),
    (given_to("perhaps", q=3), [None, 3]),
    (given_to("perhaps", None, 3), [None, 3]),
    (given_to("perhaps", text="Ada"), [ADA, 2]),
    (given_to("both", In(text="Ada"), Point(1), "r"), [ADA, {"x": 1, "label": "p", "inner": None}, "r"]),
    (given_to("embedded", In(text="Ada")), ADA),
    (given_to("scalar", 4), 4),
    (given_to("old"), [3, [1]]),
    (given_to("old", 4, [5, 6]), [4, [5, 6]]),
    (given_to("renamed", "x", n=2), ["x", 2]),
    (given_to("depending", 3), [3, "depended", "none"]),
    (given_to("headed"), [0, None, [], "o", "s", "t"]),
    (given_to("headed", 4, "a word", [1, 2], session="x", other="y"), [4, "a word", [1, 2], "o", "x", "y"]),
    (given_to("headed", {"n": 1, "x_word": "w"}), [1, "w", [], "o", "s", "t"]),
    (given_to("headed", x_word=None, own="z"), [0, None, [], "z", "s", "t"]),
    (given_to("common", In(text="Ada"), Common(save_data=True, x_tags=["a", "b"])), [ADA, {"save_data": True, "x_tags": ["a", "b"]}]),
    (given_to("common", In(text="Ada"), {"save_data": True}), [ADA, {"save_data": True, "x_tags": []}]),
    (given_to("paged", 1, limit=5), [1, [5, 0, "m"]]),
    (given_to("paged", n=1, limit=5, skip=2, x_mode="z"), [1, [5, 2, "z"]]),
    (given_to("user", In(text="Ada"), name="Bo", limit=3), [ADA, ["Bo", [3, 0, "m"]]]),
    (given_to("kept", KEPT), KEPT.as_list()),
    (given_to("written", Written(when="2026-01-02", price=3, doubled=4, array=[1, 2])), ["2026-01-02", 3, 4, [1, 2]]),
    (given_to("serialized", Whole(x=3, inner=[Written(when="2026-01-02")])), [3, [["2026-01-02", 1, 1, None]]]),
    (given_to("file_of", FILE, [IMAGE]), [FILE.url, "a.bin", [IMAGE.url]]),
    (given_to("span", In(text="Ada"), datetime.timedelta(minutes=-1, milliseconds=5)), [ADA, -59.995]),
    (given_to("years", first=1, last=2), [1, 2]),
    (given_to("years", **{"from": 1, "until": 2}), [1, 2]),
    (given_to("aliased", size=3, depth=4), [3, 4, []]),
    (given_to("kept", secret="s", where=4, why=3, choice=5), Kept.model_validate({"secret": "s", "at": [3, {"x": 4}], "choice": 5}).as_list()),
    (given_to("made"), [[7], 1]),
    (given_to("made", n=2), [[7], 2]),
    (given_to("nothing", {}), "nothing"),
    (given_to("paged", {"n": 1, "limit": 2}), [1, [2, 0, "m"]]),
    (given_to("exact", decimal.Decimal("1.10"), b"caf\xc3\xa9", ipaddress.ip_address("10.0.0.1")), ["1.10", "café", "10.0.0.1"]),
    (given_to("exact", decimal.Decimal("1e-30"), bytearray(b"b")), ["1E-30", "b", "None"]),
    (given_to("aliased", Aliased(theSize=3, **{"in": 4}, inner=[In(text="Ada")])), [3, 4, [ADA]]),
    (given_to("root", Names(["a"])), ["a"]),
    (given_to("root", ["a", "b"]), ["a", "b"]),
    (given_to("point", Point(2, inner=In(text="Ada"))), {"x": 2, "label": "p", "inner": ADA}),
    (given_to("point", x=3), {"x": 3, "label": "p", "inner": None}),
    (given_to("whole", {"data": 1, "more": 2}), {"data": 1, "more": 2}),
    (given_to("several", [In(text="Ada"), {"text": "Bo"}]), [ADA, {"text": "Bo", "n": 1}]),
    (given_to("item", "a b", 3), ["a b", 3, 0]),
    (given_to("item", r"\1\g<0>", n=3, extra=4), [r"\1\g<0>", 3, 4]),
    (given_to("item", Colour.RED, Level.HIGH), ["r", 2, 0]),
    (given_to("file", "a/b.txt"), "a/b.txt"),
    (given_to("file", pathlib.Path("/x/y")), "/x/y"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(ARRIVES)))
def test_what_a_call_is_given_arrives(number: int) -> None:
    make, expected = ARRIVES[number]

    assert make() == expected


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "message"),
    [
        ("plain", (), {}, "missing a required argument: 'prompt'"),
        ("plain", (1, 2, 3, 4), {}, "too many positional arguments"),
        ("plain", ("p",), {"promt": 1}, "unexpected keyword argument 'promt'"),
        ("plain", (), {"promt": 1}, "unexpected keyword argument 'promt'\ndid you mean prompt?\nit takes plain("),
        ("plain", ("p",), {"prompt": 1}, "multiple values for argument 'prompt'"),
        ("keyword", (1, "c"), {}, "too many positional arguments"),
        ("nothing", (1,), {}, "too many positional arguments"),
        ("request", (), {}, "missing a required argument: 'name'"),
        ("model", (), {}, "missing a required argument: 'given'"),
        ("both", (), {"given": {}}, "missing a required argument: 'point'"),
        ("optional", ({"n": 1}, 2), {}, "too many positional arguments"),
        ("plain", (In(text="x"),), {}, "missing a required argument: 'prompt'"),
        ("item", ("a",), {}, "missing a required argument: 'n'"),
        ("depending", (1,), {"d": "x"}, "unexpected keyword argument 'd'"),
        ("some", (), {"n": 2}, "missing a required argument: 'many'"),
    ],
)
def test_invalid_arguments_are_reported_with_a_hint(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadArguments) as caught:
        sent(name, *args, **kwargs)

    assert str(caught.value).startswith(f"{name}(): ")
    assert message in str(caught.value)
    assert caught.value.hint.removeprefix("did you mean prompt?\n").startswith(f"it takes {name}(")
    assert "Request" not in caught.value.hint
    assert "self" not in caught.value.hint


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("item", ("a/b", 1), "argument 'name' is part of the path, so it cannot be 'a/b'"),
        ("item", ("", 1), "argument 'name' is part of the path, so it cannot be ''"),
        ("item", (["a"], 1), "argument 'name' is part of the path"),
        ("item", (None, 1), "argument 'name' is part of the path, so it cannot be None"),
        ("beside", (ADA, None), "argument 'q' is sent in the URL"),
        ("headed", (0, "a\r\nb: c"), "argument 'x_word' goes into a header, which cannot hold"),
        ("headed", (0, "snow ☃"), "argument 'x_word' goes into a header"),
        ("headed", (0, " space"), "argument 'x_word' goes into a header"),
        ("headed", (0, {"a": 1}), "argument 'x_word' goes into a header"),
        ("headed", (0, "w", [1, [2]]), "argument 'many' goes into a header"),
        ("headed", (0, "w", [1], None), "argument 'own' goes into a header"),
        ("headed", (0, "w", [1], "o", "a; b=c"), "argument 'session' goes into a cookie"),
        ("headed", (0, "w", [1], "o", ["a"]), "argument 'session' goes into a cookie"),
        (
            "taken",
            ("Key x",),
            "argument 'authorization' goes into the header 'authorization', which is reserved for the gateway",
        ),
        ("beside", (ADA, {"a": 1}), "argument 'q' is sent in the URL"),
        ("beside", (ADA, 1, False, [[1]]), "argument 'many' is sent in the URL"),
    ],
)
def test_what_an_address_cannot_hold_is_named(name: str, args: tuple[Any, ...], message: str) -> None:
    with pytest.raises(BadArguments, match=re.escape(message)):
        sent(name, *args)


def cyclic() -> list[Any]:
    own: list[Any] = [1]
    own.append({"again": own})
    return own


def deep() -> Any:
    value: Any = 1
    for _ in range(5000):
        value = [value]
    return value


JSON: list[tuple[Any, Any]] = [
    (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
    (np.float32(0.5), 0.5),
    (np.int64(3), 3),
    (np.bool_(True), True),
    (np.str_("s"), "s"),
    (np.array(["a", "b"]), ["a", "b"]),
    (np.array([1.5], dtype=np.longdouble), [1.5]),
    (np.longdouble(2.5), 2.5),
    (np.array([1, None, "x"], dtype=object), [1, None, "x"]),
    (np.array(["2026-01-02T03:04:05"], dtype="datetime64[ns]"), ["2026-01-02T03:04:05.000000000"]),
    (np.datetime64("2026-01-02"), "2026-01-02"),
    (np.timedelta64(1500, "ms"), 1.5),
    (np.zeros((0, 3)), []),
    ({"a": [np.arange(2), (1, 2)], "b": None}, {"a": [[0, 1], [1, 2]], "b": None}),
    (datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC), "2026-01-02T03:04:00+00:00"),
    (datetime.date(2026, 1, 2), "2026-01-02"),
    (datetime.timedelta(seconds=1.5), 1.5),
    (pathlib.PurePosixPath("/a/b"), "/a/b"),
    (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    (Colour.RED, "r"),
    (Level.HIGH, 2),
    ({3}, [3]),
    (frozenset("a"), ["a"]),
    (range, "a type, which is not JSON serializable"),
    ({1: "a", 2.5: "b", True + 2: "c"}, {"1": "a", "2.5": "b", "3": "c"}),
    ({True: 1, Colour.RED: 2, uuid.UUID(int=1): 3}, {"true": 1, "r": 2, "00000000-0000-0000-0000-000000000001": 3}),
    (Point(1, inner=In(text="x")), {"x": 1, "label": "p", "inner": {"text": "x", "n": 1}}),
    ([In(text="é\u2028😀")], [{"text": "é\u2028😀", "n": 1}]),
    (10**300, 10**300),
    (-0.0, -0.0),
    ("", ""),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(JSON)))
def test_a_value_becomes_json(number: int) -> None:
    value, expected = JSON[number]
    if isinstance(expected, str) and "not JSON serializable" in expected:
        with pytest.raises(BadArguments, match=expected):
            sent("bare", value)
        return

    assert json.loads(sent("bare", input_data=value).body) == {"input_data": expected}


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda t: t.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
        (lambda t: t.ones(2, requires_grad=True), [1.0, 1.0]),
        (lambda t: t.tensor(2.5), 2.5),
        (lambda t: t.nn.Parameter(t.zeros(1)), [0.0]),
        (lambda t: t.ones(2, dtype=t.bfloat16), [1.0, 1.0]),
        (lambda t: t.tensor([True, False]), [True, False]),
        (lambda t: {"deep": [t.ones(2, 2).T]}, {"deep": [[[1.0, 1.0], [1.0, 1.0]]]}),
    ],
    ids=range(7),
)
def test_a_tensor_becomes_lists(make: Callable[[Any], Any], expected: Any) -> None:
    torch = pytest.importorskip("torch")

    assert json.loads(sent("bare", input_data=make(torch)).body) == {"input_data": expected}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda t: t.tensor([1.0, float("nan")]), "argument 'input_data'[1] is nan"),
        (lambda t: t.ones(2, dtype=t.complex64), "argument 'input_data'[0] is a complex"),
        (lambda t: t.empty(2, device="meta"), "argument 'input_data' is a torch.Tensor"),
        (lambda t: t.eye(2).to_sparse(), "argument 'input_data' is a torch.Tensor"),
    ],
    ids=range(4),
)
def test_a_tensor_that_json_cannot_hold_is_named(make: Callable[[Any], Any], message: str) -> None:
    torch = pytest.importorskip("torch")

    with pytest.raises(BadArguments, match=re.escape(message)):
        sent("bare", input_data=make(torch))


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: b"\xff", "argument 'input_data' has bytes that are not UTF-8 text, so it is not JSON serializable"),
    (lambda: {"a": [0, b"\xff"]}, "argument 'input_data'['a'][1] has bytes that are not UTF-8 text"),
    (lambda: float("nan"), "argument 'input_data' is nan, which is not JSON serializable"),
    (lambda: [1, float("-inf")], "argument 'input_data'[1] is -inf"),
    (lambda: np.array([[1.0, np.nan]]), "argument 'input_data'[0][1] is nan"),
    (lambda: np.float32("inf"), "argument 'input_data' is inf"),
    (lambda: np.array([1j]), "argument 'input_data'[0] is a complex"),
    (lambda: 1j, "argument 'input_data' is a complex"),
    (lambda: complex(1, 2), "argument 'input_data' is a complex"),
    (lambda: object(), "argument 'input_data' is a object"),
    (lambda: len, "argument 'input_data' is a builtin_function_or_method"),
    (lambda: In, "argument 'input_data' is a pydantic"),
    (lambda: Point, "argument 'input_data' is a type"),
    (lambda: (i for i in range(3)), "argument 'input_data' is a generator"),
    (lambda: socket.socket, "argument 'input_data' is a type"),
    (lambda: Point(1, label=object()), "argument 'input_data'.label is a object"),  # type: ignore[arg-type]
    (lambda: {(1, 2): 3}, "argument 'input_data' has the key (1, 2), but JSON's keys are text"),
    (lambda: {None: 3}, "argument 'input_data' has the key None"),
    (lambda: {"x": {b"k": 1}}, "argument 'input_data'['x'] has the key b'k'"),
    (lambda: {1: "a", "1": "b"}, "argument 'input_data' has keys that are the same text"),
    (cyclic, "argument 'input_data' contains itself"),
    (deep, "argument 'input_data' contains itself, or is nested too deeply"),
    (lambda: "half \ud800", "argument 'input_data' has text with half a character"),
    (lambda: {"\udfff": 1}, "argument 'input_data' has text with half a character"),
    (lambda: 10**5000, "argument 'input_data' cannot be written as JSON"),
    (lambda: np.array([(1, b"\xff")], dtype="i4,S1"), "argument 'input_data'[0][1] has bytes that are not"),
    (lambda: In.model_construct(text=object()), "argument 'input_data' cannot be written as JSON"),
    (lambda: pydantic.create_model("M", f=(float, 1.0))(f=float("nan")), "argument 'input_data'['f'] is nan"),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_json_cannot_hold_is_named_with_its_place(number: int) -> None:
    make, message = REFUSED[number]

    with pytest.raises(BadArguments) as caught:
        sent("bare", input_data=make())

    assert message in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_of_several_arguments_the_bad_one_is_named() -> None:
    with pytest.raises(BadArguments, match="argument 'steps' has text with half"):
        sent("plain", "fine", "\ud800")
    with pytest.raises(BadArguments, match="argument 'q' has text with half"):
        sent("both", ADA, {"x": 1}, "\ud800")


def test_an_endpoint_with_an_annotation_that_cannot_be_found_still_takes_its_others() -> None:
    def hi(self: Any, given: In, other: NotThere = None) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    found = Arguments("hi", "/", hi).place((In(text="Ada"),), {})

    assert json.loads(found.body) == ADA


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(json_values)
def test_plain_json_values_go_as_they_are(value: Any) -> None:
    assert json.loads(sent("bare", input_data=value).body) == {"input_data": value}


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.integers(), st.booleans())
def test_any_text_survives_the_address_beside_a_body(text: str, number: int, flag: bool) -> None:
    assert call("both", {"text": text}, Point(1), text)[2] == text
    assert call("beside", {"text": text}, number, flag)[1:3] == [number, flag]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.integers(0))
def test_a_part_of_the_path_arrives_or_is_refused(text: str, number: int) -> None:
    if text == "" or "/" in text:
        with pytest.raises(BadArguments):
            sent("item", text, number)
    else:
        assert call("item", text, number) == [text, number, 0]


def test_literals_of_a_signature_are_plain_parameters() -> None:
    def hi(self: Any, kind: Literal["a"], colour: Colour, when: datetime.datetime) -> None: ...

    found = Arguments("hi", "/", hi).place(("a", Colour.RED, datetime.datetime(2026, 1, 1)), {})

    assert json.loads(found.body) == {"kind": "a", "colour": "r", "when": "2026-01-01T00:00:00"}


@pytest.mark.parametrize(
    ("name", "kwargs", "message", "hint"),
    [
        ("model", {"text": "x", "word": 1}, "model(): In has no field 'word'", "it takes model(given: "),
        ("years", {"frist": 1}, "years(): Years has no field 'frist'", "did you mean first?"),
    ],
)
def test_a_keyword_that_the_model_would_drop_is_refused_by_name(
    name: str, kwargs: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(BadArguments, match=re.escape(message)) as caught:
        sent(name, **kwargs)

    assert caught.value.hint.startswith(hint)


def test_what_stars_would_collect_is_refused_by_name() -> None:
    def hi(self: Any, a: int = 1, *more: int, **others: int) -> None: ...

    arguments = Arguments("hi", "/", hi)

    assert json.loads(arguments.place((), {"a": 2, "others": 3}).body) == {"a": 2, "others": 3}  # as FastAPI takes it
    with pytest.raises(BadArguments, match=re.escape("hi() is given 'b', 'c' for **others")):
        arguments.place((), {"b": 2, "c": 3})
    with pytest.raises(BadArguments, match=re.escape("hi() is given more than the named arguments (2) for *more")):
        arguments.place((1, 2, 3), {})


def test_a_file_that_is_missing_is_named_as_the_parameter_not_by_its_fields() -> None:
    def tint(self: Any, image: Image, seed: int = 1) -> None: ...

    def describe(self: Any, given: In, seed: int = 1) -> None: ...

    with pytest.raises(BadArguments, match=re.escape("tint(): missing a required argument: 'image'")):
        Arguments("tint", "/", tint).place((), {"seed": 3})
    assert Arguments("tint", "/", tint).place((), {"url": "data:,a", "seed": 3}).body == b'{"url":"data:,a"}'
    assert (
        Arguments("describe", "/", describe).place((), {"seed": 3}).body == b"{}"
    )  # its runner names the model's fields


def test_a_picture_is_refused_with_the_way_to_send_it() -> None:
    picture = pytest.importorskip("PIL.Image").new("RGB", (1, 1))

    with pytest.raises(BadArguments, match=r"PIL\.Image\.Image, which is not JSON serializable") as caught:
        sent("bare", picture)

    assert "fal.toolkit.Image.from_pil" in caught.value.hint


def test_a_form_is_known_without_the_package_that_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def hi(self: Any, size: Annotated[int, Form()], file: UploadFile, more: list[UploadFile] | None = None) -> None: ...

    for name in ("python_multipart", "multipart"):
        monkeypatch.setitem(sys.modules, name, None)  # only the runner's environment may have it
    found = Arguments("hi", "/", hi).place((1, b"abc"), {"more": [b"d"]})
    body = b"".join(found.body)

    assert len(found.body) == len(body)
    assert found.content_type.startswith("multipart/form-data; boundary=")
    assert [part.split(b"\r\n\r\n")[1] for part in body.split(b"\r\n--")[:3]] == [b"1", b"abc", b"d"]


def test_secret_bytes_that_are_no_text_are_refused_by_name() -> None:
    class Login(BaseModel):
        token: pydantic.SecretBytes

    with pytest.raises(BadArguments, match=re.escape("argument 'input_data'['token'] has secret bytes")):
        sent("bare", input_data=Login(token=pydantic.SecretBytes(b"\xff")))


class Named(BaseModel):
    name: str


class Greeter:
    def greet(self, body: Named) -> str:
        return body.name


def test_placing_the_fields_of_a_model_takes_few_steps() -> None:
    """A call from a cell takes some hundred microseconds, so what is known of the endpoint is found once and not at each call."""
    arguments, steps = Arguments("greet", "/", Greeter.greet), 0

    def count(frame: object, event: str, arg: object) -> None:
        nonlocal steps
        steps += event == "call"

    arguments.place((), {"name": "Ada"})
    sys.setprofile(count)
    try:
        parts = arguments.place((), {"name": "Ada"})
    finally:
        sys.setprofile(None)
    assert parts.body == b'{"name":"Ada"}'
    assert steps < 40
