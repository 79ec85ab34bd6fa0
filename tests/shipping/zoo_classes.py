"""As :mod:`tests.shipping.zoo`: classes that a metaclass or a decorator makes, things with state, and what public issues report."""

from __future__ import annotations

from tests.shipping.zoo import Case, case

CLASSES: dict[str, Case] = {
    # --- classes that a metaclass or a decorator makes -----------------------------------------------------------------------
    "__init_subclass__ and __set_name__ of the notebook": case(
        """
        class Plugin:
            registry = []
            def __init_subclass__(cls, /, name, **rest):
                super().__init_subclass__(**rest)
                cls.label = name
                Plugin.registry.append(name)
        class Typed:
            def __set_name__(self, owner, name): self.key = '_' + name
            def __get__(self, instance, owner=None): return self if instance is None else getattr(instance, self.key, 'unset')
            def __set__(self, instance, value): setattr(instance, self.key, value)
        class Csv(Plugin, name='csv'):
            size = Typed()
        class Tsv(Csv, name='tsv'): pass
        """,
        gives="[Tsv.label, Csv.label, Plugin.registry, Tsv().size, Tsv.__mro__[1].__name__, Csv.size.key]",
    ),
    "a metaclass of the notebook": case(
        """
        import abc
        class Meta(type):
            made = []
            @classmethod
            def __prepare__(mcs, name, bases, **kw): return {'prepared': True}
            def __new__(mcs, name, bases, namespace, *, tag):
                cls = super().__new__(mcs, name, bases, dict(namespace))
                cls.tag = tag + namespace['suffix']
                mcs.made.append(name)
                return cls
            def __init__(cls, name, bases, namespace, *, tag): super().__init__(name, bases, namespace)
            def __call__(cls, *a): return [cls.tag, super().__call__(*a)]
            def __iter__(cls): return iter(cls.made)
            @property
            def upper(cls): return cls.tag.upper()
        class Thing(metaclass=Meta, tag='t'):
            suffix = '!'
            def __init__(self, n): self.n = n
        class AbstractMeta(abc.ABCMeta):
            def __new__(mcs, name, bases, namespace, tag=None):
                if bases and not tag: raise TypeError('a tag is needed')
                return super().__new__(mcs, name, bases, namespace)
        class Root(metaclass=AbstractMeta):
            @abc.abstractmethod
            def go(self): ...
        class Leaf(Root, tag='x'):
            def go(self): return 'leaf'
        class Singleton(type):
            _instances = {}
            def __call__(cls, *a):
                if cls not in cls._instances: cls._instances[cls] = super().__call__(*a)
                return cls._instances[cls]
        class Config(metaclass=Singleton): n = 1
        Config().n = 5
        """,
        gives="[Thing(3)[0], Thing(3)[1].n, list(Thing), Thing.upper, Leaf().go(), Config().n, Config() is Config()]",
    ),
    "msgspec structs": case(
        """
        import msgspec
        from typing import Annotated, Generic, TypeVar
        T = TypeVar('T')
        class Point(msgspec.Struct, frozen=True, order=True):
            x: int
            y: int = 2
            tags: list[str] = msgspec.field(default_factory=list, name='theTags')
            def total(self): return self.x + self.y
            def __post_init__(self):
                if self.x < 0: raise ValueError('x')
        class Node(msgspec.Struct, tag='node', kw_only=True, omit_defaults=True):
            name: str
            next: 'Node | None' = None
            at: 'Later | None' = None
        class Box(msgspec.Struct, Generic[T]):
            item: T
        class Wide(Point, rename='camel', forbid_unknown_fields=True):
            far_away: Annotated[int, msgspec.Meta(gt=0)] = 1
        class Tuple(msgspec.Struct, array_like=True, dict=True):
            a: int
            b: bytes = b''
        """,
        "class Later(msgspec.Struct):\n    n: int\n"
        "def tried(data, kind):\n    try: return msgspec.to_builtins(msgspec.json.decode(data, type=kind))\n    except msgspec.ValidationError as error: return str(error)",
        gives='[Point(1).total(), tried(b\'{"x":1,"theTags":["a"]}\', Point), tried(b\'{"x":-1}\', Point), Point(1) < Point(2), hash(Point(1, 2, ())) == hash(Point(1, 2, ())), '
        'tried(b\'{"type":"node","name":"n","next":{"type":"node","name":"m","at":{"n":3}}}\', Node), tried(b\'{"name":"n","next":1}\', Node), tried(b\'{"item":"x"}\', Box[int]), tried(b\'{"item":3}\', Box[int]), '
        'tried(b\'{"x":1,"farAway":2}\', Wide), tried(b\'{"x":1,"far":2}\', Wide), tried(b\'{"x":1,"farAway":0}\', Wide), tried(b\'[1, "YQ=="]\', Tuple), repr(Wide(3)), vars(Tuple(1))]',
    ),
    "attrs classes": case(
        """
        import attr, attrs
        @attrs.define
        class Point:
            x: int = attrs.field(validator=attrs.validators.instance_of(int))
            y: int = attrs.field(default=2, converter=int)
            many: list = attrs.Factory(list)
            __private: int = 5
            @y.validator
            def check(self, attribute, value):
                if value < 0: raise ValueError(attribute.name)
            def up(self): return self.__private
        @attrs.frozen(kw_only=True)
        class Frozen:
            n: int
            kid: 'Frozen | None' = None
            twice: int = attrs.field(init=False)
            @twice.default
            def _(self): return 2 * self.n
        @attr.s(auto_attribs=True, cache_hash=True, frozen=True)
        class Old:
            a: int = attr.ib(default=1)
        def tried(make):
            try: return repr(make())
            except (TypeError, ValueError, attrs.exceptions.FrozenInstanceError) as error: return type(error).__name__
        """,
        gives="[tried(lambda: Point(1, '3')), tried(lambda: Point('a')), tried(lambda: Point(1, -1)), attrs.asdict(Frozen(n=2, kid=Frozen(n=1))), Point(1).up(), hash(Old(3)) == hash(Old(3)), "
        "attrs.evolve(Point(1), x=4).x, tried(lambda: setattr(Frozen(n=1), 'n', 2)), [f.name for f in attrs.fields(Frozen)]]",
    ),
    "traitlets and ctypes": case(
        """
        import ctypes, traitlets
        class Options(traitlets.HasTraits):
            n = traitlets.Int(3)
            name = traitlets.Unicode()
            @traitlets.validate('n')
            def _check(self, proposal): return max(0, proposal['value'])
            @traitlets.observe('n')
            def _seen(self, change): self.name = f"{change['old']} to {change['new']}"
            @traitlets.default('name')
            def _name(self): return 'none'
        class Point(ctypes.Structure):
            _fields_ = [('x', ctypes.c_int), ('y', ctypes.c_double)]
        class Word(ctypes.Union):
            _fields_ = [('i', ctypes.c_uint32), ('b', ctypes.c_uint8 * 4)]
        class Both(ctypes.BigEndianStructure):
            _pack_ = 1
            _fields_ = [('p', ctypes.c_uint16), ('q', ctypes.c_uint8)]
        Compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)
        class Link(ctypes.Structure): pass
        Link._fields_ = [('next', ctypes.POINTER(Link)), ('compare', Compare)]
        def traited():
            options = Options()
            options.n = -5
            return [options.n, options.name, sorted(options.trait_names()), Options(n=7).n]
        """,
        gives="[traited(), Point(1, 2.5).y, ctypes.sizeof(Point), Word(i=258).b[1], bytes(Both(1, 2)).hex(), Link(compare=Compare(lambda n: n + 1)).compare(3)]",
    ),
    "pydantic: settings, discriminators, dataclasses, generics, functional models": case(
        """
        from typing import Annotated, Generic, Literal, TypeVar, Union
        from pydantic import BaseModel, ConfigDict, Discriminator, Field, PlainSerializer, Tag, TypeAdapter, WithJsonSchema, create_model, RootModel
        from pydantic.dataclasses import dataclass
        from pydantic.functional_validators import BeforeValidator, WrapValidator
        class Cat(BaseModel):
            kind: Literal['cat']
            lives: int = 9
        class Dog(BaseModel):
            kind: Literal['dog']
            friend: 'Pet | None' = None
        Pet = Annotated[Union[Cat, Dog], Field(discriminator='kind')]
        Any_ = Annotated[Union[Annotated[Cat, Tag('cat')], Annotated[Dog, Tag('dog')]], Discriminator(lambda v: v.get('kind') if isinstance(v, dict) else v.kind)]
        def around(value, handler): return handler(value) + 1
        class Meta(type(BaseModel)):
            def __new__(mcs, name, bases, namespace, **kw):
                namespace['stamp'] = 'made'
                namespace.setdefault('__annotations__', {})['stamp'] = str
                return super().__new__(mcs, name, bases, namespace, **kw)
        class Stamped(BaseModel, metaclass=Meta):
            n: Annotated[int, WrapValidator(around)] = 1
        class Base(BaseModel):
            seen = []
            def __init_subclass__(cls, *, word='none', **kw):
                super().__init_subclass__(**kw)
                cls.__word__ = word
            @classmethod
            def __pydantic_init_subclass__(cls, **kw): cls.__after__ = len(cls.model_fields)
        Base.__annotations__.pop('seen', None)
        class Sub(Base, word='w', frozen=True):
            a: int
        """.replace("            seen = []\n", "").replace("        Base.__annotations__.pop('seen', None)\n", ""),
        takes="pet: Pet, other: Any_, stamped: Stamped, sub: Sub",
        gives="[pet, other, stamped, sub, Sub.__word__, Sub.__after__, Sub.model_config]",
        posts=[
            {
                "pet": {"kind": "dog", "friend": {"kind": "cat"}},
                "other": {"kind": "cat"},
                "stamped": {"n": "4"},
                "sub": {"a": 1},
            },
            {"pet": {"kind": "cow"}, "other": {"kind": "cow"}, "stamped": {"n": "z"}, "sub": {}},
        ],
    ),
    # --- things with state ---------------------------------------------------------------------------------------------------
    "context variables": case(
        "import contextvars\nUSER = contextvars.ContextVar('user', default={'n': 1})\nBARE = contextvars.ContextVar('bare')\n"
        "def read(var, *d):\n    try: return var.get(*d)\n    except LookupError: return 'unset'",
        gives="[read(USER), read(BARE), read(BARE, 4), BARE.name, [BARE.set(3), BARE.get()][1]]",
    ),
    "an object that holds locks": case(
        """
        import collections, threading
        class Cache:
            def __init__(self):
                self._lock, self._again = threading.Lock(), threading.RLock()
                self._changed, self._gate, self._ready = threading.Condition(), threading.Semaphore(2), threading.Event()
                self._data = collections.OrderedDict(a=1)
                self._ready.set()
            def put(self, key, value):
                with self._lock, self._again, self._changed, self._gate:
                    self._data[key] = value
                    self._changed.notify_all()
                    return [dict(self._data), self._ready.is_set()]
        CACHE = Cache()
        """,
        gives="CACHE.put('b', x)",
    ),
    "weak sets and dictionaries that are empty": case(
        "import weakref\nclass Thing: pass\nALIVE = weakref.WeakValueDictionary()\nKEYS, SET = weakref.WeakKeyDictionary(), weakref.WeakSet()\n"
        "def keep():\n    thing = Thing()\n    ALIVE['a'] = thing; KEYS[thing] = 1; SET.add(thing)\n    return [len(ALIVE), len(KEYS), len(SET)]",
        gives="[keep(), len(ALIVE)]",
    ),
    "classes inside classes and functions": case(
        """
        class Outer:
            class Inner:
                class Deep: n = 3
                def up(self): return [type(self).__qualname__, self.Deep.n]
            made = Inner()
        def factory(n):
            class Local(Outer.Inner):
                def up(self): return super().up() + [n, __class__.__name__]
            return Local
        Made, Other = factory(1), factory(2)
        """,
        gives="[Outer.made.up(), Made().up(), Other().up(), Made is Other]",
    ),
    "descriptors, __getattr__ of classes, class properties": case(
        """
        class Lazy:
            def __init__(self, make): self.make = make
            def __set_name__(self, owner, name): self.name = name
            def __get__(self, instance, owner):
                if instance is None: return self
                value = instance.__dict__[self.name] = self.make(instance)
                return value
        class Proxy:
            def __init__(self, target): self.__dict__['target'] = target
            def __getattr__(self, name):
                if name.startswith('__'): raise AttributeError(name)
                return getattr(self.target, name)
            def __setattr__(self, name, value): raise TypeError('read only')
        class Kit:
            @Lazy
            def heavy(self): return 'made'
            n = property(lambda self: 4, doc='n')
            def __class_getitem__(cls, item): return f'{cls.__name__}[{item}]'
        PROXY = Proxy(Kit())
        """,
        gives="[PROXY.heavy, PROXY.n, Kit['x'], Kit.n.__doc__, Kit.heavy.name]",
    ),
    "proxies that show the class and the attributes of another object": case(
        """
        class Held(dict):
            n = 4
        class Shown:
            __slots__ = ('_make',)
            def __init__(self, make): object.__setattr__(self, '_make', make)
            @property
            def __class__(self):
                'that of the object'
                return self._make().__class__
            __dict__ = property(lambda self: Shown.seen(self))
            def seen(self): return {'n': type(self).__name__}
        class Named:
            __class__ = int
        class Loud(Exception):
            @property
            def __class__(self): raise KeyError('no class')
        """,
        gives="[isinstance(Shown(Held), dict), type(Shown(Held)).__name__, vars(Shown(Held)), vars(Shown)['__class__'].__doc__, isinstance(Named(), int), "
        "Shown.__class__.__name__, issubclass(type(Loud()), Exception)]",
    ),
    # --- what public issues of cloudpickle, ray and dask report ---
    "a registry of subclasses that chooses in __new__ (ray 42823, cloudpickle 527)": case(
        """
        class Task:
            kinds: dict = {}
            def __init__(self, number): self.number = number
            def __init_subclass__(cls, /, numbers, **rest):
                super().__init_subclass__(**rest)
                Task.kinds.update(dict.fromkeys(numbers, cls))
            def __new__(cls, number): return super().__new__(cls.kinds.get(number, cls))
        class Odd(Task, numbers=(1, 3)):
            def go(self): return ['odd', self.number]
        class Even(Task, numbers=(2,)):
            def go(self): return ['even', self.number]
        READY = Task(3)
        """,
        gives="[READY.go(), Task(2).go(), isinstance(READY, Odd), sorted(Task.kinds), Task(1).__class__ is Odd]",
    ),
    "generic classes whose children do not say the type (cloudpickle 440)": case(
        """
        from typing import Generic, TypeVar
        T = TypeVar('T')
        class Base(Generic[T]):
            def who(self): return [cls.__name__ for cls in type(self).__mro__]
        class Middle(Base): pass
        class Leaf(Middle): pass
        class Whole(Base[int]): pass
        class Again(Base[T], Generic[T]): pass
        """,
        gives="[Leaf().who(), Whole().who(), Again[str]().who(), Leaf.__module__, str(Whole.__orig_bases__)]",
    ),
    "classes made by a call of type, instances of classes made in a loop (cloudpickle 302)": case(
        """
        import abc
        Made = type('Made', (), {'n': 1, 'go': lambda self: self.n})
        Items = [type(f'Item{i}', (Made,), {'n': i}) for i in range(3)]
        Root = abc.ABCMeta('Root', (), {})
        Child = type(Root)('Child', (Root,), {'x': 2})
        isinstance({}.values(), Child)
        ITEM = Child()
        """,
        gives="[Made().go(), [item().go() for item in Items], isinstance(ITEM, Root), isinstance({}.values(), Child), ITEM.x]",
    ),
    "a decorator with a lock and a cache of its own (dask and modal users' retry and memo helpers)": case(
        """
        import functools, threading, time, weakref
        class Memo:
            def __init__(self, function):
                functools.update_wrapper(self, function)
                self.function, self.lock, self.cache = function, threading.RLock(), {}
            def __call__(self, *args):
                with self.lock:
                    if args not in self.cache: self.cache[args] = self.function(*args)
                    return self.cache[args]
            def __get__(self, instance, owner): return self if instance is None else functools.partial(self, instance)
        def retry(times, wait=0.0, only=(ValueError,)):
            def around(function):
                state = threading.local()
                @functools.wraps(function)
                def inner(*args):
                    for left in reversed(range(times)):
                        state.tries = getattr(state, 'tries', 0) + 1
                        try: return function(*args), state.tries
                        except only:
                            if not left: raise
                return inner
            return around
        failures = []
        @retry(3)
        def flaky(n):
            failures.append(n)
            if len(failures) < 3: raise ValueError(n)
            return n
        @Memo
        def square(n): return n * n
        class Kit:
            @Memo
            def go(self): return 'made'
        """,
        gives="[flaky(5), square(4), square(4), len(square.cache), Kit().go(), square.__name__]",
    ),
}
