"""Apps of unusual shapes: paths, health, hints, lifecycle, inheritance."""

import os

import fal
from fastapi import HTTPException


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
