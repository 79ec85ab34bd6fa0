"""As :mod:`tests.shipping.zoo`, with the syntax of newer Pythons; by version."""

from __future__ import annotations

from tests.shipping.zoo import Case, case

NEWER: dict[tuple[int, int], dict[str, Case]] = {
    (3, 12): {
        "type statements": case(
            """
            from pydantic import BaseModel
            type Name = str
            type Json = dict[str, Json] | list[Json] | str | int | None
            type Many[T] = list[T] | T
            type Nest[T: (int, str), *Ts, **P] = list[Nest[T]] | T
            type Held = dict[str, Doc]
            class Doc(BaseModel):
                v: Json
                n: Many[Name] = 'n'
                kids: 'Held' = {}
            """,
            takes="doc: Doc, value: Json = None",
            gives="[doc, value, Json.__name__, Nest.__type_params__[0].__constraints__[1].__name__, str(Many.__type_params__), Many[int].__value__.__args__[1].__name__, Json.__module__]",
            posts=[
                {"doc": {"v": {"a": [1]}, "n": ["x"], "kids": {"k": {"v": 1}}}, "value": [{"b": None}]},
                {"doc": {"v": 1.5, "n": 3}},
            ],
        ),
        "a generic recursive type statement in a model": case(
            """
            from pydantic import BaseModel
            type Tree[T] = T | list[Tree[T]]
            type Even = int | list[Odd]
            type Odd = str | list[Even]
            class Doc(BaseModel):
                a: Tree[int]
                b: Even = 1
            """,
            takes="doc: Doc",
            gives="doc",
            posts=[{"a": [1, [2, [3]]], "b": ["x", [1]]}, {"a": ["x"], "b": [1]}],
        ),
        "generic classes and functions of 3.12": case(
            [
                "\n            from dataclasses import dataclass\n            from pydantic import BaseModel, validate_call\n            class Box[T: int | str](BaseModel):\n                item: T\n                more: list[T] = []\n            ",
                "[A, B = None] if False else object: pass\n            ",
            ][0]
            + """
            @dataclass
            class Held[T, *Ts]:
                item: T
                rest: tuple[*Ts]
                def get[U](self, other: U) -> tuple[T, U]: return self.item, other
            def first[T](items: list[T]) -> T: return items[0]
            @validate_call
            def whole[T: int](n: T) -> list[T]: return [n]
            class Sub(Box[int]): pass
            """,
            takes="box: Box[str], sub: Sub",
            gives="[box, sub, Held(1, (2,)).get('u'), first([3]), whole('4'), str(first.__type_params__), str(Held.__type_params__), Held[int, str].__origin__ is Held]",
            posts=[
                {"box": {"item": "a", "more": ["b"]}, "sub": {"item": 1}},
                {"box": {"item": 1}, "sub": {"item": "x"}},
            ],
        ),
        "named tuples, typed dicts and structs of 3.12": case(
            """
            import msgspec
            from typing import NamedTuple, TypedDict, override
            class Pair[T](NamedTuple):
                a: T
                b: int = 2
            class Options[T](TypedDict, total=False):
                item: T
            class Box[T](msgspec.Struct):
                item: T
            class Base:
                def go(self): return 1
            class Sub(Base):
                @override
                def go(self): return super().go() + 1
            """,
            takes="pair: Pair[int], options: Options[int]",
            gives="[pair, options, msgspec.json.decode(b'{\"item\":3}', type=Box[int]).item, Sub().go(), Sub.go.__override__]",
            posts=[{"pair": [1], "options": {"item": "4"}}, {"pair": ["x"], "options": {"item": "z"}}],
        ),
    },
    (3, 13): {
        "defaults of type parameters, ReadOnly, deprecated": case(
            """
            import warnings
            from typing import ReadOnly, TypedDict
            from pydantic import BaseModel
            class Box[T = int](BaseModel):
                item: T
            type Many[T = str] = list[T]
            class Options(TypedDict):
                n: ReadOnly[int]
            @warnings.deprecated('use another')
            def old(): return 1
            def tried():
                with warnings.catch_warnings(record=True) as seen:
                    warnings.simplefilter('always')
                    return [old(), str(seen[0].message)]
            class Doc(BaseModel):
                names: Many = []
                many: Many[int] = []
            """,
            takes="box: Box[str], doc: Doc",
            gives="[box, sorted(Options.__readonly_keys__), doc, tried(), str(Box.__type_params__[0].__default__), str(Many.__type_params__[0].__default__)]",
            posts=[
                {"box": {"item": "a"}, "doc": {"names": ["a"], "many": [1]}},
                {"box": {"item": 1}, "doc": {"many": ["x"]}},
            ],
        ),
    },
}
