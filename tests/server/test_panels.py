"""What panels may ask of the server and, through it, of the gateway; and the record by which kernels find the server."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from fal_jupyter import server_record
from fal_jupyter.protocol.panels import admin_target
from fal_jupyter.server.targets import METHODS, is_ambiguous, without_secrets
from tests.support.jupyter import Jupyter, jupyter_server
from tests.support.serve import Served, served
from tests.support.state import state_directory, wait_for_end

ID = "00000000-0000-4000-8000-000000000000"


def test_asking_starts_nothing_and_starting_does() -> None:
    with state_directory() as state, jupyter_server(state) as server:
        hello = server.request("fal/api/hello")
        assert hello.status == 200
        assert hello.json["running"] is False
        assert hello.json["state"] == str(state)
        assert server.request("fal/api/start").status == 405
        assert not (state / "gateway.sock").exists()
        started = server.request("fal/api/start", method="POST").json
        assert started["running"] is True
        assert started == server.request("fal/api/hello").json
        assert started == server.request("fal/api/start", method="POST").json
        assert server.request("fal/api/apps").json == []
        os.kill(started["pid"], 15)
        assert wait_for_end({started["pid"]}, 20) == set()
        found = [server.request("fal/api/hello").json["running"] for _ in range(3)]
        assert found == [False] * 3
        assert not Path(f"/proc/{started['pid']}").exists()  # nor is there a zombie of it


def test_an_unused_gateway_ends_with_the_server_and_one_with_an_owner_stays(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import fal\nclass Hello(fal.App):\n    @fal.endpoint('/')\n    def hi(self) -> str:\n        return 'hi'\n"
    )
    with state_directory() as state:
        with jupyter_server(state) as server:
            unused = server.request("fal/api/start", method="POST").json["pid"]
        assert wait_for_end({unused}, 20) == set()  # of its 600 s nothing is waited for
        with served(state, f"{tmp_path / 'app.py'}::Hello") as app:
            with jupyter_server(state) as server:
                used = server.request("fal/api/hello").json["pid"]
            assert app.request("/", {}).json == "hi"
            assert wait_for_end({used}, 3) == {used}
        assert wait_for_end({used}, 20) == set()


def test_a_gateway_that_cannot_start_reports_why(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o777)
    with jupyter_server(state) as server:
        answer = server.request("fal/api/start", method="POST")
        assert answer.status == 503
        assert "others can write" in answer.json["detail"]
        assert "chmod 700" in answer.json["detail"]


@pytest.mark.usefixtures("app")
def test_panels_see_and_steer(jupyter: Jupyter, run: str) -> None:
    def ask(path: str, method: str = "GET", body: Any = None) -> Any:
        answer = jupyter.request(f"fal/api/{path}", body, method=method)
        assert answer.status < 300, answer
        return answer.json

    assert ask("snapshot")["apps"][0]["alias"] == "wide"
    assert [record["alias"] for record in ask("apps")] == ["wide"]
    assert ask("apps/wide")["class_name"] == "Wide"
    assert ask("apps/wide/scaling", "POST", {"set": {"keep_alive": 77}})["scaling"]["keep_alive"] == 77
    assert ask("apps/wide/scaling")["overrides"] == {"keep_alive": 77}
    assert (
        jupyter.request(f"{run}/", {"name": "Ada"}, method="POST").status == 200
    )  # a runner is ready, even if the app slept
    assert "/" in ask("apps/wide/schema")["paths"]
    assert isinstance(ask("apps/wide/logs?lines=10"), list)
    assert ask("runners")[0]["app"].endswith("/wide")
    assert ask("keys")
    assert ask("doctor")["gateway"]["pid"] == ask("hello")["pid"]
    called = ask("apps/wide/calls?path=/", "POST", {"name": "Ada"})
    answer = jupyter.request(f"fal/api/requests/{called['request_id']}/answer")
    assert answer.json == {"text": "Hello, Ada"}
    assert answer.headers["x-fal-status"] == "200"
    assert ask(f"requests/{called['request_id']}")["request"]["origin"] == "panel"
    key = ask("apps/wide/keys", "POST")["key"]
    assert ask(f"keys/{key.partition(':')[0]}", "DELETE")["revoked"]


@pytest.mark.usefixtures("app")
def test_panels_can_do_no_more_than_that(jupyter: Jupyter) -> None:
    refused = [
        ("POST", "shutdown"), ("POST", "leases"), ("PUT", "apps/wide"), ("POST", "apps/wide"), ("POST", "hello"),
        ("DELETE", "apps"), ("GET", "apps/wide/restart"), ("GET", "apps/wide/calls"), ("POST", "apps/wide/logs"),
        ("GET", "apps/../hello"), ("GET", "apps/%2e%2e/hello"), ("GET", "apps/wide%2fscaling"), ("GET", "/apps"),
        ("GET", "apps/WIDE"), ("GET", "feed/"), ("GET", "requests/1"), ("PATCH", "apps/wide/scaling"),
    ]  # fmt: skip
    for method, path in refused:
        answer = jupyter.request(f"fal/api/{path}", {}, method=method)
        assert (method, path, answer.status) == (method, path, 405 if path == "hello" else 404)
    assert [record["alias"] for record in jupyter.request("fal/api/apps").json] == ["wide"]


def test_the_requests_that_panels_may_make() -> None:
    assert admin_target("GET", "apps/a/scaling") == "/admin/apps/a/scaling"
    assert admin_target("DELETE", f"requests/{ID}") == f"/admin/requests/{ID}"
    assert [m for m in METHODS if admin_target(m, "apps/a")] == ["GET", "DELETE"]
    assert [m for m in METHODS if admin_target(m, "apps/a/calls")] == ["POST"]
    for path in ("shutdown", "leases", "apps/a\n", "apps/a/", "apps//", "", "apps/a/b", "feed", "hello"):
        assert [m for m in METHODS if admin_target(m, path)] == []


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ("", ""),
        ("a=1", "a=1"),
        ("token=x", ""),
        ("a=1&token=x&b", "a=1&b"),
        ("%74%6fken=x&a", "a"),
        ("token", ""),
        ("tokens=x", "tokens=x"),
        ("_xsrf=x&a=token", "a=token"),
        ("+token=x", ""),
    ],
)
def test_credentials_leave_the_query(given: str, left: str) -> None:
    assert without_secrets(given) == left


@pytest.mark.parametrize(
    "path", ["/run/a/b/", "/run/a/b/c.d/e..f", "/run/a/b/%20", "/run/a/b/...", "/x/%25", "/~a!$&'()*+,;=:@"]
)
def test_ordinary_paths_pass(path: str) -> None:
    assert not is_ambiguous(path)


@pytest.mark.parametrize(
    "path", ["/..", "/a/../b", "/%2E%2e/", "/a%2Fb", "/a%5cb", "/a\\b", "/a b", "/\x00", "/a%00", "/é", "/%0a"]
)
def test_hostile_paths_do_not(path: str) -> None:
    assert is_ambiguous(path)


def record_of(server: Jupyter) -> server_record.ServerRecord | None:
    return server_record.find(server.runtime, server.process.pid)


def test_kernels_find_the_server_and_the_browsers_address(state: Path, app: Served) -> None:
    with jupyter_server(state) as server:
        record = record_of(server)
        assert record is not None
        assert (record.base_url, record.origin) == (server.base_url, "")
        assert (server.runtime / f"fal-jupyter-server-{server.process.pid}.json").stat().st_mode & 0o777 == 0o600
        server.request("fal/api/hello", token=None)
        assert record_of(server) == record  # who is not let in tells nothing
        server.request("fal/api/hello")
        assert record_of(server).origin == f"http://{server.host}"  # type: ignore[union-attr]
        server.request("fal/api/hello", headers={"referer": f"https://{server.host}/user/lab"})
        assert record_of(server).origin == f"https://{server.host}"  # type: ignore[union-attr]
        server.request("fal/api/hello")  # a program: it may come another way
        server.request("fal/api/hello", headers={"referer": "https://elsewhere.example/"})
        assert record_of(server).origin == f"https://{server.host}"  # type: ignore[union-attr]
        runtime = server.runtime
        name = server_record.record_path(runtime, server.process.pid)
        server.process.terminate()
        server.process.wait(20)
        assert not name.exists()


def test_an_address_that_the_hub_knows_wins(state: Path, app: Served) -> None:
    public = {"JUPYTERHUB_PUBLIC_URL": "https://hub.example/user/a%20b/"}
    with jupyter_server(state, env=public) as server:
        server.request("fal/api/hello")
        record = record_of(server)
        assert record is not None
        assert record.url("fal/run/me/app/") == "https://hub.example/user/a%20b/fal/run/me/app/"
    with jupyter_server(state, "--ServerApp.custom_display_url=http://display.example:1234/x/") as server:
        assert record_of(server).origin == "http://display.example:1234"  # type: ignore[union-attr]


def test_a_labextension_beside_the_server_is_seen(state: Path, app: Served, tmp_path: Path) -> None:
    place = tmp_path / "labextensions" / "fal-jupyter"
    place.mkdir(parents=True)
    (place / "package.json").write_text(json.dumps({"name": "fal-jupyter"}))
    with jupyter_server(state, env={"JUPYTER_PATH": str(tmp_path)}) as server:
        record = record_of(server)
        assert record is not None
        assert record.labextension is True
