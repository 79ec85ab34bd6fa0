"""REST routes of realtime tokens and of the key that webhooks are signed with (wire-protocol R11, R26)."""

from __future__ import annotations

import json

from fal_jupyter.gateway.public_api import PublicHandler
from fal_jupyter.protocol.api import REST


class JwksHandler(PublicHandler):
    """The public half of the webhooks' key; receivers fetch it without a key of their own."""

    needs_key = False

    def get(self) -> None:
        """Answer with a JSON web key set."""
        self.set_header("cache-control", "max-age=3600")
        self.finish(json.dumps(self.house.webhooks.signer.jwks()))


ROUTES = ((rf"{REST}\.well-known/jwks\.json", JwksHandler),)
