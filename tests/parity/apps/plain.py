"""Endpoints of every kind: what they take and what they give."""

import json
import time
from typing import List, Optional, Union

import fal
from fastapi import Body, Cookie, Depends, Header, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel, Field, field_validator


class In(BaseModel):
    prompt: str
    n: int = 1


class Out(BaseModel):
    text: str
    z: Optional[int] = None


class Defaults(BaseModel):
    a: int = 5


class Whole(BaseModel):
    x: int


class Strict(BaseModel):
    ratio: float = Field(ge=0, le=1)
    name: str = Field(min_length=2)

    @field_validator("name")
    @classmethod
    def no_x(cls, value: str) -> str:
        if "x" in value:
            raise ValueError("no x, please")
        return value


class Nested(BaseModel):
    items: List[In]
    either: Union[Whole, Defaults, None] = None


def dependency(a: int = 1):
    return a * 2


class Plain(fal.App):
    min_concurrency = 1

    def setup(self):
        self.made = 3

    @fal.endpoint("/")
    def root(self, input: In) -> Out:
        """Root of the app."""
        return Out(text=input.prompt * input.n)

    @fal.endpoint("/none")
    def none(self):
        return None

    @fal.endpoint("/text")
    def text(self):
        return "hi é"

    @fal.endpoint("/tuple")
    def tuple(self):
        return (1, 2)

    @fal.endpoint("/set")
    def set(self):
        return {7}

    @fal.endpoint("/bytes")
    def bytes(self):
        return b"abc"

    @fal.endpoint("/bad-bytes")
    def bad_bytes(self):
        return b"\xff\xfe"

    @fal.endpoint("/nan")
    def nan(self):
        return {"v": float("nan")}

    @fal.endpoint("/nan-annotated")
    def nan_annotated(self) -> dict:
        return {"v": float("nan")}

    @fal.endpoint("/inf-annotated")
    def inf_annotated(self) -> dict[str, float]:
        return {"v": float("inf")}

    @fal.endpoint("/cookie")
    def cookie(self, a: Optional[str] = Cookie(None)):
        return a

    @fal.endpoint("/object")
    def object(self):
        return object()

    @fal.endpoint("/out-bad")
    def out_bad(self) -> Out:
        return {"bad": 1}

    @fal.endpoint("/out-more")
    def out_more(self) -> Out:
        return {"text": "a", "extra": 1}

    @fal.endpoint("/raw")
    def raw(self):
        return Response(b"raw", status_code=201, media_type="application/x-foo", headers={"X-A": "b"})

    @fal.endpoint("/html")
    def html(self):
        return HTMLResponse("<b>hi</b>")

    @fal.endpoint("/plain-text")
    def plain_text(self):
        return PlainTextResponse("hi")

    @fal.endpoint("/json-response")
    def json_response(self):
        return JSONResponse({"a": 1}, 207)

    @fal.endpoint("/units")
    def units(self, input: Defaults, response: Response):
        response.headers["x-fal-billable-units"] = "3"
        response.status_code = 202
        return {"a": input.a}

    @fal.endpoint("/query")
    def query(self, a: int, b: str = "x"):
        return {"a": a, "b": b}

    @fal.endpoint("/bare")
    def bare(self, x):
        return {"x": x}

    @fal.endpoint("/two")
    def two(self, a: In, b: Defaults):
        return {"a": a.prompt, "b": b.a}

    @fal.endpoint("/model-and-query")
    def model_and_query(self, a: In, k: int = 3):
        return {"k": k}

    @fal.endpoint("/list")
    def list(self, a: List[int]):
        return {"a": a}

    @fal.endpoint("/dict")
    def dict(self, a: dict):
        return {"a": a}

    @fal.endpoint("/optional")
    def optional(self, input: Optional[In] = None):
        return {"got": input is not None}

    @fal.endpoint("/defaults")
    def defaults(self, input: Defaults):
        return {"a": input.a}

    @fal.endpoint("/default-model")
    def default_model(self, input: Defaults = Defaults()):
        return {"a": input.a}

    @fal.endpoint("/body")
    def body(self, a: int = Body(), b: str = Body("x")):
        return {"a": a, "b": b}

    @fal.endpoint("/header")
    def header(self, x_own: str = Header("none"), q: List[int] = Query([])):
        return {"h": x_own, "q": q}

    @fal.endpoint("/depends")
    def depends(self, d: int = Depends(dependency)):
        return {"d": d}

    @fal.endpoint("/request")
    async def request(self, request: Request):
        return {"method": request.method, "size": len(await request.body()), "own": request.headers.get("x-own")}

    @fal.endpoint("/strict")
    def strict(self, input: Strict):
        return {}

    @fal.endpoint("/nested")
    def nested(self, input: Nested):
        return {"n": len(input.items)}

    @fal.endpoint("/whole")
    async def whole(self, input: Whole):
        return {"x": input.x}

    @fal.endpoint("/item/{k}")
    def item(self, k: int):
        return {"k": k}

    @fal.endpoint("/made")
    def see_made(self):
        return {"v": self.made}

    @fal.endpoint("/sse")
    def sse(self):
        def events():
            for i in range(2):
                yield f"data: {i}\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    @fal.endpoint("/yields")
    def yields(self):
        yield 1
        yield {"a": "é"}

    @fal.endpoint("/ayields")
    async def ayields(self):
        yield 1
        yield 2

    @fal.endpoint("/variadic")
    def variadic(self, *args, **kwargs):
        return {}

    @fal.endpoint("/context")
    def context(self):
        c = self.current_request
        return [c.lifecycle_preference, c.headers.get("x-custom"), c.upload_policy is None]

    @fal.endpoint("/token")
    def token(self, new: str = "new"):
        self.current_request.headers["x-fal-cdn-token"] = new
        return {}

    @fal.endpoint("/context-stream")
    def context_stream(self):
        def parts():
            yield self.current_request.headers.get("x-custom", "none")

        return StreamingResponse(parts(), media_type="text/plain")
