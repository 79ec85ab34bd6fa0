"""Responses to exceptions: status, headers and body as in fal 1.83.0 (docs/contract.md, C59 to C79)."""

from __future__ import annotations

import math
from typing import Any

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from fal_jupyter.fal.exceptions import AppException, FieldException, GPUException, RequestCancelledException
from fal_jupyter.fal.exceptions.gpu import as_gpu_exception

UNITS = "x-fal-billable-units"
_ANSWERS = (HTTPException, AppException, FieldException, RequestCancelledException)


def is_answer(error: Exception) -> bool:
    """True if an endpoint raises *error* as its answer, so its owner need not look into it."""
    kind = type(error)  # isinstance would read the exception's own __class__
    return issubclass(kind, _ANSWERS) and not issubclass(kind, GPUException)


def add_handlers(app: FastAPI) -> None:
    """Add all handlers except the catch-all one, which is in :mod:`fal_jupyter.runner.application.endpoints`."""
    app.add_exception_handler(404, _not_found)
    app.add_exception_handler(AppException, _app_exception)
    app.add_exception_handler(FieldException, _field_exception)
    app.add_exception_handler(RequestCancelledException, _cancelled)
    app.add_exception_handler(RequestValidationError, _invalid)


async def _not_found(request: Request, error: Exception) -> JSONResponse:
    """Unknown paths are not billed; the app's own message is kept, without its headers (C61, C62)."""
    assert isinstance(error, HTTPException)
    if error.detail != "Not Found":
        return JSONResponse({"detail": error.detail}, 404)
    return JSONResponse({"detail": f"Path {request.url.path} not found"}, 404, {**(error.headers or {}), UNITS: "0"})


async def _app_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AppException)
    return JSONResponse({"detail": error.message}, error.status_code)


async def _field_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, FieldException)
    headers = {}
    if error.billable_units:  # integers unchanged, all others with eight decimals (C66)
        decimals = 0 if isinstance(error.billable_units, int) else 8
        headers[UNITS] = f"{float(error.billable_units):.{decimals}f}"
    return JSONResponse(error.to_pydantic_format(), error.status_code, headers)


async def _cancelled(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 499)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """The input is invalid; values that JSON cannot hold are described as text (C78)."""
    assert isinstance(error, RequestValidationError)
    detail = jsonable_encoder(error.errors(), custom_encoder=_IN_WORDS)
    return JSONResponse({"detail": detail}, 422, {UNITS: "0"})


def _size(value: bytes | bytearray | memoryview) -> str:
    return f"<binary {len(value)} bytes>"


_IN_WORDS: dict[Any, Any] = {
    bytes: _size,
    bytearray: _size,
    memoryview: _size,
    str: lambda text: text.encode("utf-8", "replace").decode("utf-8"),  # half a character is "?", as on fal
    float: lambda number: number if math.isfinite(number) else str(number),
    BaseException: str,
}


def unhandled(error: Exception) -> JSONResponse:
    """Answer an unexpected exception: 503 if it is a GPU error, so that the runner is replaced."""
    gpu_error = as_gpu_exception(error)
    if gpu_error is not None:
        return JSONResponse({"detail": gpu_error.message}, gpu_error.status_code)
    return JSONResponse({"detail": "Internal Server Error"}, 500)
