from __future__ import annotations

import importlib.util
import io
import pickle
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from fal_jupyter.domain.errors import NotPicklable
from fal_jupyter.shipping import Capture
from tests.shipping.notebook import Job, Notebook, arrive, notebook, selected

MIB = 1 << 20


@pytest.fixture
def book() -> Iterator[Notebook]:
    with notebook() as opened:
        yield opened


def hello(body: str, head: str = "") -> str:
    """An app whose endpoint gives *body*."""
    return f"class Hello(fal.App):\n    {head or 'pass'}\n    @fal.endpoint('/')\n    def hi(self, x: int = 1):\n        return {body}"


def by_name(captures: tuple[Capture, ...]) -> dict[str, Capture]:
    return {capture.name: capture for capture in captures}


# --- what is found --------------------------------------------------------------------------------------------------
def test_functions_constants_classes_and_modules_are_reported_each_with_size_and_cell(book: Notebook) -> None:
    book.run("import json\nGREETING = 'hello ' * 100")
    book.run("class Helper:\n    def up(self, t): return t.upper()")
    book.run("def greet(n): return Helper().up(GREETING) * n")
    book.run("UNUSED = 'x' * 99")
    book.run(hello("json.dumps(greet(x))"))

    found = by_name(book.pack().captures)

    assert {n: (c.kind, c.cell) for n, c in found.items()} == {
        "json": ("module", "cell [1]"),
        "GREETING": ("variable", "cell [1]"),
        "Helper": ("class", "cell [2]"),
        "greet": ("function", "cell [3]"),
    }
    assert 600 <= found["GREETING"].size < 700
    assert found["Helper"].size > 100
    assert found["greet"].size > found["GREETING"].size  # with what it drags along
    assert found["json"].size == 0


WAYS = {
    "a method": hello("THING"),
    "a helper": "def helper(): return THING\n" + hello("helper()"),
    "a helper's helper": "def a(): return THING\ndef b(): return a()\n" + hello("b()"),
    "a lambda": "helper = lambda: THING\n" + hello("helper()"),
    "a nested function": hello("[t for t in (lambda: THING)()]"),
    "a closure": "def make(held):\n    def helper(): return held\n    return helper\nhelper = make(THING)\n" + hello("helper()"),
    "a default": "def helper(t=THING): return t\n" + hello("helper()"),
    "a keyword default": "def helper(*, t=THING): return t\n" + hello("helper()"),
    "a default of a method": hello("1", "def other(self, t=THING): return t"),
    "a class attribute": hello("self.thing", "thing = THING"),
    "an attribute of a helper class": "class Helper:\n    thing = THING\n" + hello("Helper.thing"),
    "a base class": "class Base(fal.App):\n    def other(self): return THING\n" + hello("1").replace("fal.App", "Base"),
    "a property": hello("self.p", "@property\n    def p(self): return THING"),
    "a cached property": "import functools\n" + hello("self.p", "@functools.cached_property\n    def p(self): return THING"),
    "a static method": hello("self.p()", "@staticmethod\n    def p(): return THING"),
    "a partial": "import functools\ndef helper(t): return t\nbound = functools.partial(helper, THING)\n" + hello("bound()"),
    "a cached helper": "import functools\n@functools.lru_cache\ndef helper(): return THING\n" + hello("helper()"),
    "a decorated helper": "import functools\ndef deco(f):\n    @functools.wraps(f)\n    def inner(*a): return f(*a)\n"
    "    return inner\n@deco\ndef helper(): return THING\n" + hello("helper()"),
    "a table of functions": "def helper(): return THING\nTABLE = {'a': [helper]}\n" + hello("TABLE['a'][0]()"),
    "an instance of a helper class": "class Helper:\n    def get(self): return THING\nHELP = Helper()\n" + hello("HELP.get()"),
    "what an instance holds": "class Helper:\n    def __init__(self): self.held = THING\nHELP = Helper()\n" + hello("HELP.held"),
    "a model's validator": "from pydantic import BaseModel, field_validator\nclass In(BaseModel):\n    x: int\n"
    "    @field_validator('x')\n    @classmethod\n    def check(cls, v): return len(THING)\n"
    + hello("given").replace("x: int = 1", "given: In"),
    "a validator in an annotation": "from typing import Annotated\nfrom pydantic import AfterValidator\n"
    "def check(v): return len(THING)\n" + hello("x").replace("x: int = 1", "x: Annotated[int, AfterValidator(check)] = 1"),
    "a default factory": "from pydantic import BaseModel, Field\ndef make(): return THING\nclass In(BaseModel):\n"
    "    x: list = Field(default_factory=make)\n" + hello("given").replace("x: int = 1", "given: In"),
    "a dependency": "from fastapi import Depends\ndef given(): return len(THING)\n" + hello("n").replace("x: int = 1", "n=Depends(given)"),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_huge_capture_is_warned_of_with_its_bytes_however_it_is_reached(book: Notebook, way: str) -> None:
    book.run("THING = bytes(2_500_000)")
    book.run(WAYS[way])

    shipment = book.pack()

    assert len(shipment.payload) > 2_500_000
    warnings = [w for w in shipment.warnings if "2,500," in w]
    assert warnings, (shipment.warnings, shipment.captures)
    assert all("setup()" in w and w.startswith("Hello ") for w in warnings)
    named = NAMED.get(way, "'THING' (cell [1])")
    assert any(named in w for w in warnings), warnings


# In these ways the notebook's own name of it is out of sight.
NAMED = {"a closure": "'held'", "a partial": "'bound' (cell [2])"}


@pytest.mark.parametrize("way", WAYS)
def test_what_cannot_travel_is_named_however_it_is_reached(book: Notebook, way: str) -> None:
    book.run("import threading\nTHING = threading.Lock()")
    book.run(WAYS[way])

    with pytest.raises(NotPicklable) as caught:
        book.pack()

    message = str(caught.value)
    assert message.startswith("Hello: ")
    assert "lock" in message
    assert "setup()" in caught.value.hint
    assert ("'held'" if way == "a closure" else "'THING', cell [1]") in message


@pytest.mark.parametrize(
    ("size", "warned"), [(MIB - 200, False), (MIB + 1, True)], ids=["just below a MiB", "just above a MiB"]
)
def test_a_mebibyte_is_where_the_warning_begins(book: Notebook, size: int, warned: bool) -> None:
    book.run(f"DATA = bytes({size})")
    book.run(hello("len(DATA)"))

    shipment = book.pack()

    assert bool(shipment.warnings) == warned
    assert by_name(shipment.captures)["DATA"].size >= size


@pytest.mark.parametrize(
    "make",
    [
        "numpy.zeros((512, 1024))",
        pytest.param("torch.zeros((512, 1024), dtype=torch.float64)", marks=pytest.mark.long),  # torch takes 2 s
    ],
)
def test_a_big_array_or_tensor_is_warned_of_by_name_cell_and_bytes(book: Notebook, make: str) -> None:
    pytest.importorskip(make.split(".")[0])
    book.run(f"import {make.split('.')[0]}\nWEIGHTS = {make}")
    book.run(hello("WEIGHTS.sum()"))

    (warning,) = book.pack().warnings

    assert "the notebook's variable 'WEIGHTS' (cell [1])" in warning
    assert "4.2 MB (4,194," in warning
    assert make.split(".")[0] in book.pack().preload


def test_a_module_made_in_a_cell_travels_by_value_and_is_weighed(book: Notebook) -> None:
    book.run("import types\nkit = types.ModuleType('kit')\nexec('TABLE = bytes(3000)', vars(kit))")
    book.run(hello("kit.TABLE"))

    (kit,) = (c for c in book.pack().captures if c.name == "kit")

    assert kit.kind == "module"
    assert kit.size > 3000


def test_two_closures_may_hold_different_things_by_one_name(book: Notebook) -> None:
    book.run(
        "def make(held):\n    def helper(): return held\n    return helper\na, b = make(1), make(bytes(2_000_000))"
    )
    book.run(hello("[a(), len(b())]"))

    assert any("'held'" in warning for warning in book.pack().warnings)


def test_names_that_are_not_there_and_builtins_are_no_captures(book: Notebook) -> None:
    book.run(hello("len(not_there) if x > 5 else print(x)"))

    assert book.pack().captures == ()


# --- what cannot travel ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("make", "message", "instead"),
    [
        (
            "kept(open('/dev/null'))",
            "an open file (/dev/null)",
            "open('/dev/null') inside setup() and keep it as self.THING",
        ),
        ("kept(open('/dev/null', 'rb', buffering=0))", "an open file", "inside setup()"),
        ("kept(__import__('tempfile').TemporaryFile())", "an open file", "inside setup()"),
        ("kept(__import__('tempfile').NamedTemporaryFile())", "an open file", "inside setup()"),
        ("kept(open('{odd} {0}.txt', 'w'))", "{odd} {0}.txt", "self.THING"),
        ("{'log': kept(open('/dev/null'))}", "an open file", "inside setup()"),
        ("kept(__import__('socket').socket())", "socket", "inside setup()"),
        ("__import__('threading').Lock()", "lock", "inside setup()"),
        ("__import__('threading').RLock()", "RLock", "inside setup()"),
        ("__import__('threading').Thread()", "Thread", "inside setup()"),
        ("__import__('threading').local()", "local", "inside setup()"),
        ("(i for i in range(3))", "a generator", "list() it first"),
        ("map(str, (i for i in range(3)))", "generator", "inside setup()"),
        ("kept(__import__('sqlite3').connect(':memory:'))", "sqlite3.Connection", "inside setup()"),
        ("__import__('concurrent.futures').futures.ThreadPoolExecutor()", "ThreadPoolExecutor", "inside setup()"),
        ("kept(__import__('asyncio').new_event_loop())", "EventLoop", "inside setup()"),
        (
            "(v := __import__('contextvars').ContextVar('c'), v.set(3))[0]",
            "variable 'c' with a value that belongs to this kernel (3)",
            "inside setup()",
        ),
        ("__import__('weakref').ref(fal)", "weakref", "inside setup()"),
        ("__import__('sys')._getframe()", "frame", "inside setup()"),
        ("kept(__import__('mmap').mmap(-1, 10))", "mmap", "inside setup()"),
        ("__import__('queue').Queue()", "Queue", "inside setup()"),
        ("[__import__('threading').Thread()]", "a Thread, which belongs to this kernel", "inside setup()"),
        ("[kept(__import__('subprocess').Popen('true'))]", "a Popen, which belongs to this kernel", "inside setup()"),
        ("[__import__('concurrent.futures').futures.Future()]", "a Future, which belongs", "inside setup()"),
        (
            "[(lambda lock: lock.acquire() and lock)(__import__('threading').Lock())]",
            "a lock that is held",
            "inside setup()",
        ),
        (
            "[(lambda lock: lock.acquire() and lock)(__import__('threading').RLock())]",
            "a lock that is held",
            "inside setup()",
        ),
        ("Weird()", "my own words", "inside setup()"),
        ("[1, {'deep': (Weird(),)}]", "my own words", "inside setup()"),
    ],
)
def test_what_cannot_travel_is_named_with_variable_cell_and_what_to_do(
    book: Notebook, make: str, message: str, instead: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with ExitStack() as stack:
        book.namespace["kept"] = lambda thing: (
            stack.enter_context(closing(thing) if hasattr(thing, "close") else thing) and thing
        )
        book.run("class Weird:\n    def __reduce__(self): raise RuntimeError('my own words')")
        book.run(f"THING = {make}")
        book.run(hello("THING"))

        with pytest.raises(NotPicklable) as caught:
            book.pack()

    assert "hi() uses the notebook variable 'THING', cell [2]" in str(caught.value)
    assert message in str(caught.value)
    assert instead in caught.value.hint
    assert "\n" not in caught.value.message


def test_a_coroutine_is_named(book: Notebook) -> None:
    book.run("async def work(): pass\nTHING = work()")
    book.run(hello("THING"))

    with pytest.raises(NotPicklable, match="'THING', cell \\[1\\], a coroutine"):
        book.pack()
    book.namespace["THING"].close()


def test_a_structure_too_deep_to_pickle_is_named(book: Notebook) -> None:
    book.run("DEEP = []\nfor _ in range(100_000): DEEP = [DEEP]")
    book.run(hello("DEEP"))

    with pytest.raises(NotPicklable, match="'DEEP'"):
        book.pack()
    while book.namespace["DEEP"]:
        book.namespace["DEEP"] = book.namespace["DEEP"][0]


CHANGING = """
class Growing:
    def __reduce__(self):
        if len(TABLE) < {until}:
            TABLE[len(TABLE)] = Growing()  # as another thread of the kernel does
        return Growing, ()
TABLE = {{0: Growing(), 1: Growing()}}
class Hello(fal.App):
    @fal.endpoint("/")
    def run(self) -> int:
        return len(TABLE)
"""


def test_a_dict_that_another_thread_changes_is_read_again(book: Notebook) -> None:
    book.run(CHANGING.format(until=4))
    assert "variable TABLE" in book.pack().fingerprint

    book.run(CHANGING.format(until=10_000))
    with pytest.raises(NotPicklable) as refused:
        book.pack()
    assert "cell [2], a dict, which cannot be sent to a runner: another thread changes it" in str(refused.value)


@pytest.mark.parametrize("name", ["get_ipython", "display"])
def test_what_only_a_notebook_has_is_refused_by_name(book: Notebook, name: str) -> None:
    book.run(hello(f"{name}()"))

    with pytest.raises(NotPicklable, match=rf"hi\(\) uses {name}, which exists only in the notebook"):
        book.pack()


def test_display_travels_by_its_import(book: Notebook) -> None:
    book.run("from IPython.display import display")
    book.run(hello("display('shown')"))

    assert set(by_name(book.pack().captures)) == set()


def test_a_name_of_the_shell_that_the_user_took_is_the_users(book: Notebook) -> None:
    book.run("def display(x): return x\nIn = 5")
    book.run(hello("display(In)"))

    assert set(by_name(book.pack().captures)) == {"display", "In"}


def test_the_open_of_ipython_is_the_built_in_one(book: Notebook) -> None:
    book.run("from IPython.core.interactiveshell import _modified_open as open\nopener = open")
    book.run(hello("[type(f).__name__ for f in (open, opener)]"))
    packed = book.pack()

    assert set(by_name(packed.captures)) == set()
    assert not [label for label in packed.fingerprint if "open" in label]
    (arrived,) = arrive([Job(packed, [("/", "", {})])])
    assert arrived[0] == [200, ["builtin_function_or_method"] * 2]


def test_an_open_of_the_user_is_the_users(book: Notebook) -> None:
    book.run("def open(path): return path")
    book.run(hello("open('x')"))

    assert set(by_name(book.pack().captures)) == {"open"}


# --- what arrives ---------------------------------------------------------------------------------------------------
ARRIVING: dict[str, tuple[str, str, Any]] = {
    "cached helpers": (
        ("import functools\n@functools.lru_cache(maxsize=3)\ndef twice(n): return 2 * n\n@functools.cache\n"
        "def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)"),
        "[twice(4), fib(30), twice.cache_parameters(), fib.cache_parameters()]",
        [8, 832040, {"maxsize": 3, "typed": False}, {"maxsize": None, "typed": False}],
    ),
    "functions that call each other": (
        "def even(n): return n == 0 or odd(n - 1)\ndef odd(n): return n != 0 and even(n - 1)",
        "[even(10), odd(10)]",
        [True, False],
    ),
    "closures and defaults": (
        ("def make(k):\n    total = [k]\n    def add(n, *, by=k + 1):\n        total[0] += n * by\n        return total[0]\n"
        "    return add\nadd = make(3)"),
        "[add(1), add(1)]",
        [7, 11],
    ),
    "helper classes": (
        ("import abc, enum\nclass Base(abc.ABC):\n    made = 0\n    __slots__ = ('n',)\n    def __init__(self, n): self.n = n\n"
        "    @abc.abstractmethod\n    def go(self): ...\nclass Child(Base):\n    def go(self): return super().__init__(self.n + 1) or self.n\n"
        "class E(enum.Enum):\n    A = 'a'\nTABLE = {E.A: Child(4)}"),
        "[TABLE[E.A].go(), issubclass(Child, Base), TABLE[E.A].n, type(TABLE[E.A]) is Child]",
        [5, True, 5, True],
    ),
    "exceptions": (
        ("class Oops(ValueError):\n    def __init__(self, n): super().__init__(f'oops {n}'); self.n = n\n"
        "def attempt(n):\n    try:\n        raise Oops(n)\n    except ValueError as e:\n        return [str(e), e.n]"),
        "attempt(x)",
        ["oops 1", 1],
    ),
    "arrays": (
        "import numpy as np\nA = np.arange(6.0).reshape(2, 3)[:, ::2]",
        "[A.tolist(), A.sum()]",
        [[[0.0, 2.0], [3.0, 5.0]], 10.0],
    ),
    "what libraries have": (
        "import math, subprocess, collections\nfrom json import dumps as to_json\nPopen = subprocess.Popen\nCOUNT = collections.Counter",
        "[to_json([math.pi]), Popen.__name__, COUNT('aab')['a']]",
        ["[3.141592653589793]", "Popen", 2],
    ),
    "things that share": (
        "SHARED = [1]\ndef one(): SHARED.append(2); return SHARED\ndef two(): return SHARED",
        "[one() is two(), two()]",
        [True, [1, 2]],
    ),
    "a module made in a cell": (
        "import types\nkit = types.ModuleType('kit')\nexec('K = 7\\ndef f(): return K', vars(kit))",
        "kit.f()",
        7,
    ),
    "functional and named tuples": (
        ("import collections, functools, operator, re, datetime\nP = collections.namedtuple('P', 'a b')\n"
        "GET = operator.attrgetter('a')\nADD = functools.partial(operator.add, 3)\nRE = re.compile('x+')\n"
        "DD = collections.defaultdict(list, a=[1])\nNOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)"),
        "[GET(P(1, 2)), ADD(4), RE.findall('xxyx'), DD['b'], NOW.isoformat()]",
        [1, 7, ["xx", "x"], [], "2026-01-01T00:00:00+00:00"],
    ),
}  # fmt: skip
if importlib.util.find_spec("torch") is not None:
    ARRIVING["tensors"] = (
        "import torch\nT = torch.arange(4, dtype=torch.float32)\nP = torch.nn.Parameter(torch.ones(2))",
        "[T.tolist(), P.requires_grad, float(T.sum())]",
        [[0.0, 1.0, 2.0, 3.0], True, 6.0],
    )
CELL = textwrap.dedent("""
    def inner(n):
        # a comment line
        return 1 / n  # here it goes wrong


    class Hello(fal.App):
        @fal.endpoint("/")
        def hi(self, x: int = 1):
            return helper(x - 1)
    """)


@pytest.fixture(scope="module")
def arrived(request: pytest.FixtureRequest) -> dict[str, Any]:
    jobs = {}
    for name in {test["name"] for test in selected(request, "name")} & ARRIVING.keys():
        cell, body, _ = ARRIVING[name]
        with notebook() as opened:
            opened.run(cell)
            opened.run(hello(body))
            jobs[name] = Job(opened.pack(), [("/", "x=1", None)])
    with notebook() as opened:
        first = opened.run(
            "import functools\n\n@functools.lru_cache\ndef helper(n):\n    return inner(n)  # on its way"
        )
        second = opened.run(CELL)
        jobs["a traceback"] = Job(opened.pack(), [("/", "x=1", None)])
    found = dict(zip(jobs, arrive(list(jobs.values())), strict=True))
    return found | {"places": [first, second]}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long if name == "tensors" else ()) for name in ARRIVING]
)
def test_what_is_captured_works_on_arrival(arrived: dict[str, Any], name: str) -> None:
    assert arrived[name][0] == [200, ARRIVING[name][2]]


def test_a_traceback_in_a_fresh_process_shows_the_lines_of_the_cells(arrived: dict[str, Any]) -> None:
    status, text = arrived["a traceback"][0]
    first, second = arrived["places"]

    assert status == 500
    for place in (
        f'File "{second}", line 10, in hi\n    return helper(x - 1)\n',
        f'File "{first}", line 5, in helper\n    return inner(n)  # on its way\n',
        f'File "{second}", line 4, in inner\n    return 1 / n  # here it goes wrong\n',
        "ZeroDivisionError: division by zero",
    ):
        assert place in text


def test_the_payload_never_looks_up_a_name_in_the_notebook(book: Notebook) -> None:
    book.run(ARRIVING["cached helpers"][0])
    book.run("from typing import NewType, TypedDict\nN = NewType('N', int)\nclass D(TypedDict):\n    n: N")
    book.run(hello("[twice(1), fib(2), d]").replace("x: int = 1", "d: D"))

    looked_up: list[tuple[str, str]] = []

    class Looking(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            looked_up.append((module, name))
            return super().find_class(module, name)

    Looking(io.BytesIO(book.pack().payload)).load()

    assert looked_up
    assert [found for found in looked_up if found[0] == "__main__"] == []
