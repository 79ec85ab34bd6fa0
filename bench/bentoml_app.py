"""BentoML with the same endpoint, async, one worker. Run by bench.py in an environment of its own."""

import bentoml
from pydantic import BaseModel


class Name(BaseModel):
    name: str


class Greeting(BaseModel):
    text: str


# no access log and no metrics, since the others write none
@bentoml.service(
    workers=1, traffic={"timeout": 120}, logging={"access": {"enabled": False}}, metrics={"enabled": False}
)
class Bench:
    @bentoml.api
    async def predict(self, body: Name, /) -> Greeting:
        return Greeting(text=f"Hello, {body.name}")
