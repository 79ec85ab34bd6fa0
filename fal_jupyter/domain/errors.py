"""Every error a user of fal_jupyter can meet, split by whose move it is.

::

    FalJupyterError              message, hint (what to type instead), where (cell, line, option), status
    ├─ UserError       4xx       your class, options or input
    │   ├─ AppRuleBroken         the class breaks a rule of fal.App (also a ValueError, as in the real package)
    │   ├─ BadSetting            an environment variable or option has an unusable value
    │   ├─ NotPicklable          something the class captures cannot travel to a runner
    │   ├─ NotServed             the class or alias has no running app
    │   ├─ NoSuchMachine         the machine type that was asked for is not here
    │   ├─ AppTaken              another live kernel owns the alias
    │   └─ BadArguments          a call whose arguments do not fit the endpoint, or are not JSON serializable
    ├─ RequestError    any       a call that was sent and failed: status, error_type, detail, request_id, traceback
    ├─ AppError        5xx       your code raised or died
    │   └─ SetupFailed           setup() raised, exited, or outlived startup_timeout
    └─ GatewayError              us or the machine
        ├─ GatewayUnreachable    no gateway answers and none could be started
        │   └─ GatewayStopped    its process is stopped (SIGSTOP, a debugger)
        ├─ VersionSkew           a gateway of another protocol number runs in this state directory
        ├─ StateRefused          the state directory is not ours alone
        └─ PortTaken             the loopback port is somebody else's
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import ClassVar


class FalJupyterError(Exception):
    """Base of all errors of this package.

    Attributes:
        message: one sentence saying what is wrong.
        hint: what to do or type instead, or ``""``.
        where: the place, as the user knows it (``cell [3], line 5``, ``--keep-alive``), or ``""``.
        status: HTTP status that fits when this error ends a request.
        ends_call: whether a call raises it, so that the lines of the call are shown with it.
        lines_of_call: gives the lines of the user's code that made the call, from the traceback here; a notebook sets it.
    """

    status: int = 500
    ends_call: ClassVar[bool] = False
    lines_of_call: ClassVar[Callable[[TracebackType | None], list[str]]] = staticmethod(lambda traceback: [])

    def __init__(self, message: str, *, hint: str = "", where: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = where

    def __str__(self) -> str:
        parts = [self.message if not self.where else f"{self.where}: {self.message}"]
        if self.hint:
            parts.append(self.hint)
        return "\n".join(parts)

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the lines that made the call, the sentence and its hint, none of our frames."""
        calling = type(self).lines_of_call(self.__traceback__) if self.ends_call else []
        return [*calling, f"{type(self).__name__}: {self}", *self._notes()]

    def _notes(self) -> list[str]:
        notes: list[str] = getattr(self, "__notes__", [])
        return notes


class UserError(FalJupyterError):
    """The user's class, options or input: the user can mend it."""

    status = 400


class AppRuleBroken(UserError, ValueError):
    """The class breaks a rule of ``fal.App``; a ``ValueError`` too, since the real package raises that."""


class BadSetting(UserError, ValueError):
    """An environment variable or an option has a value that cannot be used."""


class NotPicklable(UserError, TypeError):
    """Something that the class captures cannot travel to a runner."""


class NotServed(UserError, LookupError):
    """The class or alias has no running app."""

    status = 404
    ends_call = True


class NoSuchMachine(UserError):
    """The app asks for a machine type that this machine does not have."""


class AppTaken(UserError):
    """Another live kernel owns the app of that name."""

    status = 409


class BadArguments(UserError, TypeError):
    """A call whose arguments do not fit the endpoint, or are not JSON serializable."""

    status = 422
    ends_call = True


class RequestError(FalJupyterError):
    """A call that was sent and failed.

    Attributes:
        status: the HTTP status (an int).
        error_type: fal's name of the failure (``request_timeout``, ``runner_disconnected``,
            ``runner_server_error`` …) or ``""`` where the app itself answered with an error status.
        detail: the ``detail`` of the answer: a string, or FastAPI's list for a 422.
        request_id: the id of the request, as in ``x-fal-request-id``.
        traceback: the user's own traceback as text (``""`` if user code did not raise).
        error: the whole description that the runner gave of the exception, or ``None``.
    """

    ends_call = True

    def __init__(
        self,
        message: str,
        *,
        status: int = 500,
        error_type: str = "",
        detail: object = None,
        request_id: str = "",
        traceback: str = "",
        error: Mapping[str, object] | None = None,
        hint: str = "",
        where: str = "",
    ) -> None:
        super().__init__(message, hint=hint, where=where)
        self.status = status
        self.error_type = error_type
        self.detail = detail
        self.request_id = request_id
        self.traceback = traceback
        self.error = error

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the lines that made the call, the traceback in the app, and the class by which it can be caught."""
        lines = self.traceback.rstrip("\n").split("\n") if self.traceback else []
        text = str(self)
        last = text.split("\n")
        if lines and (end := "\n".join(lines[-len(last) :])).endswith(
            text
        ):  # the remote class may stand there with its module
            text = end
            del lines[-len(last) :]
        calling = type(self).lines_of_call(self.__traceback__)
        if lines and calling:
            calling.append("In the app:")
        return [*calling, *lines, f"{type(self).__name__}: {text}", *self._notes()]


class AppError(FalJupyterError):
    """The user's code raised or died."""


class SetupFailed(AppError):
    """``setup()`` raised, exited, or outlived ``startup_timeout``.

    Attributes:
        traceback: the user's own traceback as text.
    """

    def __init__(self, message: str, *, traceback: str = "", hint: str = "", where: str = "") -> None:
        super().__init__(message, hint=hint, where=where)
        self.traceback = traceback

    def _render_traceback_(self) -> list[str]:
        lines = self.traceback.rstrip("\n").split("\n") if self.traceback else []
        return [*lines, f"{type(self).__name__}: {self}", *self._notes()]


class GatewayError(FalJupyterError):
    """The gateway or the machine."""

    status = 503
    ends_call = True


class GatewayUnreachable(GatewayError):
    """No gateway answers, and none could be started."""


class GatewayStopped(GatewayUnreachable):
    """The gateway's process is stopped, so it cannot answer."""


class VersionSkew(GatewayError):
    """A gateway of another protocol number serves this state directory."""


class StateRefused(GatewayError):
    """The state directory is not ours alone, so nothing in it can be trusted."""


class PortTaken(GatewayError):
    """The loopback port that was asked for is in use."""
