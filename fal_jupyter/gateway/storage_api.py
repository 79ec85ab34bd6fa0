"""REST routes by which clients ask where to upload (wire-protocol R12, R17, R18, R20)."""

from __future__ import annotations

import datetime
import json
import time
from typing import Any

from fal_jupyter.gateway.cdn_api import H_LIFECYCLES, TOKEN_LIVES
from fal_jupyter.gateway.file_rules import content_type_of, lifetime_of
from fal_jupyter.gateway.public_api import PublicHandler
from fal_jupyter.protocol.api import CDN, CDN_UPLOAD, REST


class UploadTokenHandler(PublicHandler):
    """A token for uploads."""

    def post(self) -> None:
        """Answer with the token and where it is good for."""
        now = time.time()
        until = datetime.datetime.fromtimestamp(int(now + TOKEN_LIVES), datetime.UTC)
        self.reply(
            {
                "token": self.house.tokens.sign([CDN_UPLOAD], TOKEN_LIVES, now),
                "token_type": "Bearer",
                "base_url": f"{self.public_base()}{CDN.rstrip('/')}",
                "expires_at": until.isoformat(),  # with its offset: a naive time breaks the client's comparison
            }
        )


class InitiateHandler(PublicHandler):
    """An address to send a file to, in one piece or in parts, and the address that the file will have."""

    def post(self, multipart: str) -> None:
        """Answer with both."""
        try:
            found: Any = json.loads(self.request.body or b"{}")
            kind, name = found.get("content_type", ""), found.get("file_name", "")
            assert isinstance(kind, str)
            assert isinstance(name, str)
        except (ValueError, AttributeError, AssertionError):
            self.fail(422, "bad_request", 'the body is JSON: {"file_name": "a.png", "content_type": "image/png"}')
            return
        try:
            lifetime = lifetime_of(next((v for n in H_LIFECYCLES if (v := self.request.headers.get(n))), ""))
        except ValueError as error:
            self.fail(400, "bad_request", str(error))
            return
        upload = self.house.files.begin(content_type_of(kind), name, lifetime)
        base = f"{self.public_base()}{CDN.rstrip('/')}"
        self.reply(
            {
                "upload_url": f"{base}/upload/{upload.id}?upload={upload.secret}",
                "file_url": upload.url(base),
            }
        )


ROUTES = (
    (rf"{REST}storage/auth/token/?", UploadTokenHandler),
    (rf"{REST}storage/upload/initiate(-multipart)?/?", InitiateHandler),
)
