"""Our side of the comparison: the endpoints of peer.py as a fal.App (``fal-jupyter serve bench/app.py::Bench``)."""

import fal
from pydantic import BaseModel


class Name(BaseModel):
    name: str


class Greeting(BaseModel):
    text: str


class Bench(fal.App):
    max_multiplexing = 32

    @fal.endpoint("/async")
    async def greet(self, body: Name) -> Greeting:
        return Greeting(text=f"Hello, {body.name}")

    @fal.endpoint("/sync")
    def greet_in_a_thread(self, body: Name) -> Greeting:
        return Greeting(text=f"Hello, {body.name}")
