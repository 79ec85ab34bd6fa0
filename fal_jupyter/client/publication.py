"""The apps that this process publishes: at the gateway that holds its lease, and again at the next one after a crash."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from fal_jupyter.client.connection import lease as leases
from fal_jupyter.client.connection.connector import GatewayConnector
from fal_jupyter.client.connection.control_client import ControlClient
from fal_jupyter.client.connection.control_connection import ErrorResponse, decoded
from fal_jupyter.client.connection.ongoing_calls import ended_starting
from fal_jupyter.client.connection.waiting import MOST_GATEWAYS
from fal_jupyter.domain.errors import (
    AppRuleBroken,
    AppTaken,
    BadSetting,
    GatewayError,
    GatewayStopped,
    GatewayUnreachable,
    NoSuchMachine,
    NotServed,
    UserError,
)
from fal_jupyter.domain.text.json_forms import encode_json
from fal_jupyter.protocol.api import A_APPS, Event, Published, PublishHead

DIED = "the gateway had ended; a new one was started and the apps of this process were published again"
_REFUSALS = {kind.__name__: kind for kind in (NoSuchMachine, BadSetting, AppRuleBroken)}


@dataclass
class Publication:
    """One app, and the lease under which it is published.

    Attributes:
        published: the gateway's response. It is shared with the app's handle, and updated when the app is published again.
        former: the previous publication, which keeps serving if this one fails.
    """

    head: PublishHead
    payload: bytes
    lease: str
    published: Published
    former: Publication | None = None
    failed: bool = False


class Publications:
    """The apps that this process publishes, by alias.

    The connector refers to this to call :meth:`restore`; methods that need the connector take it as an argument. There is no
    reference cycle, so an unused client is freed immediately.

    Attributes:
        notices: messages for the user since the last read.
    """

    def __init__(self) -> None:
        self._by_alias: dict[str, Publication] = {}
        self._own: set[str] = set()  # stopped ones too
        self.notices: list[str] = []

    @property
    def aliases(self) -> list[str]:
        """The apps, in the order of their first publication."""
        return list(self._by_alias)

    def __contains__(self, alias: object) -> bool:
        return alias in self._by_alias

    def is_own(self, alias: str) -> bool:
        """True if this very process has published an app of that name, even if it has stopped it since."""
        return alias in self._own

    def publish(self, connector: GatewayConnector, alias: str, head: PublishHead, payload: bytes) -> Published:
        """Publish an app.

        Raises:
            AppTaken: another running owner has it.
        """
        with connector.lock:
            for gateways_left in reversed(range(MOST_GATEWAYS)):
                lease = connector.own_lease()
                try:
                    published = self._put(connector, lease.granted["lease"], alias, head, payload)
                except OSError as error:  # it ended, and with it a publication that it may have begun
                    connector.drop_lease()
                    if not gateways_left:
                        raise GatewayUnreachable(f"the gateway ended while {alias} was published: {error}") from None
                    continue
                former = self._by_alias.get(alias)
                if former is not None and former.failed:
                    former = None
                elif former is not None:
                    former.former = None
                self._by_alias[alias] = Publication(head, payload, head["lease"], published, former)
                self._own.add(alias)
                return published
            raise AssertionError("unreachable")

    def restore(self, connector: GatewayConnector, lease: str) -> None:
        """Publish the apps that *lease* lacks. Failures of the gateway are retried with the next lease."""
        missing = [(alias, publication) for alias, publication in self._by_alias.items() if publication.lease != lease]
        if missing and DIED not in self.notices:
            self.notices.append(DIED)
        for alias, publication in missing:
            try:
                published = self._put(connector, lease, alias, publication.head, publication.payload)
                publication.published.update(published)
                publication.lease = lease
            except UserError as error:  # its name was taken meanwhile: publish the others anyway
                del self._by_alias[alias]
                self.notices.append(f"{alias} could not be published again: {error}")
            except OSError as error:
                connector.drop_lease()
                raise leases.GatewayEnding(f"the gateway ended while {alias} was published again: {error}") from None
            except BaseException:  # no response, or an interrupt
                connector.drop_lease()
                raise

    def _put(self, connector: GatewayConnector, lease: str, alias: str, head: PublishHead, payload: bytes) -> Published:
        head["lease"] = lease
        data = encode_json(head)
        body = len(data).to_bytes(4, "big") + data + payload
        answer = ControlClient(connector, self).ask_bounded("PUT", f"{A_APPS}/{quote(alias)}", Published, body)
        if not isinstance(answer, ErrorResponse):
            return answer
        if answer.holder is not None:
            holder = f"{answer.holder.name} (process {answer.holder.pid})"
            raise AppTaken(
                f"the app {alias!r} belongs to {holder}, which is still running",
                hint="give yours another name with --name NAME, or take it with --take-over",
                holder=holder,
            )
        if answer.error_type == "lease_ended":
            raise ConnectionResetError(answer.detail)
        raise _REFUSALS.get(answer.error_type, UserError)(answer.detail, hint=answer.hint)

    def events(self, connector: GatewayConnector, alias: str, published: Published) -> Iterator[Event]:
        """Follow the start of a publication, from its beginning, until it is ready, has failed or was removed.

        If the gateway ends meanwhile, the start at the next one is followed.

        Raises:
            GatewayError: none stays up long enough.
            NotServed: the revision no longer exists.
        """
        for gateways_left in reversed(range(MOST_GATEWAYS)):
            revision = published["revision"]
            response = connector.open("GET", f"{A_APPS}/{quote(alias)}/events?revision={revision}")
            if response.status not in (200, 404):
                failure = decoded(response.read(), ErrorResponse)
                raise GatewayError(f"the start cannot be followed: {failure.detail}", hint=failure.hint)
            if response.status == 404:
                response.drop()
                if gateways_left and revision != published["revision"]:  # published at another gateway meanwhile
                    continue
                raise NotServed(f"revision {published['revision']} of {alias} no longer exists")
            event: Event | None = None
            try:
                for line in response.lines():
                    event = decoded(line, Event)
                    if event["event"] == "failed":
                        self._start_failed(connector, alias, published)
                    if event["event"] == "gone" and gateways_left and not connector.alive:
                        break  # stopped by the end of its gateway
                    yield event
            except GatewayStopped:
                raise
            except GatewayError:  # it ended
                if not gateways_left:
                    raise ended_starting() from None
                connector.forget(response.gateway)
                continue
            if event is None or event["event"] != "gone" or not gateways_left or connector.alive:
                return

    def _start_failed(self, connector: GatewayConnector, alias: str, published: Published) -> None:
        """Return to the previous publication, which keeps serving and is what a new gateway gets."""
        with connector.lock:
            publication = self._by_alias.get(alias)
            if publication is not None and publication.published is published:
                publication.failed = True
                self._by_alias[alias] = publication.former or publication

    def discard(self, alias: str) -> None:
        """Do not publish an app again."""
        self._by_alias.pop(alias, None)

    def clear(self) -> None:
        """Publish nothing again."""
        self._by_alias.clear()

    def forked(self) -> None:
        """In a forked child: nothing of the parent's is published again."""
        self._by_alias, self._own, self.notices = {}, set(), []
