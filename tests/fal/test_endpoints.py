"""Endpoints: plain methods on an instance, remote calls on the class, and the class stays a class."""

from __future__ import annotations

import asyncio
import copy
import functools
import gc
import inspect
import json
import pickle
import subprocess
import sys
import types
import typing
import warnings
import weakref
from collections.abc import Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fal_jupyter import fal
from fal_jupyter.domain.errors import AppRuleBroken, NotServed
from fal_jupyter.fal.classes.remote import RemoteEndpoint
from fal_jupyter.fal.classes.routes import endpoints_of, routes_of
from fal_jupyter.fal.classes.signatures import signature_of
from fal_jupyter.fal.classes.warned import AppWarning


class Hello(fal.App):
    """Greets."""

    greeting = "hi"

    @fal.endpoint("/")
    def hi(self, name: str, times: int = 1) -> dict[str, str]:
        """Say hi.

        Politely.
        """
        return {"hi": f"{self.greeting} {name}" * times}

    @fal.endpoint("/later")
    async def later(self, *, name: str = "Ada") -> str:
        return f"later, {name}"

    def helper(self) -> str:
        return "helped"


class Recorder:
    """A handle that notes what the class asks of it."""

    app = "ada/hello"
    url = "http://127.0.0.1:8888/user/ada/fal/run/ada/hello"
    local_url = "http://127.0.0.1:9/run/ada/hello"
    key = "id:secret"

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def call(self, endpoint: str, args: tuple[Any, ...], kwargs: dict[str, Any], /) -> Any:
        self.asked.append(("call", endpoint, args, kwargs))
        return "remote answer"

    def acall(self, endpoint: str, args: tuple[Any, ...], kwargs: dict[str, Any], /) -> Coroutine[Any, Any, Any]:
        async def answer() -> str:
            self.asked.append(("acall", endpoint, args, kwargs))
            return "awaited answer"

        return answer()

    def map(self, endpoint: str, items: Iterable[Any], /, *, concurrency: int = 8) -> list[Any]:
        self.asked.append(("map", endpoint, list(items), concurrency))
        return ["answers"]


@pytest.fixture
def served() -> Iterator[Recorder]:
    recorder = Recorder()
    fal.bind(Hello, recorder)
    yield recorder
    fal.unbind(Hello)


def local(cls: type[Any]) -> Any:
    return cls(_allow_init=True)


# --- on an instance ---------------------------------------------------------------------------------------------------
def test_on_an_instance_an_endpoint_is_the_plain_method() -> None:
    hello = local(Hello)

    assert hello.hi("Ada", times=2) == {"hi": "hi Adahi Ada"}
    assert inspect.ismethod(hello.hi)
    assert hello.hi.__self__ is hello
    assert asyncio.run(hello.later()) == "later, Ada"


def test_an_instance_is_local_even_while_its_class_is_served(served: Recorder) -> None:
    assert local(Hello).hi("Ada") == {"hi": "hi Ada"}
    assert served.asked == []


def test_a_method_called_by_its_class_with_an_instance_is_local(served: Recorder) -> None:
    assert Hello.hi(local(Hello), "Ada") == {"hi": "hi Ada"}
    assert served.asked == []


def test_super_and_overriding_work_on_instances_and_do_not_reach_the_base_remotely(served: Recorder) -> None:
    class Louder(Hello):
        @fal.endpoint("/loud")
        def hi(self, name: str, times: int = 1) -> dict[str, str]:
            first = super().hi(name, times)
            second = super(Louder, self).hi(name, times)  # noqa: UP008
            third = Hello.hi(self, name, times)
            assert first == second == third
            return {"hi": first["hi"].upper()}

    assert local(Louder).hi("Ada") == {"hi": "HI ADA"}
    assert served.asked == []


def test_an_instance_cannot_be_made_by_hand_except_in_a_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IS_ISOLATE_AGENT", raising=False)
    with pytest.raises(NotImplementedError, match=r"not implemented yet.*`fal run path/to/app\.py::Hello`"):
        Hello()
    monkeypatch.setenv("IS_ISOLATE_AGENT", "")
    with pytest.raises(NotImplementedError):
        Hello()
    monkeypatch.setenv("IS_ISOLATE_AGENT", "1")
    assert Hello().hi("Ada") == {"hi": "hi Ada"}


# --- on the class -----------------------------------------------------------------------------------------------------
def test_on_the_class_an_endpoint_calls_the_running_app(served: Recorder) -> None:
    assert Hello.hi("Ada", times=2) == "remote answer"
    assert Hello.hi(name="Ada") == "remote answer"
    assert Hello.hi.map(iter(["a", "b"])) == ["answers"]
    assert Hello.hi.map(["c"], concurrency=2) == ["answers"]
    assert asyncio.run(Hello.aio.later(name="Ada")) == "awaited answer"

    assert served.asked == [
        ("call", "hi", ("Ada",), {"times": 2}),
        ("call", "hi", (), {"name": "Ada"}),
        ("map", "hi", ["a", "b"], 8),
        ("map", "hi", ["c"], 2),
        ("acall", "later", (), {"name": "Ada"}),
    ]


def test_the_facts_of_the_class_are_those_of_what_serves_it(served: Recorder) -> None:
    assert Hello.app == "ada/hello"
    assert Hello.url == "http://127.0.0.1:8888/user/ada/fal/run/ada/hello"
    assert Hello.local_url == "http://127.0.0.1:9/run/ada/hello"
    assert Hello.key == "id:secret"
    assert Hello.url in repr(Hello.hi)
    assert fal.handle_of(Hello) is served


@pytest.mark.parametrize(
    "ask",
    [
        lambda: Hello.hi("Ada"),
        lambda: Hello.hi.map([1]),
        lambda: Hello.aio.hi("Ada"),
        lambda: Hello.url,
        lambda: Hello.local_url,
        lambda: Hello.key,
        lambda: Hello.app,
    ],
)
def test_calling_a_class_that_is_not_served_raises_with_the_command_to_type(
    ask: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IS_ISOLATE_AGENT", raising=False)
    with pytest.raises(NotServed, match=r"^Hello is not served, so Hello\.\S+ has nothing to reach") as caught:
        ask()
    assert caught.value.hint == "define it under %%fal_app, or call fal_jupyter.serve(Hello)"


def test_inside_a_runner_the_advice_is_to_call_the_method_on_self(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IS_ISOLATE_AGENT", "1")
    with pytest.raises(NotServed) as caught:
        Hello.hi("Ada")
    assert "self.hi(...)" in caught.value.hint


def test_no_fact_is_an_honest_no_to_hasattr_and_instances_have_none(served: Recorder) -> None:
    class Other(fal.App):
        pass

    assert hasattr(Hello, "url")
    assert not hasattr(Other, "url")
    assert not hasattr(local(Hello), "url")
    assert not hasattr(local(Hello), "aio")


def test_a_subclass_is_an_app_of_its_own(served: Recorder) -> None:
    class Sub(Hello):
        pass

    with pytest.raises(
        NotServed, match=r"^Sub is not served.*Hello, its base, is served, but Sub is an app of its own"
    ):
        Sub.hi("Ada")
    mine = Recorder()
    fal.bind(Sub, mine)

    assert Sub.hi("Ada") == "remote answer"
    assert (len(mine.asked), len(served.asked)) == (1, 0)
    fal.unbind(Sub)
    fal.unbind(Sub)  # nobody there: nothing happens
    with pytest.raises(NotServed):
        Sub.hi("Ada")


def test_a_class_defined_again_is_another_class_and_a_bound_class_can_be_forgotten() -> None:
    def define() -> Any:
        class Fleeting(fal.App):
            @fal.endpoint("/")
            def hi(self) -> str:
                return "hi"

        return Fleeting

    first, second = define(), define()
    fal.bind(first, Recorder())
    assert fal.handle_of(second) is None
    gone = weakref.ref(first)
    del first
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("name", ["url", "local_url", "key", "app", "aio", "stream", "submit"])
def test_an_endpoint_or_variable_of_the_users_wins_over_our_fact(name: str) -> None:
    def mine(self: Any) -> str:
        return "mine"

    method = type(fal.App)("Mine", (fal.App,), {name: fal.endpoint("/x")(mine)})
    variable = type(fal.App)("Mine", (fal.App,), {name: "mine"})

    assert isinstance(getattr(method, name), RemoteEndpoint)
    assert getattr(local(method), name)() == "mine"
    assert method.get_endpoints() == ["/x"]
    assert getattr(variable, name) == getattr(local(variable), name) == "mine"


def test_an_attribute_of_the_instance_may_have_the_name_of_a_fact() -> None:
    hello = local(Hello)
    hello.url = "mine"

    assert hello.url == "mine"


# --- a function to the outside ----------------------------------------------------------------------------------------
def test_an_endpoint_read_from_its_class_is_a_function_that_can_be_written_to() -> None:
    class Mine(fal.App):
        @fal.endpoint("/")
        def run(self, x: int) -> Any:
            return x

    assert inspect.isfunction(Mine.run)
    assert inspect.isroutine(Mine.run)
    assert "run" in dict(inspect.getmembers(Mine, inspect.isfunction))

    Mine.run.cost = 3
    Mine.run.__annotations__ = {"x": str, "return": str}
    Mine.run.__doc__ = "Runs."
    vars(Mine.run)["mark"] = "set"
    Mine.run.__defaults__ = ("five",)

    assert (Mine.run.cost, local(Mine).run.cost, Mine.run.mark) == (3, 3, "set")
    assert typing.get_type_hints(Mine.run) == inspect.get_annotations(Mine.run) == {"x": str, "return": str}
    assert str(inspect.signature(Mine.run)) == "(x: str = 'five') -> str"
    assert (inspect.getdoc(Mine.run), local(Mine).run()) == ("Runs.", "five")
    assert [spec.signature for spec in fal.describe(Mine).endpoints] == ["(x: str = 'five') -> str"]
    subclass = type(fal.App)("Sub", (Mine,), {})
    subclass.run.cost = 4  # one method, as in the real package
    assert Mine.run.cost == 4
    del Mine.run.cost
    with pytest.raises(AttributeError, match="cost"):
        Mine.run.cost  # noqa: B018
    with pytest.raises(AttributeError):
        del Mine.run.cost


def test_copies_and_wrappers_of_such_a_function_are_whole() -> None:
    assert copy.copy(Hello.hi) == copy.deepcopy(Hello.hi) == Hello.hi

    @functools.wraps(Hello.hi)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return Hello.hi(*args, **kwargs)

    assert vars(wrapper) == {"__wrapped__": Hello.hi}
    assert inspect.signature(wrapper) == inspect.signature(Hello.hi)


# --- what an editor sees ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("read", [lambda: Hello.hi, lambda: Hello.aio.hi, lambda: local(Hello).hi])
def test_an_endpoint_has_the_signature_and_docstring_of_its_method(read: Callable[[], Any]) -> None:
    endpoint = read()

    assert str(inspect.signature(endpoint)) == "(name: 'str', times: 'int' = 1) -> 'dict[str, str]'"
    assert inspect.getdoc(endpoint) == "Say hi.\n\nPolitely."
    assert endpoint.__name__ == "hi"
    assert callable(endpoint)


def test_an_endpoint_of_the_class_names_itself_its_path_and_its_source() -> None:
    assert Hello.hi.__qualname__ == "Hello.hi"
    assert Hello.hi.__module__ == __name__
    assert "Hello.hi(name" in repr(Hello.hi)
    assert "path '/'" in repr(Hello.hi)
    assert "async def later" in inspect.getsource(Hello.later)
    assert typing.get_type_hints(Hello.hi) == {"name": str, "times": int, "return": dict[str, str]}
    assert Hello.hi.route_signature.path == "/"
    assert repr(Hello.aio.hi) == "<awaitable endpoint Hello.hi>"


def test_annotations_that_are_resolved_later_are_seen_by_readers_of_the_endpoint() -> None:
    class Mine(fal.App):
        @fal.endpoint("/")
        def hi(self, n: int) -> str:
            return "hi"

    read = Mine.hi
    Mine.__dict__["hi"].__wrapped__.__annotations__ = {"n": float, "return": str}

    assert read.__annotations__ == {"n": float, "return": str}
    assert Mine.__dict__["hi"].__annotations__ == {"n": float, "return": str}


def test_the_awaitable_endpoints_can_be_listed_and_a_wrong_name_lists_the_right_ones() -> None:
    assert dir(Hello.aio) == ["hi", "later"]
    assert repr(Hello.aio) == "<awaitable endpoints of Hello>"
    with pytest.raises(AttributeError, match="Hello has no endpoint 'helper'; its endpoints: hi, later"):
        Hello.aio.helper  # noqa: B018

    class Empty(fal.App):
        pass

    with pytest.raises(AttributeError, match="its endpoints: none"):
        Empty.aio.hi  # noqa: B018


def test_an_unknown_attribute_of_an_endpoint_is_an_attribute_error() -> None:
    assert not hasattr(Hello.hi, "nonsense")
    assert not hasattr(Hello.aio.hi, "nonsense")


def test_an_endpoint_read_twice_is_equal_and_hashable_and_differs_by_class() -> None:
    class Sub(Hello):
        pass

    assert Hello.hi == Hello.hi
    assert len({Hello.hi, Hello.hi, Hello.later, Sub.hi}) == 3
    assert Hello.hi != Sub.hi
    assert Hello.hi != "hi"


@pytest.mark.parametrize(
    ("function", "shown"),
    [
        (lambda self, a: None, "(a)"),
        (lambda self: None, "()"),
        (lambda *args: None, "(*args)"),
        (lambda self, *args, **kwargs: None, "(*args, **kwargs)"),
        (lambda self, /, a, *, b=1: None, "(a, *, b=1)"),
    ],
)
def test_a_signature_is_shown_without_self(function: Callable[..., Any], shown: str) -> None:
    assert str(signature_of(function)) == shown


def test_a_method_without_self_is_refused() -> None:
    def hi() -> None: ...

    with pytest.raises(AppRuleBroken, match=r"hi takes no argument, but a method takes self first") as caught:
        signature_of(hi)
    assert caught.value.hint == "def hi(self)"


# --- the class stays a class ------------------------------------------------------------------------------------------
def test_the_class_stays_a_class(served: Recorder) -> None:
    assert isinstance(Hello, type)
    assert isinstance(local(Hello), Hello)
    assert issubclass(Hello, fal.App)
    assert isinstance(Hello | None, types.UnionType)
    assert isinstance(None, Hello | None)
    assert isinstance(local(Hello), Hello | None)
    assert typing.get_args(typing.Optional[Hello]) == (Hello, type(None))  # noqa: UP045
    assert Hello.__doc__ == "Greets."
    assert Hello.greeting == local(Hello).greeting == "hi"
    assert local(Hello).helper() == "helped"
    assert pickle.loads(pickle.dumps(Hello)) is Hello
    assert pickle.loads(pickle.dumps(Hello.hi)) == Hello.hi
    assert pickle.loads(pickle.dumps(local(Hello))).hi("Ada") == {"hi": "hi Ada"}


SENDER = """
import sys, warnings
import cloudpickle
from pydantic import BaseModel
from fal_jupyter import fal

warnings.simplefilter("error")
fal.install()
OFFSET = 40

class Answer(BaseModel):
    n: int

class Base(fal.App, name="carried", keep_alive=5):
    max_concurrency = 3

    @fal.endpoint("/base")
    def base(self, n: int) -> int:
        "Adds."
        return n + OFFSET

class Sub(Base):
    @fal.endpoint("/sub")
    def sub(self, n: int) -> Answer:
        return Answer(n=super().base(n))

    def base(self, n: int) -> int:
        return super(Sub, self).base(n) + 1

one = Sub(_allow_init=True)
one.weights = [1, 2, 3]
with open(sys.argv[1], "wb") as file:
    cloudpickle.dump({"base": Base, "sub": Sub, "one": one, "remote": Sub.sub, "union": Sub | None}, file)
"""

RECEIVER = """
import json, pickle, sys, warnings
import inspect

warnings.simplefilter("error")
from fal_jupyter import fal
with open(sys.argv[1], "rb") as file:
    got = pickle.load(file)
Base, Sub, one = got["base"], got["sub"], got["one"]
print(json.dumps({
    "classes": isinstance(one, Sub) and issubclass(Sub, Base) and issubclass(Base, fal.App),
    "same": got["remote"](one, 1) == one.sub(1) and got["union"] == (Sub | None),  # cloudpickle takes it for its function
    "instance": [one.weights, one.base(1), one.sub(1).n],
    "paths": [Base.get_endpoints(), Sub.get_endpoints()],
    "options": [Sub.app_name, Sub.host_kwargs["keep_alive"], Sub.host_kwargs["max_concurrency"], Sub.max_concurrency],
    "spec": fal.describe(Base).to_json() | {"scaling": fal.describe(Base).scaling.keep_alive},
    "signature": [str(inspect.signature(Base.base)), Base.base.__doc__],
}))
"""


def test_a_class_and_an_instance_travel_to_another_process_by_value(tmp_path: Path) -> None:
    parcel = str(tmp_path / "parcel")
    subprocess.run([sys.executable, "-c", SENDER, parcel], check=True, timeout=60)
    done = subprocess.run([sys.executable, "-c", RECEIVER, parcel], check=True, timeout=60, capture_output=True)
    response = json.loads(done.stdout)

    assert response["classes"]
    assert response["same"]
    assert response["instance"] == [[1, 2, 3], 42, 41]
    assert response["paths"] == [["/base"], ["/sub"]]
    assert response["options"] == ["carried", 5, 3, 3]
    assert response["signature"] == ["(n: int) -> int", "Adds."]
    assert (response["spec"]["alias"], response["spec"]["class_name"], response["spec"]["scaling"]) == (
        "carried",
        "Base",
        5,
    )


# --- inheritance and routes -------------------------------------------------------------------------------------------
def test_endpoints_are_inherited_in_the_order_of_their_names() -> None:
    class Mine(Hello):
        @fal.endpoint("/a")
        def zebra(self) -> None: ...

        @fal.endpoint("/z")
        def ant(self) -> None: ...

    assert Mine.get_endpoints() == ["/z", "/", "/later", "/a"]
    assert [route.path for route in local(Mine).collect_routes()] == ["/", "/a", "/later", "/z"]
    assert Hello.get_endpoints() == ["/", "/later"]


def test_overriding_without_the_decorator_takes_the_route_away() -> None:
    class Mine(Hello):
        def hi(self, name: str, times: int = 1) -> dict[str, str]:
            return {"hi": "own"}

    assert Mine.get_endpoints() == ["/later"]
    assert Mine.hi(local(Mine), "Ada") == {"hi": "own"}
    assert local(Mine).hi("Ada") == {"hi": "own"}


def test_overriding_with_the_decorator_replaces_the_path() -> None:
    class Mine(Hello):
        @fal.endpoint("/other")
        def hi(self) -> str:  # type: ignore[override]
            """Another."""
            return "other"

    assert Mine.get_endpoints() == ["/other", "/later"]
    assert Mine.hi.__doc__ == "Another."
    assert Hello.hi.route_signature.path == "/"


def test_endpoints_come_from_a_mixin_that_is_no_app() -> None:
    class Health:
        @fal.endpoint("/ready")
        def ready(self) -> bool:
            return True

    class Mine(Health, Hello):
        pass

    assert Mine.get_endpoints() == ["/", "/later", "/ready"]
    assert local(Mine).ready() is True
    with pytest.raises(NotServed, match=r"Mine\.ready"):
        Mine.ready()


def test_a_decorator_above_the_mark_keeps_it_and_is_part_of_the_call() -> None:
    def twice(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
            return method(self, *args, **kwargs) * 2

        return wrapper

    class Mine(fal.App):
        @twice
        @fal.endpoint("/above")
        def above(self, name: str) -> str:
            """Above."""
            return name

        @fal.endpoint("/below")
        @twice
        def below(self, name: str) -> str:
            return name

    mine = local(Mine)
    assert (mine.above("x"), mine.below("y")) == ("xx", "yy")
    assert Mine.get_endpoints() == ["/above", "/below"]
    assert str(inspect.signature(Mine.above)) == "(name: 'str') -> 'str'"
    assert Mine.above.__doc__ == "Above."
    with pytest.raises(NotServed, match=r"Mine\.above"):
        Mine.above("x")


def test_a_method_under_two_names_is_two_names_of_one_path() -> None:
    with pytest.warns(AppWarning, match="again and hi have the same path '/'"):

        class Mine(fal.App):
            @fal.endpoint("/")
            def hi(self) -> str:
                return "hi"

            again = hi

    assert Mine.get_endpoints() == ["/", "/"]


def test_a_class_without_endpoints_is_a_class_all_the_same() -> None:
    class Mine(fal.App):
        def hi(self) -> str:
            return "hi"

    assert Mine.get_endpoints() == []
    assert endpoints_of(Mine) == {}
    assert local(Mine).collect_routes() == {}


# --- two endpoints on one path ----------------------------------------------------------------------------------------
def test_of_two_endpoints_on_one_path_the_warning_names_both_and_the_one_that_answers() -> None:
    with pytest.warns(AppWarning) as caught:

        class Mine(fal.App):
            @fal.endpoint("/")
            def beta(self) -> str:
                return "beta"

            @fal.endpoint("/")
            def alpha(self) -> str:
                return "alpha"

    assert [str(w.message) for w in caught] == [
        "Mine: alpha and beta have the same path '/'; beta answers, as on fal",
    ]
    assert routes_of(Mine)["/"][0] == "beta"
    assert [route() for route in local(Mine).collect_routes().values()] == ["beta"]
    assert Mine.get_endpoints() == ["/", "/"]


def test_of_two_different_routes_on_one_path_the_first_name_answers() -> None:
    with pytest.warns(AppWarning, match="alpha and beta have the same path '/'; alpha answers"):

        class Mine(fal.App):
            @fal.endpoint("/")
            def beta(self) -> str:
                return "beta"

            @fal.endpoint("/", health_check=fal.HealthCheck())
            def alpha(self) -> str:
                return "alpha"

    assert routes_of(Mine)["/"][0] == "alpha"
    assert [route() for route in local(Mine).collect_routes().values()] == ["alpha", "beta"]


def test_three_on_one_path_are_named_in_one_warning_and_a_subclass_is_not_warned_again() -> None:
    with pytest.warns(AppWarning, match="a, b and c have the same path '/x'; c answers") as caught:

        class Mine(fal.App):
            @fal.endpoint("/x")
            def a(self) -> None: ...

            @fal.endpoint("/x")
            def b(self) -> None: ...

            @fal.endpoint("/x")
            def c(self) -> None: ...

    assert len(caught) == 1

    class Quiet(Mine):  # a second warning would be an error here
        pass


def test_a_subclass_that_takes_an_inherited_path_is_warned() -> None:
    with pytest.warns(AppWarning, match="Mine: hi and newer have the same path '/'; newer answers"):

        class Mine(Hello):
            @fal.endpoint("/")
            def newer(self) -> None: ...


def test_a_websocket_may_share_a_path_with_an_endpoint_and_is_no_http_route() -> None:
    class Mine(fal.App):
        @fal.endpoint("/")
        def hi(self) -> None: ...

        @fal.endpoint("/", is_websocket=True)
        async def socket(self, websocket: Any) -> None: ...

    assert list(routes_of(Mine)) == ["/"]
    assert routes_of(Mine)["/"][0] == "hi"


# --- misuse of the decorator ------------------------------------------------------------------------------------------
def test_the_decorator_without_a_path_raises_with_the_form_to_write() -> None:
    with pytest.raises(AppRuleBroken, match=r'@fal\.endpoint needs a path: write @fal\.endpoint\("/"\) above def hi$'):

        class Mine(fal.App):
            @fal.endpoint
            def hi(self) -> None: ...


@pytest.mark.parametrize("path", [None, 5, b"/", ["/"]])
def test_a_path_that_is_no_text_is_refused(path: Any) -> None:
    with pytest.raises(AppRuleBroken, match=f"path of an endpoint must be text .*\\({type(path).__name__}\\)$"):
        fal.endpoint(path)


@pytest.mark.parametrize("path", ["hi", ""])
def test_a_path_without_a_leading_slash_is_a_warning(path: str) -> None:
    with pytest.warns(AppWarning, match=f"{path!r} has no leading slash.*write '/{path}'"):
        fal.endpoint(path)


def test_an_endpoint_cannot_have_two_routes() -> None:
    with pytest.raises(AppRuleBroken, match="Can't set multiple routes for the same function: hi"):

        class Mine(fal.App):
            @fal.endpoint("/a")
            @fal.endpoint("/b")
            def hi(self) -> None: ...


@pytest.mark.parametrize(
    ("wrap", "remedy"),
    [
        (classmethod, "write @classmethod above @fal.endpoint"),
        (staticmethod, "write a method that takes self"),
        (functools.partialmethod, "write a method that takes self"),
        (functools.cached_property, "write a method that takes self"),
        (functools.singledispatchmethod, "write a method that takes self"),
        (functools.partial, "write a method that takes self"),
    ],
)
def test_what_fal_never_routes_is_not_served_with_a_warning(wrap: Callable[..., Any], remedy: str) -> None:
    def hi(self: Any) -> None: ...

    wrapped = wrap(hi)
    with pytest.warns(AppWarning, match=rf"^hi is not served: .*@fal\.endpoint\('/'\)\. To serve it, {remedy}$"):
        assert fal.endpoint("/")(wrapped) is wrapped
    with pytest.raises(AppRuleBroken, match=r"@fal\.realtime\('/'\) marks methods") as caught:
        fal.realtime("/")(wrapped)
    assert remedy.replace("endpoint", "realtime") in caught.value.hint


@pytest.mark.parametrize("thing", [5, "hi", None, len, [].append, property(lambda self: 1)])
def test_only_methods_can_be_marked(thing: Any) -> None:
    with pytest.raises(AppRuleBroken, match=r"@fal\.endpoint\('/x'\) marks methods, but this is"):
        fal.endpoint("/x")(thing)


def test_a_class_method_above_the_mark_is_an_endpoint_that_gets_the_class() -> None:
    class Mine(fal.App):
        @classmethod
        @fal.endpoint("/mine")
        def mine(cls, x: int = 1) -> str:
            return f"{cls.__name__} {x}"

    class Child(Mine): ...

    assert "mine" in endpoints_of(Child)
    assert Mine.get_endpoints() == []
    assert Mine.mine(2) == "Mine 2"
    assert Child.mine() == "Child 1"
    assert Child(_allow_init=True).mine(3) == "Child 3"


@pytest.mark.parametrize("billing", [5, str, object()])
def test_billing_must_declare_itself(billing: Any) -> None:
    with pytest.raises(TypeError, match=r"billing must be an object with a declaration\(\) method"):
        fal.endpoint("/", billing=billing)


def test_billing_is_accepted_where_it_declares_itself_but_not_on_a_websocket() -> None:
    class Billing:
        def declaration(self) -> dict[str, Any]:
            return {}

    def hi(self: Any) -> None: ...

    billing = Billing()
    assert fal.endpoint("/", billing=billing)(hi).route_signature.billing is billing
    with pytest.raises(AppRuleBroken, match="Websocket endpoints cannot declare billing components"):
        fal.endpoint("/", billing=billing, is_websocket=True)


# --- health checks ----------------------------------------------------------------------------------------------------
def test_a_health_check_becomes_part_of_host_kwargs() -> None:
    class Mine(fal.App):
        @fal.endpoint("/ready", health_check=fal.HealthCheck(timeout_seconds=3, failure_threshold=2))
        def ready(self) -> None: ...

    config = Mine.get_health_check_config()
    assert config is Mine.host_kwargs["health_check_config"]
    assert config is not None
    assert (config.path, config.timeout_seconds, config.failure_threshold) == ("/ready", 3, 2)
    assert (config.method, config.start_period_seconds) == ("POST", None)
    assert Hello.get_health_check_config() is None


def test_a_health_check_must_be_one() -> None:
    with pytest.raises(AppRuleBroken, match=r"health_check must be a fal\.HealthCheck\(\.\.\.\), but it is True"):
        fal.endpoint("/", health_check=True)  # type: ignore[arg-type]


def test_one_app_has_one_health_check_and_no_websocket_is_one() -> None:
    check = fal.HealthCheck()
    with pytest.raises(AppRuleBroken, match="An app can only have one health check endpoint"):

        class Two(fal.App):
            @fal.endpoint("/a", health_check=check)
            def a(self) -> None: ...

            @fal.endpoint("/b", health_check=check)
            def b(self) -> None: ...

    with pytest.raises(AppRuleBroken, match="Health check endpoints cannot be websocket endpoints"):

        class Socket(fal.App):
            @fal.endpoint("/a", health_check=check, is_websocket=True)
            async def a(self, websocket: Any) -> None: ...


@pytest.mark.parametrize("field", ["start_period_seconds", "timeout_seconds", "failure_threshold"])
@pytest.mark.parametrize(
    ("value", "message"), [("5", "must be a number"), (True, "must be a number"), (-1, "0 or more")]
)
def test_the_numbers_of_a_health_check_are_checked(field: str, value: Any, message: str) -> None:
    with pytest.raises(AppRuleBroken, match=f"HealthCheck's {field} .*{message}"):
        fal.HealthCheck(**{field: value})


def test_numbers_that_a_health_check_ignores_are_noted(capsys: pytest.CaptureFixture[str]) -> None:
    fal.HealthCheck(call_regularly=False)
    assert capsys.readouterr().out == ""
    fal.HealthCheck(call_regularly=False, failure_threshold=3)
    assert "failure_threshold and start_period_seconds are ignored" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        ("self, a: int, /, b: int = 1", "no request can call hi: 'a' is positional only"),
        ("self, **kwargs: int", r"hi needs a parameter 'kwargs' in each request: FastAPI takes \*\*kwargs for one"),
        ("self, a: int = 1, *args", r"hi needs a parameter 'args' in each request: FastAPI takes \*args for one"),
    ],
)
def test_parameters_that_fastapi_cannot_pass_are_warned_of(signature: str, message: str) -> None:
    namespace: dict[str, Any] = {"fal": fal}

    with pytest.warns(AppWarning, match=message):
        exec(f"class Hello(fal.App):\n    @fal.endpoint('/')\n    def hi({signature}): pass", namespace)


def test_further_inputs_of_a_batched_realtime_endpoint_are_not_warned_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        @fal.realtime("/batched", max_batch_size=4)
        def batched(self: object, first: int, *more: int) -> int:
            return 0

    with pytest.warns(fal.AppWarning, match="needs a parameter 'more'"):

        @fal.realtime("/one")
        def one(self: object, first: int, *more: int) -> int:
            return 0
