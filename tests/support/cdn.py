"""A gateway with its local CDN, and a caller that sends what fal's clients send, byte for byte."""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fal_jupyter.filestore import FileStore
from tests.support.serve import Served, served
from tests.support.state import processes_of, state_directory

APP = """
import fal

class Files(fal.App):
    @fal.endpoint("/")
    def run(self) -> dict:
        return {}
"""
TOKEN = "/rest/storage/auth/token?storage_type=fal-cdn-v3"
INITIATE = "/rest/storage/upload/initiate?storage_type=fal-cdn-v3"
INITIATE_PARTS = "/rest/storage/upload/initiate-multipart?storage_type=fal-cdn-v3"


class Caller:
    """Calls one gateway's port; ``json`` and ``upload`` expect success, ``ask`` returns any response."""

    def __init__(self, app: Served) -> None:
        parts = urlsplit(app.ready["url"])
        self.host, self.key, self.state = parts.netloc, app.ready["key"], app.state
        self.port = int(self.host.rpartition(":")[2])
        self.store = FileStore(app.state / "files")

    def ask(
        self, method: str, url: str, body: Any = None, *, auth: str | None = "key", **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        """Send one request; *auth* is ``"key"`` for the app's key, None for nothing."""
        connection = http.client.HTTPConnection(self.host, timeout=30)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if auth is not None:
            sent["authorization"] = f"Key {self.key}" if auth == "key" else auth
        parts = urlsplit(url)
        connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body, sent)
        answer = connection.getresponse()
        found = answer.read()
        connection.close()
        return answer.status, found, {k.lower(): v for k, v in answer.getheaders()}

    def json(self, method: str, url: str, body: Any = None, **headers: Any) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        status, found, _ = self.ask(method, url, data, content_type="application/json", **headers)
        assert status == 200, found
        return json.loads(found)

    def token(self) -> str:
        """The headers that fal's Python client sends with uploads."""
        token = self.json("POST", TOKEN, {})
        return f"{token['token_type']} {token['token']}"

    def upload(self, data: bytes, name: str = "a.txt", kind: str = "text/plain", **headers: str) -> str:
        """Upload as fal's Python client does; returns the URL."""
        status, body, _ = self.ask(
            "POST",
            "/cdn/files/upload",
            data,
            auth=self.token(),
            content_type=kind,
            x_fal_file_name=name,
            **headers,
        )
        assert status == 200, body
        return str(json.loads(body)["access_url"])

    def begin_parts(self) -> tuple[str, str]:
        """Begin a multipart upload; returns the file's URL and the base URL of its parts."""
        response = json.loads(
            self.ask("POST", "/cdn/files/upload/multipart", content_type="a/b", x_fal_file_name="big")[1]
        )
        return response["access_url"], f"{response['access_url']}/multipart/{response['uploadId']}"

    def complete(self, base: str, parts: Any) -> tuple[int, Any]:
        """Complete a multipart upload."""
        status, body, _ = self.ask("POST", f"{base}/complete", json.dumps({"parts": parts}).encode())
        return status, json.loads(body)

    def left(self) -> list[Path]:
        """Files left by unfinished uploads."""
        return list((self.state / "files" / "unfinished").glob("*"))

    @property
    def gateway(self) -> int:
        """The gateway's pid."""
        return next(pid for pid, command in processes_of(self.state).items() if "fal_jupyter.gateway" in command)

    def open_files(self) -> list[str]:
        """The CDN's files that the gateway holds open."""
        found = []
        for entry in Path(f"/proc/{self.gateway}/fd").iterdir():
            try:
                target = os.readlink(entry)
            except OSError:  # closed meanwhile
                continue
            if target.startswith(str(self.state / "files")):
                found.append(target)
        return found


@contextmanager
def cdn_caller(directory: Path, **served_as: Any) -> Iterator[Caller]:
    """Serve a small app; yields a caller of its gateway."""
    with state_directory() as state:
        path = directory / "files.py"
        path.write_text(APP)
        with served(state, f"{path}::Files", "--warm", "0", **served_as) as one:
            yield Caller(one)


def eventually(true: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until *true*; fails after a timeout."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)
