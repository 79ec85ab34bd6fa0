"""What each exception answers."""

import fal
from fal.exceptions import (
    AppException,
    CUDAOutOfMemoryException,
    FalServerlessException,
    FieldException,
    FileTooLargeError,
    GPUException,
    GPUOutOfMemoryException,
    RequestCancelledException,
    UnauthenticatedException,
    catch_gpu_exceptions,
)
from fastapi import HTTPException
from fastapi.responses import StreamingResponse
from pydantic import BaseModel


class Small(BaseModel):
    a: int


def made(kind: str):
    return {
        "teapot": lambda: HTTPException(418, "teapot", headers={"X-T": "1"}),
        "detail": lambda: HTTPException(400, {"a": 1}),
        "own-404": lambda: HTTPException(404, "no such model", headers={"X-T": "1"}),
        "plain-404": lambda: HTTPException(404, headers={"X-T": "1"}),
        "app": lambda: AppException("boom", 409),
        "app-named": lambda: AppException(message="boom", status_code=410),
        "field": lambda: FieldException("prompt", "bad prompt"),
        "field-more": lambda: FieldException("prompt", "bad", status_code=400, type="t", billable_units=2),
        "field-half": lambda: FieldException("prompt", "bad", billable_units=0.5),
        "field-text": lambda: FieldException("prompt", "bad", billable_units="7"),
        "field-none": lambda: FieldException("prompt", "bad", billable_units=None),
        "field-abc": lambda: FieldException("prompt", "bad", billable_units="abc"),
        "cancelled": lambda: RequestCancelledException(),
        "cancelled-text": lambda: RequestCancelledException("stop now"),
        "gpu-own": lambda: GPUException("my gpu", 500),
        "value": lambda: ValueError("nope"),
        "key": lambda: KeyError("x"),
        "base": lambda: FalServerlessException("base"),
        "large": lambda: FileTooLargeError(),
        "unauthenticated": lambda: UnauthenticatedException(),
    }[kind]()


class Errors(fal.App):
    min_concurrency = 1

    @fal.endpoint("/raise/{kind}")
    def raises(self, kind: str):
        raise made(kind)

    @fal.endpoint("/araise/{kind}")
    async def raises_async(self, kind: str):
        raise made(kind)

    @fal.endpoint("/plain-404")
    def plain_404(self):
        raise HTTPException(404)

    @fal.endpoint("/field")
    def field(self):
        raise made("field-more")

    @fal.endpoint("/app")
    def app_exception(self):
        raise made("app")

    @fal.endpoint("/validation")
    def validation(self):
        Small(a="x")

    @fal.endpoint("/stream-breaks")
    def stream_breaks(self):
        def parts():
            yield "one"
            raise ValueError("two")

        return StreamingResponse(parts(), media_type="text/plain")


class Gpu(fal.App):
    """Its runner is replaced after each answer of 503, so it is asked once a kind."""

    @fal.endpoint("/")
    def run(self, kind: str):
        if kind == "caught":
            with catch_gpu_exceptions():
                raise RuntimeError("CUDA error: device-side assert")
        if kind == "passed":
            with catch_gpu_exceptions():
                raise KeyError("x")
        raise {
            "gpu": GPUException(),
            "gpu-oom": GPUOutOfMemoryException(),
            "cuda-oom": CUDAOutOfMemoryException(),
            "torch-oom": RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
            "cudnn": RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED."),
            "nvml": RuntimeError("NVML_SUCCESS == r INTERNAL ASSERT FAILED at x"),
            "value-oom": ValueError("CUDA out of memory"),
            "triton": ValueError("bad Triton kernel"),
        }[kind]
