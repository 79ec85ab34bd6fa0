"""REST routes that return upload URLs."""

from __future__ import annotations

import datetime
import time

import msgspec

from fal_jupyter.gateway.api.cdn import UploadingHandler
from fal_jupyter.gateway.api.handlers import PublicHandler
from fal_jupyter.gateway.storage.file_rules import content_type_of
from fal_jupyter.protocol.api import CDN, CDN_UPLOAD, REST

TOKEN_LIVES = 3600.0


class UploadTokenHandler(PublicHandler):
    """A token for uploads."""

    right = "upload"

    def post(self) -> None:
        """Answer with the token and the URLs for which it is valid."""
        now = time.time()
        until = datetime.datetime.fromtimestamp(int(now + TOKEN_LIVES), datetime.UTC)
        self.reply(
            {
                "token": self.gateway.tokens.sign([CDN_UPLOAD], TOKEN_LIVES, now, self.key_id()),
                "token_type": "Bearer",
                "base_url": f"{self.public_base()}{CDN.rstrip('/')}",
                "expires_at": until.isoformat(),  # with its offset: a naive time breaks the client's comparison
            }
        )


class _File(msgspec.Struct):
    """A file that is about to be uploaded."""

    content_type: str = ""
    file_name: str = ""


class InitiateHandler(UploadingHandler):
    """Reserves an upload URL, for one piece or for parts, and the file's final URL."""

    takes_token = False

    def post(self, multipart: str) -> None:
        """Answer with both URLs."""
        try:
            file = msgspec.json.decode(self.body or b"{}", type=_File)
        except (
            msgspec.MsgspecError,
            ValueError,
            RecursionError,
        ):  # before msgspec 0.21 its own error is not a ValueError
            self.fail(422, "bad_request", 'the body is JSON: {"file_name": "a.png", "content_type": "image/png"}')
            return
        lifecycle = self.read_lifecycle()
        if self._finished:
            return
        upload = self.gateway.files.begin(
            content_type_of(file.content_type), file.file_name, *lifecycle, key=self.key_id()
        )
        address = f"{self.public_base()}{CDN}upload/{upload.id}?upload={upload.secret}"
        self.reply({"upload_url": address, "file_url": self.file_url(upload)})


ROUTES = (
    (rf"{REST}storage/auth/token/?", UploadTokenHandler),
    (rf"{REST}storage/upload/initiate(-multipart)?/?", InitiateHandler),
)
