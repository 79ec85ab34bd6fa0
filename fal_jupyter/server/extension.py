"""The extension that Jupyter loads: its options, its routes, and its start and end with the server."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from jupyter_core.paths import jupyter_path
from jupyter_server.extension.application import ExtensionApp
from jupyter_server.serverapp import ServerApp
from traitlets import Float, Integer

from fal_jupyter import process_logging, settings
from fal_jupyter.domain.errors import FalJupyterError
from fal_jupyter.protocol.api import A_SHUTDOWN
from fal_jupyter.server.activity import Activity
from fal_jupyter.server.feed import FeedRelay
from fal_jupyter.server.origin import Origin
from fal_jupyter.server.panels import ExtensionHelloHandler, FeedHandler, PanelNotFoundHandler, StartHandler
from fal_jupyter.server.proxy import AdminHandler, DataHandler
from fal_jupyter.server.upstream import Upstream, get

LABEXTENSION = "fal-jupyter"
GOODBYE = 2.0  # seconds that the end of a server waits for the gateway


class FalJupyterExtension(ExtensionApp):
    """Apps of ``fal_jupyter`` behind Jupyter's login, and the control-plane paths of its panels."""

    name = "fal_jupyter"
    load_other_extensions = True

    max_body = Integer(
        0, min=0, help="Largest body of a request in bytes; 0: unlimited (the gateway has its own limit)."
    ).tag(config=True)
    idle_exit = Float(600.0, min=0, help="Idle seconds after which a gateway that this server started shuts down.").tag(
        config=True
    )

    def initialize_handlers(self) -> None:
        """Add the routes; Jupyter prefixes its base URL."""
        server = self._server
        self.upstream = Upstream(settings.read(os.environ))
        process_logging.log_to(self.upstream.settings, server.log.handlers)
        self.activity = Activity(self._stamp)
        self.origin = Origin(
            Path(server.runtime_dir),
            server.base_url,
            os.environ.get("JUPYTERHUB_PUBLIC_URL") or server.custom_display_url,
            labextension=self._has_labextension(),
            log=self.log,
        )
        self.panel_upstream = Upstream(self.upstream.settings)  # its connections may request only the paths of panels
        self.data_upstream = Upstream(self.upstream.settings)  # its connections have no control plane
        self.relay = FeedRelay(self.upstream, self.activity.saw, self.activity.off)
        passing = {"upstream": self.data_upstream, "max_body": self.max_body, "origin": self.origin}
        admin = passing | {"upstream": self.panel_upstream}
        panel = {"upstream": self.upstream, "relay": self.relay, "origin": self.origin, "idle_exit": self.idle_exit}
        self.handlers.extend(routes(passing, panel, admin))

    @property
    def _server(self) -> ServerApp:
        assert self.serverapp is not None
        return self.serverapp

    def current_activity(self) -> dict[str, bool] | None:
        """Make a server with an idle shutdown consider running requests as activity."""
        return {"requests": True} if self.activity.busy else None

    def _stamp(self) -> None:
        """Something runs: update the last activity, which JupyterHub reads before it stops a server."""
        self._server.web_app.settings["fal_last_activity"] = datetime.now(UTC)

    def _has_labextension(self) -> bool:
        lab = self._server.extension_manager.extension_apps.get("jupyterlab", ())
        options = ("extra_labextensions_path", "labextensions_path")
        places = [path for app in lab for option in options for path in getattr(app, option, ())]
        places += jupyter_path("labextensions")
        return any(Path(directory, LABEXTENSION, "package.json").is_file() for directory in places)

    async def _start_jupyter_server_extension(self, serverapp: object) -> None:
        """The server listens."""
        self.origin.write()
        self.relay.start()

    async def stop_extension(self) -> None:
        """The server ends."""
        self.origin.remove()
        self.activity.close()
        await self.relay.close()
        await self._leave_gateway()
        self.upstream.close()
        self.data_upstream.close()
        self.panel_upstream.close()

    async def _leave_gateway(self) -> None:
        """Make the gateway end with the last of its owners, unless there are owners other than this server's kernels."""
        with suppress(FalJupyterError, TimeoutError):  # no gateway runs, or it is already ending
            async with asyncio.timeout(GOODBYE):
                await get(self.upstream, f"{A_SHUTDOWN}?unused=1", "POST")


def routes(passing: dict[str, object], panel: dict[str, object], admin: dict[str, object]) -> list[tuple[object, ...]]:
    """Return all routes; the first match wins."""
    return [
        (r"/fal/(?:run|queue|cdn|ws)/.*", DataHandler, passing),
        (r"/fal/api/hello", ExtensionHelloHandler, panel),
        (r"/fal/api/start", StartHandler, panel),
        (r"/fal/api/feed", FeedHandler, panel),
        (r"/fal/api/.*", AdminHandler, admin),
        (r"/fal(?:/.*)?", PanelNotFoundHandler),
    ]


def extension_points() -> list[dict[str, object]]:
    """Return the value of a package's ``_jupyter_server_extension_points`` for Jupyter."""
    return [{"module": __name__, "app": FalJupyterExtension}]
