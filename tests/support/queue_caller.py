"""A caller of the queue by plain HTTP."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any
from urllib.parse import urlsplit

from tests.support.serve import Served


class Caller:
    """Submits jobs to one served app, and waits for their states."""

    def __init__(self, app: Served) -> None:
        parts = urlsplit(app.ready["url"])
        self.host, self.key = parts.netloc, app.ready["key"]
        self.app = parts.path.removeprefix("/run/")

    def ask(
        self, method: str, path: str, body: Any = None, key: str | None = "own", **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        connection = http.client.HTTPConnection(self.host, timeout=30)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            sent["authorization"] = f"Key {self.key if key == 'own' else key}"
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            sent["content-type"] = "application/json"
        connection.request(method, path if path.startswith("/") else f"/queue/{path}", data, sent)
        answer = connection.getresponse()
        found, raw = {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        connection.close()
        try:
            return answer.status, json.loads(raw), found
        except ValueError:
            return answer.status, raw, found

    def submit(self, body: Any = None, below: str = "", **headers: str) -> dict[str, Any]:
        status, response, found = self.ask("POST", self.app + below, {} if body is None else body, **headers)
        assert status == 200, response
        assert found["x-fal-request-id"] == response["request_id"]
        return dict(response)

    def wait(self, job: dict[str, Any], state: str = "COMPLETED", logs: int = 1) -> dict[str, Any]:
        path = urlsplit(job["status_url"]).path
        for _ in range(1500):
            status, response, _ = self.ask("GET", f"{path}?logs={logs}")
            assert status == (200 if response["status"] == "COMPLETED" else 202)
            if response["status"] == state:
                return dict(response)
            time.sleep(0.01)
        raise AssertionError(response)
