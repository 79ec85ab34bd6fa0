"""Apps of unusual shapes: paths, health, hints, lifecycle, inheritance."""

import functools
import os

import fal
from fastapi import HTTPException, WebSocket
from pydantic import BaseModel


class Health(fal.App):
    version = "9"

    @fal.endpoint("/health")
    def mine(self):
        return {"mine": 1}


class OwnHealth(fal.App):
    @fal.endpoint("/")
    def run(self):
        return {}

    async def health(self):
        return {"ok": 1}


class Paths(fal.App):
    @fal.endpoint("/{x}")
    def parameter(self, x: str):
        return {"who": "param"}

    @fal.endpoint("/fixed")
    def fixed(self):
        return {"who": "fixed"}

    @fal.endpoint("/twice")
    def b(self):
        return {"who": "b"}

    @fal.endpoint("/twice")
    def a(self):
        return {"who": "a"}

    @fal.endpoint("/deep/sub/")
    def sub(self):
        return {"sub": 1}


class Hints(fal.App):
    min_concurrency = 1
    hints = ["a", "b"]

    @fal.endpoint("/")
    def run(self):
        return {}

    @fal.endpoint("/fails")
    def fails(self):
        raise ValueError("x")

    @fal.endpoint("/refuses")
    def refuses(self):
        raise HTTPException(409, "no")

    @fal.endpoint("/set")
    def set(self, kind: str):
        Hints.hints = {"none": None, "empty": [], "text": "abc", "odd": ["a", "☃", "c"], "list": ["a", "b"]}[kind]
        return {}

    def provide_hints(self):
        return self.hints


class Life(fal.App):
    async def setup(self):
        self.states = [os.environ.get("FAL_RUNNER_STATE"), os.environ.get("IS_ISOLATE_AGENT")]

    @fal.endpoint("/")
    async def run(self):
        return [*self.states, os.environ.get("FAL_RUNNER_STATE")]


class Base(fal.App):
    @fal.endpoint("/")
    def run(self):
        return {"who": "base"}

    @fal.endpoint("/gone")
    def gone(self):
        return {}


class Mixin:
    def helper(self):
        return "mixed"


class Derived(Mixin, Base):
    def gone(self):
        return {}

    @fal.endpoint("/more")
    def more(self):
        return {"who": self.helper(), "base": super().run()}


class Number(BaseModel):
    x: int


def doubled(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return {"twice": function(*args, **kwargs)}

    return wrapper


class ClassMethods(fal.App):
    made = "by the class"

    @fal.endpoint("/plain")
    def plain(self):
        return [self.first(Number(x=1)), ClassMethods.first(Number(x=2)), type(self).helper()]

    @classmethod
    def helper(cls):
        return cls.first(Number(x=3))

    @classmethod
    @fal.endpoint("/first")
    def first(cls, input: Number):
        return {"cls": cls.__name__, "made": cls.made, "x": input.x}

    @classmethod
    @fal.endpoint("/coroutine")
    async def coroutine(cls, n: int = 1):
        return {"cls": cls.__name__, "n": n}

    @classmethod
    @doubled
    @fal.endpoint("/wrapped")
    def wrapped(cls):
        return cls.__name__

    @functools.lru_cache
    @fal.endpoint("/cached")
    def cached(self):
        self.calls = getattr(self, "calls", 0) + 1
        return self.calls

    @fal.endpoint("/below")
    @classmethod
    def below(cls):
        return {}

    @staticmethod
    @fal.endpoint("/static")
    def static():
        return {}

    @fal.endpoint("/static-below")
    @staticmethod
    def static_below():
        return {}

    @classmethod
    @fal.endpoint("/fails")
    def fails(cls):
        raise HTTPException(409, cls.__name__)

    @classmethod
    @fal.realtime("/talk", session_timeout=0.5)
    def talk(cls, input: Number) -> Number:
        return Number(x=input.x * 2)

    @classmethod
    @fal.endpoint("/socket", is_websocket=True)
    async def socket(cls, websocket: WebSocket):
        await websocket.accept()
        await websocket.send_text(cls.__name__)
        await websocket.close()


class ChildOfClassMethods(ClassMethods):
    app_name = "child"
    made = "by the child"

    @classmethod
    @fal.endpoint("/first")
    def first(cls, input: Number):
        return {"child": super().first(input)}
