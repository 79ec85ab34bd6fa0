"""The cells of :mod:`tests.shipping.test_zoo`: for each the cells before the app, the endpoint's parameters, its answer, the bodies to post."""

from __future__ import annotations

import textwrap
from typing import Any

Case = tuple[list[str], str, str, list[Any]]


def case(*cells: str, takes: str = "x: int = 1", gives: str, posts: list[Any] | None = None) -> Case:
    return [textwrap.dedent(cell) for cell in cells], takes, gives, posts or [{"x": 1}]


ZOO: dict[str, Case] = {
    # --- functions that a library made ---------------------------------------------------------------------------------
    "validate_call": case(
        "from pydantic import validate_call\n@validate_call\ndef twice(x: int) -> int: return 2 * x",
        takes="x: str",
        gives="[twice(x), twice.__name__, twice.raw_function('ab')]",
        posts=[{"x": "4"}],
    ),
    "validate_call with options, models and defaults": case(
        """
        from typing import Annotated
        from pydantic import BaseModel, Field, validate_call, ValidationError
        class Size(BaseModel):
            w: int
        @validate_call(config={'arbitrary_types_allowed': True, 'str_to_lower': True}, validate_return=True)
        def area(size: Size, *more: Annotated[int, Field(gt=0)], name: str = 'None', **rest: int) -> int:
            return str(size.w + sum(more)) if name else name
        def attempt(*a, **k):
            try: return area(*a, **k)
            except ValidationError as error: return [e['loc'] for e in error.errors()]
        """,
        gives="[attempt({'w': '3'}, 4, name='ADA'), attempt({'w': 3}, -1), attempt({'w': 1}, name=''), area(Size(w=2), rest='5')]",
    ),
    "validate_call: a method, a static one, an async one": case(
        """
        import asyncio
        from pydantic import validate_call
        class Kit:
            base: int = 3
            @validate_call
            def add(self, n: int) -> int: return self.base + n
            @staticmethod
            @validate_call
            def neg(n: int) -> int: return -n
            @classmethod
            @validate_call
            def made(cls, n: int) -> str: return f'{cls.__name__} {n + 1}'
            @validate_call
            async def later(self, n: int) -> int: return n + self.base
        """,
        gives="[Kit().add('1'), Kit.neg('2'), Kit.made('3'), asyncio.run(Kit().later('4'))]",
    ),
    "validate_call: functions that call each other": case(
        "from pydantic import BaseModel\nclass Seen(BaseModel):\n    n: int",
        """
        from pydantic import validate_call
        @validate_call
        def even(n: int, seen: 'Seen | None' = None) -> bool: return n == 0 or odd(str(n - 1), {'n': n})
        """,
        "@validate_call\ndef odd(n: int, seen: 'Seen') -> bool: return n != 0 and even(str(n - 1))",
        gives="[even('4'), odd(5, Seen(n='1'))]",
    ),
    "singledispatch": case(
        """
        import functools
        @functools.singledispatch
        def kind(x): return 'any'
        @kind.register
        def _(x: int): return 'int'
        """,
        gives="[kind(1), kind('a'), kind(True), kind.dispatch(bool)(0), sorted(k.__name__ for k in kind.registry), kind.__name__]",
    ),
    "singledispatch of classes of the notebook, registered in later cells, with an attribute": case(
        """
        import functools
        class A: pass
        class B(A): pass
        class C: pass
        @functools.singledispatch
        def kind(x): return [kind.level, 'any']
        kind.level = 7
        @kind.register(A)
        def of_a(x): return ['A', kind(None)]
        """,
        "import collections.abc\nkind.register(list, lambda x: [kind(i) for i in x])\n"
        "@kind.register\ndef of_many(x: dict | set): return [type(x).__name__, of_a.__name__]\n"
        "@kind.register(collections.abc.Sequence)\ndef _(x): return 'sequence'",
        gives="[kind(B()), kind([C(), A()]), kind({}), kind((1,))]",
    ),
    "singledispatchmethod, partialmethod, total_ordering, cached_property": case(
        """
        import functools
        @functools.total_ordering
        class Kit:
            def __init__(self, n): self.n = n
            def __eq__(self, other): return self.n == other.n
            def __lt__(self, other): return self.n < other.n
            @functools.singledispatchmethod
            def kind(self, x): return 'any'
            @kind.register
            def _(self, x: int): return self.n + x
            @functools.singledispatchmethod
            @classmethod
            def made(cls, x): return cls(x)
            @made.register
            @classmethod
            def _(cls, x: str): return cls(len(x))
            def add(self, a, b): return self.n + a * b
            add3 = functools.partialmethod(add, 3)
            @functools.cached_property
            def twice(self): return 2 * self.n
            @functools.lru_cache(maxsize=8)
            def thrice(self): return 3 * self.n
            __hash__ = object.__hash__
        """,
        gives="[Kit(1).kind(2), Kit(1).kind('a'), Kit.made('abc').n, Kit.made(4).n, Kit(1).add3(b=2), Kit(1) >= Kit(0), Kit(4).twice, Kit(5).thrice()]",
    ),
    "context managers, wraps, caches with a lock": case(
        """
        import contextlib, functools, threading
        @contextlib.contextmanager
        def tag(name):
            yield f'<{name}>'
        @contextlib.asynccontextmanager
        async def later(name):
            yield name
        class Quiet(contextlib.ContextDecorator):
            def __enter__(self): return self
            def __exit__(self, *_): return True
        @Quiet()
        def fails(): return 1 / 0
        def locked(function):
            lock, again, of_thread = threading.Lock(), threading.RLock(), threading.local()
            @functools.wraps(function)
            def inner(*a):
                with lock, again:
                    of_thread.n = getattr(of_thread, 'n', 0) + 1
                    return [of_thread.n, function(*a)]
            return inner
        @locked
        def double(n): return 2 * n
        async def used():
            async with later('z') as z:
                with tag(z) as t: return [t, fails()]
        """,
        "import asyncio",
        gives="[asyncio.run(used()), double(4), double(5), double.__wrapped__(6)]",
    ),
    "partials, reducers of operators, bound methods": case(
        """
        import functools, operator
        class Add:
            def __init__(self, n): self.n = n
            def go(self, x): return self.n + x
            def __call__(self, x): return x - self.n
        GO, CALL = Add(3).go, functools.partial(Add(4))
        PICK = operator.itemgetter(1, 0)
        DEEP = functools.partial(functools.partial(lambda *a, **k: [a, k], 1), y=2)
        METHOD = 'a-{}'.format
        """,
        gives="[GO(1), CALL(10), PICK('ab'), DEEP(5), METHOD(7)]",
    ),
    # --- types ---------------------------------------------------------------------------------------------------------
    "TypeVarTuple, ParamSpec, Concatenate, Unpack": case(
        """
        from collections.abc import Callable
        from typing import Concatenate, Generic, ParamSpec, TypeVar, TypeVarTuple, Unpack
        import functools
        T, Ts, P = TypeVar('T', bound='int | str'), TypeVarTuple('Ts'), ParamSpec('P')
        class Tensor(Generic[T, *Ts]):
            def __init__(self, first: T, *shape: *Ts): self.all = (first, *shape)
        def kept(*args: Unpack[Ts]) -> tuple[Unpack[Ts]]: return args
        def given(f: Callable[Concatenate[int, P], T]) -> Callable[P, T]:
            @functools.wraps(f)
            def inner(*a: P.args, **k: P.kwargs) -> T: return f(1, *a, **k)
            return inner
        @given
        def add(a: int, b: int, *, c: int = 0) -> int: return a + b + c
        """,
        gives="[Tensor(1, 2, 3).all, kept(1, 'a'), add(5, c=2), str(Tensor[int, str, str]), str(kept.__annotations__)]",
    ),
    "a recursive alias by name": case(
        """
        from typing import Union
        from pydantic import BaseModel
        from typing_extensions import TypeAliasType
        Json = TypeAliasType('Json', 'Union[dict[str, Json], list[Json], str, int, None]')
        Tree = TypeAliasType('Tree', Union[list['Tree'], int])
        class Doc(BaseModel):
            v: Json
            t: Tree = 1
        """,
        takes="doc: Doc",
        gives="{'v': doc.v, 't': doc.t}",
        posts=[{"v": {"a": [1, {"b": None}]}, "t": [1, [2, [3]]]}, {"v": 1.5}, {"v": 1, "t": ["x"]}],
    ),
    "generic aliases of typing_extensions": case(
        """
        from typing import TypeVar
        from pydantic import BaseModel, TypeAdapter
        from typing_extensions import TypeAliasType
        T = TypeVar('T')
        Many = TypeAliasType('Many', list[T] | T, type_params=(T,))
        class Doc(BaseModel):
            ints: Many[int]
            texts: dict[str, Many[str]] = {}
        """,
        takes="doc: Doc",
        gives="[doc, TypeAdapter(Many[float]).validate_python('1.5')]",
        posts=[{"ints": [1, 2], "texts": {"a": ["b"]}}, {"ints": "x"}],
    ),
    "TypeVars with a default": case(
        """
        from typing import Generic
        from pydantic import BaseModel
        from typing_extensions import TypeVar
        T = TypeVar('T', default=int)
        class Box(BaseModel, Generic[T]):
            item: T
        """,
        takes="box: Box[str], plain: Box[int]",
        gives="[box, plain, Box(item=3)]",
        posts=[{"box": {"item": "a"}, "plain": {"item": 2}}, {"box": {"item": 1}, "plain": {"item": "z"}}],
    ),
    "protocols and abstract classes": case(
        """
        import abc
        from typing import ClassVar, Final, Generic, Protocol, TypeVar, runtime_checkable
        T = TypeVar('T', covariant=True)
        @runtime_checkable
        class Named(Protocol):
            name: str
            def go(self) -> int: ...
        class Source(Protocol[T]):
            def get(self) -> T: ...
        class Base(abc.ABC, Generic[T]):
            kinds: ClassVar[dict[str, int]] = {}
            @property
            @abc.abstractmethod
            def name(self) -> str: ...
        class Impl(Base[int]):
            name = 'impl'
            def go(self): return 1
        @Base.register
        class Other: pass
        def attempt(cls):
            try: return cls().name
            except TypeError as error: return type(error).__name__
        """,
        gives="[isinstance(Impl(), Named), isinstance(3, Named), attempt(Base), attempt(Impl), issubclass(Other, Base), attempt(Named), isinstance(Other(), Base)]",
    ),
    "enums of every kind": case(
        """
        import enum
        class Perm(enum.Flag, boundary=enum.KEEP):
            R = enum.auto()
            W = enum.auto()
            RW = R | W
        class Bits(enum.IntFlag):
            A = 1
            B = 2
        class Name(enum.StrEnum):
            ONE = enum.auto()
            UNO = ONE
        class Rank(enum.IntEnum):
            LOW = 1
            @classmethod
            def _missing_(cls, value): return cls.LOW
        class Planet(enum.Enum):
            _ignore_ = ['x']
            EARTH = (5.9, 6.3)
            def __init__(self, mass, radius): self.mass, self.radius = mass, radius
            @property
            def ratio(self): return round(self.mass / self.radius, 3)
            @enum.property
            def label(self): return self.name.title()
        class Own(bytes, enum.Enum):
            def __new__(cls, n, word):
                made = bytes.__new__(cls, [n]); made._value_ = n; made.word = word
                return made
            A = (65, 'ay')
        class Calls(enum.Enum):
            DOUBLE = enum.member(lambda x: 2 * x)
            note = enum.nonmember('n')
            def __call__(self, x): return self.value(x)
        Made = enum.Enum('Made', 'P Q')
        @enum.verify(enum.UNIQUE)
        class Checked(enum.Enum):
            A = 1
        """,
        gives="[str(Perm.R | Perm.W), Perm.RW in [Perm.R | Perm.W], Perm(9).value, [m.name for m in Perm.RW], Bits.A | 8, Name.UNO, Rank(7).name, "
        "Planet.EARTH.ratio, Planet.EARTH.label, Own(65).word, Own.A.decode(), Calls.DOUBLE(4), Calls.note, [m.name for m in Made], Made(2).name, Checked(1).name]",
    ),
    "dataclasses of every kind": case(
        """
        import dataclasses, functools
        from dataclasses import InitVar, KW_ONLY, dataclass, field
        @dataclass(slots=True)
        class Slim:
            a: int
            b: list = field(default_factory=list)
            __hidden: int = 3
            def total(self): return self.a + self.__hidden
        @dataclass(frozen=True, slots=True, weakref_slot=True)
        class Frozen(Slim):
            c: str = 'c'
        @dataclass(order=True, kw_only=True)
        class Ordered:
            n: int
            note: str = field(default='', compare=False, metadata={'unit': 'px'})
        @dataclass
        class Built:
            size: int
            _: KW_ONLY
            scale: InitVar[int] = 2
            area: int = field(init=False)
            kids: 'list[Built]' = field(default_factory=list)
            def __post_init__(self, scale): self.area = self.size * scale
            @functools.cached_property
            def twice(self): return 2 * self.area
        Quick = dataclasses.make_dataclass('Quick', [('x', int), ('y', int, 5)], slots=True)
        """.replace(
            "@dataclass(frozen=True, slots=True, weakref_slot=True)\n        class Frozen(Slim)",
            "@dataclass(frozen=True, slots=True, weakref_slot=True)\n        class Frozen",
        ),
        "import copy, pickle",
        gives="[Slim(1).total(), Slim(2), Frozen('d'), Ordered(n=1) < Ordered(n=2, note='z'), Built(3, scale=4, kids=[Built(1)]).area, Built(1).twice, "
        "dataclasses.fields(Ordered)[1].metadata['unit'], Quick(1), copy.copy(Frozen('e')), dataclasses.replace(Slim(5), a=6), hasattr(Slim(1), '__dict__')]",
    ),
    "slots of every kind": case(
        """
        class Private:
            __slots__ = ('__x', 'y', '__weakref__')
            def __init__(self): self.__x, self.y = 1, 2
            def both(self): return [self.__x, self.y]
        class One:
            __slots__ = 'only'
        class Sub(Private):
            __slots__ = {'z': 'its documentation'}
        class Loose(One):
            pass
        """,
        gives="[Private().both(), Sub().both(), hasattr(Sub(), '__dict__'), hasattr(Loose(), '__dict__'), One.only.__class__.__name__, Sub.z.__class__.__name__]",
    ),
    "named tuples and typed dicts": case(
        """
        import collections
        from typing import Generic, NamedTuple, TypeVar
        from typing_extensions import NotRequired, ReadOnly, TypedDict
        T = TypeVar('T')
        class Pair(NamedTuple, Generic[T]):
            a: T
            b: int = 2
            def total(self): return self.a + self.b
        class Options(TypedDict, total=False):
            size: int
            inner: 'Options'
        class More(Options):
            name: NotRequired[str]
        Made = collections.namedtuple('Made', 'a b', defaults=[9])
        Old = TypedDict('Old', {'in': int})
        """,
        takes="pair: Pair[int], options: More, old: Old",
        gives="[pair.total(), options, old, Made(1)._asdict(), Pair(1)._replace(b=7).total(), sorted(More.__optional_keys__)]",
        posts=[
            {"pair": [1], "options": {"size": 1, "inner": {"size": 2}, "name": "n"}, "old": {"in": 3}},
            {"pair": ["x"], "options": {"inner": {"size": "z"}}, "old": {}},
        ],
    ),
}
