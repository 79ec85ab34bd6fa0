"""An app that the test makes on the real package's App as well: bases, super(), options, realtime."""

import fal
from fal.exceptions import AppException
from fastapi import HTTPException
from pydantic import BaseModel


class Ask(BaseModel):
    text: str
    n: int = 1


class Mixin:
    def mixed(self):
        return "mixed"


class Base(Mixin, fal.App):
    keep_alive = 30
    max_multiplexing = 4

    def setup(self):
        self.log = ["base"]

    @fal.endpoint("/log")
    def read(self):
        return [*self.log, self.mixed(), self.shown]

    @property
    def shown(self):
        return __class__.__name__


class Marked(Base, min_concurrency=1):
    app_name = "marked"
    request_timeout = 40

    def setup(self):
        super().setup()
        self.log.append("marked")

    @fal.endpoint("/", health_check=fal.HealthCheck(timeout_seconds=2))
    def run(self, ask: Ask) -> dict:
        return {"text": ask.text * ask.n}

    @fal.endpoint("/refuses")
    async def refuses(self):
        raise AppException("boom", 409)

    @fal.endpoint("/package")
    def package(self):
        return issubclass(type(self), fal.App)

    @fal.endpoint("/teapot")
    def teapot(self):
        raise HTTPException(418, "teapot")

    @fal.endpoint("/context")
    def context(self):
        return self.current_request.headers.get("x-custom")

    @fal.realtime("/double", session_timeout=0.5)
    def double(self, ask: Ask) -> dict:
        return {"text": ask.text * 2}
