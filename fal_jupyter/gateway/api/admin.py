"""The control plane: ``/admin/…`` on the Unix socket, for processes of the gateway's user only."""

from __future__ import annotations

import asyncio
from typing import Any, TypedDict

import msgspec
from tornado.iostream import StreamClosedError
from tornado.web import Application

from fal_jupyter.domain.errors import FalJupyterError, PortTaken
from fal_jupyter.domain.spec import AppSpec
from fal_jupyter.domain.text.json_forms import encode_json
from fal_jupyter.gateway.api import panels
from fal_jupyter.gateway.api.handlers import NAME, Handler
from fal_jupyter.gateway.api.services import GatewayServices
from fal_jupyter.gateway.auth.leases import LeaseHolder, OwnerLease
from fal_jupyter.processes import peer_of
from fal_jupyter.protocol import frames
from fal_jupyter.protocol.api import (
    A_APPS,
    A_CLIENT_ENV,
    A_DOCTOR,
    A_HELLO,
    A_LEASE,
    A_LEASES,
    A_RUNNERS,
    A_SHUTDOWN,
    ENDING,
    PROTOCOL,
    ClientEnv,
    DoctorRecord,
    LeaseAsked,
    LeaseGranted,
    OwnerName,
    ProcessRecord,
    Published,
    PublishHead,
    ScalingRecord,
)

MAX_PUBLISH = 4 << 30
MOST_TAKERS = 20  # former owners of an app that are remembered


class AdminNotFoundHandler(Handler):
    """Every path without a route: 404."""

    def prepare(self) -> None:
        self.fail(404, "not_found", "there is nothing at this address")


class HelloHandler(Handler):
    """Identity of the gateway."""

    def get(self) -> None:
        self.reply(self.gateway.hello())


class _Versioned(TypedDict):
    """The fields that :class:`LeaseAsked` has in every version."""

    protocol: int


class LeasesHandler(Handler):
    """Grants a lease, which lasts until the peer's process or connection ends."""

    lease: OwnerLease | None = None

    async def post(self) -> None:
        spoken = msgspec.json.decode(self.request.body, type=_Versioned)["protocol"]
        if spoken != PROTOCOL:
            self.fail(409, "version_skew", f"its protocol is {PROTOCOL}, that of this process is {spoken}")
            return
        requested = msgspec.json.decode(self.request.body, type=LeaseAsked)
        try:
            key_hash = bytes.fromhex(requested["key_hash"])
        except ValueError:
            self.fail(400, "bad_request", "key_hash of a lease is the SHA-256 of its key in hexadecimal digits")
            return
        connection: Any = self.request.connection
        pid, _ = peer_of(connection.connection.socket)
        try:
            port = await self.gateway.open_port(requested["port"])
        except PortTaken as error:
            self.fail(409, "port_taken", str(error))
            return
        if self._refuse_if_ending():
            return
        lease = self.lease = self.gateway.leases.begin(requested["kind"], requested["name"], pid or requested["pid"])
        await self.gateway.keys.add(requested["key_id"], key_hash, lease.id, lease.name)
        if self._refuse_if_ending():  # it began to end while the key was written
            self.gateway.leases.end(lease)
            return
        granted = LeaseGranted(
            lease=lease.id,
            base=self.gateway.base,
            port=port,
            owner=self.gateway.settings.owner,
            gateway_pid=self.gateway.hello()["pid"],
        )
        self.set_header("content-type", "application/x-ndjson")
        self.write(encode_json(granted) + b"\n")
        try:
            await self.flush()
            await lease.ended.wait()
        except StreamClosedError:
            self.gateway.leases.end(lease)

    def _refuse_if_ending(self) -> bool:
        if self.gateway.stopping.is_set():
            self.fail(503, ENDING, "the gateway is ending")
            return True
        return False

    def on_connection_close(self) -> None:
        if self.lease is not None:
            self.gateway.leases.end(self.lease)


class LeaseHandler(Handler):
    """One lease."""

    async def patch(self, lease_id: str) -> None:
        name = msgspec.json.decode(self.request.body, type=OwnerName)["name"]
        former = self.gateway.leases.holder_of(lease_id).name
        if not self.gateway.leases.rename(lease_id, name):
            self.fail(404, "lease_ended", "the lease has ended")
            return
        await self.gateway.keys.rename(lease_id, former, name)
        self.gateway.deployments.owner_renamed(lease_id, name)
        self.reply(OwnerName(name=name))

    def delete(self, lease_id: str) -> None:
        lease = self.gateway.leases.living.get(lease_id)
        if lease is not None:
            self.gateway.leases.end(lease)
        self.reply({"ending": self.gateway.is_ending})


class AppsHandler(Handler):
    """All apps."""

    def get(self) -> None:
        self.reply(self.gateway.app_records())


class OwnedAppHandler(Handler):
    """Base of the handlers that change an app."""

    def refuse_former_owner(self, alias: str) -> bool:
        """Refuse (409) a process that acts for its own app under the query's *lease*, if another one has taken the app over."""
        lease, app = self.get_query_argument("lease", ""), self.gateway.deployments.published.get(alias)
        if not lease or app is None or app.lease == lease:
            return False
        self.refuse_taken(alias, self.gateway.leases.holder_of(app.lease))
        return True

    def refuse_taken(self, alias: str, holder: LeaseHolder) -> None:
        """Refuse (409) with the owner of the app."""
        self.fail(409, "app_taken", f"{alias} belongs to {holder.name} (process {holder.pid})", holder=holder._asdict())


class AppHandler(OwnedAppHandler):
    """One app: publish, look, stop."""

    def get(self, alias: str) -> None:
        records = [record for record in self.gateway.app_records() if record["alias"] == alias]
        if records:
            self.reply(records[0])
        else:
            self.fail(404, "not_served", f"no app {alias} is running")

    async def put(self, alias: str) -> None:
        head_json, payload = frames.decode_load(self.request.body)
        head = msgspec.json.decode(head_json, type=PublishHead)
        await self.gateway.open_for_runners(head["environment"]["env"])
        if self.gateway.stopping.is_set():
            self.fail(503, ENDING, "the gateway is ending")
            return
        if head["lease"] not in self.gateway.leases.living:
            self.fail(409, "lease_ended", "the publishing lease has ended")
            return
        try:
            spec = AppSpec.from_json(head["spec"])
        except FalJupyterError as error:
            self.fail(400, "bad_request", str(error))
            return
        present = self.gateway.deployments.published.get(alias)
        is_others = present is not None and present.lease != head["lease"]
        holder = self.gateway.leases.living.get(present.lease) if present is not None and is_others else None
        if holder is not None and not head["take_over"]:
            self.refuse_taken(alias, self.gateway.leases.holder_of(holder.id))
            return
        owner = self.gateway.leases.living[head["lease"]].name
        try:
            verdict, reason, app = self.gateway.deployments.publish(alias, head, spec, payload, owner)
        except FalJupyterError as error:
            self.fail(400, type(error).__name__, error.message, hint=error.hint)
            return
        app.verdict, app.verdict_reason = verdict, reason
        if holder is not None:
            app.taken_from = [*app.taken_from[1 - MOST_TAKERS :], holder.pid]
        if spec.cors:
            self.gateway.open_to_pages()
        self.gateway.history.append(alias, app.last, spec.class_name, verdict, reason)
        self.reply(
            Published(
                app=f"{self.gateway.settings.owner}/{alias}",
                alias=alias,
                revision=app.last,
                verdict=verdict,
                reason=reason,
                url=self.gateway.engine.url(alias, self.gateway.base),
                serving=self.gateway.engine.serving_revision(alias),
                machine=app.newest.machine_description,
                overrides=app.overrides,
                taken_from=f"{holder.name} (process {holder.pid})" if holder is not None else "",
            )
        )

    async def delete(self, alias: str) -> None:
        if self.refuse_former_owner(alias):
            return
        app = self.gateway.deployments.published.get(alias)
        if app is not None and self.gateway.deployments.stop(alias, kill=self.get_query_argument("kill", "0") == "1"):
            if self.get_query_argument("wait", "0") == "1":
                await app.ended.wait()
            self.reply({"stopped": alias})
        else:
            self.fail(404, "not_served", f"no app {alias} is running")


class _ScalingChange(msgspec.Struct):
    """Options to set, or a reset to those of the class."""

    set: dict[str, object] | None = None
    reset: bool = False


class ScalingHandler(OwnedAppHandler):
    """An app's scaling, and changes while it runs."""

    def get(self, alias: str) -> None:
        self._reply(alias, self.gateway.deployments.scaling(alias))

    def post(self, alias: str) -> None:
        try:
            change = msgspec.json.decode(self.request.body, type=_ScalingChange)
        except (
            msgspec.MsgspecError,
            ValueError,
            RecursionError,
        ):  # before msgspec 0.21 its own error is not a ValueError
            change = _ScalingChange()
        if not change.reset and change.set is None:
            self.fail(400, "bad_request", 'the body is JSON: {"set": {"max_concurrency": 4}} or {"reset": true}')
            return
        if self.refuse_former_owner(alias):
            return
        try:
            self._reply(alias, self.gateway.deployments.scale(alias, None if change.reset else change.set))
        except FalJupyterError as error:
            self.fail(400, type(error).__name__, error.message, hint=error.hint)

    def _reply(self, alias: str, record: ScalingRecord | None) -> None:
        if record is None:
            self.fail(404, "not_served", f"no app {alias} is running")
        else:
            self.reply(record)


class EventsHandler(Handler):
    """The start of a revision, as it happens: JSON lines until it is ready, has failed, or was stopped."""

    closed = False

    async def get(self, alias: str) -> None:
        app = self.gateway.deployments.published.get(alias)
        number = self.whole_number("revision", 0)
        revision = app.revisions.get(number) if app else None
        if app is None or revision is None:
            self.fail(404, "not_served", f"no app {alias} of revision {number} is running")
            return
        self.set_header("content-type", "application/x-ndjson")
        sent = 0
        try:
            while not self.closed:
                change = app.next_change()
                events = list(revision.events)
                unsent = revision.event_count - sent  # discarded events are omitted, never the final one
                sent = revision.event_count
                for event in events[max(0, len(events) - unsent) :]:
                    self.write(encode_json(event) + b"\n")
                await self.flush()
                if revision.over and sent == revision.event_count:  # more may have arrived while writing
                    return
                await self._changed_or_closed(change)
        except StreamClosedError:
            return

    async def _changed_or_closed(self, change: asyncio.Event) -> None:
        self._wake = asyncio.ensure_future(change.wait())
        try:
            await self._wake
        except asyncio.CancelledError:
            self.closed = True

    def on_connection_close(self) -> None:
        self.closed = True
        wake = getattr(self, "_wake", None)
        if wake is not None:
            wake.cancel()


class LogsHandler(Handler):
    """An app's last lines; with ``unfinished=1`` including unfinished lines of running requests."""

    def get(self, alias: str) -> None:
        app = self.gateway.deployments.find(alias)
        if app is None:
            self.fail(404, "not_served", f"no app {alias} is running")
            return
        lines = self.whole_number("lines", 100)
        request, runner = self.get_query_argument("request", ""), self.get_query_argument("runner", "")
        unfinished = app.log.unfinished(request) if request and self.get_query_argument("unfinished", "") == "1" else []
        self.reply(app.log.read(lines, request=request, runner=runner) + unfinished)


class RunnersHandler(Handler):
    """All runners."""

    def get(self) -> None:
        self.reply(self.gateway.runner_records())


class RunnerHandler(Handler):
    """Stops one runner."""

    def delete(self, runner_id: str) -> None:
        if self.gateway.engine.stop_runner(runner_id, kill=self.get_query_argument("kill", "0") == "1"):
            self.reply({"stopped": runner_id})
        else:
            self.fail(404, "not_served", f"no runner {runner_id} is there")


class DoctorHandler(Handler):
    """The gateway and its processes."""

    def get(self) -> None:
        hello = self.gateway.hello()
        processes = [ProcessRecord(pid=hello["pid"], role="gateway", app="")]
        for pid in self.gateway.engine.template_pids():
            processes.append(ProcessRecord(pid=pid, role="template", app=""))
        for runner in self.gateway.runner_records():
            if runner["pid"]:
                processes.append(ProcessRecord(pid=runner["pid"], role="runner", app=runner["app"]))
        for lease in self.gateway.leases.living.values():
            role = "serve" if lease.kind == "serve" else "kernel"
            processes.append(ProcessRecord(pid=lease.pid, role=role, app=""))
        self.reply(DoctorRecord(gateway=hello, processes=processes))


class ClientEnvHandler(Handler):
    """Environment variables that connect a client of fal to this gateway."""

    async def post(self) -> None:
        if not self.gateway.leases.living:
            self.fail(409, "no_owner", "no app is served here, so there is nothing to call")
            return
        try:
            tls = await self.gateway.open_tls()
        except OSError as error:
            self.fail(500, "tls_failed", f"the TLS port cannot be opened: {error.strerror or error}")
            return
        self.reply(ClientEnv(tls=tls, key=await self.gateway.make_client_key()))


class ShutdownHandler(Handler):
    """Drain everything, then exit; with ``?unused=1`` only after the last lease has ended."""

    def post(self) -> None:
        unused = bool(self.get_query_argument("unused", ""))
        self.reply({"stopping": not unused})
        if unused:
            self.gateway.stop_when_unused()
        else:
            self.gateway.stop()


def application(gateway: GatewayServices) -> Application:
    """The routes of the control plane."""
    options = {"gateway": gateway}
    alias = NAME
    return Application(
        [
            *((pattern, handler, options) for pattern, handler in panels.ROUTES),
            (A_HELLO, HelloHandler, options),
            (A_LEASES, LeasesHandler, options),
            (A_LEASE.format(id="([0-9a-f]+)"), LeaseHandler, options),
            (A_APPS, AppsHandler, options),
            (f"{A_APPS}/{alias}", AppHandler, options),
            (f"{A_APPS}/{alias}/events", EventsHandler, options),
            (f"{A_APPS}/{alias}/logs", LogsHandler, options),
            (f"{A_APPS}/{alias}/scaling", ScalingHandler, options),
            (A_RUNNERS, RunnersHandler, options),
            (f"{A_RUNNERS}/{NAME}", RunnerHandler, options),
            (A_DOCTOR, DoctorHandler, options),
            (A_CLIENT_ENV, ClientEnvHandler, options),
            (A_SHUTDOWN, ShutdownHandler, options),
        ],
        log_function=lambda handler: None,
        default_handler_class=AdminNotFoundHandler,
        default_handler_args=options,
    )
