"""Our side of the comparison: the endpoints of peer.py as a fal.App (``fal-jupyter serve bench/app.py::Bench``)."""

import time

import fal
from pydantic import BaseModel


class Name(BaseModel):
    name: str


class Greeting(BaseModel):
    text: str


class Text(BaseModel):
    text: str


class Bench(fal.App):
    max_multiplexing = 32

    @fal.endpoint("/async")
    async def greet(self, body: Name) -> Greeting:
        return Greeting(text=f"Hello, {body.name}")

    @fal.endpoint("/sync")
    def greet_in_a_thread(self, body: Name) -> Greeting:
        return Greeting(text=f"Hello, {body.name}")

    @fal.endpoint("/echo")
    async def echo(self, body: Text) -> Text:
        return body


class Pair(fal.App):
    """Two runners, one request each at a time."""

    max_multiplexing = 1
    min_concurrency = 2
    max_concurrency = 2

    @fal.endpoint("/")
    def work(self) -> None:
        time.sleep(0.05)
