"""REST routes of realtime tokens and of the key that webhooks are signed with."""

from __future__ import annotations

import json
import time

from fal_jupyter.gateway.api.handlers import SMALL_BODY, PublicHandler
from fal_jupyter.gateway.storage.file_rules import read_json
from fal_jupyter.protocol.addresses import app_address
from fal_jupyter.protocol.api import REST

SECONDS = 120.0  # default lifetime of a token
MOST_APPS = 100


class TokenHandler(PublicHandler):
    """Issues a token for a key; the token's holder may connect to the apps that it names."""

    def post(self) -> None:
        """Answer with the token as a JSON string."""
        parsed = _parse_request(self.body)
        if isinstance(parsed, str):
            self.fail(422, "bad_request", parsed)
            return
        apps, seconds = parsed
        aliases = [app_address(app, self.gateway.settings.owner).alias if "/" in app else app for app in apps]
        self.set_status(201)
        self.finish(json.dumps(self.gateway.tokens.sign(aliases, seconds, time.time(), self.key_id())))


def _parse_request(body: bytes) -> tuple[list[str], float] | str:
    """Return the requested apps and lifetime in seconds, or an error sentence."""
    try:
        decoded = read_json(body)
    except ValueError:
        return 'the body is JSON: {"allowed_apps": ["my-app"], "token_expiration": 120}'
    request = decoded if isinstance(decoded, dict) else {}
    apps = request.get("allowed_apps")
    if not isinstance(apps, list) or not all(isinstance(app, str) and app for app in apps) or len(apps) > MOST_APPS:
        return f"allowed_apps must be a list of at most {MOST_APPS} app names"
    seconds = request.get("token_expiration", SECONDS)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < float("inf"):
        return f"token_expiration must be a number of seconds above 0, not {seconds!r}"[:200]
    return apps, float(seconds)


class JwksHandler(PublicHandler):
    """The public key of webhook signatures; receivers fetch it without an API key."""

    needs_key = False

    def body_limit(self) -> int:
        """Requests for the key have no body."""
        return SMALL_BODY

    def get(self) -> None:
        """Answer with a JSON web key set."""
        self.set_header("cache-control", "max-age=3600")
        self.finish(json.dumps(self.gateway.webhooks.signer.jwks()))


ROUTES = ((rf"{REST}tokens/?", TokenHandler), (rf"{REST}\.well-known/jwks\.json", JwksHandler))
