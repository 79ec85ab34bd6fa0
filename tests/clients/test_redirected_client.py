"""The other ways to turn fal's Python client: ``eval $(fal-jupyter env)`` with no code at all, and the module's own functions."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fal_client
import httpx
import pytest
from fal_client import client as module

import fal_jupyter
from tests.support.serve import Served, command
from tests.support.state import state_directory

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
UNTOUCHED = """
import json, sys, fal_client
app, way = sys.argv[1:]
updates = []
got = {
    "run": fal_client.run(app, {"n": 1}, path="/sub/x"),
    "subscribe": fal_client.subscribe(app, {"prompt": "x"}, path="/valid", on_queue_update=updates.append),
    "states": type(updates[-1]).__name__,
    "stream": [event["number"] for event in fal_client.stream(app, {"prompt": "x", "steps": 3})],
}
with fal_client.realtime(app, use_jwt=False) as talk:
    talk.send({"n": 1})
    got["realtime"] = talk.recv()["said"]
with fal_client.ws_connect(app, path="/chat", use_jwt=False) as socket:
    socket.send("x")
    got["websocket"] = socket.recv()
job = fal_client.submit(app, {"n": 2}, path="/sub/x")
got["result"] = fal_client.result(app, job.request_id)
print(json.dumps(got))
"""
EXPECTED = {
    "run": {"input": {"n": 1}, "path": "/sub/x"},
    "subscribe": {"prompt": "x", "steps": 1},
    "states": "Completed",
    "stream": [0, 1, 2],
    "realtime": {"n": 1},
    "websocket": "X",
    "result": {"input": {"n": 2}, "path": "/sub/x"},
}


def clean_environment(**more: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("FAL_", "SSL_"))} | more


# --- by environment ---------------------------------------------------------------------------------------------
def test_with_the_environment_alone_the_unchanged_module_comes_here_by_tls(many: Served, app: str) -> None:
    script = 'eval $("$PYTHON" -m fal_jupyter.cli.main env) && "$PYTHON" -c "$PROGRAM" "$APP" env'
    ran = subprocess.run(
        ["bash", "-euc", script],
        env=clean_environment(PYTHON=sys.executable, PROGRAM=UNTOUCHED, APP=app, FAL_JUPYTER_STATE=str(many.state)),
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == EXPECTED


BY_PROXY = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")


def test_with_proxies_set_the_unchanged_module_comes_here_all_the_same(many: Served, app: str) -> None:
    script = 'eval $("$PYTHON" -m fal_jupyter.cli.main env) && echo "$NO_PROXY" && "$PYTHON" -c "$PROGRAM" "$APP" env'
    more = {"PYTHON": sys.executable, "PROGRAM": UNTOUCHED, "APP": app, "FAL_JUPYTER_STATE": str(many.state)}
    ran = subprocess.run(
        ["bash", "-euc", script],
        env=clean_environment(**more, **BY_PROXY, NO_PROXY="example.org"),
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ran.returncode == 0, ran.stderr
    excepted, answer = ran.stdout.splitlines()
    assert excepted == "example.org,127.0.0.1,localhost,::1"
    assert json.loads(answer) == EXPECTED


def test_our_clients_never_use_a_proxy_for_loopback(
    many: Served, app: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in BY_PROXY:
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "example.org")
    monkeypatch.delenv("no_proxy", raising=False)
    (tmp_path / "file.txt").write_text("x")

    def check(client: Any, key: str | None) -> None:
        assert client.run(app, {"n": 1}, path="/sub/x") == EXPECTED["run"]
        with client.ws_connect(app, path="/chat", use_jwt=key is None) as socket:
            socket.send("x")
            assert socket.recv() == "X"
        assert client.upload_file(tmp_path / "file.txt").startswith(many.ready["base"])
        assert client.upload(b"x", "text/plain").startswith(many.ready["base"])

    async def check_async(client: Any) -> None:
        assert await client.run(app, {"n": 1}, path="/sub/x") == EXPECTED["run"]
        async with client.ws_connect(app, path="/chat") as socket:
            await socket.send("x")
            assert await socket.recv() == "X"
        assert (await client.upload(b"x", "text/plain")).startswith(many.ready["base"])

    base, key = many.ready["base"], many.ready["key"]
    check(fal_jupyter.fal_client(base, key), key)
    asyncio.run(check_async(fal_jupyter.fal_client_async(base, key)))
    assert os.environ["NO_PROXY"] == "example.org"
    with fal_jupyter.redirect_fal_client(base, key):
        check(fal_client, key)
        assert os.environ["no_proxy"] == "example.org,127.0.0.1,localhost,::1"
    assert (os.environ["NO_PROXY"], os.environ.get("no_proxy")) == ("example.org", None)


def env(state: Path, *options: str) -> dict[str, str]:
    ran = command(state, "env", "--json", *options)
    assert ran.returncode == 0, ran.stderr
    found: dict[str, str] = json.loads(ran.stdout)
    return found


def test_the_port_shows_a_certificate_for_loopback_names_and_its_key_opens(many: Served, app: str) -> None:
    found = env(many.state)
    port = found["FAL_RUN_HOST"].partition(":")[2].partition("/")[0]
    headers = {"Authorization": f"Key {found['FAL_KEY']}"}
    for host in ("127.0.0.1", "localhost"):
        address = f"https://{host}:{port}/queue/{app}/sub/x"
        answer = httpx.post(address, json={}, headers=headers, verify=_trusting(found["SSL_CERT_FILE"]))

        assert answer.json()["status_url"].startswith(f"https://{host}:{port}/queue/{app}/requests/")
    with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
        httpx.post(f"https://127.0.0.1:{port}/run/{app}", json={}, headers=headers)
    assert (
        httpx.post(f"https://127.0.0.1:{port}/run/{app}", verify=_trusting(found["SSL_CERT_FILE"])).status_code == 401
    )


def _trusting(bundle: str) -> Any:
    import ssl

    return ssl.create_default_context(cafile=bundle)


def test_the_private_keys_are_the_users_alone(many: Served) -> None:
    env(many.state)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (many.state / "tls").iterdir()}

    assert modes == {"ca.key": 0o600, "leaf.pem": 0o600, "ca.pem": 0o644, "bundle.pem": 0o644}


def test_a_second_call_has_the_same_port_and_another_key(many: Served) -> None:
    first, second = env(many.state), env(many.state)

    assert {name for name in first if first[name] != second[name]} == {"FAL_KEY"}


def test_other_shells_are_spoken_too(many: Served) -> None:
    fish = command(many.state, "env", "--shell", "fish").stdout.splitlines()
    plain = json.loads(command(many.state, "env", "--shell", "json").stdout)

    names = ["FAL_RUN_HOST", "FAL_QUEUE_RUN_HOST", "FAL_WS_RUN_HOST", "FAL_KEY", "SSL_CERT_FILE"]
    assert [line.split()[:3][2] for line in fish] == names
    assert fish[0] == f"set -gx FAL_RUN_HOST '{plain['FAL_RUN_HOST']}';"
    assert list(plain) == names


def test_without_a_served_app_it_reports_that() -> None:
    with state_directory() as state:
        ran = command(state, "env")

    assert (ran.returncode, ran.stdout) == (1, "")
    assert "fal-jupyter serve" in ran.stderr


# --- the module's own functions ---------------------------------------------------------------------------------
def state_of_the_module() -> tuple[Any, ...]:
    names = ("RUN_URL_FORMAT", "QUEUE_URL_FORMAT", "REALTIME_URL_FORMAT", "REST_URL", "CDN_URL")
    return (
        {name: getattr(module, name) for name in names},
        dict(vars(fal_client.sync_client)),
        dict(vars(fal_client.async_client)),
    )


@pytest.fixture
def unchanged() -> Iterator[None]:
    before = state_of_the_module()
    yield
    assert state_of_the_module() == before


@pytest.mark.usefixtures("unchanged")
def test_inside_the_block_the_modules_functions_come_here(many: Served, app: str) -> None:
    with fal_jupyter.redirect_fal_client(many.ready["base"], many.ready["key"]):
        results = {
            "run": fal_client.run(app, {"n": 1}, path="/sub/x"),
            "subscribe": fal_client.subscribe(app, {"prompt": "x"}, path="/valid"),
            "stream": [event["number"] for event in fal_client.stream(app, {"prompt": "x", "steps": 3})],
        }
        with fal_client.realtime(app) as talk:  # by a token
            talk.send({"n": 1})
            answer = talk.recv()
            assert answer is not None
            results["realtime"] = answer["said"]
        assert asyncio.run(fal_client.run_async(app, {"n": 1}, path="/sub/x")) == results["run"]

    assert results == {name: EXPECTED[name] for name in results}


@pytest.mark.usefixtures("unchanged")
def test_inside_the_block_the_modules_uploads_come_here(many: Served) -> None:
    with fal_jupyter.redirect_fal_client(many.ready["base"], many.ready["key"]):
        url = fal_client.upload(b"of the module", "text/plain")

    assert httpx.get(url).content == b"of the module"


@pytest.mark.usefixtures("unchanged")
def test_blocks_nest_and_may_end_in_any_order_and_with_an_error(many: Served, app: str) -> None:
    base, key = many.ready["base"], many.ready["key"]
    first = fal_jupyter.redirect_fal_client(base, key)
    second = fal_jupyter.redirect_fal_client(base, "wrong")
    first.__enter__()
    second.__enter__()
    with pytest.raises(fal_client.FalClientHTTPError, match="key"):
        fal_client.run(app, {})
    first.__exit__(None, None, None)
    with pytest.raises(fal_client.FalClientHTTPError, match="key"):
        fal_client.run(app, {})
    second.__exit__(None, None, None)
    with pytest.raises(fal_client.FalClientHTTPError, match="nobody"), fal_jupyter.redirect_fal_client(base, key):
        fal_client.run(f"{app.partition('/')[0]}/nobody", {})


@pytest.mark.usefixtures("unchanged")
def test_objects_keep_to_their_own_gateway_whatever_the_module_is_turned_to(many: Served, app: str) -> None:
    client = fal_jupyter.fal_client(many.ready["base"], many.ready["key"])
    entered, done = threading.Event(), threading.Event()

    def elsewhere() -> None:
        with fal_jupyter.redirect_fal_client("http://127.0.0.1:9/nowhere", "k"):
            entered.set()
            done.wait(20)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    entered.wait(20)
    try:
        assert client.run(app, {"n": 1}, path="/sub/x") == EXPECTED["run"]
        assert client.subscribe(app, {"prompt": "x"}, path="/valid") == EXPECTED["subscribe"]
    finally:
        done.set()
        thread.join()
        client._client.close()
