"""The local CDN: files by an address that nobody can guess, and uploads as fal's clients send them (wire-protocol R13 to R23)."""

from __future__ import annotations

import json
import time
from typing import Any

from tornado.iostream import StreamClosedError
from tornado.web import stream_request_body

from fal_jupyter.filestore import StoredFile, Writer
from fal_jupyter.gateway.file_rules import byte_range, content_type_of, disposition, lifetime_of
from fal_jupyter.gateway.files import MOST_PARTS, MissingParts, Upload
from fal_jupyter.gateway.public_api import PublicHandler
from fal_jupyter.protocol.api import CDN, CDN_UPLOAD

CHUNK = 256 * 1024
TOKEN_LIVES = 3600.0
_ID = r"([0-9a-f]{32})"
H_FILE_NAME = "x-fal-file-name"
H_LIFECYCLES = ("x-fal-object-lifecycle", "x-fal-object-lifecycle-preference")


class FileHandler(PublicHandler):
    """One file. Whatever it is, no browser shall run it: pages and pictures with scripts are shown without them."""

    needs_key = False  # its address is the key

    async def get(self, file_id: str, name: str) -> None:
        """Send the file, or a range of it."""
        stored = self.house.files.store.find(file_id, time.time())
        if stored is None:
            self.fail(404, "", "there is no such file, or none any more")
            return
        asked: tuple[int, int] | str | None = None
        if self._may_be_part(stored):
            asked = byte_range(self.request.headers.get("range", ""), stored.size)
        self._describe(stored)
        if isinstance(asked, str):
            self.set_status(416)
            self.set_header("content-range", f"bytes */{stored.size}")
            self.finish()
            return
        first, last = asked or (0, stored.size - 1)
        if asked is not None:
            self.set_status(206)
            self.set_header("content-range", f"bytes {first}-{last}/{stored.size}")
        elif self.request.headers.get("if-none-match") == self._headers["etag"]:
            self.set_status(304)
            self.finish()
            return
        self.set_header("content-length", str(last - first + 1))
        await self._send(stored, first, last - first + 1)

    head = get

    def _may_be_part(self, stored: StoredFile) -> bool:
        wanted = self.request.headers.get("if-range", "")
        return not wanted or wanted == f'"{stored.sha256}"'

    def _describe(self, stored: StoredFile) -> None:
        self.set_header("content-type", content_type_of(stored.content_type))
        self.set_header("etag", f'"{stored.sha256}"')
        self.set_header("accept-ranges", "bytes")
        self.set_header("content-disposition", disposition(stored.file_name))
        self.set_header("x-content-type-options", "nosniff")
        self.set_header(
            "content-security-policy", "sandbox; default-src 'none'; style-src 'unsafe-inline'; media-src 'self'"
        )
        age = 31_536_000 if stored.expires is None else max(0, int(stored.expires - time.time()))
        self.set_header("cache-control", f"private, max-age={age}")

    async def _send(self, stored: StoredFile, first: int, length: int) -> None:
        if self.request.method == "HEAD":
            self.finish()
            return
        try:
            with stored.path.open("rb") as file:
                file.seek(first)
                while length > 0 and (piece := file.read(min(CHUNK, length))):
                    length -= len(piece)
                    self.write(piece)
                    await self.flush()
        except StreamClosedError:
            return

    def compute_etag(self) -> None:
        """It has one already."""


@stream_request_body
class UploadHandler(PublicHandler):
    """A body that is a file: written as it comes, and gone if it does not come to its end."""

    writer: Writer | None = None

    def prepare(self) -> None:
        super().prepare()
        if not self._finished and self.request.method in ("POST", "PUT"):
            try:
                self.lifetime = lifetime_of(next((v for n in H_LIFECYCLES if (v := self.request.headers.get(n))), ""))
            except ValueError as error:
                self.fail(400, "bad_request", str(error))
                return
            self.writer = self.house.files.store.writer()

    def has_key(self) -> bool:
        """A key, or the token that ``/rest/storage/auth/token`` gave."""
        token = self.request.headers.get("authorization", "").partition(" ")[2].strip()
        return super().has_key() or self.house.tokens.admits(token, CDN_UPLOAD, time.time())

    def data_received(self, chunk: bytes) -> None:
        """A piece of the file."""
        if self.writer is not None and not self._finished:
            try:
                self.writer.write(chunk)
            except OSError as error:
                self._give_up()
                self.fail(507, "internal_error", f"the file cannot be written: {error.strerror}")

    def _give_up(self) -> None:
        if self.writer is not None:
            self.writer.abort()
            self.writer = None

    def on_connection_close(self) -> None:
        """Its sender hung up in the middle."""
        self._give_up()

    def on_finish(self) -> None:
        """Whatever was not kept goes."""
        self._give_up()

    def take(self) -> Writer:
        """Give the file that was written; it is the caller's now."""
        writer, self.writer = self.writer, None
        assert writer is not None
        return writer

    def file_url(self, stored: StoredFile | Upload) -> str:
        """The address of a file."""
        return stored.url(f"{self.public_base()}{CDN.rstrip('/')}")


class WholeHandler(UploadHandler):
    """``POST /cdn/files/upload``: a file in one piece; its address is the answer."""

    def post(self) -> None:
        """Keep the file."""
        headers = self.request.headers
        kind = content_type_of(headers.get("content-type", ""))
        stored = self.house.files.add(self.take(), kind, headers.get(H_FILE_NAME, "") or "file", self.lifetime)
        self.reply({"access_url": self.file_url(stored)})


class BeginPartsHandler(UploadHandler):
    """``POST /cdn/files/upload/multipart``: a file that will come in parts."""

    def post(self) -> None:
        """Promise an address."""
        headers = self.request.headers
        kind = content_type_of(headers.get("content-type", ""))
        upload = self.house.files.begin(kind, headers.get(H_FILE_NAME, ""), self.lifetime)
        self.reply({"access_url": self.file_url(upload), "uploadId": upload.secret})


class PromisedHandler(UploadHandler):
    """Bytes of an upload that was promised an address: the whole of it, one of its parts, or the word that all are there.

    Its address has the secret; who knows that needs no key.
    """

    needs_key = False

    def initialize(self, house: Any, trusted: bool) -> None:
        super().initialize(house, trusted)
        self.upload: Upload | None = None

    def prepare(self) -> None:
        super().prepare()
        if self._finished:
            return
        found = self.path_kwargs
        secret = found.get("secret") or self.get_query_argument("upload", "")
        self.upload = self.house.files.upload(found["file_id"], secret)
        if self.upload is None:
            self.fail(404, "", "there is no such upload, or none any more")
        elif (number := found.get("number")) is not None and not 1 <= int(number) <= MOST_PARTS:
            self.fail(400, "bad_request", f"parts are numbered from 1 to {MOST_PARTS}")

    def put(self, file_id: str, secret: str = "", number: str | None = None) -> None:
        """Keep the bytes."""
        assert self.upload is not None
        if number is None:
            self.house.files.keep(self.take(), self.upload)
            self.clear_header("content-type")
            self.finish()
            return
        former = self.upload.parts.pop(int(number), None)
        if former is not None:  # sent again
            former.abort()
        part = self.upload.parts[int(number)] = self.take()
        etag = f'"{part.sha256}"'
        self.set_header("etag", etag)
        self.reply({"partNumber": int(number), "etag": etag})


class CompleteHandler(PublicHandler):
    """All parts of an upload are there."""

    needs_key = False

    async def post(self, file_id: str, secret: str = "") -> None:
        """Make one file of them."""
        upload = self.house.files.upload(file_id, secret or self.get_query_argument("upload", ""))
        if upload is None:
            self.fail(404, "", "there is no such upload, or none any more")
            return
        try:
            numbers = [part["partNumber"] for part in json.loads(self.request.body)["parts"]]
            assert all(isinstance(number, int) for number in numbers)
        except (ValueError, KeyError, TypeError, AssertionError):
            self.fail(400, "bad_request", 'the body is JSON: {"parts": [{"partNumber": 1, "etag": "…"}]}')
            return
        try:
            await self.house.files.join(upload, numbers)
        except MissingParts:
            missing = sorted(set(numbers) - set(upload.parts))
            told = f"parts {missing[:10]} were not sent" if missing else "no part is named"
            self.fail(400, "bad_request", told)
            return
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
