"""All errors of fal_jupyter, grouped by who must fix them.

::

    FalJupyterError              message, hint (what to type instead), where (cell, line, option), status
    ├─ UserError       4xx       your class, options or input
    │   ├─ AppRuleBroken         the class breaks a rule of fal.App (also a ValueError, as in the real package)
    │   ├─ BadSetting            an environment variable or option has an unusable value
    │   ├─ NotPicklable          something that the class captures cannot be sent to a runner
    │   ├─ NotServed             the class or alias has no running app
    │   ├─ NoSuchMachine         the requested machine type is not available
    │   ├─ AppTaken              another running kernel owns the alias
    │   └─ BadArguments          a call whose arguments do not fit the endpoint, or are not JSON serializable
    ├─ RequestError    any       a call that was sent and failed: status, error_type, detail, request_id, traceback
    ├─ AppError        5xx       your code raised or crashed
    │   └─ SetupFailed           setup() raised, exited, or outlived startup_timeout
    └─ GatewayError              the gateway or the machine
        ├─ GatewayUnreachable    no gateway is running and none could be started
        │   └─ GatewayStopped    its process is stopped (SIGSTOP, a debugger)
        ├─ VersionSkew           a gateway of another protocol number runs in this state directory
        ├─ StateRefused          other users can access the state directory
        └─ PortTaken             the loopback port is in use
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import ClassVar


class FalJupyterError(Exception):
    """Base of all errors of this package.

    Attributes:
        message: one sentence that describes the problem.
        hint: what to do or type instead, or ``""``.
        where: the location, in the user's terms (``cell [3], line 5``, ``--keep-alive``), or ``""``.
        status: HTTP status of a request that fails with this error.
        ends_call: whether a call raises it, so that the calling lines are shown with it.
        lines_of_call: returns the lines of user code that made the call, from this traceback; set by a notebook.
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
        """What IPython shows: the calling lines, the message and its hint, without our frames."""
        calling = type(self).lines_of_call(self.__traceback__) if self.ends_call else []
        return [*calling, f"{type(self).__name__}: {self}", *self._notes()]

    def _notes(self) -> list[str]:
        notes: list[str] = getattr(self, "__notes__", [])
        return notes


class UserError(FalJupyterError):
    """The user's class, options or input are at fault, so the user can fix it."""

    status = 400


class AppRuleBroken(UserError, ValueError):
    """The class breaks a rule of ``fal.App``; a ``ValueError`` too, since the real package raises that.

    Attributes:
        definition: the function of the user that breaks it, for the line that is shown, or None.
    """

    definition: Callable[..., object] | None = None


class BadSetting(UserError, ValueError):
    """An environment variable or an option has a value that cannot be used."""


class NotPicklable(UserError, TypeError):
    """Something that the class captures cannot be sent to a runner."""


class NotServed(UserError, LookupError):
    """The class or alias has no running app."""

    status = 404
    ends_call = True


class NoSuchMachine(UserError):
    """The app requires a machine type that this machine does not have."""


class AppTaken(UserError):
    """Another running kernel owns the app of that name.

    Attributes:
        holder: which one, as ``a.ipynb (process 12)``, or ``""``.
    """

    status = 409

    def __init__(self, message: str, *, hint: str = "", where: str = "", holder: str = "") -> None:
        super().__init__(message, hint=hint, where=where)
        self.holder = holder


class BadArguments(UserError, TypeError):
    """A call whose arguments do not fit the endpoint, or are not JSON serializable."""

    status = 422
    ends_call = True


class RequestError(FalJupyterError):
    """A call that was sent and failed.

    Attributes:
        status: the HTTP status (an int).
        error_type: fal's name for the failure (``request_timeout``, ``runner_disconnected``,
            ``runner_server_error`` …) or ``""`` if the app itself answered with an error status.
        detail: the ``detail`` of the answer: a string, or FastAPI's list for a 422.
        request_id: the id of the request, as in ``x-fal-request-id``.
        traceback: the user's own traceback as text (``""`` if user code did not raise).
        error: the runner's full description of the exception, or ``None``.
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
        """What IPython shows: the calling lines, the traceback in the app, and the exception class to catch."""
        lines = self.traceback.rstrip("\n").split("\n") if self.traceback else []
        text = str(self)
        last = text.split("\n")
        if lines and (end := "\n".join(lines[-len(last) :])).endswith(
            text
        ):  # the remote class may be written with its module
            text = end
            del lines[-len(last) :]
        calling = type(self).lines_of_call(self.__traceback__)
        if lines and calling:
            calling.append("In the app:")
        return [*calling, *lines, f"{type(self).__name__}: {text}", *self._notes()]


class AppError(FalJupyterError):
    """The user's code raised or crashed."""


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
    """The gateway or the machine failed."""

    status = 503
    ends_call = True


class GatewayUnreachable(GatewayError):
    """No gateway is running, and none could be started."""


class GatewayStopped(GatewayUnreachable):
    """The gateway's process is stopped, so it cannot answer."""


class VersionSkew(GatewayError):
    """A gateway of another protocol number serves this state directory."""


class StateRefused(GatewayError):
    """Other users can access the state directory, so its contents cannot be trusted."""


class PortTaken(GatewayError):
    """The requested loopback port is in use."""
