"""The local CDN: files at unguessable addresses, and uploads as fal's clients send them."""

from __future__ import annotations

import time
from typing import BinaryIO

from tornado.iostream import StreamClosedError

from fal_jupyter.domain.access.file_lifecycle import Lifecycle
from fal_jupyter.filestore import StoredFile, Writer
from fal_jupyter.gateway.api.handlers import SMALL_BODY, PublicHandler
from fal_jupyter.gateway.api.services import GatewayServices
from fal_jupyter.gateway.requests.data_plane import file_limit_sentence
from fal_jupyter.gateway.storage.file_rules import (
    byte_range,
    content_type_of,
    disposition,
    lifecycle_in,
    names_tag,
    parts_in,
    text_of,
)
from fal_jupyter.gateway.storage.files import MOST_PARTS, Upload, WrongParts
from fal_jupyter.protocol.api import CDN, CDN_UPLOAD

CHUNK = 256 * 1024
MOST_WORDS = 4 << 20  # bytes of the request that completes a multipart upload
H_FILE_NAME = "x-fal-file-name"
_ID = r"([0-9a-f]{32})"
_NO_SCRIPTS = "sandbox; default-src 'none'; style-src 'unsafe-inline'; media-src 'self'"


class FileHandler(PublicHandler):
    """One file. A browser must never execute it: pages and SVG images are shown without scripts."""

    needs_key = False  # its URL is secret, unless its uploader restricted access
    right = "read"

    def body_limit(self) -> int:
        """Requests for a file have no body."""
        return SMALL_BODY

    async def get(self, file_id: str, name: str) -> None:
        """Send the file, or a range of it."""
        stored = self.gateway.files.store.find(file_id, time.time())
        if stored is not None and stored.access != "allow" and not self.has_key():
            if stored.access == "forbid":
                why = self.gateway.keys.refusal(self.request.headers.get("authorization", ""), self.right)
                self.fail(403, "", why or "this file is for its owner only: send Authorization: Key id:secret")
                return
            stored = None
        try:
            file = stored.path.open("rb") if stored is not None else None
        except OSError:  # removed at this moment
            file = None
        if stored is None or file is None:
            self.fail(404, "", "there is no such file, or it has expired")
            return
        with file:
            await self._answer(stored, file)

    head = get

    async def _answer(self, stored: StoredFile, file: BinaryIO) -> None:
        requested: tuple[int, int] | str | None = None
        headers, tag = self.request.headers, f'"{stored.sha256}"'
        if names_tag(headers.get("if-none-match", ""), tag):
            self._describe(stored, tag)
            self.set_status(304)
            self.finish()
            return
        if headers.get("if-range", tag) == tag:
            requested = byte_range(headers.get("range", ""), stored.size)
        if isinstance(requested, str):
            self.set_header("content-range", f"bytes */{stored.size}")
            self.fail(416, "bad_request", f"the file has {stored.size} bytes, and the range lies behind them")
            return
        self._describe(stored, tag)
        first, last = requested or (0, stored.size - 1)
        if requested is not None:
            self.set_status(206)
            self.set_header("content-range", f"bytes {first}-{last}/{stored.size}")
        self.set_header("content-length", str(last - first + 1))
        if self.request.method == "HEAD":
            self.finish()
            return
        file.seek(first)
        await self._send(file, last - first + 1)

    def _describe(self, stored: StoredFile, tag: str) -> None:
        self.set_header("content-type", content_type_of(stored.content_type))
        self.set_header("etag", tag)
        self.set_header("accept-ranges", "bytes")
        self.set_header("content-disposition", disposition(stored.file_name))
        self.set_header("x-content-type-options", "nosniff")
        self.set_header("content-security-policy", _NO_SCRIPTS)
        age = 31_536_000 if stored.expires is None else max(0, int(stored.expires - time.time()))
        self.set_header("cache-control", "no-store" if stored.access != "allow" else f"private, max-age={age}")

    async def _send(self, file: BinaryIO, length: int) -> None:
        """Send in pieces as fast as the client reads; disconnect a client that stops reading."""
        try:
            while length > 0 and (piece := file.read(min(CHUNK, length))):
                length -= len(piece)
                self.write(piece)
                await self.flush()
        except StreamClosedError:
            length = 1
        if length > 0:
            self.hang_up()

    def compute_etag(self) -> None:
        """It already has one."""


class UploadingHandler(PublicHandler):
    """Base of the upload routes.

    Attributes:
        takes_token: a token of ``/rest/storage/auth/token`` is accepted like a key.
    """

    takes_token = True
    right = "upload"

    def has_key(self) -> bool:
        if super().has_key():
            return True
        return self.takes_token and self.gateway.tokens.admits(self._token(), CDN_UPLOAD, time.time())

    def key_id(self) -> str:
        """Including the id of the key for which the token was issued."""
        return super().key_id() or ("" if self.trusted else self.gateway.tokens.key_of(self._token()))

    def _token(self) -> str:
        return self.request.headers.get("authorization", "").partition(" ")[2].strip()

    def read_lifecycle(self) -> Lifecycle:
        """Return the requested lifecycle; respond with an error if it is malformed."""
        try:
            return lifecycle_in(self.request.headers)
        except ValueError as error:
            self.fail(400, "bad_request", str(error))
            return Lifecycle()

    def file_url(self, file: StoredFile | Upload) -> str:
        """Return the URL of a file."""
        return file.url(f"{self.public_base()}{CDN.rstrip('/')}")

    def no_room(self, error: OSError) -> None:
        """Respond to a failure of the disk."""
        self.fail(507, "internal_error", f"the file cannot be stored: {error.strerror}")


class BodyHandler(UploadingHandler):
    """Base of routes whose body is a file: written as it arrives, discarded if incomplete."""

    takes = "POST"
    writer: Writer | None = None

    def prepare(self) -> None:
        super().prepare()
        if not self._finished:
            self.check()
        if not self._finished and self.request.method == self.takes:
            try:
                self.writer = self.gateway.files.store.writer()
            except OSError as error:
                self.no_room(error)

    def body_limit(self) -> int:
        """Largest file in bytes."""
        return self.gateway.settings.max_file

    def limit_sentence(self) -> str:
        """The message (413) for a longer file."""
        return file_limit_sentence(self.gateway.settings)

    def check(self) -> None:
        """Hook: respond here to refuse the body before any of it is written."""

    def data_received(self, chunk: bytes) -> None:
        """Write a piece of the file."""
        if self.writer is not None:
            try:
                self.writer.write(chunk)
            except OSError as error:
                self.no_room(error)
                self.on_connection_close()  # the rest is not needed

    def _give_up(self) -> None:
        if self.writer is not None:
            self.writer.abort()
            self.writer = None

    def on_connection_close(self) -> None:
        """The sender disconnected mid-body."""
        self._give_up()
        super().on_connection_close()

    def on_finish(self) -> None:
        """Discard a file that was not stored."""
        self._give_up()

    def take(self) -> Writer:
        """Return the written file; the caller takes ownership."""
        writer, self.writer = self.writer, None
        assert writer is not None
        return writer


class WholeHandler(BodyHandler):
    """``POST /cdn/files/upload``: a file in one piece; the answer is its URL."""

    lifecycle = Lifecycle()

    def check(self) -> None:
        self.lifecycle = self.read_lifecycle()

    def post(self) -> None:
        """Store the file."""
        headers = self.request.headers
        kind, name = content_type_of(headers.get("content-type", "")), text_of(headers.get(H_FILE_NAME, ""))
        try:
            stored = self.gateway.files.add(self.take(), kind, name, *self.lifecycle)
        except OSError as error:
            self.no_room(error)
            return
        self.reply({"access_url": self.file_url(stored)})


class BeginPartsHandler(UploadingHandler):
    """``POST /cdn/files/upload/multipart``: begins an upload in parts."""

    def post(self) -> None:
        """Reserve a URL."""
        headers = self.request.headers
        lifecycle = self.read_lifecycle()
        if self._finished:
            return
        kind, name = content_type_of(headers.get("content-type", "")), text_of(headers.get(H_FILE_NAME, ""))
        upload = self.gateway.files.begin(kind, name, *lifecycle, key=self.key_id())
        self.reply({"access_url": self.file_url(upload), "uploadId": upload.secret})


class PromisedHandler(BodyHandler):
    """Bytes of an upload with a reserved URL: all of them, or one part.

    Its URL contains a secret and needs no key.
    """

    needs_key = False
    takes = "PUT"

    def initialize(self, gateway: GatewayServices, trusted: bool) -> None:
        super().initialize(gateway, trusted)
        self.upload: Upload | None = None

    def check(self) -> None:
        parameters = self.path_kwargs
        secret = parameters.get("secret") or self.get_query_argument("upload", "")
        self.upload = self.gateway.files.upload(parameters["file_id"], secret)
        if self.upload is None or self.upload.complete:
            self.fail(404, "", "there is no such upload, or it has expired")
        elif (number := parameters.get("number")) is not None and not 1 <= int(number) <= MOST_PARTS:
            self.fail(400, "bad_request", f"parts are numbered from 1 to {MOST_PARTS}")

    def put(self, file_id: str, secret: str = "", number: str | None = None) -> None:
        """Store the bytes."""
        assert self.upload is not None
        self.upload = self.gateway.files.upload(file_id, self.upload.secret)
        if self.upload is None or self.upload.complete:  # completed or expired meanwhile
            self.fail(404, "", "there is no such upload, or it has expired")
            return
        part = self.take()
        try:
            if number is None:
                self.gateway.files.keep(part, self.upload)
            else:
                part.rest()
        except OSError as error:
            part.abort()
            self.no_room(error)
            return
        if number is None:
            self.clear_header("content-type")
            self.finish()
            return
        self.upload.add(int(number), part)
        etag = f'"{part.sha256}"'
        self.set_header("etag", etag)
        self.reply({"partNumber": int(number), "etag": etag})


class CompleteHandler(UploadingHandler):
    """Completes an upload in parts."""

    needs_key = False

    def body_limit(self) -> int:
        """Largest list of parts in bytes."""
        return MOST_WORDS

    async def post(self, file_id: str, secret: str = "") -> None:
        """Assemble the parts to one file."""
        upload = self.gateway.files.upload(file_id, secret or self.get_query_argument("upload", ""))
        if upload is None:
            self.fail(404, "", "there is no such upload, or it has expired")
            return
        try:
            await self.gateway.files.join(upload, parts_in(self.body))
        except (ValueError, WrongParts) as error:
            self.fail(400, "bad_request", str(error))
        except OSError as error:
            self.no_room(error)
        else:
            self.reply({"status": "ok"})


ROUTES = (
    (rf"{CDN}files/upload", WholeHandler),
    (rf"{CDN}files/upload/multipart", BeginPartsHandler),
    (rf"{CDN}files/(?P<file_id>[0-9a-f]{{32}})/[^/]*/multipart/(?P<secret>[0-9a-f]{{32}})/(?P<number>\d{{1,6}})", PromisedHandler),
    (rf"{CDN}files/(?P<file_id>[0-9a-f]{{32}})/[^/]*/multipart/(?P<secret>[0-9a-f]{{32}})/complete", CompleteHandler),
    (rf"{CDN}upload/(?P<file_id>[0-9a-f]{{32}})", PromisedHandler),
    (rf"{CDN}upload/(?P<file_id>[0-9a-f]{{32}})/(?P<number>\d{{1,6}})", PromisedHandler),
    (rf"{CDN}upload/(?P<file_id>[0-9a-f]{{32}})/complete", CompleteHandler),
    (rf"{CDN}files/{_ID}/([^/]*)", FileHandler),
)  # fmt: skip
