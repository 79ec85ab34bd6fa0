"""The queue's routes, as fal's clients use them: submit, status, status stream, result, cancel."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import unquote_plus

from tornado.iostream import StreamClosedError

from fal_jupyter.domain.queue.jobs import JobState
from fal_jupyter.domain.queue.retries import budgets_of_header, flag
from fal_jupyter.domain.text.json_forms import encode_json
from fal_jupyter.gateway.api.handlers import SMALL_BODY, PublicHandler
from fal_jupyter.gateway.http.cors import foreign_sentence, is_foreign, without_foreign_cookies
from fal_jupyter.gateway.http.response_writer import is_number
from fal_jupyter.gateway.queue.queue import QueuedCall, Submission, answer_of
from fal_jupyter.gateway.requests.data_plane import absent_sentence, hint_of, start_limit, token_of, without_token
from fal_jupyter.protocol.addresses import AppAddress, JobAddress, app_address, is_of_request, job_address
from fal_jupyter.protocol.api import (
    BODILESS,
    ENDING,
    ENDING_SENTENCE,
    H_BASE,
    H_HINT,
    H_NO_RETRY,
    H_PRIORITY,
    H_REQUEST_ID,
    H_RETRY_CONFIG,
    H_START_WITHIN,
    Q_FORCE,
    Q_MOST_WAITING,
    Q_WEBHOOK,
    QUEUE,
)

PING = 10.0  # seconds without news after which a status stream sends a ping
_SUBMITS = frozenset({"POST", "PUT", "PATCH", "DELETE", "GET"})


class QueueHandler(PublicHandler):
    """Everything below ``/queue/``."""

    needs_key = False  # the app decides
    # defaults, since prepare() is not called for a request with an invalid target
    _follower: asyncio.Task[object] | None = None
    _counted = False  # the body is counted in the queue's memory

    def prepare(self) -> None:
        self._id = self._headers[H_REQUEST_ID]
        self._counted = False
        self.right = "read" if self.job is not None and self.job.what != "cancel" else "run"
        super().prepare()
        if not self._finished:
            self._admit(self.path_args[0])
        if not self._finished and self.job is None:
            length = self.request.headers.get("content-length", "0")
            self._count(int(length) if is_number(length) else 0)

    def data_received(self, chunk: bytes) -> None:
        """Add a piece of the body, after counting it."""
        if self._counted and not self._finished and "content-length" not in self.request.headers:
            self._count(self._received + len(chunk))
        super().data_received(chunk)

    def _count(self, size: int) -> None:
        """Count *size* bytes of the body in the queue's memory, or refuse the request."""
        status, why = self.gateway.queue.hold(self._id, size)
        self._counted = self._counted or not status
        if status:
            self._pieces.clear()
            if status == 429:
                self.set_header("retry-after", "1")
            self.fail(status, "bad_request", why)

    def _stop_counting(self) -> None:
        if self._counted:
            self._counted = False
            self.gateway.queue.memory.release(self._id)

    def on_finish(self) -> None:
        """The request was answered: release the memory of a body that was not submitted."""
        self._stop_counting()

    def body_limit(self) -> int:
        """Limit of the body; only submissions have one."""
        return SMALL_BODY if self.job is not None else super().body_limit()

    @property
    def job(self) -> JobAddress | None:
        """The address of a submitted request, if the path is one."""
        job, method = job_address(self.path_args[0], self.gateway.settings.owner), self.request.method
        return (
            job
            if job is not None and (method == "PUT") == (job.what == "cancel") and method in ("GET", "PUT")
            else None
        )

    def _admit(self, path: str) -> None:
        """Refuse on the head alone: missing permission, or a path that is not an address of the queue."""
        own, method = self.gateway.settings.owner, self.request.method
        of_job = job_address(path, own) if self.job is None else None
        if of_job is not None and (method in ("GET", "PUT") or is_of_request(path)):
            self.set_header("allow", "PUT" if of_job.what == "cancel" else "GET")
            self.fail(405, "bad_request", "Method Not Allowed")
            return
        if self.job is None and is_of_request(path):  # a mistyped request address must not submit a request
            self.fail(404, "", "Not found")
            return
        address = self.job or app_address(path, own)
        if not self.check_access(address.owner, address.alias):
            return
        if self.job is None and not self.has_key() and _without(Q_WEBHOOK, self.request.query)[0] is not None:
            self.refuse_key(f"{Q_WEBHOOK} needs a key, also for a public app: send Authorization: Key id:secret")
        elif not self._has_credentials(address.alias):
            self._check_stranger(address.owner, address.alias)

    def _check_stranger(self, owner: str, alias: str) -> None:
        """Refuse requests that a web page may make a browser send to a public app."""
        gateway, headers = self.gateway, self.request.headers
        spec = gateway.deployments.spec_of(alias)
        if is_foreign(headers, spec.cors if spec is not None else (), method=""):
            self.fail(403, "bad_request", foreign_sentence(owner, alias))
        elif self.job is None and self.request.method == "GET":
            self.set_header("allow", "POST")
            self.fail(405, "bad_request", "a GET request submits nothing here without a key: use POST")

    def check_access(self, owner: str, alias: str) -> bool:
        """True if the client may access that app (or its remaining jobs); responds with an error otherwise."""
        gateway = self.gateway
        spec = gateway.deployments.spec_of(alias) if owner == gateway.settings.owner else None
        if (spec is not None and spec.auth == "public") or self._has_credentials(alias):
            return True
        self.refuse_key()
        return False

    def _has_credentials(self, alias: str) -> bool:
        """True for the gateway's user, a valid key, or a token of that app."""
        if self.has_key():
            return True
        token = token_of(self.request.query)
        return bool(token) and self.gateway.tokens.admits(token, alias, time.time())

    async def _any(self, path: str) -> None:
        if (job := self.job) is not None:
            await self._job(job.owner, job.alias, job.request_id, job.what)
        else:
            await self._submit(app_address(path, self.gateway.settings.owner))

    get = post = put = delete = patch = _any

    # --- submit ---------------------------------------------------------------------------------------------------
    async def _submit(self, address: AppAddress) -> None:
        gateway = self.gateway
        spec = gateway.deployments.spec_of(address.alias)
        if spec is None and gateway.stopping.is_set():  # stopped while the body arrived
            self.set_header("retry-after", "1")
            self.fail(503, ENDING, ENDING_SENTENCE)
            return
        if address.owner != gateway.settings.owner or spec is None:
            own_account = address.owner == gateway.settings.owner
            self.fail(
                404, "", absent_sentence(gateway.deployments, address.owner, address.alias, own_account=own_account)
            )
            return
        priority = self.request.headers.get(H_PRIORITY, "normal").lower()
        if priority not in ("normal", "low"):
            self.fail(400, "bad_request", f"{H_PRIORITY} is normal or low, not {priority!r}"[:200])
            return
        try:
            start_within = start_limit(self.request.headers.get(H_START_WITHIN, ""))
        except ValueError as error:
            self.fail(400, "bad_request", str(error))
            return
        webhook, query = _without(Q_WEBHOOK, self.request.query)
        most, query = _without(Q_MOST_WAITING, query)
        if most is not None and not is_number(most):
            self.fail(400, "bad_request", f"{Q_MOST_WAITING} must be a number of requests, not {most!r}"[:200])
            return
        if most is not None and (waiting := gateway.queue.waiting(address.alias)) > int(most):
            self.set_header("retry-after", "1")
            self.fail(
                429, "bad_request", f"queue full: {waiting} requests are waiting for {address.owner}/{address.alias}"
            )
            return
        owner = self.trusted or gateway.keys.is_owners(self.request.headers.get("authorization", ""))
        if webhook is not None and (why := await gateway.webhooks.refusal(webhook, owner=owner)):
            self.fail(400, "bad_request", why)
            return
        if not self._counted:  # the client disconnected meanwhile
            return
        call = gateway.queue.submit(
            self._submission(
                address.alias, spec.path_of(address.below), query, low=priority == "low", start_within=start_within
            )
        )
        self._counted = False  # now owned by the job
        self.set_header(H_REQUEST_ID, call.job.id)
        if webhook is not None:
            gateway.webhooks.watch(call, webhook, owner=owner)
        urls = self._urls(address.owner, address.alias, call.job.id)
        self.reply(
            {
                "status": JobState.IN_QUEUE,
                "request_id": call.job.id,
                "gateway_request_id": call.job.id,
                **urls,
                "queue_position": gateway.queue.position(call),
            }
        )

    def _submission(self, alias: str, path: str, query: str, *, low: bool, start_within: float) -> Submission:
        headers = self.request.headers
        body, kind = self.body, headers.get("content-type", "")
        if not body and kind.partition(";")[0].strip().lower() == "application/json" and self.request.method == "POST":
            body = b"{}"  # what the clients send for "no input"
        return Submission(
            id=self._id,
            alias=alias,
            below=path,
            query=without_token(query),
            method=self.request.method or "POST",
            headers=without_foreign_cookies(
                headers,
                ((name.lower(), value) for name, value in headers.get_all()),
                self.gateway.engine.requests.cookies_of(alias),
            ),
            body=body,
            low=low,
            start_within=start_within,
            hint=hint_of(headers.get(H_HINT, "")),
            once=flag(headers.get(H_NO_RETRY, "")) is True,
            retries=budgets_of_header(headers.get(H_RETRY_CONFIG, "")) if self.has_key() else {},
            content_type=kind,
        )

    def _urls(self, owner: str, alias: str, request_id: str) -> dict[str, str]:
        outside = (
            self.request.headers.get(H_BASE, "") if self.trusted else ""
        )  # URLs for a client behind a Jupyter server lead through that server
        base = f"{outside or self.public_base()}{QUEUE}{owner}/{alias}/requests/{request_id}"
        return {"response_url": base, "status_url": f"{base}/status", "cancel_url": f"{base}/cancel"}

    # --- a job ----------------------------------------------------------------------------------------------------
    async def _job(self, owner: str, alias: str, request_id: str, what: str) -> None:
        call = self.gateway.queue.find(alias, request_id) if owner == self.gateway.settings.owner else None
        if call is None:
            body = {"status": "NOT_FOUND"} if what == "cancel" else {}
            self.fail(404, "", f"no request {request_id} of {owner}/{alias} is known here"[:300], **body)
            return
        self.set_header(H_REQUEST_ID, call.job.id)
        urls = self._urls(owner, alias, request_id)
        if what == "status":
            self._status(call, urls)
        elif what == "status/stream":
            await self._stream(call, urls)
        elif what == "cancel":
            self._cancel(call)
        else:
            self._result(call)

    def _includes_logs(self) -> bool:
        return self.get_query_argument("logs", "0").lower() in ("1", "true")

    def _status(self, call: QueuedCall, urls: dict[str, str]) -> None:
        job = call.job
        view = job.view(self.gateway.queue.position(call), urls, list(job.logs) if self._includes_logs() else None)
        self.reply(view, 200 if job.state is JobState.COMPLETED else 202)

    async def _stream(self, call: QueuedCall, urls: dict[str, str]) -> None:
        """Events of the same form as a status answer; each has only the new log lines."""
        logs, sent, last = self._includes_logs(), 0, b""
        self.set_header("content-type", "text/event-stream")
        self.set_header("cache-control", "no-cache")
        self._follower = asyncio.current_task()
        try:
            async for changed in call.changes(PING):
                if not changed:
                    self.write(": ping\n\n")
                else:
                    lines, sent = call.job.lines_from(sent)
                    event = encode_json(call.job.view(self.gateway.queue.position(call), urls, lines if logs else None))
                    if event == last and not lines:
                        continue
                    last = event
                    self.write(b"data: " + event + b"\n\n")
                await self.flush()
        except (StreamClosedError, asyncio.CancelledError):
            return

    def on_connection_close(self) -> None:
        self._stop_counting()
        if self._follower is not None:
            self._follower.cancel()

    def _result(self, call: QueuedCall) -> None:
        if call.job.state is not JobState.COMPLETED:
            self.fail(400, "", "Request is still in progress")
            return
        status, headers, body = answer_of(call)
        self.set_status(status)
        self.clear_header("content-type")
        for name, value in headers:
            self.add_header(name, value)
        self.finish(None if status in BODILESS else body)

    def _cancel(self, call: QueuedCall) -> None:
        force = self.get_query_argument(Q_FORCE, "0").lower() in ("1", "true")
        outcome = call.cancel(force=force)
        if outcome == "over":
            self.reply({"status": "ALREADY_COMPLETED"}, 400)
            return
        if outcome == "asked" and call.request is not None:
            self.gateway.engine.requests.cancel_signals.send(call.request)
        self.reply({"status": "CANCELLATION_REQUESTED"}, 202)


def _without(parameter: str, query: str) -> tuple[str | None, str]:
    """Return the value of one of the gateway's parameters, and the remaining query, which is for the app."""
    rest, argument = [], None
    for part in query.split("&"):
        name, equals, value = part.partition("=")
        if name == parameter and equals:
            argument = unquote_plus(value)
        elif part:
            rest.append(part)
    return argument, "&".join(rest)


ROUTES = ((rf"{QUEUE}(.+)", QueueHandler),)
