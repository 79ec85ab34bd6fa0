"""What an exchange reports: to the engine (:class:`RequestEvents`), and to a follower of one request (:class:`RequestObserver`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from fal_jupyter.gateway.requests.proxied_request import ProxiedRequest


class RequestEvents(Protocol):
    """Receives the events of all exchanges (:class:`fal_jupyter.gateway.engine.engine.Engine`)."""

    cookies: dict[str, set[str]]
    """Names of the cookies that each app has set."""

    def request_arrived(self, exchange: ProxiedRequest) -> None:
        """Its head and the first part of its body are here."""

    def request_aborted(self, exchange: ProxiedRequest) -> None:
        """The caller hung up."""

    def request_finished(self, exchange: ProxiedRequest, *, replace: bool) -> None:
        """The runner's last byte came."""

    def drain_output(self, exchange: ProxiedRequest) -> None:
        """Take what child processes of user code have printed, before the answer that comes after it."""

    def request_printed(self, exchange: ProxiedRequest, which: int, text: str) -> None:
        """User code printed while it answered."""

    def runner_said(self, exchange: ProxiedRequest, name: str, value: str) -> None:
        """Its runner has said something of itself, in a header of the answer that begins with ``SAID``."""

    def remark(self, exchange: ProxiedRequest, text: str) -> None:
        """Write a line about the request's runner into the app's log."""

    def without_secrets(self, exchange: ProxiedRequest, text: str) -> str:
        """Give what may be shown of a text that the app printed."""


class RequestObserver(Protocol):
    """Receives the events of one request, besides its caller (a job of the queue)."""

    def dispatched(self) -> None:
        """A runner has it."""

    def taken_back(self) -> None:
        """That runner was dead: it waits again."""

    def printed(self, which: int, text: str) -> None:
        """User code printed while it answered."""

    def ended(self) -> None:
        """It is over, and nothing more is printed."""
