"""The events of a proxied request: for the engine (:class:`RequestEvents`), and for an observer of one request (:class:`RequestObserver`)."""

from __future__ import annotations

from typing import Protocol, TypeVar

import msgspec

R_contra = TypeVar("R_contra", contravariant=True)


class RequestEvents(Protocol[R_contra]):
    """Receives the events of all requests (:class:`fal_jupyter.gateway.engine.request_executor.RequestExecutor`)."""

    def request_arrived(self, request: R_contra) -> None:
        """Its head and the first part of its body have arrived."""

    def keep_input(self, request: R_contra) -> None:
        """A runner has the beginning of its body, which is a large one."""

    def request_aborted(self, request: R_contra) -> None:
        """The caller disconnected."""

    def response_began(self, request: R_contra) -> None:
        """The first byte of its answer arrived, and more will come."""

    def request_finished(self, request: R_contra, *, replace: bool) -> None:
        """The runner's last byte arrived."""

    def drain_output(self, request: R_contra) -> None:
        """Read the output of child processes of user code, before the answer that follows it."""

    def request_printed(self, request: R_contra, stream: int, text: str) -> None:
        """User code printed during the request."""

    def cookie_set(self, request: R_contra, name: str) -> None:
        """The app set a cookie."""

    def runner_header(self, request: R_contra, name: str, value: str) -> None:
        """A header of the answer is about the runner: its hints, or that its health should be checked."""

    def remark(self, request: R_contra, text: str) -> None:
        """Write a line about the request's runner into the app's log."""

    def without_secrets(self, request: R_contra, text: str) -> str:
        """Return the app's output without secrets."""


class RequestObserver(Protocol):
    """Receives the events of one request, in addition to its caller (for example, a job of the queue)."""

    def dispatched(self) -> None:
        """A runner has it."""

    def taken_back(self) -> None:
        """Its runner had ended: it waits again."""

    def printed(self, stream: int, text: str) -> None:
        """User code printed during the request."""

    def ended(self) -> None:
        """It has ended, and so has its output."""


class ObserverSlot(msgspec.Struct, eq=False):
    """The observer of one request, if there is one: sends it the request's events."""

    _observer: RequestObserver | None = None

    @property
    def taken(self) -> bool:
        """True if there is an observer."""
        return self._observer is not None

    def attach(self, observer: RequestObserver) -> bool:
        """Send the request's events to *observer*; False if there is already another one."""
        if self._observer is not None:
            return False
        self._observer = observer
        return True

    def detach(self) -> None:
        """Remove the observer."""
        self._observer = None

    def dispatched(self) -> None:
        """A runner has the request."""
        if self._observer is not None:
            self._observer.dispatched()

    def taken_back(self) -> None:
        """Its runner had ended: the request waits again."""
        if self._observer is not None:
            self._observer.taken_back()

    def printed(self, stream: int, text: str) -> None:
        """User code printed during the request."""
        if self._observer is not None:
            self._observer.printed(stream, text)

    def ended(self) -> None:
        """The request has ended, and so has its output."""
        if self._observer is not None:
            self._observer.ended()
