"""A page of another origin in a real Chromium: it calls an app that is open to it, and no other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.serve import served
from tests.support.state import state_directory
from tests.support.web_server import folder_server

APP = """
import fal
from fastapi import WebSocket


class Shown(fal.App):
    max_multiplexing = 4

    @fal.endpoint("/")
    def run(self, text: str) -> dict:
        return {"text": text}

    @fal.endpoint("/stream")
    def stream(self):
        yield {"n": 1}
        yield {"n": 2}

    @fal.endpoint("/talk", is_websocket=True)
    async def talk(self, ws: WebSocket):
        await ws.accept()
        await ws.send_text("hello")
        await ws.close()
"""
CALLS = """async ([base, app, key]) => {
  const headers = {authorization: `Key ${key}`, 'content-type': 'application/json', 'x-fal-queue-priority': 'low'};
  const post = (path, body) => fetch(base + path, {method: 'POST', headers, body: JSON.stringify(body)});
  const responses = {};
  try {
    const run = await post(`/run/${app}/`, {text: 'a'});
    responses.run = [run.status, await run.json(), run.headers.get('x-fal-request-id')?.length];
    const job = await (await post(`/queue/${app}/`, {text: 'b'})).json();
    const follow = await fetch(`${job.status_url}/stream?logs=1`, {headers});
    responses.events = [follow.headers.get('content-type'), (await follow.text()).includes('"COMPLETED"')];
    responses.result = await (await fetch(job.response_url, {headers})).json();
    responses.cancel = (await fetch(job.cancel_url, {method: 'PUT', headers})).status;
    responses.stream = await (await post(`/run/${app}/stream`, {})).text();
    responses.wrong = (await post(`/run/${app}/`, {})).status;
    const promised = await (await post('/rest/storage/upload/initiate', {file_name: 'a.txt', content_type: 'text/plain'})).json();
    responses.put = (await fetch(promised.upload_url, {method: 'PUT', body: 'hello', headers: {'content-type': 'text/plain'}})).status;
    responses.file = await (await fetch(promised.file_url, {headers: {range: 'bytes=1-3'}})).text();
    responses.token = (await (await post('/rest/tokens/', {allowed_apps: [app]})).json()).length > 20;
  } catch (error) {
    responses.error = String(error);
  }
  responses.said = await new Promise(done => {
    fetch(`${base}/rest/tokens/`, {method: 'POST', headers, body: JSON.stringify({allowed_apps: [app]})}).then(a => a.json()).then(token => {
      const socket = new WebSocket(`${base.replace('http', 'ws')}/run/${app}/talk?fal_jwt_token=${token}`);
      socket.onmessage = message => done(message.data);
      socket.onerror = () => done('refused');
    }).catch(error => done(String(error)));
  });
  return responses;
}"""


@pytest.fixture
def page_server(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "index.html").write_text("<title>a page</title>")
    with folder_server(tmp_path) as port:
        yield f"http://localhost:{port}"


def test_a_page_reads_what_is_open_to_it_and_nothing_else(browser: Browser, page_server: str, tmp_path: Path) -> None:
    path = tmp_path / "shown.py"
    path.write_text(APP)
    with state_directory() as state, served(state, f"{path}::Shown", "--cors", page_server) as app:
        given = [app.ready["base"], app.ready["app"], app.ready["key"]]
        page = browser.new_page()
        page.goto(page_server)
        responses = page.evaluate(CALLS, given)
        stranger = browser.new_page()
        stranger.goto(page_server.replace("localhost", "127.0.0.1"))
        refused = stranger.evaluate(CALLS, given)
        page.close()
        stranger.close()

    assert responses.pop("stream").count("\n") == 2
    assert responses == {
        "run": [200, {"text": "a"}, 36],
        "events": ["text/event-stream", True],
        "result": {"text": "b"},
        "cancel": 400,
        "wrong": 422,
        "put": 200,
        "file": "ell",
        "token": True,
        "said": "hello",
    }, json.dumps(responses)
    assert refused == {"error": "TypeError: Failed to fetch", "said": "TypeError: Failed to fetch"}
