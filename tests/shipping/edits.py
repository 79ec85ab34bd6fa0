"""Edits that change what an app does: each a cell in which NUMBER is 1 before the edit and 2 after it. K is what the app uses."""

EDITS = {
    "attrs.define": """
import attrs
@attrs.define
class K:
    x: int = NUMBER
""",
    "attrs field": """
import attrs
@attrs.define
class K:
    x: int = attrs.field(default=NUMBER)
""",
    "attrs validator": """
import attrs
@attrs.define
class K:
    x: int = attrs.field(default=1, validator=attrs.validators.ge(-NUMBER))
""",
    "attrs factory": """
import attrs
@attrs.define
class K:
    x: int = attrs.Factory(lambda: NUMBER)
""",
    "attr.s": """
import attr
@attr.s
class K:
    x = attr.ib(default=NUMBER)
""",
    "attrs frozen": """
import attrs
@attrs.define(frozen=bool(NUMBER-1))
class K:
    x: int = 1
""",
    "attrs eq": """
import attrs
@attrs.define(eq=bool(NUMBER-1))
class K:
    x: int = 1
""",
    "struct": """
import msgspec
class K(msgspec.Struct):
    x: int = NUMBER
""",
    "struct factory": """
import msgspec
class K(msgspec.Struct):
    x: int = msgspec.field(default_factory=lambda: NUMBER)
""",
    "struct name": """
import msgspec
class K(msgspec.Struct):
    x: int = msgspec.field(default=1, name='nNUMBER')
""",
    "struct option": """
import msgspec
class K(msgspec.Struct, frozen=bool(NUMBER-1)):
    x: int = 1
""",
    "struct tag": """
import msgspec
class K(msgspec.Struct, tag='tNUMBER'):
    x: int = 1
""",
    "namedtuple": """
from typing import NamedTuple
class K(NamedTuple):
    x: int = NUMBER
""",
    "collections": """
import collections
K=collections.namedtuple('K','x',defaults=[NUMBER])
""",
    "dataclass": """
import dataclasses
@dataclasses.dataclass
class K:
    x: int = NUMBER
""",
    "dataclass frozen": """
import dataclasses
@dataclasses.dataclass(frozen=bool(NUMBER-1))
class K:
    x: int = 1
""",
    "dataclass order": """
import dataclasses
@dataclasses.dataclass(order=bool(NUMBER-1))
class K:
    x: int = 1
""",
    "dataclass factory": """
import dataclasses
@dataclasses.dataclass
class K:
    x: list = dataclasses.field(default_factory=lambda: [NUMBER])
""",
    "make_dataclass": """
import dataclasses
K=dataclasses.make_dataclass('K',[('x',int,dataclasses.field(default=NUMBER))])
""",
    "plain": """
class K:
    x = NUMBER
""",
    "slots": """
class K:
    __slots__ = ('x', 'yNUMBER')
""",
    "keyword of a base class": """
class B:
    def __init_subclass__(cls, k=0): cls.k = k
class K(B, k=NUMBER): pass
""",
    "keyword of a metaclass": """
class M(type):
    def __new__(m,n,b,d,k=0):
        c=super().__new__(m,n,b,d); c.__k=k; return c
    def __init__(c,n,b,d,k=0): pass
    @property
    def kk(c): return c.__k
class K(metaclass=M, k=NUMBER): pass
""",
    "metaclass code": """
class M(type):
    def go(c): return NUMBER
class K(metaclass=M): pass
""",
    "enum": """
import enum
class K(enum.Enum):
    A=NUMBER
""",
    "enum auto": """
import enum
class K(enum.IntFlag):
    A=1
    B=2*NUMBER
""",
    "typeddict": """
from typing import TypedDict
class K(TypedDict, total=bool(NUMBER-1)):
    a: int
""",
    "pydantic": """
from pydantic import BaseModel
class K(BaseModel):
    x: int = NUMBER
""",
    "pydantic config": """
from pydantic import BaseModel
class K(BaseModel, frozen=bool(NUMBER-1)):
    x: int = 1
""",
    "pydantic config2": """
from pydantic import BaseModel, ConfigDict
class K(BaseModel):
    model_config = ConfigDict(str_max_length=NUMBER)
    x: str = 'a'
""",
    "pydantic alias": """
from pydantic import BaseModel, Field
class K(BaseModel):
    x: int = Field(1, alias='xNUMBER')
""",
    "pydantic dataclass": """
from pydantic.dataclasses import dataclass
@dataclass
class K:
    x: int = NUMBER
""",
    "create_model": """
from pydantic import create_model
K=create_model('K', x=(int,NUMBER))
""",
    "rootmodel": """
from pydantic import RootModel, Field
from typing import Annotated
class K(RootModel[Annotated[int, Field(gt=NUMBER)]]): pass
""",
    "generic arg": """
from pydantic import BaseModel, Field
from typing import Annotated, Generic, TypeVar
T=TypeVar('T')
class G(BaseModel, Generic[T]):
    x: T
K=G[Annotated[int, Field(gt=NUMBER)]]
""",
    "generic code": """
from pydantic import BaseModel, Field
from typing import Annotated, Generic, TypeVar
T=TypeVar('T')
class G(BaseModel, Generic[T]):
    x: T
    y: int = NUMBER
K=G[int]
""",
    "ctypes": """
import ctypes
class K(ctypes.Structure):
    _fields_=[('a', ctypes.c_int), ('b', ctypes.c_char * NUMBER)]
""",
    "type()": "K=type('K',(),{'x':NUMBER})",
    "newtype": """
from typing import NewType, Annotated
K=NewType('K', {1:int,2:str}[NUMBER])
""",
    "alias": """
from typing import Annotated, Union
K=list[{1:int,2:str}[NUMBER]]
""",
    "regex": """
import re
K=re.compile('a'*NUMBER)
""",
    "itemgetter": """
import operator
K=operator.itemgetter(NUMBER)
""",
    "descriptor": """
class D:
    def __init__(s,n): s.n=n
    def __get__(s,o,t=None): return s.n
class K:
    d=D(NUMBER)
""",
    "property": """
class K:
    p=property(lambda s: NUMBER)
""",
    "partialmethod": """
import functools
class K:
    def f(s,x): return x
    g=functools.partialmethod(f,NUMBER)
""",
    "wraps": """
import functools
def deco(n):
    def w(f):
        @functools.wraps(f)
        def inner(*a): return f(*a)*n
        return inner
    return w
@deco(NUMBER)
def K(): return 1
""",
    "lru": """
import functools
@functools.lru_cache(maxsize=NUMBER)
def K(): return 1
""",
    "dispatch": """
import functools
@functools.singledispatch
def K(x): return 1
@K.register
def _(x: int): return NUMBER
""",
    "validate_call": """
from pydantic import validate_call
@validate_call(validate_return=bool(NUMBER-1))
def K(x: int): return 1
""",
    "validate_call body": """
from pydantic import validate_call
@validate_call
def K(x: int): return NUMBER
""",
    "validate_call ann": """
from pydantic import validate_call, Field
from typing import Annotated
@validate_call
def K(x: Annotated[int, Field(gt=NUMBER)]): return 1
""",
    "typeadapter": """
from pydantic import TypeAdapter, Field
from typing import Annotated
K=TypeAdapter(Annotated[int, Field(gt=NUMBER)])
""",
    "contextmanager": """
import contextlib
@contextlib.contextmanager
def K():
    yield NUMBER
""",
    "lambda default": "K=lambda x=NUMBER: x",
    "numpy": """
import numpy as np
K=np.zeros(NUMBER)
""",
    "attribute set later": """
class K:
    pass
K.late = NUMBER
""",
    "patched method": """
class K:
    def go(self): return 1
def other(self): return NUMBER
K.go = other
""",
    "abstract": """
import abc
class A(abc.ABC):
    @abc.abstractmethod
    def go(self): ...
class K(A):
    def go(self): return NUMBER
""",
    "bases": """
class A: pass
class B: pass
class K({1:A,2:B}[NUMBER]): pass
""",
    "base code": """
class A:
    v = NUMBER
class K(A): pass
""",
    "attribute of a function": """
def K(): return 1
K.price = NUMBER
""",
    "annotation alone": """
class K:
    x: {1:int,2:str}[NUMBER]
""",
    "protocol": """
from typing import Protocol, runtime_checkable
@runtime_checkable
class K(Protocol):
    def go(self) -> {1: int, 2: str}[NUMBER]: ...
""",
    "torch": """
import torch
class K(torch.nn.Module):
    size = NUMBER
""",
    "default of __init__": """
class K:
    def __init__(self, x=len('a'*NUMBER)): self.x=x
""",
    "default of __init__ taken from a variable that is no more": """
N=NUMBER
class K:
    def __init__(self, x=N): self.x=x
""",
    "doc": """
class K:
    __doc__ = 'd' * NUMBER
""",
    "dunder method set later": """
class K:
    pass
K.__hash__ = lambda s: NUMBER
""",
    "__match_args__": """
class K:
    __match_args__ = ('a',) * NUMBER
""",
    "logger": """
import logging
K=logging.getLogger('l')
K.setLevel(10*NUMBER)
""",
    "weak": """
import weakref
class A: pass
KEEP=A()
K=weakref.WeakValueDictionary({NUMBER: KEEP})
""",
    "ctxvar": """
import contextvars
K=contextvars.ContextVar('k', default=NUMBER)
""",
    "namespace": """
import types
K=types.SimpleNamespace(a=NUMBER)
""",
    "exception": """
class K(Exception):
    code = NUMBER
""",
    "defaultdict": """
import collections
K=collections.defaultdict(lambda: NUMBER)
""",
    "mappingproxy": """
import types
K=types.MappingProxyType({'a':NUMBER})
""",
    "deque": """
import collections
K=collections.deque([NUMBER])
""",
    "chainmap": """
import collections
K=collections.ChainMap({'a':NUMBER})
""",
    "date": """
import datetime
K=datetime.timedelta(seconds=NUMBER)
""",
    "random": """
import random
K=random.Random(NUMBER)
""",
    "bytearray": "K=bytearray(b'a'*NUMBER)",
    "slice": "K=slice(0,NUMBER)",
    "complex": "K=complex(NUMBER)",
    "range": "K=range(NUMBER)",
    "ellipsis": "K={1:...,2:None}[NUMBER]",
    "path": """
import pathlib
K=pathlib.Path('/'+'a'*NUMBER)
""",
    "cached_property": """
import functools
class K:
    @functools.cached_property
    def q(self): return NUMBER
""",
    "registry filled by __init_subclass__": """
REG={}
class B:
    def __init_subclass__(cls): REG[cls.__name__]=cls
class One(B):
    v=NUMBER
K=REG
""",
    "nested class": """
class K:
    class In:
        v=NUMBER
""",
    "class in a closure": """
def mk(n):
    class In:
        def go(self): return n
    return In
K=mk(NUMBER)
""",
    "async": """
async def K():
    return NUMBER
""",
    "gen": """
def K():
    yield NUMBER
""",
    "frozen dataclass value": """
import dataclasses
@dataclasses.dataclass(frozen=True)
class C:
    a:int=1
K=C(NUMBER)
""",
    "classvar": """
import dataclasses
from typing import ClassVar
@dataclasses.dataclass
class K:
    c: ClassVar[int] = NUMBER
""",
    "private attr": """
from pydantic import BaseModel, PrivateAttr
class K(BaseModel):
    _p: int = PrivateAttr(NUMBER)
""",
    "computed": """
from pydantic import BaseModel, computed_field
class K(BaseModel):
    @computed_field
    @property
    def p(self) -> int: return NUMBER
""",
    "serializer": """
from pydantic import BaseModel, field_serializer
class K(BaseModel):
    x: int = 1
    @field_serializer('x')
    def s(self, v): return v*NUMBER
""",
    "used in attr": """
class H:
    v=NUMBER
class K:
    kind = H
""",
    "used in list attr": """
class H:
    v=NUMBER
class K:
    kinds = [H]
""",
    "func default class": """
class H:
    v=NUMBER
def K(kind=H): return kind
""",
    "hidden in library object": """
import queue, types
class H:
    v=NUMBER
K=types.MappingProxyType({'a': [H]})
""",
    "instance of hidden": """
import collections
class H:
    v=NUMBER
K=collections.OrderedDict(a=collections.Counter({H(): 1}))
""",
    "swapped functions": """
A=lambda: 1
B=lambda: 1
C=lambda: 2
K=[{1:B,2:C}[NUMBER], A]
""",
    "swapped functions of one name": """
def mk(n):
    return lambda: n
A=mk(1)
B=mk(2)
K=[[A,B],[B,A]][NUMBER-1]
def keep(): return A,B
""",
    "attrs converter helper": """
import attrs
def h(x): return x*NUMBER
@attrs.define
class K:
    x: int = attrs.field(default=1, converter=lambda v: h(v))
""",
    "alias generator": """
from pydantic import BaseModel, ConfigDict
def h(x): return x*NUMBER
class K(BaseModel):
    model_config = ConfigDict(alias_generator=lambda n: h(n))
    x: int = 1
""",
    "closure of __init__": """
def mk(n):
    class In:
        def __init__(self): self.n=n
    return In
K=mk(NUMBER)
""",
    "default of __call__": """
N=NUMBER
class K:
    def __call__(self, x=N): return x
""",
    "torch module": """
import torch
class K(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.n=NUMBER
""",
    "torch instance": """
import torch
class M(torch.nn.Module):
    def forward(self,x): return x*NUMBER
K=M()
""",
    "torch weights": """
import torch
K=torch.nn.Linear(1,1)
torch.nn.init.constant_(K.weight, NUMBER); torch.nn.init.constant_(K.bias, 0)
""",
    "torch param": """
import torch
K=torch.nn.Parameter(torch.ones(1)*NUMBER)
""",
    "torch sparse": """
import torch
K=torch.eye(2).to_sparse()*NUMBER
""",
    "torch bf16": """
import torch
K=torch.ones(2,dtype=torch.bfloat16)*NUMBER
""",
    "torch gen": """
import torch
K=torch.Generator().manual_seed(NUMBER)
""",
    "partial kw": """
import functools
K=functools.partial(print, sep='a'*NUMBER)
""",
    "method": """
class H:
    def __init__(s,n): s.n=n
    def go(s): return s.n
K=H(NUMBER).go
""",
    "numpy obj": """
import numpy as np
K=np.array([NUMBER, 'a'], dtype=object)
""",
    "numpy rng": """
import numpy as np
K=np.random.default_rng(NUMBER)
""",
    "pil": """
from PIL import Image
K=Image.new('RGB',(1,1),(NUMBER,0,0))
""",
    "jinja": """
import jinja2
K=jinja2.Template('a'*NUMBER)
""",
    "router": """
from fastapi import APIRouter
K=APIRouter(prefix='/a'*NUMBER)
""",
    "httpx": """
import httpx
K=httpx.Timeout(NUMBER)
""",
    "yield fixture": """
class K:
    async def __aenter__(self): return NUMBER
    async def __aexit__(self,*a): pass
""",
    "property setter": """
class K:
    @property
    def p(self): return 1
    @p.setter
    def p(self, v): self.q = v * NUMBER
""",
    "overload kw": "def K(*, a=NUMBER, b=2): return a",
    "global in nested": """
V=NUMBER
def K():
    return [V for _ in range(2)]
""",
    "del attr": """
class K:
    a=1
    b=2
delattr(K,{1:'a',2:'b'}[NUMBER])
""",
    "order of fields": """
import dataclasses
K=dataclasses.make_dataclass('K',[[('a',int),('b',int)],[('b',int),('a',int)]][NUMBER-1])
""",
    "enum order": """
import enum
K=enum.Enum('K',[['A','B'],['B','A']][NUMBER-1])
""",
    "dict order": "K=[{'a':1,'b':2},{'b':2,'a':1}][NUMBER-1]",
    "bool int": "K=[1,True][NUMBER-1]",
    "int float": "K=[1,1.0][NUMBER-1]",
    "nan": "K=[float('nan'),0.0][NUMBER-1]",
    "neg zero": "K=[0.0,-0.0][NUMBER-1]",
    "str bytes": "K=['a',b'a'][NUMBER-1]",
    "tuple list": "K=[(1,),[1]][NUMBER-1]",
    "none": "K=[None,0][NUMBER-1]",
    "builtin": "K=[len,max][NUMBER-1]",
    "module": """
import json, pickle
K=[json,pickle][NUMBER-1]
""",
    "lib class": """
import collections
K=[collections.OrderedDict,collections.Counter][NUMBER-1]
""",
    "env const": """
import os
class K:
    v=os.environ.get('NOPE','x'*NUMBER)
""",
    "function in an object with slots": """
import dataclasses
N = NUMBER
def add(): return N
@dataclasses.dataclass(slots=True)
class Tool:
    name: str
    run: object
K = [Tool("add", add)]
""",
    "function in a namespace": """
import types
N = NUMBER
def add(): return N
K = types.SimpleNamespace(run=add)
""",
    "function in a deque": """
import collections
N = NUMBER
def add(): return N
K = collections.deque([add])
""",
    "function as a key": """
N = NUMBER
def add(): return N
K = {add: 1}
""",
    "state of a decorator's object": """
class Retry:
    def __init__(self, function, times):
        self.__wrapped__, self.times = function, times
    def __call__(self): return self.times
N = NUMBER
class K:
    go = Retry(lambda: 1, N)
""",
    "size of the cache of a method": """
import functools
N = NUMBER
class K:
    @functools.lru_cache(maxsize=N)
    def go(self): return 1
""",
    "function that another one is wrapped as": """
import functools
N = NUMBER
def shape(x: int = N): return x
@functools.wraps(shape)
def K(*args, **keywords): return 1
""",
    "what an exception handler covers": """
import functools
def safe(function):
    if NUMBER == 1:
        def inner(self):
            try:
                result = function(self)
                self.log(result)
            except ValueError:
                return None
    else:
        def inner(self):
            try:
                result = function(self)
            except ValueError:
                return None
            else:
                self.log(result)
    return functools.wraps(function)(inner)
class K:
    @safe
    def go(self): return 1
""",
    "description set later": """
def K(): return 1
K.__doc__ = "d" * NUMBER
""",
    "items of a subclass of set": """
class Tags(set): pass
K = Tags(["a" * NUMBER])
""",
}

# Cells that mean the same when they are run again, though what they make is not the same in memory. Each is run with its app, and
# the app's cell once more.
SAME = {
    "instance and class": "class P:\n    def __init__(self): self.i = 1\nP1 = P()\nK = lambda: (P(), P1, P)",
    "copied instance": "import copy\nclass P:\n    i = 1\nP1 = copy.deepcopy(P())\nK = lambda: (P1, P)",
    "registered classes": """
import abc
class B(abc.ABC): pass
KEPT = [type(f"R{i}", (), {}) for i in range(6)]
for one in KEPT:
    B.register(one)
class K(B): pass
""",
    "inverted flag": "import enum\nclass F(enum.Flag):\n    A = 1\n    B = 2\nNOT = ~F.A\nK = [F, NOT]",
    "subclass of set": "class Tags(set): pass\nK = Tags([0, 8, 'a', 'b', 'c', 'd'])",
    "weak set": "import weakref\nclass P:\n    def __init__(self, n): self.n = n\nALL = [P(n) for n in range(8)]\nK = weakref.WeakSet(ALL)",
    "set of functions of one name": "K = {lambda: 1, lambda: 2, lambda: 3, lambda: 4}",
    "hooks of a module": """
import torch
MODEL = torch.nn.Linear(1, 1)
torch.nn.init.zeros_(MODEL.weight); torch.nn.init.zeros_(MODEL.bias)
MODEL.register_forward_hook(print)
K = MODEL
""",
    "private attribute used": """
from pydantic import BaseModel, PrivateAttr
class K(BaseModel):
    _n: list = PrivateAttr(default_factory=list)
K()
""",
    "types of attrs resolved": "import attrs\n@attrs.define\nclass K:\n    x: 'int' = 1\nattrs.resolve_types(K)",
}
