"""What the real package says where no key is set."""

from __future__ import annotations

from fal_jupyter.fal.exceptions.base import FalServerlessException


class UnauthenticatedException(FalServerlessException):
    """There is no login."""

    def __init__(self) -> None:
        super().__init__(
            "You must be authenticated. Use [bold]fal auth login[/] or [bold]fal profile key[/] to set your fal key."
        )
