"""Delivers results to webhooks: signed (Ed25519), retried for two hours, and only to addresses that the caller may use."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import logging
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tornado.httpclient import HTTPRequest
from tornado.netutil import Resolver
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from fal_jupyter import outbound_http
from fal_jupyter.atomic_write import write_whole
from fal_jupyter.domain.queue.jobs import JobState
from fal_jupyter.domain.queue.webhooks import delivery, signed_message, wait_after
from fal_jupyter.gateway.queue.queue import QueuedCall, answer_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

log = logging.getLogger("fal_jupyter.gateway")
TIMEOUT = 15.0
LONGEST_URL = 8192


class _Guarded(Resolver):
    """Resolves to addresses that may be connected to, so that a name cannot change between the check and the connection."""

    def initialize(self, loopback: bool, private: bool) -> None:  # type: ignore[override]
        self._loopback, self._private = loopback, private

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[tuple[int, Any]]:
        permitted = await asyncio.to_thread(
            outbound_http.permitted_addresses,
            host,
            port,
            loopback=self._loopback,
            private=self._private,
            every=False,
        )
        return [(socket.AF_INET6 if ":" in a else socket.AF_INET, (a, port)) for a in permitted]


class Signer:
    """The key that signs deliveries: created on first use, stored in the state directory, readable by its owner only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._key: Ed25519PrivateKey | None = None

    def _load(self) -> Ed25519PrivateKey:
        if self._key is None:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # start-up

            try:
                self._key = Ed25519PrivateKey.from_private_bytes(self._path.read_bytes())
            except (OSError, ValueError):
                self._key = Ed25519PrivateKey.generate()
                self._save(self._key.private_bytes_raw())
        return self._key

    def _save(self, secret: bytes) -> None:
        try:
            write_whole(self._path, secret)
        except OSError as error:  # a full disk: this gateway signs anyway, the next one with another key
            log.warning("the webhook key could not be stored: %s", error)

    def sign(self, message: bytes) -> str:
        """Return the signature in hex."""
        return self._load().sign(message).hex()

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public key, as receivers fetch it."""
        public = self._load().public_key().public_bytes_raw()
        text = base64.urlsafe_b64encode(public).rstrip(b"=").decode()
        return {"keys": [{"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": text[:16], "x": text}]}


class Webhooks:
    """The pending deliveries."""

    def __init__(self, key: Path, user_id: str, *, allow_private: bool, most_bytes: int) -> None:
        self.signer = Signer(key)
        self._user_id, self._allow_private, self._most_bytes = user_id, allow_private, most_bytes
        self._pending_bytes = 0  # size of deliveries that are retried
        self._tasks: set[asyncio.Task[None]] = set()

    async def refusal(self, url: str, *, owner: bool) -> str:
        """Describe why no result is sent to *url*, or ``""``. Loopback addresses are allowed for the owner only."""
        try:
            parts = urlsplit(url)
            host, port = outbound_http.host_and_port(parts)
        except ValueError:
            return f"fal_webhook is not a valid URL: {url[:100]!r}"
        if parts.scheme not in ("http", "https") or not host or len(url) > LONGEST_URL:
            return f"fal_webhook must be an http or https URL, not {url[:100]!r}"
        if parts.username is not None or parts.password is not None:
            return "fal_webhook must not contain a user name or password"
        try:
            await asyncio.to_thread(
                outbound_http.permitted_addresses, host, port, loopback=owner, private=self._allow_private
            )
        except outbound_http.NotPermitted:
            return f"fal_webhook {host[:100]} is an address of a private network or of this machine, which this key may not use"
        except outbound_http.NoAddress:
            pass  # it may resolve by the time of the result; otherwise the delivery is retried
        return ""

    def watch(self, call: QueuedCall, url: str, *, owner: bool = True) -> None:
        """Deliver *call*'s result to *url* as soon as it is available."""
        self._tasks.add(task := asyncio.ensure_future(self._serve(call, url, owner)))
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, call: QueuedCall, url: str, owner: bool) -> None:
        async for _ in call.changes(3600.0):
            if call.job.state is JobState.COMPLETED:
                break
        request_id, data = call.job.id, await asyncio.to_thread(_delivery_of, call)
        del call  # retries need only the delivery: the queue may free the answer
        address = outbound_http.encoded(url, keep="#")
        client = SimpleAsyncHTTPClient(
            force_instance=True, resolver=_Guarded(loopback=owner, private=self._allow_private), max_clients=1
        )
        try:
            await self._deliver(client, request_id, address, data)
        finally:
            client.close()

    async def _deliver(self, client: SimpleAsyncHTTPClient, request_id: str, url: str, data: bytes) -> None:
        counted = 0
        try:
            for attempt in itertools.count(1):
                reason = await self._try(client, request_id, url, data)
                if not reason:
                    return
                log.info("webhook of %s, attempt %d: %s", request_id, attempt, reason)
                wait = wait_after(attempt)
                if not counted and self._pending_bytes + len(data) > self._most_bytes:
                    log.warning("webhook of %s is not retried: too many deliveries are pending", request_id)
                    return
                if wait is None:
                    return
                self._pending_bytes += len(data) - counted
                counted = len(data)
                await asyncio.sleep(wait)
        finally:
            self._pending_bytes -= counted

    async def _try(self, client: SimpleAsyncHTTPClient, request_id: str, url: str, data: bytes) -> str:
        """Deliver once; returns ``""``, or an error message."""
        timestamp = str(int(time.time()))  # new each time: receivers refuse timestamps older than five minutes
        signature = self.signer.sign(
            await asyncio.to_thread(signed_message, request_id, self._user_id, timestamp, data)  # it hashes all of them
        )
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "fal_jupyter-webhook",
            "X-Fal-Webhook-Request-Id": request_id,
            "X-Fal-Webhook-User-Id": self._user_id,
            "X-Fal-Webhook-Timestamp": timestamp,
            "X-Fal-Webhook-Signature": signature,
        }
        try:
            answer = await client.fetch(
                HTTPRequest(
                    url,
                    "POST",
                    headers=headers,
                    body=data,
                    connect_timeout=TIMEOUT,
                    request_timeout=TIMEOUT,
                    follow_redirects=False,
                ),
                raise_error=False,
            )
        except Exception as error:  # a remote server may cause any error
            return f"{type(error).__name__}: {error}"
        return "" if 200 <= answer.code < 300 else f"{answer.code} {answer.reason}"

    def close(self) -> None:
        """Stop all deliveries."""
        for task in self._tasks:
            task.cancel()


def _delivery_of(call: QueuedCall) -> bytes:
    """Return the body of a delivery."""
    status, headers, body = answer_of(call)
    kind = next((value for name, value in headers if name.lower() == "content-type"), "")
    return delivery(call.job.id, status, kind, json.dumps(body).encode() if isinstance(body, dict) else body)
