"""Routes for panels that the server itself handles: gateway status, gateway start, and the feed."""

from __future__ import annotations

import asyncio
import os

from tornado.iostream import StreamClosedError
from tornado.web import authenticated

from fal_jupyter.client.connection.connect import ensure_gateway
from fal_jupyter.domain.errors import FalJupyterError, GatewayError, GatewayUnreachable
from fal_jupyter.domain.text.json_forms import encode_json
from fal_jupyter.protocol.api import A_HELLO, Hello
from fal_jupyter.server.feed import FeedRelay, FeedSubscriber
from fal_jupyter.server.guard import AccessDenied, GuardedHandler
from fal_jupyter.server.origin import Origin
from fal_jupyter.server.upstream import Upstream, get


class PanelHandler(GuardedHandler):
    """Base of the handlers for panels."""

    def initialize(self, upstream: Upstream, relay: FeedRelay, origin: Origin, idle_exit: float) -> None:
        """Set the shared services."""
        self._upstream, self._relay, self._origin, self._idle_exit = upstream, relay, origin, idle_exit

    async def prepare(self) -> None:  # type: ignore[override]
        """Check access, and record the browser's origin."""
        await super().prepare()
        self._origin.saw(self.request)

    async def _hello(self) -> Hello:
        from fal_jupyter.client.connection.control_connection import decoded  # start-up

        status, data = await get(self._upstream, A_HELLO)
        if status != 200:
            raise AccessDenied(502, "gateway_failed", f"the gateway answered with status {status}")
        try:
            return decoded(data, Hello)
        except (ValueError, GatewayError):
            raise AccessDenied(502, "gateway_failed", "the gateway's response cannot be understood") from None


class ExtensionHelloHandler(PanelHandler):
    """Reports whether a gateway runs, without starting one."""

    @authenticated
    async def get(self) -> None:
        """Answer ``Hello`` with ``running``, or ``{"running": false, "state": …}``."""
        try:
            answer: dict[str, object] = {"running": True, **await self._hello()}
        except GatewayUnreachable as error:
            answer = {"running": False, "state": str(self._upstream.settings.state), "reason": error.message}
        self.finish(encode_json(answer))


class StartHandler(PanelHandler):
    """Starts a gateway on request of a panel."""

    def action(self) -> str:
        """The action for Jupyter's authorizer: a gateway runs users' code."""
        return "execute"

    @authenticated
    async def post(self) -> None:
        """Start a gateway if none runs, and answer its ``Hello``."""
        try:
            loop, settings = asyncio.get_running_loop(), self._upstream.settings
            await loop.run_in_executor(None, lambda: ensure_gateway(settings, idle_exit=self._idle_exit))
            hello = await self._hello()
        except FalJupyterError as error:
            detail = f"{error.message}: {error.hint}" if error.hint else error.message
            raise AccessDenied(503, "no_gateway", detail) from None
        self._relay.wake()
        reap(hello["pid"])
        self.finish(encode_json({"running": True, **hello}))


class FeedHandler(PanelHandler):
    """The feed: JSON lines until the panel or this server ends."""

    _listener: FeedSubscriber | None = None

    @authenticated
    async def get(self) -> None:
        """Send lines as fast as the panel reads."""
        self.set_header("Content-Type", "application/x-ndjson")
        self.set_header("X-Accel-Buffering", "no")  # prevents buffering in a proxy
        listener = self._listener = self._relay.listen()
        try:
            await self.flush()
            while (line := await listener.next()) is not None:
                self.write(line)
                await self.flush()
        except StreamClosedError:
            pass  # the panel disconnected
        finally:
            self._relay.leave(listener)

    def on_connection_close(self) -> None:
        """The panel disconnected."""
        if self._listener is not None:
            self._relay.leave(self._listener)


class PanelNotFoundHandler(GuardedHandler):
    """Unknown paths below ``fal``."""

    @authenticated
    def get(self, *_: object) -> None:
        """Refuse."""
        raise AccessDenied(404, "not_found", "there is nothing at this address")

    head = post = put = patch = delete = options = get


def reap(pid: int) -> None:
    """Reap a gateway that is this process's child when it ends, so that it leaves no zombie."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return  # it has ended already
    loop = asyncio.get_running_loop()

    def over() -> None:
        loop.remove_reader(fd)
        os.close(fd)
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            pass  # another process started it

    loop.add_reader(fd, over)
