"""The app that generated requests are sent to: one endpoint for each kind of signature that FastAPI and fal accept.

Only what is below ``/raises`` fails by itself; a 5xx of any other endpoint is ours.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Literal

import fal
from fal.toolkit import File, Image
from fastapi import Body, Cookie, Header, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from pydantic import BaseModel, Field, field_validator


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 9


class Inner(BaseModel):
    name: str = Field(max_length=12)
    inner: Inner | None = None


class Bounded(BaseModel):
    prompt: str = Field(min_length=1, max_length=40)
    pattern: str = Field("ab-1", pattern=r"^[a-z]{1,4}-\d$")
    steps: int = Field(30, ge=1, le=100)
    even: int = Field(0, multiple_of=2)
    scale: float = Field(7.5, gt=0, lt=20)
    seed: int | None = None
    tags: list[str] = Field([], max_length=4)
    pair: tuple[int, str] = (1, "a")
    counts: dict[str, int] = {}
    colour: Colour = Colour.RED
    level: Level = Level.LOW
    mode: Literal["fast", "slow"] = "fast"
    inner: Inner | None = None
    inners: list[Inner] = []

    @field_validator("prompt")
    @classmethod
    def polite(cls, value: str) -> str:
        if value.startswith("!"):
            raise ValueError("do not shout")
        return value


class Moments(BaseModel, extra="forbid"):
    day: datetime.date
    at: datetime.datetime | None = None
    hour: datetime.time | None = None
    lasts: datetime.timedelta | None = None
    id: uuid.UUID | None = None
    price: decimal.Decimal | None = Field(None, max_digits=8, decimal_places=2)
    raw: bytes | None = None
    unique: set[int] = set()


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    loud: bool = False


class Files(BaseModel):
    picture: Image | None = None
    file: File | None = None
    more: list[File] = Field([], max_length=3)


class Told(BaseModel):
    text: str
    number: int | None = None


def writable(text: str) -> str:
    """Half a pair of surrogates may come in JSON and cannot be sent: an endpoint that gives it back fails, as with fal's own."""
    return text.encode("utf-8", "replace").decode()


class Fuzzed(fal.App):
    app_name = "fuzzed"
    max_multiplexing = 4
    max_concurrency = 1
    min_concurrency = 1
    keep_alive = 3600
    request_timeout = 60

    @fal.endpoint("/")
    def bounded(self, body: Bounded) -> Bounded:
        try:
            body.model_dump_json()
        except ValueError:
            raise HTTPException(422, "surrogates") from None
        return body

    @fal.endpoint("/moments")
    async def moments(self, body: Moments) -> dict:
        return {"fields": sorted(body.model_fields_set)}

    @fal.endpoint("/pets")
    def pets(self, body: Annotated[Cat | Dog, Field(discriminator="kind")]) -> dict:
        return {"kind": body.kind}

    @fal.endpoint("/union")
    def union(self, body: Inner | list[int] | str) -> str:
        return type(body).__name__

    @fal.endpoint("/optional")
    def optional(self, body: Inner | None = None) -> Told:
        return Told(text=writable(body.name) if body else "nothing")

    @fal.endpoint("/two")
    async def two(self, first: Cat, second: Inner, third: Annotated[int, Body(ge=0)] = 3) -> int:
        return third

    @fal.endpoint("/mapping")
    def mapping(self, body: dict[str, Any]) -> int:
        return len(body)

    @fal.endpoint("/listing")
    def listing(self, body: Annotated[list[float], Body(max_length=5)]) -> int:
        return len(body)

    @fal.endpoint("/plain")
    def plain(
        self, prompt: str, steps: Annotated[int, Query(ge=1, le=50)] = 3, colour: Colour = Colour.RED, on: bool = False
    ) -> Told:
        return Told(text=writable(prompt), number=steps)

    @fal.endpoint("/queried")
    async def queried(
        self, name: Annotated[list[str], Query(max_length=3)], when: datetime.datetime | None = None
    ) -> int:
        return len(name)

    @fal.endpoint("/path/{number}/{name}")
    def path(
        self,
        number: int,
        name: str,
        x_flag: Annotated[int | None, Header()] = None,
        jar: Annotated[str | None, Cookie()] = None,
    ) -> Told:
        return Told(text=writable(name), number=number)

    @fal.endpoint("/rest/{below:path}")
    async def below(self, below: str, request: Request) -> dict:
        return {"below": below, "query": len(request.query_params), "headers": len(request.headers)}

    @fal.endpoint("/files")
    def files(self, body: Files) -> dict:
        return {"picture": body.picture is not None, "more": len(body.more)}

    @fal.endpoint("/picture")
    def picture(self, image: Annotated[Image, Body(embed=True)]) -> dict:
        try:
            return {"size": image.to_pil().size}
        except Exception as error:  # no picture, no address, a private one …
            raise HTTPException(422, type(error).__name__) from None

    @fal.endpoint("/upper")
    async def upper(self, request: Request) -> Response:
        return Response((await request.body()).upper(), media_type="application/octet-stream")

    @fal.endpoint("/counted")
    async def counted(self, request: Request) -> dict:
        length = 0
        async for chunk in request.stream():
            length += len(chunk)
        return {"length": length}

    @fal.endpoint("/events")
    async def events(self, count: Annotated[int, Query(ge=0, le=5)] = 2) -> StreamingResponse:
        async def told() -> AsyncIterator[str]:
            for number in range(count):
                yield f"data: {number}\n\n"

        return StreamingResponse(told(), media_type="text/event-stream")

    @fal.endpoint("/yields")
    def yields(self, body: Inner) -> Iterator[dict]:
        yield {"name": writable(body.name)}
        yield {"more": True}

    @fal.endpoint("/none")
    def none(self) -> None:
        return None

    @fal.endpoint("/html")
    def html(self, text: str = "") -> HTMLResponse:
        return HTMLResponse(f"<p>{len(text)}</p>")

    @fal.endpoint("/made")
    async def made(
        self, code: Annotated[int, Query(ge=200, le=499)], how: Literal["text", "json", "away"] = "text"
    ) -> Response:
        if how == "away":
            return RedirectResponse("/elsewhere", 307)
        return PlainTextResponse("made", code) if how == "text" else JSONResponse({"made": True}, code)

    @fal.endpoint("/refuses")
    def refuses(self, code: Annotated[int, Query(ge=400, le=499)] = 418) -> None:
        raise HTTPException(code, {"why": "tea"}, {"x-why": "tea"})

    @fal.endpoint("/pid")
    def pid(self) -> int:
        return os.getpid()

    @fal.endpoint("/raises")
    def raises(self, body: Inner) -> Inner:
        raise RuntimeError(f"the password is {body.name}")

    @fal.endpoint("/raises/nan")
    async def raises_nan(self, share: float = float("nan")) -> dict:
        return {"share": share}

    @fal.endpoint("/raises/code")
    def raises_code(self, code: Annotated[int, Query(ge=500, le=599)]) -> None:
        raise HTTPException(
            502 if code in (503, 504) else code, "on purpose"
        )  # as on fal, 503 replaces the runner, and the queue retries both
