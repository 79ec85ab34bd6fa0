"""The gateway as handlers use it: the interface that they are typed against."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

from fal_jupyter.gateway.apps.deployments import Deployments
from fal_jupyter.gateway.auth.access_tokens import AccessTokens
from fal_jupyter.gateway.auth.api_keys import ApiKeys
from fal_jupyter.gateway.auth.leases import Leases
from fal_jupyter.gateway.engine.request_executor import RequestExecutor
from fal_jupyter.gateway.engine.request_history import RecordedRequest
from fal_jupyter.gateway.feed.feed import Feed
from fal_jupyter.gateway.queue.queue import Queue
from fal_jupyter.gateway.queue.webhooks import Webhooks
from fal_jupyter.gateway.requests.buffered_calls import BufferedCalls
from fal_jupyter.gateway.requests.proxied_request import ProxiedRequest
from fal_jupyter.gateway.runners.live_runner import LiveRunner, LiveRunners
from fal_jupyter.gateway.storage.files import Files
from fal_jupyter.gateway.storage.revision_history import RevisionHistory
from fal_jupyter.protocol.api import AppRecord, Hello, RunnerRecord, TlsOpened
from fal_jupyter.settings import Settings


class EngineServices(Protocol):
    """The engine, as handlers see it (:class:`fal_jupyter.gateway.engine.engine.Engine`). They do not access the fleet."""

    runners: LiveRunners
    requests: RequestExecutor

    def url(self, alias: str, base: str) -> str:
        """The prefix of the app's endpoints."""

    def serving_revision(self, alias: str) -> int:
        """The revision that answers the app's requests; 0 before the first is ready, or without such an app."""

    def ready_runner(self, alias: str, revision: int) -> LiveRunner | None:
        """The least busy ready runner of a revision, or None."""

    def stop_runner(self, runner_id: str, *, kill: bool) -> bool:
        """Stop one runner; False if no runner has that id."""

    def unload(self, alias: str) -> None:
        """End the app's runners; the next request starts one."""

    def live_request(self, request_id: str) -> ProxiedRequest | None:
        """The request of that id, if it has not ended."""

    def ended_request(self, request_id: str) -> RecordedRequest | None:
        """The request of that id, if it has ended and is stored."""

    def template_pids(self) -> list[int]:
        """The templates that have runners or can start some."""


class GatewayServices(Protocol):
    """The gateway, as its handlers see it (:class:`fal_jupyter.gateway.gateway.Gateway`)."""

    settings: Settings
    stopping: asyncio.Event
    deployments: Deployments
    keys: ApiKeys
    tokens: AccessTokens
    leases: Leases
    files: Files
    calls: BufferedCalls
    queue: Queue
    webhooks: Webhooks
    feed: Feed
    history: RevisionHistory

    @property
    def engine(self) -> EngineServices:
        """Requests, runners and the fleet's records of them."""

    @property
    def base(self) -> str:
        """``http://127.0.0.1:PORT``, or ``""`` while the port is closed."""

    @property
    def ports(self) -> frozenset[int]:
        """The loopback ports that callers may name."""

    @property
    def is_ending(self) -> bool:
        """True while it drains."""

    def hello(self) -> Hello:
        """Identity of this gateway."""

    def app_records(self) -> list[AppRecord]:
        """All apps, with their owners."""

    def runner_records(self) -> list[RunnerRecord]:
        """All runners, including those that are ending."""

    def open_to_pages(self) -> None:
        """Check the origin of requests from now on."""

    async def open_port(self, requested: int) -> int:
        """Open the loopback port if it is closed, and return it.

        Raises:
            PortTaken: *requested* is in use, or another port is already open.
        """

    async def open_for_runners(self, env: Mapping[str, str]) -> None:
        """Open the TLS port if an app with these variables calls others through it."""

    async def open_tls(self) -> TlsOpened:
        """Open the TLS port, and return its URL and the certificates to trust.

        Raises:
            OSError: its certificates cannot be written, or no port is free.
        """

    async def make_client_key(self) -> str:
        """Create a key that is valid until the last owner has ended."""

    def stop_when_unused(self) -> None:
        """Shut down when the last owner ends, without waiting for a new one."""

    def stop(self) -> None:
        """Begin to drain."""
