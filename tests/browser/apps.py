"""Notebooks for the browser, as lists of cells."""

LOAD = "%load_ext fal_jupyter"

STUDIO = '''%%fal_app
import asyncio
import os
import time
from pathlib import Path
from fastapi.responses import StreamingResponse


class Studio(fal.App):
    max_concurrency = 3

    def setup(self):
        self.greeting = "Hello"

    @fal.endpoint("/")
    def hi(self, name: str = "world", times: int = 1) -> dict:
        """Say hello."""
        print("greeting", name)
        return {"text": f"{self.greeting}, {name}", "times": times, "pid": os.getpid()}

    @fal.endpoint("/slow")
    async def slow(self, gate: str = "") -> dict:
        while not Path(gate).exists():
            await asyncio.sleep(0.02)
        return {"waited": True}

    @fal.endpoint("/stream")
    async def stream(self, gate: str = "") -> StreamingResponse:
        async def events():
            yield 'data: {"step": 1}\\n\\n'
            while not Path(gate).exists():
                await asyncio.sleep(0.02)
            yield 'data: {"step": 2}\\n\\n'
        return StreamingResponse(events(), media_type="text/event-stream")

    @fal.endpoint("/fail")
    def fail(self) -> dict:
        secret = 41
        return {"never": secret / 0}
'''
CELLS = [
    LOAD,
    STUDIO,
    'Studio.hi(name="Ada")',
    "for n in range(25): Studio.hi(name=str(n))",
    "import fal_jupyter\nprint(Studio.url)",
]
