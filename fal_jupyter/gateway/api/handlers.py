"""Base classes of the handlers of the control plane and of the public routes."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from types import TracebackType

import msgspec
from tornado.web import HTTPError, RequestHandler, stream_request_body

from fal_jupyter.domain.access.key_grants import Right
from fal_jupyter.domain.text.json_forms import encode_json
from fal_jupyter.gateway.api.services import GatewayServices
from fal_jupyter.gateway.http.response_writer import FAILED, failure_body, is_number, new_id
from fal_jupyter.gateway.http.tornado_bridge import RespondingHandler
from fal_jupyter.gateway.record_json import encode_record
from fal_jupyter.gateway.requests.data_plane import is_own_host, limit_sentence
from fal_jupyter.protocol import frames
from fal_jupyter.protocol.addresses import is_hostile
from fal_jupyter.protocol.api import (
    ENDING,
    ENDING_SENTENCE,
    H_ERROR_TYPE,
    H_REQUEST_ID,
)

_UNREADABLE = (msgspec.DecodeError, frames.FrameError)
NAME = r"([a-z0-9][a-z0-9_.-]*)"


class BadQuery(HTTPError):
    """An invalid query: 400 with *detail*."""

    def __init__(self, detail: str) -> None:
        super().__init__(400)
        self.detail = detail


def raised_in(kwargs: Mapping[str, object]) -> BaseException | None:
    """Return the exception among the arguments of Tornado's ``write_error``."""
    match kwargs.get("exc_info"):
        case (_, BaseException() as error, _):
            return error
    return None


class Handler(RequestHandler):
    """Base of the handlers of the control plane."""

    gateway: GatewayServices

    def initialize(self, gateway: GatewayServices) -> None:
        self.gateway = gateway

    def set_default_headers(self) -> None:
        self.set_header("content-type", "application/json")
        self.clear_header("server")

    def fail(self, status: int, error_type: str, detail: str, **more: object) -> None:
        """Respond with an error of the gateway."""
        self.set_status(status)
        self.set_header(H_ERROR_TYPE, error_type)
        self.finish(encode_json({"detail": detail, "error_type": error_type, **more}))

    def write_error(self, status_code: int, **kwargs: object) -> None:
        error = raised_in(kwargs)
        if isinstance(error, _UNREADABLE):
            self.fail(400, "bad_request", f"the body of {self._question} cannot be read: {error}")
        elif isinstance(error, BadQuery):
            self.fail(400, "bad_request", error.detail)
        elif status_code < 500:
            self.fail(status_code, "bad_request", f"{self._question}: {self._reason}")
        elif self.gateway.stopping.is_set():  # what it needed is already closed
            self.set_header("retry-after", "1")
            self.fail(503, ENDING, ENDING_SENTENCE)
        else:
            reason = "".join(traceback.format_exception_only(error)).strip() if error is not None else self._reason
            self.fail(
                status_code,
                "internal_error",
                f"the gateway failed at {self._question}: {reason}",
                hint=f"the traceback is in {self.gateway.settings.logs / 'gateway.log'}",
            )

    def log_exception(
        self, typ: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None:
        if not isinstance(value, _UNREADABLE):
            super().log_exception(typ, value, tb)

    @property
    def _question(self) -> str:
        return f"{self.request.method} {self.request.path}"

    def whole_number(self, name: str, default: int) -> int:
        """Return a number of the query.

        Raises:
            BadQuery: it is not a number.
        """
        text = self.get_query_argument(name, str(default))
        if not is_number(text):
            raise BadQuery(f"{name} of {self._question} must be an integer, not {text[:100]!r}")
        return int(text)

    def reply(self, value: object) -> None:
        """Answer with JSON."""
        self.finish(encode_record(value))


SMALL_BODY = 64 * 1024
NO_KEY = "missing or wrong key: send Authorization: Key id:secret"


@stream_request_body
class PublicHandler(RequestHandler):
    """Base of the public handlers: host, path, key, method and length are checked on the request head, before any of the body is stored.

    Attributes:
        needs_key: False if a route is public, or makes its own decision.
        right: the right that a key must have.
    """

    gateway: GatewayServices
    needs_key = True
    right: Right = "run"

    def initialize(self, gateway: GatewayServices, trusted: bool) -> None:
        self.gateway, self.trusted = gateway, trusted
        self._pieces: list[bytes] = []
        self._received = 0

    def set_default_headers(self) -> None:
        self.set_header("content-type", "application/json")
        self.set_header(H_REQUEST_ID, new_id())
        self.clear_header("server")
        self.clear_header("date")

    def prepare(self) -> None:
        if not self.trusted and not is_own_host(self.request.host, self.gateway.ports):
            self.fail(421, "bad_request", "this address is for 127.0.0.1 and localhost only")
        elif is_hostile(self.request.path):
            self.fail(400, "bad_request", "the path has '..' or a control character in it")
        elif self.needs_key and not self.has_key():
            self.refuse_key()
        else:
            self.check_body()

    def check_body(self) -> None:
        """Refuse a wrong method or a too long body, by the head alone."""
        if getattr(type(self), (self.request.method or "").lower(), None) is RequestHandler._unimplemented_method:
            raise HTTPError(405)
        length = self.request.headers.get("content-length", "")
        if is_number(length) and int(length) > self.body_limit():
            self.fail(413, "bad_request", self.limit_sentence())

    def body_limit(self) -> int:
        """Largest body in bytes."""
        return self.gateway.settings.max_body

    def limit_sentence(self) -> str:
        """The message (413) for a longer body."""
        limit, most = self.body_limit(), self.gateway.settings.max_body
        return limit_sentence(self.gateway.settings) if limit == most else f"the body is larger than {limit} bytes"

    def data_received(self, chunk: bytes) -> None:
        """Store a piece of the body until the method's handler is called."""
        self._received += len(chunk)
        if self._finished:
            return
        if self._received > self.body_limit():
            self._pieces.clear()
            self.fail(413, "bad_request", self.limit_sentence())
            return
        self._pieces.append(chunk)

    @property
    def body(self) -> bytes:
        """The complete body."""
        return b"".join(self._pieces)

    def has_key(self) -> bool:
        """True if the caller is the gateway's user, or sends a valid key with this route's right."""
        return self.trusted or self.gateway.keys.admits(self.request.headers.get("authorization", ""), self.right)

    def key_id(self) -> str:
        """The id of the caller's key; ``""`` for the gateway's user."""
        return "" if self.trusted else self.gateway.keys.id_of(self.request.headers.get("authorization", ""))

    def refuse_key(self, no_key: str = NO_KEY) -> None:
        """Refuse a caller without a key (with the message *no_key*), or whose key lacks this route's right."""
        if why := self.gateway.keys.refusal(self.request.headers.get("authorization", ""), self.right):
            self.fail(403, "", why)
            return
        self.set_header("www-authenticate", "Key")
        self.fail(401, "", no_key)

    def public_base(self) -> str:
        """Scheme and authority by which the caller reaches this gateway: the prefix of absolute URLs in answers."""
        if self.trusted or not self.request.host:
            return self.gateway.base
        return f"{self.request.protocol}://{self.request.host}"

    def fail(self, status: int, error_type: str, detail: object, /, **more: object) -> None:
        """Answer with an error in fal's shape; *error_type* is ``""`` if fal has no name for it."""
        self.set_status(status)
        if error_type:
            self.set_header(H_ERROR_TYPE, error_type)
        self.finish(failure_body(self._headers[H_REQUEST_ID], error_type, detail, **more))

    def write_error(self, status_code: int, **kwargs: object) -> None:
        if status_code < 500:
            self.fail(status_code, "bad_request", self._reason)
        else:
            self.fail(status_code, "internal_error", FAILED)

    def hang_up(self) -> None:
        """Close the connection abruptly: an incomplete answer must not look complete."""
        self._auto_finish = False
        if isinstance(self.request.connection, RespondingHandler):
            self.request.connection.connection.drop()

    def reply(self, value: object, status: int = 200) -> None:
        """Answer with JSON."""
        self.set_status(status)
        self.finish(encode_record(value))
