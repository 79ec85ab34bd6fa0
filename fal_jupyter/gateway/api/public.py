"""The public routes outside the data plane: queue, REST, files, the proxy route. Ordinary handlers.

Requests on the port need a key, unless the route is exempt; requests on the Unix socket come from the gateway's own user.
"""

from __future__ import annotations

from tornado.web import Application

from fal_jupyter.gateway.api import cdn as cdn_api
from fal_jupyter.gateway.api import storage as storage_api
from fal_jupyter.gateway.api import tokens as token_api
from fal_jupyter.gateway.api.handlers import PublicHandler
from fal_jupyter.gateway.api.services import GatewayServices


class PublicNotFoundHandler(PublicHandler):
    """Every path without a route."""

    needs_key = False

    def check_body(self) -> None:
        """Respond with 404, whatever the method."""
        self.fail(404, "", "there is nothing at this address")


def application(gateway: GatewayServices, *, trusted: bool) -> Application:
    """The public routes: each module's ROUTES are pairs of a pattern and a handler."""
    from fal_jupyter.gateway.api import queue as queue_api  # start-up

    options = {"gateway": gateway, "trusted": trusted}
    modules = (queue_api, token_api, storage_api, cdn_api)
    routes: list[tuple[str, type[PublicHandler]]] = [route for module in modules for route in module.ROUTES]
    return Application(
        [(pattern, handler, options) for pattern, handler in routes],
        log_function=lambda handler: None,
        default_handler_class=PublicNotFoundHandler,
        default_handler_args=options,
    )
