"""The client: one a process. It holds the lease, publishes, asks, calls, and mends itself when the gateway died."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from fal_jupyter import forks, logs
from fal_jupyter import settings as settings_module
from fal_jupyter.client.app_files import Folders
from fal_jupyter.client.calls.sent import Sent
from fal_jupyter.client.connection import connect, http
from fal_jupyter.client.connection import lease as leases
from fal_jupyter.client.connection.answer import Answer, AnswerReader, OnOutput
from fal_jupyter.client.connection.controlling import Controlling
from fal_jupyter.client.connection.ongoing_calls import (
    Calls,
    cancelled,
    ended_starting,
    lost,
    refused_by_ending,
    refused_waiting,
)
from fal_jupyter.client.connection.pool import ConnectionPool
from fal_jupyter.client.connection.waiting import MOST_GATEWAYS, NotSent, aopen, areceive, receive, send
from fal_jupyter.client.connection.watching import RawAnswer
from fal_jupyter.client.publication import Publication
from fal_jupyter.credentials import make_key
from fal_jupyter.domain.errors import (
    AppRuleBroken,
    AppTaken,
    BadSetting,
    FalJupyterError,
    GatewayError,
    GatewayStopped,
    GatewayUnreachable,
    NoSuchMachine,
    NotServed,
    UserError,
)
from fal_jupyter.protocol.api import (
    A_APPS,
    A_LEASE,
    H_CELL,
    H_OWNER,
    RUN,
    Event,
    Published,
    PublishHead,
)
from fal_jupyter.secret_store import SecretStore
from fal_jupyter.settings import Settings

log = logging.getLogger("fal_jupyter.client")
READ = 256 * 1024
JOIN_PATIENCE = 60.0  # seconds in which some gateway has to grant a lease, while others end
SOCKET_PATIENCE = 2.0  # seconds for a living gateway to make its removed socket again
_CALL_HEADERS = ((H_OWNER, "frames"),)
DIED = "the gateway had ended; a new one was started and the apps of this process were published again"


class Client(Controlling):
    """The gateway, as one process sees it.

    Args:
        settings: of which state directory; read from the environment where absent.
        kind: ``kernel``, ``serve`` or ``script``.
        name: what the owner is called in sentences.
        port: the loopback port wanted, 0 for any.
        idle_exit: seconds that a gateway started here waits for a new owner when the last is gone.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        kind: str = "script",
        name: str | None = None,
        port: int = 0,
        idle_exit: float = 600.0,
    ) -> None:
        self.settings = settings or settings_module.read()
        logs.log_to_stderr(self.settings)
        self.kind, self.name, self.port, self._idle_exit = kind, name or kind, port, idle_exit
        self.key = make_key()
        self.secret_store = SecretStore(self.settings.state)
        self.app_files = Folders(self.settings.state / "app_files")
        self.lease: leases.Lease | None = None
        self._parents: leases.Borrowed | None = None
        self._parents_apps: list[str] = []
        self.notices: list[str] = []
        self.cell = ""  # number and id of the notebook's cell that runs
        self._published: dict[str, Publication] = {}
        self._environments: dict[str, list[int]] = {}
        self._lock = threading.RLock()
        self._pool = ConnectionPool(self.settings.idle_timeout)
        forks.changes_in_child(self)

    def forked(self) -> None:
        """In a forked child: its parent's gateway and key are used, and nothing of the parent's is kept alive or published again."""
        self._lock = threading.RLock()
        self._pool = ConnectionPool(self.settings.idle_timeout)
        self._parents_apps = [*self._published] or self._parents_apps
        self._published, self.notices = {}, []
        for alias in list(self._environments):
            self._release_environments(alias)
        if self.lease is not None:
            self._parents, self.lease = self.lease.borrowed(), None
        elif self._parents is None:
            self.key = make_key()

    def hold_environment(self, alias: str, users: int) -> None:
        """Keep an isolated environment from being removed while the app may run in it; *users* is a descriptor that does so."""
        self._environments.setdefault(alias, []).append(users)

    def _release_environments(self, alias: str) -> None:
        for users in self._environments.pop(alias, []):
            os.close(users)

    # --- the gateway and the lease ------------------------------------------------------------------------------
    def ensure(self) -> leases.Attachment:
        """Hold a lease of a living gateway; after a gateway's death, start another and publish again.

        A forked child uses its parent's gateway without a lease, until it publishes an app of its own.

        Raises:
            GatewayError: it cannot be had.
        """
        with self._lock:
            if self._parents is None:
                return self._own_lease()
            if not self._parents.alive:
                self._parents.close()
                self._pool.clear()
                self._parents = leases.borrow(self.settings, self._parents_apps)
            return self._parents

    def _own_lease(self) -> leases.Lease:
        with self._lock:
            if self._parents is not None:
                self._parents.close()
                self._parents, self.key = None, make_key()
            for gateways_left in reversed(range(MOST_GATEWAYS)):
                if self.lease is not None and self.lease.alive:
                    return self.lease
                self._drop_lease()
                self._pool.clear()
                self.lease = self._new_lease()
                log.debug("lease %s of the gateway (process %s)", self.lease.granted["lease"], self.lease.gateway)
                try:
                    self._publish_missing(self.lease.granted["lease"])
                except leases.GatewayEnding:
                    if not gateways_left:
                        raise
                    continue
                return self.lease
            raise AssertionError("unreachable")

    def _new_lease(self) -> leases.Lease:
        """Join the gateway, or start one. One that is ending refuses, and the next one waits for its end by itself."""
        deadline = time.monotonic() + JOIN_PATIENCE
        while True:
            try:
                connect.ensure_gateway(self.settings, idle_exit=self._idle_exit)
                sock = connect.dial(self.settings)
                return leases.take(sock, kind=self.kind, name=self.name, port=self.port, key=self.key)
            except (leases.GatewayEnding, ConnectionError, FileNotFoundError) as error:
                if time.monotonic() > deadline:
                    raise GatewayUnreachable(
                        f"no gateway stays alive here: {error}",
                        hint=f"why they end is in {self.settings.logs / 'gateway.log'}",
                    ) from None
            except OSError as error:
                raise GatewayUnreachable(f"the gateway cannot be reached: {error.strerror or error}") from None

    def leave(self) -> bool:
        """End the lease; gives True where the gateway ends with it. :meth:`close` has to follow."""
        if self.lease is None:
            return False
        try:
            _, answer = self._ask("DELETE", A_LEASE.format(id=self.lease.granted["lease"]))
        except (OSError, GatewayError):
            return not self.lease.alive
        return bool(answer.get("ending"))

    def _publish_missing(self, lease: str) -> None:
        """Publish whatever *lease* lacks. What fails for the gateway's sake is tried again by the next :meth:`ensure`."""
        missing = [(alias, one) for alias, one in self._published.items() if one.lease != lease]
        if missing and DIED not in self.notices:
            self.notices.append(DIED)
        for alias, publication in missing:
            try:
                publication.told.update(self._put(alias, publication.head, publication.payload))
                publication.lease = lease
            except UserError as error:  # its name was taken meanwhile: the others' turn comes all the same
                del self._published[alias]
                self.notices.append(f"{alias} could not be published again: {error}")
            except OSError as error:
                self._drop_lease()
                raise leases.GatewayEnding(f"the gateway ended while {alias} was published again: {error}") from None
            except BaseException:  # no answer, or an interrupt
                self._drop_lease()
                raise

    def _drop_lease(self) -> None:
        if self.lease is not None:
            self.lease.close()
            self.lease = None

    @property
    def base(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return self.ensure().base

    def close(self) -> None:
        """End the lease: the apps of this process stop. Those of a forked child's parent do not."""
        with self._lock:
            self._pool.clear()
            self._published.clear()
            self._drop_lease()
            if self._parents is not None:
                self._parents.close()
        self.app_files.close()
        for alias in list(self._environments):
            self._release_environments(alias)

    # --- control ------------------------------------------------------------------------------------------------
    def publish(self, alias: str, head: PublishHead, payload: bytes) -> Published:
        """Publish an app.

        Raises:
            AppTaken: another living owner has it.
        """
        with self._lock:
            for gateways_left in reversed(range(MOST_GATEWAYS)):
                self._own_lease()
                try:
                    published = self._put(alias, head, payload)
                except OSError as error:  # it ended: a publication that it may have begun has ended with it
                    self._drop_lease()
                    if not gateways_left:
                        raise GatewayUnreachable(f"the gateway ended while {alias} was published: {error}") from None
                    continue
                former = self._published.get(alias)
                if former is not None and former.failed:
                    former = None
                elif former is not None:
                    former.former = None
                self._published[alias] = Publication(head, payload, head["lease"], published, former)
                return published
            raise AssertionError("unreachable")

    def _put(self, alias: str, head: PublishHead, payload: bytes) -> Published:
        assert self.lease is not None
        head["lease"] = self.lease.granted["lease"]
        data = json.dumps(head).encode()
        body = len(data).to_bytes(4, "big") + data + payload
        status, answer = self._ask("PUT", f"{A_APPS}/{quote(alias)}", body)
        if status == 409 and answer.get("error_type") == "app_taken":
            holder = answer["holder"]
            raise AppTaken(
                f"the app {alias!r} belongs to {holder['name']} (process {holder['pid']}), which is still running",
                hint="give yours another name with --name NAME, or take it with --take-over",
            )
        if answer.get("error_type") == "lease_ended":
            raise ConnectionResetError(answer["detail"])
        if status >= 400:
            kinds = {kind.__name__: kind for kind in (NoSuchMachine, BadSetting, AppRuleBroken)}
            kind = kinds.get(answer.get("error_type", ""), UserError)
            raise kind(str(answer.get("detail", answer)), hint=answer.get("hint", ""))
        found: Published = answer
        return found

    def events(self, alias: str, told: Published) -> Iterator[Event]:
        """Follow the start of a publication, from its beginning, until it is ready, has failed or is gone.

        Where the gateway ends meanwhile, the start at the next one is followed.

        Raises:
            GatewayError: none lives long enough.
            NotServed: the revision is not there any more.
        """
        for gateways_left in reversed(range(MOST_GATEWAYS)):
            asked = told["revision"]
            answer = self.exchange("GET", f"{A_APPS}/{quote(alias)}/events?revision={asked}")
            if answer.status not in (200, 404):
                failed = json.loads(b"".join(answer))
                raise GatewayError(f"the start cannot be followed: {failed['detail']}", hint=failed.get("hint", ""))
            if answer.status == 404:
                answer.drop()
                if gateways_left and asked != told["revision"]:  # published at another gateway meanwhile
                    continue
                raise NotServed(f"revision {told['revision']} of {alias} is not there any more")
            rest, event = b"", None
            try:
                for piece in answer:
                    *lines, rest = (rest + piece).split(b"\n")
                    for line in lines:
                        event = json.loads(line)
                        if event["event"] == "failed":
                            self._failed(alias, told)
                        if event["event"] == "gone" and gateways_left and not self._alive():
                            break  # stopped by the end of its gateway
                        yield event
            except GatewayStopped:
                raise
            except GatewayError:  # it ended
                if not gateways_left:
                    raise ended_starting() from None
                self.forget(answer.gateway)
                continue
            if event is None or event["event"] != "gone" or not gateways_left or self._alive():
                return

    def _failed(self, alias: str, told: Published) -> None:
        """A start has failed: the publication before serves on, and is what a new gateway gets."""
        with self._lock:
            publication = self._published.get(alias)
            if publication is not None and publication.told is told:
                publication.failed = True
                self._published[alias] = publication.former or publication

    def exchange(
        self, method: str, target: str, headers: Iterable[tuple[str, str]] = (), body: http.Body = b""
    ) -> RawAnswer:
        """Ask the gateway that holds this process's lease; gives the answer as soon as its head is here.

        Where it has ended, another one is started and this process's apps are published there; nothing that may have begun is repeated.

        Raises:
            OSError, GatewayError: it ended in the middle, or none can be had.
        """
        for gateways_left in reversed(range(MOST_GATEWAYS)):
            sock = self.dial()
            gateway = connect.peer_pid(sock)
            try:
                answer = RawAnswer(sock, method, target, headers, body)
            except NotSent:
                if not gateways_left:
                    raise
                self.await_end(gateway)
                continue
            if not answer.refused or not gateways_left:
                return answer
            answer.drop()
            self.forget(answer.gateway)
        raise AssertionError("unreachable")

    def _ask_of(self, alias: str, method: str, target: str, body: bytes) -> tuple[int, Any]:
        """An app of this process is published again before the question, where its gateway has ended."""
        if alias not in self._published:
            return super()._ask_of(alias, method, target, body)
        answer = self.exchange(method, target, (), body)
        return answer.status, answer.value()

    def stop(self, alias: str, *, kill: bool = False, wait: bool = False) -> None:
        """Stop an app; with *wait*, until its last runner is gone."""
        self._published.pop(alias, None)
        self._release_environments(alias)
        self._delete(f"{A_APPS}/{quote(alias)}", kill, wait)

    def stop_all(self) -> None:
        """Stop the apps of this process in order, each within its grace; one that is gone already is no failure.

        Raises:
            GatewayStopped: the gateway's process is stopped.
        """
        for alias in list(self._published):
            try:
                self.stop(alias, wait=True)
            except GatewayStopped:
                raise
            except (OSError, FalJupyterError):
                pass  # the gateway has ended, or the app was stopped by somebody else

    # --- calls --------------------------------------------------------------------------------------------------
    def _request(self, alias: str, sent: Sent) -> http.Request:
        asked = f"?{sent.query}" if sent.query else ""
        target = f"{RUN}{self.settings.owner}/{alias}{quote(sent.path, safe='/')}{asked}"
        cell = ((H_CELL, self.cell),) if self.cell else ()
        kind = ("content-type", sent.content_type)
        return http.request("POST", target, sent.body, (*_CALL_HEADERS, kind, *cell, *sent.headers))

    def call(
        self,
        alias: str,
        sent: Sent,
        *,
        on_output: OnOutput | None = None,
        calls: Calls | None = None,
    ) -> Answer:
        """Call an endpoint and wait; the calling thread reads its own connection and hands output on as it comes.

        Args:
            calls: those that another thread may cancel together with this one.

        Raises:
            GatewayError: the gateway ended in the middle, or cannot be had.
            KeyboardInterrupt: passed on at once; the request is dropped or cancelled.
        """
        data = self._request(alias, sent)
        for attempt in range(1, MOST_GATEWAYS + 1):
            sock = self._pool.take() if attempt == 1 and self._alive() else None
            reader = http.Reader()
            frames_reader = AnswerReader(on_output, f"%fal logs {alias} has the last of them")
            try:
                if sock is None:
                    sock = self.dial()
                if calls is not None:
                    calls.begin(sock)
                gateway = connect.peer_pid(sock)
                send(sock, data, gateway)
                while not reader.done:
                    received = receive(sock, READ, gateway, unanswered=0 if reader.begun else len(data))
                    if not received:
                        reader.end()
                        break
                    frames_reader.feed_from(reader, received)
            except (OSError, GatewayError) as error:
                if calls is not None and sock is not None:
                    calls.end(sock)
                if sock is not None:
                    sock.close()
                if calls is not None and calls.cancelled:
                    raise cancelled() from None
                if isinstance(error, NotSent) and attempt < MOST_GATEWAYS:  # it ended before it read anything
                    if attempt > 1:  # a connection of the pool may be older
                        self.await_end(gateway)
                    continue
                if isinstance(error, GatewayStopped) or (sock is None and isinstance(error, GatewayError)):
                    raise  # there is no gateway, and none can be started: the error says why
                raise lost() from None
            except BaseException:
                if calls is not None and sock is not None:
                    calls.end(sock)
                if sock is not None:
                    sock.close()
                raise
            if calls is not None:
                calls.end(sock)
            answer = self._finish(reader, frames_reader, sock)
            if not (refused_by_ending(reader) or refused_waiting(answer)) or attempt == MOST_GATEWAYS:
                return answer
            self.forget(gateway)
        raise AssertionError("unreachable")

    def forget(self, gateway: int) -> None:
        """A gateway has said that it is ending: the next question goes to another one."""
        with self._lock:
            self._pool.clear()
            if self.lease is not None and self.lease.gateway == gateway:
                self._drop_lease()
            elif self._parents is not None and self._parents.gateway == gateway:
                self._parents.close()

    def await_end(self, gateway: int) -> None:
        """A new connection to *gateway* broke off unread: it is ending, which takes a moment, in which it would break the next one too."""
        attached = self._parents or self.lease
        if attached is not None and attached.gateway == gateway:
            attached.wait_for_gateway(SOCKET_PATIENCE)

    def dial(self) -> socket.socket:
        """Connect to the gateway that holds this process's lease; nothing is sent yet.

        Where the gateway has ended, another one is started (:meth:`ensure`). Where it lives and its socket is missing (the state
        directory was removed), it makes a new one in a moment.

        Raises:
            GatewayError: none can be had.
        """
        while True:
            attached = self.ensure()
            try:
                return self._dial_of(attached)
            except OSError as error:
                if not attached.ends_within(0):
                    raise GatewayUnreachable(f"the gateway cannot be reached: {error.strerror or error}") from None

    def _dial_of(self, attached: leases.Attachment) -> socket.socket:
        """Connect to that very gateway.

        Raises:
            OSError: it has ended, or its socket is missing.
            GatewayUnreachable: another one has taken its place.
        """
        deadline = time.monotonic() + SOCKET_PATIENCE
        while True:
            try:
                sock = connect.dial(self.settings)
            except OSError:
                if attached.ends_within(0.05) or time.monotonic() > deadline:
                    raise
                continue
            if connect.peer_pid(sock) == attached.gateway:
                return sock
            sock.close()  # another gateway has taken its place: ours has ended, or is about to
            if attached.ends_within(SOCKET_PATIENCE):
                raise ConnectionRefusedError(f"gateway {attached.gateway} has ended")
            raise GatewayUnreachable(
                "another gateway has taken the place of the one that runs this process's apps",
                hint="call again in a moment: the former gateway is ending, and its apps are published again",
            )

    def _dial(self) -> socket.socket:
        """As :meth:`dial`, but without starting a gateway where there is none."""
        attached = self._parents or self.lease
        return self._dial_of(attached) if attached is not None and attached.alive else connect.dial(self.settings)

    def _alive(self) -> bool:
        attached = self._parents or self.lease
        return attached is not None and attached.alive

    def _finish(self, reader: http.Reader, frames_reader: AnswerReader, sock: socket.socket) -> Answer:
        if reader.reusable:
            self._pool.keep(sock)
        else:
            sock.close()
        return frames_reader.finish()

    async def acall(self, alias: str, sent: Sent, *, on_output: OnOutput | None = None) -> Answer:
        """The same on asyncio; being cancelled closes the connection."""
        for gateways_left in reversed(range(MOST_GATEWAYS)):
            try:
                refused, answer = await self._acall(alias, sent, on_output)
            except NotSent:
                if not gateways_left:
                    raise lost() from None
                continue
            if not refused or not gateways_left:
                return answer
        raise AssertionError("unreachable")

    async def _acall(self, alias: str, sent: Sent, on_output: OnOutput | None) -> tuple[bool, Answer]:
        """Call once; gives whether an ending gateway refused it, and the answer."""
        sock = await asyncio.to_thread(self.dial)
        gateway = connect.peer_pid(sock)
        writer: asyncio.StreamWriter | None = None
        reader = http.Reader()
        frames_reader = AnswerReader(on_output, f"%fal logs {alias} has the last of them")
        try:
            request = self._request(alias, sent)
            stream_reader, writer = await aopen(sock, request, gateway)
            while not reader.done:
                data = await areceive(stream_reader, READ, gateway, unanswered=0 if reader.begun else len(request))
                if not data:
                    reader.end()
                    break
                frames_reader.feed_from(reader, data)
        except NotSent:
            await asyncio.to_thread(self.await_end, gateway)
            raise
        except GatewayStopped:
            raise
        except (OSError, GatewayError):
            raise lost() from None
        finally:
            if writer is not None:
                writer.close()
        answer = frames_reader.finish()
        refused = refused_by_ending(reader) or refused_waiting(answer)
        if refused:
            self.forget(gateway)
        return refused, answer
