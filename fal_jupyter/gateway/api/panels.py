"""The control plane's routes for panels: the feed, requests and their answers, buffered calls, keys, start, restart and unload."""

from __future__ import annotations

import asyncio

from tornado.iostream import StreamClosedError

from fal_jupyter.credentials import id_and_hash, make_key
from fal_jupyter.gateway.api.handlers import NAME, Handler
from fal_jupyter.gateway.api.load_tests import LoadTestHandler
from fal_jupyter.gateway.api.output_tail import OutputTailHandler
from fal_jupyter.gateway.auth.api_keys import panel_of
from fal_jupyter.gateway.engine.request_history import RecordedRequest, displays_of, input_of, query_of, state_of
from fal_jupyter.gateway.feed.feed import FeedConnection
from fal_jupyter.gateway.requests.buffered_calls import CONTENT_TYPE, NO_TARGET, internal_call, target_of
from fal_jupyter.gateway.requests.proxied_request import ProxiedRequest
from fal_jupyter.gateway.storage import kept_inputs
from fal_jupyter.gateway.storage.kept_inputs import KeptInput
from fal_jupyter.protocol.api import A_APPS, A_FEED, A_KEYS, A_SNAPSHOT, ENDING, H_STATUS
from fal_jupyter.protocol.feed import RequestDetail

LOGS_SHOWN = 500
SCHEMA_PATIENCE = 20.0  # seconds; the runner's event loop may be busy with its requests
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


class PanelFeedHandler(Handler):
    """The feed: JSON lines until the listener disconnects."""

    listener: FeedConnection | None = None

    async def get(self) -> None:
        self.set_header("content-type", "application/x-ndjson")
        self._closed = asyncio.Event()
        self._sent: asyncio.Future[None] | None = None
        self.listener = self.gateway.feed.listen(self._send)
        await self._closed.wait()

    def _send(self, line: bytes) -> bool:
        if self._sent is not None and not self._sent.done():
            return False
        self.write(line)
        self._sent = asyncio.ensure_future(self._flush())
        return True

    async def _flush(self) -> None:
        try:
            await self.flush()
        except StreamClosedError:
            self.on_connection_close()

    def on_connection_close(self) -> None:
        if self.listener is not None:
            self.gateway.feed.leave(self.listener)
            self._closed.set()


class SnapshotHandler(Handler):
    """Everything, once."""

    def get(self) -> None:
        self.finish(self.gateway.feed.snapshot())


class AppActionHandler(Handler):
    """Actions on an app other than publishing, stopping and scaling."""

    async def post(self, alias: str, action: str) -> None:
        if action == "start":
            self._start(alias)
        elif alias not in self.gateway.deployments.published:
            self.fail(404, "not_served", f"no app {alias} is running")
        elif action == "restart":
            self.reply({"revision": self.gateway.deployments.restart(alias)})
        elif action == "unload":
            self.gateway.engine.unload(alias)
            self.reply({"unloaded": alias})
        elif action == "keys":
            await self._make_key(alias)
        else:
            self._call(alias)

    def _start(self, alias: str) -> None:
        """Start an app that was stopped, or a runner of one that has none; otherwise nothing changes."""
        deployments = self.gateway.deployments
        if (running := deployments.published.get(alias)) is not None:
            deployments.wake(alias)
            self.reply({"revision": running.last})
            return
        former = deployments.stopped.get(alias)
        lease = self.gateway.leases.living.get(former.lease) if former is not None else None
        if lease is None:
            self.fail(404, "not_served", f"there is no stopped app {alias}; run its cell to start it")
        elif self.gateway.stopping.is_set():
            self.fail(503, ENDING, "the gateway is ending")
        else:
            self.reply({"revision": deployments.start(alias, lease.name)})

    async def _make_key(self, alias: str) -> None:
        """Create a key that is valid until the app's owner ends; only its hash is stored."""
        lease = self.gateway.leases.living.get(self.gateway.deployments.published[alias].lease)
        if lease is None:
            self.fail(409, "lease_ended", f"the owner of {alias} has ended")
            return
        key = make_key()
        await self.gateway.keys.add(*id_and_hash(key), lease.id, panel_of(lease.name))
        self.reply({"key": key})

    def _call(self, alias: str) -> None:
        """Call an endpoint for a panel; its answer is buffered."""
        target = target_of(self.get_query_argument("path", "/"), self.get_query_argument("method", "POST"), _METHODS)
        if target is None:
            self.fail(400, "bad_request", NO_TARGET)
            return
        kind = self.request.headers.get("content-type", "application/json")
        headers = [("accept", "*/*"), ("host", "localhost")] + (
            [("content-type", kind)] if CONTENT_TYPE.fullmatch(kind) else []
        )
        request_id, _ = self.gateway.calls.call(alias, *target, headers, self.request.body)
        self.set_status(202)
        self.reply({"request_id": request_id})


class PictureHandler(Handler):
    """One app's state, reduced for a saved notebook."""

    def get(self, alias: str) -> None:
        if any(app.alias == alias for app in self.gateway.deployments.known()):
            self.reply(self.gateway.feed.picture(alias))
        else:
            self.fail(404, "not_served", f"no app {alias} is running")


class SchemaHandler(Handler):
    """An app's OpenAPI document, fetched from a runner once per revision."""

    async def get(self, alias: str) -> None:
        engine = self.gateway.engine
        published = self.gateway.deployments.find(alias)
        if published is None:
            self.fail(404, "not_served", f"no app {alias} is running")
            return
        revision = published.revisions.get(engine.serving_revision(alias)) or published.newest
        if not revision.schema:
            runner = engine.ready_runner(alias, revision.number)
            channel = runner.channel if runner is not None else None
            if runner is None or channel is None:
                self.fail(409, "no_runner", f"no runner of {alias} is ready, so its schema is not available")
                return
            answer = await internal_call(channel, runner.id, runner.revision, alias, "/openapi.json", SCHEMA_PATIENCE)
            if answer.status != 200 or answer.broken:
                self.fail(502, "no_schema", f"{alias} returned no OpenAPI document (status {answer.status})")
                return
            revision.schema = answer.body()
        self.finish(revision.schema)


class RequestHandler(Handler):
    """One request: its record, and its cancellation."""

    async def get(self, request_id: str) -> None:
        engine = self.gateway.engine
        live, recorded = engine.live_request(request_id), engine.ended_request(request_id)
        kept = input_of_request(live, recorded)
        if kept is not None:
            await kept.settled()
        if live is None and recorded is None:
            self.fail(404, "not_kept", "that request is not known here, or no longer stored")
            return
        published = self.gateway.deployments.find(
            recorded.alias if recorded is not None else live.alias if live else ""
        )
        logs = published.log.read(LOGS_SHOWN, request=request_id) if published is not None else []
        if recorded is not None:
            request, error, sent, received = recorded.state(), recorded.error, recorded.input(), recorded.output()
            displays, query = recorded.displays, query_of(recorded.description.head)
        else:
            assert live is not None
            request, error = state_of(live), live.record.error
            sent = input_of(live.body.sample, live.description.content_type, live.body.bytes_received, kept)
            received, displays, query = None, live.record.displays, query_of(live.description.head)
        is_buffered = self.gateway.calls.find(request_id) is not None
        self.reply(
            RequestDetail(
                request=request,
                query=query,
                input=sent,
                output=received,
                error=error,
                logs=logs,
                displays=displays_of(displays),
                buffered=is_buffered,
            )
        )

    def delete(self, request_id: str) -> None:
        if self.gateway.engine.requests.cancel(request_id):
            self.reply({"cancelled": request_id})
        else:
            self.fail(404, "not_running", "that request is not running")


class AnswerHandler(Handler):
    """A buffered answer, streamed to its end. It is data: a browser must not render it as a page, whatever its type."""

    closed = False

    async def get(self, request_id: str) -> None:
        call = self.gateway.calls.find(request_id)
        if call is None:
            self.fail(404, "not_kept", "the answer to that request is not stored here")
            return
        self._reader = asyncio.current_task()
        try:
            await call.begun()
            kind = call.content_type
            self.set_header("content-type", kind if CONTENT_TYPE.fullmatch(kind) else "application/octet-stream")
            self.set_header(H_STATUS, str(call.status))
            self.set_header("content-disposition", "attachment")
            self.set_header("content-security-policy", "sandbox")
            self.set_header("x-content-type-options", "nosniff")
            await self.flush()
            async for piece in call.follow():
                self.write(piece)
                await self.flush()
        except (StreamClosedError, asyncio.CancelledError):
            return
        if call.broken:
            self.request.connection.connection.drop()  # type: ignore[union-attr, attr-defined]

    def on_connection_close(self) -> None:
        reader = getattr(self, "_reader", None)
        if reader is not None:
            reader.cancel()


def input_of_request(live: ProxiedRequest | None, recorded: RecordedRequest | None) -> KeptInput | None:
    """What is stored of a request's large body."""
    if recorded is not None:
        return recorded.kept_input
    return live.body.kept if live is not None else None


class InputHandler(Handler):
    """The whole body that a request was made with. It is data: a browser must not render it as a page."""

    async def get(self, request_id: str) -> None:
        engine = self.gateway.engine
        kept = input_of_request(engine.live_request(request_id), engine.ended_request(request_id))
        if kept is not None:
            await kept.settled()
        pieces = kept.open() if kept is not None else None
        if pieces is None:
            self.fail(404, "not_kept", "the input of that request is not stored here as a whole")
            return
        try:
            self.set_header("content-type", "application/octet-stream")
            self.set_header("content-disposition", "attachment")
            self.set_header("content-security-policy", "sandbox")
            self.set_header("x-content-type-options", "nosniff")
            for data in kept_inputs.read(pieces):
                self.write(data)
                await self.flush()
        except StreamClosedError:
            return
        finally:
            kept_inputs.close(pieces)


class KeysHandler(Handler):
    """The currently valid keys of the data plane."""

    def get(self) -> None:
        self.reply(self.gateway.keys.listed())

    def post(self) -> None:
        self.gateway.keys.read_persistent()
        self.reply(self.gateway.keys.listed())


class KeyHandler(Handler):
    """Revokes one key."""

    def delete(self, key_id: str) -> None:
        if self.gateway.keys.revoke_one(key_id):
            self.reply({"revoked": key_id})
        else:
            self.fail(404, "no_key", "there is no valid key of that id")


_ID = r"([0-9a-f-]{36})"
ROUTES = (
    (A_FEED, PanelFeedHandler),
    (A_SNAPSHOT, SnapshotHandler),
    (f"{A_APPS}/{NAME}/(start|restart|unload|calls|keys)", AppActionHandler),
    (f"{A_APPS}/{NAME}/load", LoadTestHandler),
    (f"{A_APPS}/{NAME}/picture", PictureHandler),
    (f"{A_APPS}/{NAME}/schema", SchemaHandler),
    (f"/admin/requests/{_ID}", RequestHandler),
    (f"/admin/requests/{_ID}/answer", AnswerHandler),
    (f"/admin/requests/{_ID}/input", InputHandler),
    (f"/admin/requests/{_ID}/printed", OutputTailHandler),
    (A_KEYS, KeysHandler),
    (rf"{A_KEYS}/(\w{{1,64}})", KeyHandler),
)
