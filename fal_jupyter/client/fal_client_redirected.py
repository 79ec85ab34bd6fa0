"""The unmodified clients of fal, redirected to a gateway: one object, or the module's own functions.

fal_client has no setting for its addresses. Our client objects are real ones whose connections replace fal's addresses
by the gateway's before a request is sent (an httpx event hook); the module is not changed. The module's own functions
can only be redirected by patching the module's names, which :class:`PatchedFalClient` sets and restores.

A gateway on a loopback address is never reached through a proxy, whatever ``HTTP_PROXY`` and similar variables say.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar

import fal_client
import httpx
from asyncstdlib import cached_property as async_cached_property
from fal_client import client as module
from websockets.asyncio import client as async_websockets
from websockets.sync import client as websockets

from fal_jupyter.domain.environments.runner_variables import past_proxies
from fal_jupyter.outbound_http import is_loopback_url, websocket_options

H = TypeVar("H", fal_client.SyncRequestHandle, fal_client.AsyncRequestHandle)
V = TypeVar("V")
TOKEN_LIFE = 120  # seconds; the value that both clients of fal request
_PLACES = {
    "RUN_URL_FORMAT": "/run/",
    "QUEUE_URL_FORMAT": "/queue/",
    "REALTIME_URL_FORMAT": "/run/",
    "REST_URL": "/rest",
    "CDN_URL": "/cdn",
}
_ORIGINAL: Mapping[str, str] = {name: getattr(module, name) for name in _PLACES}


def addresses(base: str) -> dict[str, str]:
    """The values of the module's names for a gateway at *base*."""
    urls = {name: base + below for name, below in _PLACES.items()}
    urls["REALTIME_URL_FORMAT"] = "ws" + urls["REALTIME_URL_FORMAT"].removeprefix("http")
    return urls


def local(address: str, base: str) -> str:
    """Return the gateway's address for one of fal's; other addresses are returned unchanged."""
    urls = addresses(base)
    for name in _PLACES:
        for prefix in (_ORIGINAL[name], getattr(module, name)):
            rest = address.removeprefix(prefix)
            if rest != address and (prefix.endswith("/") or rest[:1] in ("", "/")):
                return urls[name] + rest
    return address


def _websocket_options(base: str, headers: object) -> dict[str, Any]:
    """Open a WebSocket as the module does, but without proxies."""
    return {
        "additional_headers": headers,
        "open_timeout": module.REALTIME_OPEN_TIMEOUT,
        "max_size": None,
        **websocket_options(base),
    }


class _Tokens(module.CDNTokenManager):  # type: ignore[misc]
    """The module's connection, but without proxies."""

    def _refresh_token(self) -> module.CDNToken:
        with httpx.Client(trust_env=False) as client:
            return _token_of(client.post(self._url, headers=self._headers, json={}))


class _AsyncTokens(module.AsyncCDNTokenManager):  # type: ignore[misc]
    async def _refresh_token(self) -> module.CDNToken:
        async with httpx.AsyncClient(trust_env=False) as client:
            return _token_of(await client.post(self._url, headers=self._headers, json={}))


def _token_of(answer: httpx.Response) -> module.CDNToken:
    answer.raise_for_status()
    token = answer.json()
    return module.CDNToken(
        token=token["token"],
        token_type=token["token_type"],
        base_upload_url=token["base_url"],
        expires_at=datetime.fromisoformat(token["expires_at"]),
    )


def _redirect(request: httpx.Request, base: str) -> None:
    here = httpx.URL(local(str(request.url), base))
    if here != request.url:
        request.url = here
        request.headers["host"] = here.netloc.decode("ascii")


def _local_handle(handle: H, base: str) -> H:
    """Return a handle with the gateway's addresses: the module builds them from its own names."""
    return replace(
        handle,
        response_url=local(handle.response_url, base),
        status_url=local(handle.status_url, base),
        cancel_url=local(handle.cancel_url, base),
    )


class _LockedProperty(cached_property[V]):
    """A ``cached_property`` that is computed once even if several threads read it at the same time: since Python 3.12 it has no lock."""

    _computing = threading.RLock()

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        with self._computing:
            return super().__get__(instance, owner)


@dataclass(frozen=True)
class GatewayClient(fal_client.SyncClient):
    """A ``fal_client.SyncClient`` whose every route leads to the gateway at *base* (``http://127.0.0.1:PORT``)."""

    base: str = field(default="", kw_only=True)

    @_LockedProperty
    def _client(self) -> httpx.Client:
        if not is_loopback_url(self.base):
            return self._redirected(vars(fal_client.SyncClient)["_client"].func(self))
        headers = {"Authorization": self._auth.header_value, "User-Agent": module.USER_AGENT}
        return self._redirected(
            httpx.Client(headers=headers, timeout=self.default_timeout, follow_redirects=True, trust_env=False)
        )

    def _get_cdn_client(self) -> httpx.Client:
        if not is_loopback_url(self.base):
            return self._redirected(super()._get_cdn_client())
        token = self._token_manager.get_token()
        headers = {"Authorization": f"{token.token_type} {token.token}", "User-Agent": module.USER_AGENT}
        return self._redirected(httpx.Client(headers=headers, timeout=self.default_timeout, trust_env=False))

    def _redirected(self, client: httpx.Client) -> httpx.Client:
        client.event_hooks = {"request": [lambda request: _redirect(request, self.base)]}
        return client

    @_LockedProperty
    def _token_manager(self) -> module.CDNTokenManager:
        manager = (_Tokens if is_loopback_url(self.base) else module.CDNTokenManager)(self._auth)
        manager._url = local(manager._url, self.base)  # it uses its own connection
        return manager

    def get_handle(self, application: str, request_id: str) -> fal_client.SyncRequestHandle:
        """Return the handle of a request that was submitted before."""
        return _local_handle(super().get_handle(application, request_id), self.base)

    @contextmanager
    def ws_connect(
        self,
        application: str,
        *,
        use_jwt: bool = True,
        path: str = "",
        max_buffering: int | None = None,
        token_expiration: int = TOKEN_LIFE,
    ) -> Iterator[websockets.ClientConnection]:
        """Open a raw websocket to an app."""
        token = self._get_realtime_token(application, token_expiration=token_expiration) if use_jwt else None
        headers = None if use_jwt else self._auth.as_headers() | {"User-Agent": module.USER_AGENT}
        address = module._build_runner_ws_url(application, token, path=path, max_buffering=max_buffering)
        with websockets.connect(local(address, self.base), **_websocket_options(self.base, headers)) as socket:
            yield socket

    @contextmanager
    def realtime(
        self,
        application: str,
        *,
        use_jwt: bool = True,
        path: str = "/realtime",
        max_buffering: int | None = None,
        token_expiration: int = TOKEN_LIFE,
        encode_message: Callable[[object], bytes] | None = None,
        decode_message: Callable[[bytes], object] | None = None,
    ) -> Iterator[fal_client.RealtimeConnection]:
        """Open a realtime connection to an app."""
        with self.ws_connect(
            application,
            use_jwt=use_jwt,
            path=path,
            max_buffering=max_buffering,
            token_expiration=token_expiration,
        ) as socket:
            yield fal_client.RealtimeConnection(socket, encode_message, decode_message)


@dataclass(unsafe_hash=True)
class AsyncGatewayClient(fal_client.AsyncClient):
    """The same of ``fal_client.AsyncClient``."""

    base: str = field(default="", kw_only=True)

    @async_cached_property(asyncio.Lock)
    async def _client(self) -> httpx.AsyncClient:
        if not is_loopback_url(self.base):
            return self._redirected(await vars(fal_client.AsyncClient)["_client"].func(self))
        headers = {"Authorization": (await self._auth).header_value, "User-Agent": module.USER_AGENT}
        return self._redirected(httpx.AsyncClient(headers=headers, timeout=self.default_timeout, trust_env=False))

    @asynccontextmanager
    async def _cdn_client(self) -> AsyncIterator[httpx.AsyncClient]:
        if not is_loopback_url(self.base):
            async with super()._cdn_client() as client:
                yield self._redirected(client)
            return
        headers = {"User-Agent": module.USER_AGENT}
        async with httpx.AsyncClient(headers=headers, timeout=self.default_timeout, trust_env=False) as client:
            yield self._redirected(client)

    def _redirected(self, client: httpx.AsyncClient) -> httpx.AsyncClient:
        async def redirect(request: httpx.Request) -> None:
            _redirect(request, self.base)

        client.event_hooks = {"request": [redirect]}
        return client

    @async_cached_property(asyncio.Lock)
    async def _token_manager(self) -> module.AsyncCDNTokenManager:
        manager = (_AsyncTokens if is_loopback_url(self.base) else module.AsyncCDNTokenManager)(await self._auth)
        manager._url = local(manager._url, self.base)
        return manager

    async def get_handle(self, application: str, request_id: str) -> fal_client.AsyncRequestHandle:
        """Return the handle of a request that was submitted before."""
        return _local_handle(await super().get_handle(application, request_id), self.base)

    @asynccontextmanager
    async def ws_connect(
        self,
        application: str,
        *,
        use_jwt: bool = True,
        path: str = "",
        max_buffering: int | None = None,
        token_expiration: int = TOKEN_LIFE,
    ) -> AsyncIterator[async_websockets.ClientConnection]:
        """Open a raw websocket to an app."""
        token, headers = None, None
        if use_jwt:
            token = await self._get_realtime_token(application, token_expiration=token_expiration)
        else:
            headers = (await self._auth).as_headers() | {"User-Agent": module.USER_AGENT}
        address = module._build_runner_ws_url(application, token, path=path, max_buffering=max_buffering)
        options = _websocket_options(self.base, headers)
        async with async_websockets.connect(local(address, self.base), **options) as socket:
            yield socket

    @asynccontextmanager
    async def realtime(
        self,
        application: str,
        *,
        use_jwt: bool = True,
        path: str = "/realtime",
        max_buffering: int | None = None,
        token_expiration: int = TOKEN_LIFE,
        encode_message: Callable[[object], bytes] | None = None,
        decode_message: Callable[[bytes], object] | None = None,
    ) -> AsyncIterator[fal_client.AsyncRealtimeConnection]:
        """Open a realtime connection to an app."""
        async with self.ws_connect(
            application,
            use_jwt=use_jwt,
            path=path,
            max_buffering=max_buffering,
            token_expiration=token_expiration,
        ) as socket:
            yield fal_client.AsyncRealtimeConnection(socket, encode_message, decode_message)


class PatchedFalClient:
    """The module's own functions (``fal_client.run`` …), redirected to a gateway, for the whole process.

    Redirections may be nested and may end in any order: the newest remaining one applies, and after the last the module is restored.
    """

    _lock = threading.Lock()
    _open: list[PatchedFalClient] = []  # noqa: RUF012 - shared on purpose: the module is one
    _saved: tuple[dict[str, str], dict[str, object], dict[str, object], dict[str, str | None]] | None = None

    def __init__(self, base: str, key: str | None) -> None:
        self._base, self._key = base, key

    def __enter__(self) -> None:
        """Redirect calls to the gateway from now on."""
        with self._lock:
            if PatchedFalClient._saved is None:
                names = {name: getattr(module, name) for name in _PLACES}
                excepted = {name: os.environ.get(name) for name in ("NO_PROXY", "no_proxy")}
                clients = dict(vars(fal_client.sync_client)), dict(vars(fal_client.async_client))
                PatchedFalClient._saved = names, *clients, excepted
            self._open.append(self)
            self._apply()

    def __exit__(self, *_: object) -> None:
        """End this redirection."""
        with self._lock:
            self._open.remove(self)
            if self._open:
                self._open[-1]._apply()
                return
            assert PatchedFalClient._saved is not None
            names, sync_state, async_state, excepted = PatchedFalClient._saved
            PatchedFalClient._saved = None
            _set(names, sync_state, async_state)
            _set_environment(excepted)

    def _apply(self) -> None:
        """Set the module's names; its two clients drop their connections and the key that they found."""
        assert PatchedFalClient._saved is not None
        _, sync_state, async_state, excepted = PatchedFalClient._saved
        _set_environment(excepted | (past_proxies(os.environ) if is_loopback_url(self._base) else {}))
        cached = {"_auth", "_client", "_token_manager"}
        fresh_sync = {name: value for name, value in sync_state.items() if name not in cached}
        fresh_async = {name: value for name, value in async_state.items() if name not in cached}
        if self._key is not None:
            fresh_sync["key"] = fresh_async["key"] = self._key
        _set(addresses(self._base), fresh_sync, fresh_async)


def _set_environment(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _set(names: Mapping[str, str], sync_state: Mapping[str, object], async_state: Mapping[str, object]) -> None:
    for name, value in names.items():
        setattr(module, name, value)
    for client, state in ((fal_client.sync_client, sync_state), (fal_client.async_client, async_state)):
        attributes = vars(client)
        attributes.update(state)
        for name in attributes.keys() - state.keys():
            del attributes[name]
