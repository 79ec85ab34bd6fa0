"""Apps that add to what fal builds: a lifespan, middlewares, routes; and realtime endpoints of every kind of type."""

from contextlib import asynccontextmanager
from typing import Any, AsyncIterator, Iterator, Literal, Optional

import fal
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel


class A(BaseModel):
    x: int = 1


class B(BaseModel):
    a: A


class Extra(fal.App):
    log = []

    def setup(self):
        self.log.append("setup")

    @asynccontextmanager
    async def lifespan(self, app):
        self.log.append("before")
        async with super().lifespan(app):
            app.state.made = "in lifespan"
            self.log.append("ready")
            yield {"shared": "yes"}

    def _add_extra_middlewares(self, app):
        super()._add_extra_middlewares(app)

        @app.middleware("http")
        async def add_header(request, call_next):
            if request.url.path == "/blocked":
                return PlainTextResponse("no", 403)
            response = await call_next(request)
            response.headers["x-a"] = "added"
            return response

    def _add_extra_routes(self, app):
        super()._add_extra_routes(app)

        @app.get("/extra/{n}")
        async def extra(n: int, request: Request):
            return {"n": n, "shared": request.state.shared, "made": request.app.state.made}

        @app.get("/boom")
        def boom():
            raise RuntimeError("boom")

        @app.put("/put")
        def put(a: A):
            return a

        @app.exception_handler(KeyError)
        async def key_error(request, error):
            return JSONResponse({"key": str(error)}, 418)

        @app.websocket("/socket")
        async def socket(websocket: WebSocket):
            await websocket.accept()
            await websocket.send_text(websocket.state.shared)
            await websocket.close()

        inner = FastAPI()

        @inner.get("/in")
        def in_mounted(request: Request):
            return {"path": request.url.path, "root": request.scope["root_path"]}

        app.mount("/mounted", inner)

    @fal.endpoint("/")
    def run(self, request: Request):
        return {"log": self.log, "shared": request.state.shared}

    @fal.endpoint("/plain")
    def plain(self, a: A) -> A:
        return a

    @fal.endpoint("/key")
    def key(self):
        raise KeyError("k")

    @fal.endpoint("/stream")
    def stream(self):
        return StreamingResponse(iter([b"a", b"b"]))


class Alone(fal.App):
    """Overrides that do not call fal's own: no setup, no GET /health."""

    ready = False

    def setup(self):
        self.ready = True

    @asynccontextmanager
    async def lifespan(self, app):
        yield

    def _add_extra_middlewares(self, app):
        pass

    def _add_extra_routes(self, app):
        pass

    @fal.endpoint("/")
    def run(self):
        return self.ready


class Mirrors(fal.App):
    @fal.realtime("/dict")
    def as_dict(self, i: dict) -> dict: ...

    @fal.realtime("/dict-of")
    def dict_of(self, i: dict[str, Any]) -> dict[str, A]: ...

    @fal.realtime("/list-of")
    def list_of(self, i: list[B]) -> list[A]:
        """Takes a list."""

    @fal.realtime("/optional")
    def optional(self, i: Optional[A]) -> Literal["a", "b"]: ...

    @fal.realtime("/plain")
    def plain(self, i: int) -> str: ...

    @fal.realtime("/iterator")
    def iterator(self, i: B) -> Iterator[dict]: ...

    @fal.realtime("/both")
    async def both(self, i: AsyncIterator[list[A]]) -> AsyncIterator[tuple[int, B]]: ...

    @fal.realtime("/untyped")
    def untyped(self, i): ...

    @fal.realtime("/any")
    def any(self, i: Any) -> Any: ...

    @fal.realtime("/modal", input_modal=list[A], output_modal=None)
    def modal(self, i: B) -> B: ...
