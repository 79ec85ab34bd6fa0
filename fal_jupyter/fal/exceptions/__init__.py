"""``fal.exceptions``: what endpoints raise to answer with a status of their choice (docs/contract.md, C59 to C82)."""

from __future__ import annotations

from fal_jupyter.fal.exceptions.auth import UnauthenticatedException
from fal_jupyter.fal.exceptions.base import (
    AppException,
    AppFileUploadException,
    FalServerlessException,
    FieldException,
    FileTooLargeError,
    RequestCancelledException,
)
from fal_jupyter.fal.exceptions.gpu import (
    CUDAOutOfMemoryException,
    GPUException,
    GPUOutOfMemoryException,
    catch_gpu_exceptions,
)

__all__ = [
    "AppException",
    "AppFileUploadException",
    "CUDAOutOfMemoryException",
    "FalServerlessException",
    "FieldException",
    "FileTooLargeError",
    "GPUException",
    "GPUOutOfMemoryException",
    "RequestCancelledException",
    "UnauthenticatedException",
    "catch_gpu_exceptions",
]
