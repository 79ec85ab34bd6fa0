"""Values of calls, in a real kernel: what a call is given arrives, and an answer is never lost on its way back."""

from __future__ import annotations

import pytest

from tests.support.kernel import Kernel

APP = """%%fal_app
import functools
from decimal import Decimal
from typing import Annotated, Generic, TypeVar
from fastapi import Cookie, Header, Query
from pydantic import AliasChoices, BaseModel, Field, SecretBytes, SecretStr, validate_call
from typing_extensions import TypeAliasType

T = TypeVar("T")

@validate_call
def double(x: int) -> int:
    return 2 * x

@functools.singledispatch
def kind(x) -> str:
    return "any"

@kind.register
def _(x: int) -> str:
    return "int"

class Settings(BaseModel):
    steps: int = 1
    on: bool = False
    tags: list[str] = []

class Login(BaseModel):
    token: SecretStr
    more: list[SecretStr] = []
    by_name: dict[str, SecretBytes] = {}
    shown: str = "**********"

class Out(BaseModel):
    x: int = Field(serialization_alias="X")

class Hidden(BaseModel):
    a: int
    secret: str = Field(exclude=True)

class Chosen(BaseModel):
    x: int = Field(validation_alias=AliasChoices("y", "z"))

Given = TypeAliasType("Given", Settings)
Names = TypeAliasType("Names", list[str])
Many = TypeAliasType("Many", list[T], type_params=(T,))
Twice = TypeAliasType("Twice", Given)
Noted = TypeAliasType("Noted", Annotated[Settings, Query()])

class Values(fal.App):
    @fal.endpoint("/given")
    def given(self, given: Given) -> int:
        return given.steps

    @fal.endpoint("/twice")
    def twice(self, given: Twice | None = None) -> int:
        return given.steps

    @fal.endpoint("/names")
    def names(self, names: Names) -> int:
        return len(names)

    @fal.endpoint("/many")
    def many(self, many: Many[int]) -> int:
        return sum(many)

    @fal.endpoint("/asked")
    def asked(self, asked: Annotated[Settings, Query()]) -> dict:
        return asked.model_dump()

    @fal.endpoint("/noted")
    def noted(self, asked: Noted) -> int:
        return asked.steps

    @fal.endpoint("/login")
    def login(self, login: Login) -> list:
        return [login.token.get_secret_value(), [s.get_secret_value() for s in login.more],
                {n: s.get_secret_value().decode() for n, s in login.by_name.items()}, login.shown]

    @fal.endpoint("/secret")
    def secret(self, token: SecretStr) -> str:
        return token.get_secret_value()

    @fal.endpoint("/headed")
    def headed(self, price: Decimal, x_word: Annotated[str, Header()] = "none", session: Annotated[str, Cookie()] = "none") -> list:
        return [str(price), x_word, session]

    @fal.endpoint("/kept")
    def kept(self, hidden: Hidden) -> str:
        return hidden.secret

    @fal.endpoint("/words")
    def words(self, x_word: Annotated[str, Header()]):
        yield from x_word

    @fal.endpoint("/checked")
    def checked(self, text: str) -> list:
        return [double(text), kind(1), kind(text)]

    @fal.endpoint("/out")
    def out(self) -> Out:
        return Out(x=1)

    @fal.endpoint("/hidden")
    def hidden(self) -> list[Hidden]:
        return [Hidden(a=1, secret="s")]

    @fal.endpoint("/chosen")
    def chosen(self) -> Chosen:
        return Chosen(y=3)
"""


@pytest.fixture(scope="module")
def values(notebook: Kernel) -> Kernel:
    notebook.run(APP).ok()
    return notebook


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("given(given=Settings(steps=6))", "6"),
        ("given({'steps': 7})", "7"),
        ("given(steps=8)", "8"),
        ("twice(Settings(steps=6))", "6"),
        ("names(names=['a'])", "1"),
        ("many([1, 2])", "3"),
        ("asked(Settings(steps=6, on=True, tags=['a', 'b']))", "{'steps': 6, 'on': True, 'tags': ['a', 'b']}"),
        ("asked(asked={'steps': 5})", "{'steps': 5, 'on': False, 'tags': []}"),
        ("asked(steps=4)", "{'steps': 4, 'on': False, 'tags': []}"),
        ("noted(Settings(steps=6))", "6"),
        ("login(Login(token='hush', more=['a'], by_name={'k': b'v'}))", "['hush', ['a'], {'k': 'v'}, '**********']"),
        ("secret(SecretStr('hush'))", "'hush'"),
        ("headed(Decimal('1.10'), 'a word', session='s1')", "['1.10', 'a word', 's1']"),
        ("submit.headed(Decimal('2'), 'queued').get()", "['2', 'queued', 'none']"),
        ("kept(Hidden(a=1, secret='s'))", "'s'"),
        ("words(x_word='ab')", "['a', 'b']"),
        ("checked('4')", "[8, 'int', 'any']"),
    ],
)
def test_what_a_call_is_given_arrives(values: Kernel, call: str, expected: str) -> None:
    assert values.run(f"Values.{call}").ok().result == expected


@pytest.mark.parametrize(
    ("call", "expected"), [("out()", "{'X': 1}"), ("hidden()", "[{'a': 1}]"), ("chosen()", "{'x': 3}")]
)
def test_an_answer_that_does_not_match_its_annotation_is_a_plain_value_with_one_notice(
    values: Kernel, call: str, expected: str
) -> None:
    first, second = values.run(f"Values.{call}").ok(), values.run(f"Values.{call}").ok()

    assert (first.result, second.result) == (expected, expected)
    assert f"{call[:-2]}'s answer does not fit its annotation" in first.text
    assert second.text == ""


def test_what_is_written_to_an_endpoint_read_from_its_class_acts_in_the_runner(values: Kernel) -> None:
    values.run("""
from fal_jupyter import fal
import fal_jupyter, inspect

class Written(fal.App):
    @fal.endpoint("/")
    def run(self, x: int):
        return [type(x).__name__, type(self).__dict__["run"].cost]

Written.run.__annotations__ = {"x": str}
Written.run.cost = 3
CALL = Written.run  # a value that travels

class Other(fal.App):
    @fal.endpoint("/")
    def other(self) -> str:
        return repr(CALL)

fal_jupyter.serve(Written), fal_jupyter.serve(Other)
""").ok()
    assert values.run("Written.run('5'), inspect.isfunction(Written.run)").ok().result == "(['str', 3], True)"
    assert "<endpoint Written.run(x: str), path '/'" in str(values.run("Other.other()").ok().result)
