"""The unmodified clients of fal, turned towards a gateway: one object, or the module's own functions (wire-protocol §0).

fal_client has no setting for its addresses. A client object of ours is a real one whose connections rewrite an address of
fal's into the gateway's before a request leaves (an httpx event hook); nothing of the module is changed. The module's own functions
can only be turned by the module's own names, which :class:`Turned` sets and puts back.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import fal_client
import httpx
from asyncstdlib import cached_property as async_cached_property
from fal_client import client as module

TOKEN_LIFE = 120  # seconds; what both clients of fal ask for
_PLACES = {
    "RUN_URL_FORMAT": "/run/",
    "QUEUE_URL_FORMAT": "/queue/",
    "REALTIME_URL_FORMAT": "/run/",
    "REST_URL": "/rest",
    "CDN_URL": "/cdn",
}
_ORIGINAL: Mapping[str, str] = {name: getattr(module, name) for name in _PLACES}


def addresses(base: str) -> dict[str, str]:
    """What the module's names have to say for a gateway at *base*, by name."""
    found = {name: base + below for name, below in _PLACES.items()}
    found["REALTIME_URL_FORMAT"] = "ws" + found["REALTIME_URL_FORMAT"].removeprefix("http")
    return found


def local(address: str, base: str) -> str:
    """Give the gateway's address for one of fal's; any other comes back as it is."""
    wanted = addresses(base)
    for name in _PLACES:
        for known in (_ORIGINAL[name], getattr(module, name)):
            rest = address.removeprefix(known)
            if rest != address and (known.endswith("/") or rest[:1] in ("", "/")):
                return wanted[name] + rest
    return address


def _turn(request: httpx.Request, base: str) -> None:
    here = httpx.URL(local(str(request.url), base))
    if here != request.url:
        request.url = here
        request.headers["host"] = here.netloc.decode("ascii")


@dataclass(frozen=True)
class GatewayClient(fal_client.SyncClient):
    """A ``fal_client.SyncClient`` whose every route leads to the gateway at *base* (``http://127.0.0.1:PORT``)."""

    base: str = field(default="", kw_only=True)

    @cached_property
    def _client(self) -> httpx.Client:
        return self._turned(vars(fal_client.SyncClient)["_client"].func(self))

    def _get_cdn_client(self) -> httpx.Client:
        return self._turned(super()._get_cdn_client())

    def _turned(self, client: httpx.Client) -> httpx.Client:
        client.event_hooks = {"request": [lambda request: _turn(request, self.base)]}
        return client

    @cached_property
    def _token_manager(self) -> Any:
        manager = module.CDNTokenManager(self._auth)
        manager._url = local(manager._url, self.base)  # it asks on a connection of its own
        return manager

    @contextmanager
    def ws_connect(
        self,
        application: str,
        *,
        use_jwt: bool = True,
        path: str = "",
        max_buffering: int | None = None,
        token_expiration: int = TOKEN_LIFE,
    ) -> Iterator[Any]:
        """Open a raw websocket to an app."""
        token = self._get_realtime_token(application, token_expiration=token_expiration) if use_jwt else None
        headers = None if use_jwt else self._auth.as_headers() | {"User-Agent": module.USER_AGENT}
        address = module._build_runner_ws_url(application, token, path=path, max_buffering=max_buffering)
        with module._connect_sync_ws(local(address, self.base), headers=headers) as socket:
            yield socket

    @contextmanager
    def realtime(
        self,
        application: str,
        *,
        path: str = "/realtime",
        encode_message: Any = None,
        decode_message: Any = None,
        **options: Any,
    ) -> Iterator[Any]:
        """Open a realtime connection to an app."""
        with self.ws_connect(application, path=path, **options) as socket:
            yield fal_client.RealtimeConnection(socket, encode_message, decode_message)


@dataclass(unsafe_hash=True)
class AsyncGatewayClient(fal_client.AsyncClient):
    """The same of ``fal_client.AsyncClient``."""

    base: str = field(default="", kw_only=True)

    @async_cached_property(asyncio.Lock)
    async def _client(self) -> httpx.AsyncClient:
        return self._turned(await vars(fal_client.AsyncClient)["_client"].func(self))

    @asynccontextmanager
    async def _cdn_client(self) -> AsyncIterator[httpx.AsyncClient]:
        async with super()._cdn_client() as client:
            yield self._turned(client)

    def _turned(self, client: httpx.AsyncClient) -> httpx.AsyncClient:
        async def turn(request: httpx.Request) -> None:
            _turn(request, self.base)

        client.event_hooks = {"request": [turn]}
        return client

    @async_cached_property(asyncio.Lock)
    async def _token_manager(self) -> Any:
        manager = module.AsyncCDNTokenManager(await self._auth)
        manager._url = local(manager._url, self.base)
        return manager

    @asynccontextmanager
    async def ws_connect(
        self,
        application: str,
        *,
        use_jwt: bool = True,
        path: str = "",
        max_buffering: int | None = None,
        token_expiration: int = TOKEN_LIFE,
    ) -> AsyncIterator[Any]:
        """Open a raw websocket to an app."""
        token, headers = None, None
        if use_jwt:
            token = await self._get_realtime_token(application, token_expiration=token_expiration)
        else:
            headers = (await self._auth).as_headers() | {"User-Agent": module.USER_AGENT}
        address = module._build_runner_ws_url(application, token, path=path, max_buffering=max_buffering)
        async with module._connect_async_ws(local(address, self.base), headers=headers) as socket:
            yield socket

    @asynccontextmanager
    async def realtime(
        self,
        application: str,
        *,
        path: str = "/realtime",
        encode_message: Any = None,
        decode_message: Any = None,
        **options: Any,
    ) -> AsyncIterator[Any]:
        """Open a realtime connection to an app."""
        async with self.ws_connect(application, path=path, **options) as socket:
            yield fal_client.AsyncRealtimeConnection(socket, encode_message, decode_message)


class Turned:
    """The module's own functions (``fal_client.run`` …), turned towards a gateway: for the whole process.

    Redirections may be nested and may end in any order: the newest that is left holds, and after the last everything is as it was.
    """

    _lock = threading.Lock()
    _open: list[Turned] = []  # noqa: RUF012 - shared on purpose: the module is one
    _kept: tuple[dict[str, str], dict[str, Any], dict[str, Any]] | None = None

    def __init__(self, base: str, key: str | None) -> None:
        self._base, self._key = base, key

    def __enter__(self) -> None:
        """From here on calls go to the gateway."""
        with self._lock:
            if Turned._kept is None:
                names = {name: getattr(module, name) for name in _PLACES}
                Turned._kept = names, dict(vars(fal_client.sync_client)), dict(vars(fal_client.async_client))
            self._open.append(self)
            self._apply()

    def __exit__(self, *_: object) -> None:
        """This redirection is over."""
        with self._lock:
            self._open.remove(self)
            if self._open:
                self._open[-1]._apply()
                return
            assert Turned._kept is not None
            names, sync_state, async_state = Turned._kept
            Turned._kept = None
            _set(names, sync_state, async_state)

    def _apply(self) -> None:
        """Set the module's names; its two clients forget what they have opened, and the key that they found."""
        assert Turned._kept is not None
        _, sync_state, async_state = Turned._kept
        cached = {"_auth", "_client", "_token_manager"}
        fresh_sync = {name: value for name, value in sync_state.items() if name not in cached}
        fresh_async = {name: value for name, value in async_state.items() if name not in cached}
        if self._key is not None:
            fresh_sync["key"] = fresh_async["key"] = self._key
        _set(addresses(self._base), fresh_sync, fresh_async)


def _set(names: Mapping[str, str], sync_state: Mapping[str, Any], async_state: Mapping[str, Any]) -> None:
    for name, value in names.items():
        setattr(module, name, value)
    for client, state in ((fal_client.sync_client, sync_state), (fal_client.async_client, async_state)):
        held = vars(client)
        held.update(state)
        for name in held.keys() - state.keys():
            del held[name]
