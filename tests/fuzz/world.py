"""A gateway with the fuzzed app, a caller that keeps its connection, and what must hold after each request."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from collections import deque
from collections.abc import Iterator
from typing import Any

import psutil

from tests.fuzz.calls import JOB, PICKED, Call
from tests.support.serve import Served, runners
from tests.support.state import processes_of
from tests.support.wire import Reply, Wire, port_of

GUARD = 30.0  # seconds in which everything is answered
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_OWN_BODY = re.compile(
    r"/(made|refuses)\b|/cancel\b"
)  # errors whose body the app (or fal's queue) writes in its own way


class World:
    """One served app; ``send`` a request and get its answer, checked."""

    def __init__(self, app: Served) -> None:
        self.app, self.key, self.name = app, str(app.ready["key"]), str(app.ready["app"])
        self.port = port_of(app.ready["base"])
        self.host = f"127.0.0.1:{self.port}"
        self.sent = 0
        self.statuses: dict[int, int] = {}
        self.ids: set[str] = set()
        self.jobs: list[str] = []
        self.raising: set[str] = set()
        self.files: list[str] = []
        self.uploads: list[str] = []
        self.latest: deque[Call] = deque(maxlen=4)
        self._wire: Wire | None = None
        self.name_of_runner = ""
        self.pid = self.runner()
        self.gateway = next(pid for pid, text in processes_of(app.state).items() if "fal_jupyter.gateway" in text)
        self.memory = psutil.Process(self.gateway).memory_info().rss

    def runner(self) -> int:
        """The pid of the process that answers."""
        return int(self.app.request("/pid", {}).json)

    def document(self) -> dict[str, Any]:
        """The app's OpenAPI document, as the gateway serves it."""
        found: dict[str, Any] = self.app.request("/openapi.json", method="GET").json
        return found

    def prepare(self) -> None:
        """Keep files and begin uploads, for requests that are about some."""
        self.files = [self._upload(data) for data in (b"", b"x", bytes(range(256)) * 40)]
        first = json.loads(self._plain("/cdn/files/upload/multipart").body)
        second = json.loads(self._plain("/rest/storage/upload/initiate-multipart", b"{}").body)["upload_url"]
        whole = f"{first['access_url']}/multipart/{first['uploadId']}"
        self.uploads = [address.removeprefix(f"http://{self.host}") for address in (whole, second)]

    def _upload(self, data: bytes) -> str:
        address = json.loads(self._plain("/cdn/files/upload", data).body)["access_url"]
        return str(address).removeprefix(f"http://{self.host}")

    def _plain(self, target: str, body: bytes = b"") -> Reply:
        reply = self._ask(Call("POST", target, [("authorization", f"Key {self.key}")], body))
        assert reply.status == 200, reply
        return reply

    # --- sending --------------------------------------------------------------------------------------------------
    def send(self, call: Call) -> Reply:
        """Send a generated request and check its answer."""
        call = self._picked(call)
        self.sent += 1
        self.latest.append(call)
        try:
            reply = self._ask(call)
        except (EOFError, OSError, ValueError, IndexError) as error:
            raise AssertionError(f"{error!r}; the latest requests: {[*self.latest]}") from error
        self.statuses[reply.status] = self.statuses.get(reply.status, 0) + 1
        self.check(call, reply)
        return reply

    def _picked(self, call: Call) -> Call:
        """The same request with something that is known in the place of ``PICKED``."""
        if PICKED not in call.target:
            return call
        for start, known in (("/cdn/files/", self.files), ("/cdn/upload/", self.uploads), ("", self.jobs)):
            if call.target.startswith(start + PICKED) or not start:
                chosen, _, secret = (known[-1 - call.pick % len(known)] if known else JOB).partition("?")
                target = call.target.replace(start + PICKED, chosen)
                if secret:
                    target += ("&" if "?" in target else "?") + secret
                return dataclasses.replace(call, target=target, raises=call.raises or chosen in self.raising)
        raise AssertionError(call.target)

    def _ask(self, call: Call) -> Reply:
        with self._connection() as wire:
            wire.send(call.to_bytes(self.host))
            reply = wire.reply(call.method)
            while reply.status == 100:
                reply = wire.reply(call.method)
            if reply.headers.get("connection") == "close":
                rest = wire.rest()
                assert not rest or (call.method, reply.status) == ("HEAD", 400), (
                    f"bytes after the last answer: {rest!r}"
                )
                self.hang_up()
        return reply

    @contextlib.contextmanager
    def _connection(self) -> Iterator[Wire]:
        if self._wire is None:
            self._wire = Wire(self.port, GUARD)
        try:
            yield self._wire
        except BaseException:
            self.hang_up()  # what comes on it next is nobody's
            raise

    def hang_up(self) -> None:
        """Close the connection."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    # --- what must hold -------------------------------------------------------------------------------------------
    def check(self, call: Call, reply: Reply) -> None:
        """An answer is no fault of ours, has an id of its own, and is in fal's shape."""
        path = call.target.partition("?")[0]
        summary = f"{reply.status} {reply.headers} {reply.body[:300]!r}"
        allowed = call.raises or (reply.status == 504 and not call.patient)
        assert 200 <= reply.status < 500 or allowed, f"a 5xx that user code did not raise: {summary}"
        runner = reply.headers.get("x-fal-runner", self.name_of_runner)
        self.name_of_runner = self.name_of_runner or runner
        assert runner == self.name_of_runner, f"the runner was replaced: {summary}"
        given = reply.headers.get("x-fal-request-id", "")
        assert ID.fullmatch(given), f"no request id: {summary}"
        if not path.startswith("/queue/"):
            assert given not in self.ids, f"a request id came twice: {summary}"
        self.ids.add(given)
        if reply.status >= 400 and call.method != "HEAD" and not _OWN_BODY.search(path):
            assert reply.headers.get("content-type") == "application/json", f"no JSON: {summary}"
            assert "detail" in json.loads(reply.body), f"not in fal's shape: {summary}"
        assert b"the password is" not in reply.body, f"an error's text reached a caller: {summary}"
        if path.startswith("/queue/") and reply.status == 200 and b'"queue_position"' in reply.body:
            found = json.loads(reply.body)
            self.jobs.append(found["request_id"])
            if call.raises:
                self.raising.add(found["request_id"])

    def check_end(self) -> None:
        """Nothing hangs, nobody died, nothing has grown, nothing was an error in the gateway's log."""
        self.hang_up()
        lines = (self.app.state / "logs" / "gateway.log").read_text().splitlines()
        log = "\n".join(line for line in lines if " webhook of " not in line)
        assert self.runner() == self.pid, f"the runner was replaced: {log[-4000:]}"
        (one,) = [entry for entry in runners(self.app.state) if entry["pid"] == self.pid]
        assert one["in_flight"] == 0, one
        process = psutil.Process(self.gateway)
        grown = process.memory_info().rss - self.memory
        assert grown < 300 << 20, f"the gateway has grown by {grown >> 20} MiB"
        assert process.num_fds() < 100
        assert "Traceback" not in log, log[-4000:]
