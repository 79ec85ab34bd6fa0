"""Exceptions of GPUs, and how they are recognised: 503 means that the runner is replaced (C70 to C75, C82)."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

from fal_jupyter.fal.exceptions.base import AppException

OUT_OF_MEMORY = "CUDA error: out of memory"
_CUDA_OOM_MESSAGE, _GPU_ERROR_STATUS_CODE = OUT_OF_MEMORY, 503  # the real package's names, which its tests import
_FULL = ("NVML_SUCCESS == r INTERNAL ASSERT FAILED", "CUDNN_STATUS_INTERNAL_ERROR", "cuDNN error: CUDNN_STATUS_NOT_SUPPORTED.")  # fmt: skip
_WORDS = ("cuda", "cudnn", "nvml", "nccl", "cublas", "cufft", "cusolver", "cusparse", "triton")


@dataclass
class GPUException(AppException):
    """Something of the GPU failed; its runner is replaced."""

    message: str = "GPU error"
    status_code: int = 503


@dataclass
class GPUOutOfMemoryException(GPUException):
    """The GPU has no memory left."""


@dataclass
class CUDAOutOfMemoryException(GPUOutOfMemoryException):
    """CUDA reported that it is out of memory."""

    message: str = OUT_OF_MEMORY


def is_out_of_memory(error: BaseException) -> bool:
    """True for the RuntimeErrors by which torch says that the GPU is full (or that cuDNN is, in other words)."""
    if not issubclass(type(error), RuntimeError):  # isinstance would ask the exception's own __class__
        return False
    args = BaseException.__dict__["args"].__get__(error)
    if len(args) != 1 or type(args[0]) is not str:
        return False
    text = args[0]
    return ("CUDA" in text and "out of memory" in text) or any(phrase in text for phrase in _FULL)


def is_gpu_error(error: BaseException) -> bool:
    """True if an error's text names a part of the GPU's software."""
    try:
        text = str(error).lower()
    except BaseException:  # the user's own __str__
        return False
    return any(word in text for word in _WORDS)


def as_gpu_exception(error: BaseException) -> GPUException | None:
    """Return the exception that *error* counts as, or None if it has nothing to do with a GPU."""
    if is_out_of_memory(error):
        return CUDAOutOfMemoryException()
    return GPUException() if is_gpu_error(error) else None


class catch_gpu_exceptions(contextlib.ContextDecorator):  # noqa: N801  # its name is the real package's
    """``with catch_gpu_exceptions():`` or ``@catch_gpu_exceptions()``: errors of the GPU become :class:`GPUException`."""

    def __enter__(self) -> catch_gpu_exceptions:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Literal[False]:
        if error is not None and not issubclass(type(error), GPUException):
            gpu_error = as_gpu_exception(error)
            if gpu_error is not None:
                raise gpu_error from error
        return False
