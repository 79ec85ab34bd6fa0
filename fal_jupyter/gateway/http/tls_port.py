"""The TLS port of 127.0.0.1, opened on demand, with a certificate that is renewed while it is open."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from pathlib import Path

from tornado.netutil import bind_sockets

from fal_jupyter.gateway.http.certificates import Certificates
from fal_jupyter.gateway.http.server import HttpListener

log = logging.getLogger("fal_jupyter.gateway")
_DAY = 86400.0  # timers stop while a machine is suspended: check at least once a day of running time
_SOON = 60.0  # seconds
_HANDSHAKE = 20.0  # seconds


class TlsPort:
    """One port of 127.0.0.1; *folder* contains its certificates. ``port`` is 0 while it is closed."""

    def __init__(self, folder: Path) -> None:
        self._certificates = Certificates(folder)
        self.port = 0
        self._server: asyncio.Server | None = None
        self._renewal: asyncio.Task[None] | None = None

    @property
    def authority(self) -> Path:
        """The certificate of the authority that a client must trust."""
        return self._certificates.authority

    @property
    def bundle(self) -> Path:
        """The same together with this machine's public authorities."""
        return self._certificates.bundle

    async def open(self, listener: HttpListener) -> None:
        """Serve *listener*'s requests by TLS; does nothing if it is open and its files exist.

        Raises:
            OSError: the certificates cannot be written, or no port is free.
        """
        if self._server is not None and self.authority.exists():
            return
        self.close()
        context = await asyncio.to_thread(self._certificates.context)
        (sock,) = bind_sockets(0, "127.0.0.1", family=socket.AF_INET)
        self._server = await asyncio.get_running_loop().create_server(
            listener.connection, sock=sock, backlog=1024, ssl=context, ssl_handshake_timeout=_HANDSHAKE
        )
        self.port = sock.getsockname()[1]
        self._renewal = asyncio.get_running_loop().create_task(self._renew(context))

    async def _renew(self, context: ssl.SSLContext) -> None:
        """Renew the certificate of *context* whenever it is about to expire."""
        while True:
            left = await asyncio.to_thread(self._certificates.seconds_left)
            await asyncio.sleep(min(max(left, _SOON), _DAY))
            try:
                if await asyncio.to_thread(self._certificates.renew):
                    self._certificates.load_into(context)  # not in a thread: handshakes use it
            except OSError:
                log.exception("the certificate of the TLS port could not be renewed")
                await asyncio.sleep(_DAY)

    def close(self) -> None:
        """Stop listening."""
        if self._renewal is not None:
            self._renewal.cancel()
        if self._server is not None:
            self._server.close()
        self._server, self._renewal, self.port = None, None, 0
