"""The extension as Jupyter loads it: its options, its routes, and what begins and ends with the server."""

from __future__ import annotations

import os
from typing import Any

from jupyter_server.extension.application import ExtensionApp
from traitlets import Float, Integer

from fal_jupyter import settings
from fal_jupyter.server.proxy import AdminHandler, DataHandler
from fal_jupyter.server.upstream import Upstream


class FalJupyterExtension(ExtensionApp):
    """Apps of ``fal_jupyter`` behind Jupyter's login, and what its panels ask."""

    name = "fal_jupyter"
    load_other_extensions = True

    max_body = Integer(
        0, min=0, help="Largest body of a request in bytes; 0 is no bound (the gateway has its own)."
    ).tag(config=True)
    idle_exit = Float(
        600.0, min=0, help="Seconds after which a gateway that was started here ends when nobody uses it."
    ).tag(config=True)

    def initialize_handlers(self) -> None:
        """Add the routes; Jupyter puts its base URL before them."""
        self.upstream = Upstream(settings.read(os.environ))
        given = {"upstream": self.upstream, "max_body": self.max_body}
        self.handlers.extend(
            [
                (r"/fal/(?:run|queue|cdn)/.*", DataHandler, given),
                (r"/fal/api/.*", AdminHandler, given),
            ]
        )

    async def stop_extension(self) -> None:
        """The server ends."""
        self.upstream.close()


def extension_points() -> list[dict[str, Any]]:
    """Give what Jupyter asks a package's ``_jupyter_server_extension_points`` for."""
    return [{"module": __name__, "app": FalJupyterExtension}]
