"""BentoML with the same endpoint, async, one worker. Run by bench.py in an environment of its own."""

import bentoml
from pydantic import BaseModel


class Greeting(BaseModel):
    text: str


@bentoml.service(workers=1, traffic={"timeout": 120, "concurrency": 32})
class Bench:
    @bentoml.api
    async def predict(self, name: str) -> Greeting:
        return Greeting(text=f"Hello, {name}")
