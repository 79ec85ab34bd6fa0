"""The exceptions that are not about GPUs.

They are dataclasses as in the real package, so ``args`` (and ``str()``) hold what was given by position only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class FalServerlessException(Exception):
    """Base of all exceptions of ``fal``."""


@dataclass
class AppException(FalServerlessException):
    """Answer with *status_code*, and *message* as the detail."""

    message: str
    status_code: int


@dataclass
class FieldException(FalServerlessException):
    """Answer that one field of the input is wrong, in the form of a validation error.

    Attributes:
        field: its name.
        billable_units: a number (or its text) for the header ``x-fal-billable-units``; 0 and None send none.
    """

    field: str
    message: str
    status_code: int = 422
    type: str = "value_error"
    billable_units: int | float | str | None = 0

    def to_pydantic_format(self) -> dict[str, list[dict[str, Any]]]:
        """Return the body of the answer."""
        return {"detail": [{"loc": ["body", self.field], "msg": self.message, "type": self.type}]}


@dataclass
class RequestCancelledException(FalServerlessException):
    """The caller disconnected: 499."""

    message: str = "Request cancelled by the client."


@dataclass
class FileTooLargeError(FalServerlessException):
    """A download was larger than allowed."""

    message: str = "File is too large."


@dataclass
class AppFileUploadException(FalServerlessException):
    """A file of the app could not be uploaded."""

    message: str
    relative_path: str
