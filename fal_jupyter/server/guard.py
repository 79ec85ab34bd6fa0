"""Jupyter's authentication, authorisation, XSRF and origin rules, on every route and method; errors are JSON with one sentence."""

from __future__ import annotations

from http.client import responses
from typing import Final
from urllib.parse import urlsplit

from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import ensure_async, origin_matches_pat
from tornado.web import HTTPError

from fal_jupyter.domain.text.json_forms import encode_json
from fal_jupyter.server.headers import SANDBOX

RESOURCE: Final = "fal"
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_SENTENCES: Final = {
    400: "this request cannot be forwarded",
    403: "Jupyter denied access: send its token, or its cookie with X-XSRFToken from one of its own pages",
    404: "there is nothing at this address",
    405: "this path does not support that method",
    500: "the extension failed; the server's log says why",
}
_TYPES: Final = {400: "bad_request", 403: "forbidden", 404: "not_found", 405: "bad_request"}


class AccessDenied(HTTPError):
    """An error response of the server extension: status, ``error_type`` and one sentence."""

    def __init__(self, status: int, error_type: str, detail: str) -> None:
        super().__init__(status)
        self.error_type, self.detail = error_type, detail


class GuardedHandler(JupyterHandler):
    """``prepare`` rejects every request that is not allowed."""

    auth_resource = RESOURCE

    def action(self) -> str:
        """The action for Jupyter's authorizer: read, write or execute."""
        return "read" if self.request.method in SAFE else "write"

    async def prepare(self) -> None:  # type: ignore[override]
        """Check access."""
        try:
            await super().prepare(_redirect_to_login=False)
        except HTTPError as error:
            raise (
                HTTPError(403) if error.status_code == 404 else error
            ) from None  # Jupyter's status for a foreign origin
        if not self.current_user:
            raise HTTPError(403)
        if not self.token_authenticated:
            self._check_site()
        allowed = await ensure_async(
            self.authorizer.is_authorized(self, self.current_user, self.action(), self.auth_resource)
        )
        if not allowed:
            raise AccessDenied(403, "forbidden", "Jupyter's authorizer does not allow this")

    def _check_site(self) -> None:
        """Refuse requests, GET included, that another site's page makes the browser send with the user's cookie."""
        headers = self.request.headers
        site = headers.get("Origin") or headers.get("Referer")
        if site is not None and not self._is_own(site):
            raise AccessDenied(403, "forbidden", "this request comes from a page of another origin")
        if headers.get("Origin") is None and headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            raise AccessDenied(403, "forbidden", "this request comes from a page of another site; open it from Jupyter")

    def _is_own(self, address: str) -> bool:
        try:
            parts = urlsplit(address.lower())
        except ValueError:
            return False
        origin = f"{parts.scheme}://{parts.netloc}"
        if parts.netloc == self.request.host.lower() or self.allow_origin == "*":
            return True
        if self.allow_origin:
            return bool(self.allow_origin.lower() == origin)
        return bool(self.allow_origin_pat and origin_matches_pat(self.allow_origin_pat, origin))

    # --- errors -----------------------------------------------------------------------------------------------
    def get_login_url(self) -> str:
        """Do not redirect programs to a login page."""
        raise HTTPError(403)

    def set_default_headers(self) -> None:
        """Default headers of every response."""
        self.set_header("Content-Type", "application/json")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Content-Security-Policy", SANDBOX)
        self.set_header("Cache-Control", "no-store")
        self.clear_header("Server")

    def write_error(self, status_code: int, **kwargs: object) -> None:
        """Write one sentence, without anything from the request or a traceback."""
        match kwargs.get("exc_info"):
            case (_, HTTPError() as error, _):
                pass
            case _:
                error = HTTPError(status_code)
        self.finish(error_body(*explain(error)))

    def compute_etag(self) -> None:
        """The responses change continuously, so they have no ETag."""

    def set_secure_cookie(self, *args: object, **kwargs: object) -> None:
        """No route sets a login cookie: logging in happens on Jupyter's own pages."""


def explain(error: HTTPError) -> tuple[str, str]:
    """Return an error's type and sentence; details from outside stay in the log."""
    if isinstance(error, AccessDenied):
        return error.error_type, error.detail
    status = error.status_code
    return _TYPES.get(status, "internal_error"), _SENTENCES.get(status) or responses.get(status, "the request failed")


def error_body(error_type: str, detail: str) -> bytes:
    """Return the body of an error."""
    return encode_json({"detail": detail, "error_type": error_type})
