"""``keys``, ``secrets`` and ``files`` as a user types them, and what they do to apps that run."""

from __future__ import annotations

import http.client
import json
import os
import stat
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.clients.waiting import until
from tests.support.serve import COMMAND, Served, command, served
from tests.support.state import state_directory
from tests.support.web_server import web_server

APP = """
import os
import sys

import fal

class Holder(fal.App):
    app_name = "holder"

    def setup(self) -> None:
        print("at start", os.environ.get("MY_WORD"), flush=True)

    @fal.endpoint("/")
    def look(self, name: str) -> dict:
        print("it is", os.environ.get(name), flush=True)
        os.write(2, f"raw {os.environ.get(name)}\\n".encode())
        return {"value": os.environ.get(name)}

class Chosen(fal.App):
    app_name = "chosen"
    secrets = ["MY_WORD", "NOT_THERE"]

    @fal.endpoint("/")
    def look(self, name: str) -> dict:
        return {"value": os.environ.get(name)}
"""


@pytest.fixture
def state() -> Iterator[Path]:
    with state_directory() as path:
        path.mkdir(mode=0o700)
        yield path


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "holding.py"
    path.write_text(APP)
    return str(path)


def run(state: Path, *words: str, stdin: str = "", status: int = 0) -> str:
    done = command(state, *words, stdin=stdin)
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stderr


def test_secrets_reach_runners_and_are_nowhere_to_be_read(state: Path, file: str) -> None:
    output = run(state, "secrets", "set", "MY_WORD", stdin="tiger lily\n") + run(
        state, "secrets", "set", "OTHER=pepper-mill"
    )
    assert "tiger" not in output
    assert "pepper" not in output
    assert json.loads(run(state, "secrets", "list", "--json")) == ["MY_WORD", "OTHER"]
    assert stat.S_IMODE((state / "secrets.json").stat().st_mode) == 0o600
    with served(state, f"{file}::Holder") as app:
        assert app.request("/", {"name": "MY_WORD"}).json == {"value": "tiger lily"}
        assert app.request("/", {"name": "OTHER"}).json == {"value": "pepper-mill"}
        logged = run(state, "logs", "holder", "--json")
        assert "[redacted MY_WORD]" in logged
        assert "raw [redacted OTHER]" in logged
        assert "tiger" not in logged + "".join(path.read_text() for path in (state / "logs").rglob("*.log"))
        runner = json.loads(run(state, "runners", "--json"))[0]["pid"]
        assert b"tiger" not in Path(f"/proc/{runner}/cmdline").read_bytes()
    run(state, "secrets", "unset", "OTHER")
    assert run(state, "secrets", "list") == "MY_WORD\n"


def test_a_class_gets_the_secrets_that_it_names_and_missing_ones_are_reported(state: Path, file: str) -> None:
    run(state, "secrets", "set", "MY_WORD", "OTHER", stdin="tiger lily\npepper-mill\n")
    app = Served(state, f"{file}::Chosen")
    try:
        assert app.request("/", {"name": "MY_WORD"}).json == {"value": "tiger lily"}
        assert app.request("/", {"name": "OTHER"}).json == {"value": None}
    finally:
        app.process.terminate()
        _, errors = app.process.communicate(timeout=30)
    assert "the secret NOT_THERE is not set; type: fal-jupyter secrets set NOT_THERE" in errors


@pytest.mark.parametrize(("stdin", "errors"), [(None, "strict"), (b"a\xffb\n", "strict"), (b"\xff", "surrogateescape")])
def test_a_secret_that_no_environment_can_have_is_refused(state: Path, stdin: bytes | None, errors: str) -> None:
    words = [*COMMAND, "secrets", "set", b"TOKEN=a\xffb" if stdin is None else "TOKEN"]
    env = {**os.environ, "FAL_JUPYTER_STATE": str(state), "PYTHONIOENCODING": f"utf-8:{errors}"}
    done = subprocess.run(words, input=stdin, env=env, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"the secret TOKEN is not UTF-8 text" in done.stderr
    assert run(state, "secrets", "list", "--json") == "[]\n"


def test_a_stored_secret_that_no_environment_can_have_is_left_out_with_a_remark(state: Path, file: str) -> None:
    (state / "secrets.json").write_text(json.dumps({"ODD": "a\udcff", "NULL": "a\0b", "MY_WORD": "tiger lily"}))
    with served(state, f"{file}::Holder") as app:
        values = [app.request("/", {"name": name}).json["value"] for name in ("ODD", "NULL", "MY_WORD")]
        logged = run(state, "logs", "holder")
    assert values == [None, None, "tiger lily"]
    assert "the secret ODD is not UTF-8 text: the runner starts without it; set it again" in logged
    assert "the secret NULL contains a null byte: the runner starts without it" in logged


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("secrets", "set", "9LIVES=x"), "'9LIVES' is not a valid name of a secret"),
        (("secrets", "set", "FAL_JUPYTER_STATE=/x"), "is not a valid name of a secret"),
        (("secrets", "set", "EMPTY="), "the secret EMPTY is empty"),
        (("secrets", "set"), "which secret?"),
        (("secrets", "set", "A", "B"), "standard input has 0 lines for 2 secrets"),
        (("secrets", "unset", "NONE"), "there is no secret 'NONE'"),
        (("keys", "revoke"), "which key?"),
        (("keys", "revoke", "fjk_00000000"), "there is no key 'fjk_00000000'"),
        (("keys", "revoke", "ключ/../apps"), "there is no key 'ключ/../apps'"),
        (("keys", "list", "more"), "unexpected word"),
        (("keys", "list", "--preset", "API"), "--preset is an option of create, not of list"),
        (("keys", "create", "--preset", "READ-ONLY"), "did you mean READONLY?"),
        (("keys", "create", "--permission", "serverless:app:run"), "did you mean serverless:apps:run?"),
        (("keys", "create", "--scope", "ADMN"), "did you mean ADMIN?"),
        (("files", "upload", "one"), "files upload LOCAL REMOTE"),
        (("files", "ls", "../.."), "leads out of /data"),
        (("files", "rm", "/data"), "all of /data"),
        (("files", "upload-url"), "files upload-url URL [REMOTE]"),
        (("files", "upload-url", "http://127.0.0.1:9/x"), "FAL_JUPYTER_ALLOW_PRIVATE_URLS=1 allows"),
        (("files", "upload-url", "http://[::ffff:10.0.0.1]/x"), "Hostname resolves to a non-routable address"),
        (("files", "upload-url", "file:///etc/passwd"), "URL scheme 'file' is not allowed"),
        (("files", "upload-url", "http://[x/"), "invalid address"),
        (("files", "upload-url", "http://1.1.1.1:99999/"), "no such port"),
        (("files", "upload-url", "data:,x", "../../out"), "leads out of /data"),
        (("files", "rm", "none"), "files: /data/none: No such file or directory"),
        (("files", "mv", "none", "deep/er"), "files: /data/none: No such file or directory"),
        (("files", "download", "none", "x"), "files: /data/none: No such file or directory"),
    ],
)
def test_what_does_not_fit_is_one_sentence(state: Path, words: tuple[str, ...], message: str) -> None:
    errors = run(state, *words, status=1)
    assert message in errors
    assert errors.count("\n") <= 2  # the sentence, and below it what to type
    assert "Traceback" not in errors


def test_a_damaged_file_is_named(state: Path) -> None:
    run(state, "secrets", "set", "A=value")
    (state / "secrets.json").write_text("[")
    assert "secrets.json is damaged" in run(state, "secrets", "list", status=1)


def test_several_may_set_secrets_at_once(state: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: run(state, "secrets", "set", f"S{n}=value {n}"), range(8)))
    assert len(json.loads(run(state, "secrets", "list", "--json"))) == 8


def test_keys_open_until_they_are_revoked_across_gateways(state: Path, file: str) -> None:
    before = json.loads(run(state, "keys", "create", "--name", "a friend", "--json"))
    with served(state, f"{file}::Holder", "--auth", "shared") as app:
        during = json.loads(run(state, "keys", "create", "--scope", "ADMIN", "--json"))
        for made in (before, during):
            assert app.request("/", {"name": "NO"}, key=made["key"]).status == 200
            assert app.request("/", {"name": "NO"}, key=made["key"][:-1]).status == 401
        assert app.request("/", {"name": "NO"}, key=None).status == 401
        webhook = {"fal_webhook": "http://127.0.0.1:9/"}
        asked = "/".join(app.ready["url"].split("/")[3:]).replace("run/", "queue/", 1)
        base, app.ready["url"] = app.ready["url"], "/".join(app.ready["url"].split("/")[:3])
        for made, status in ((before, 400), (during, 200)):
            path = f"/{asked}?fal_webhook={webhook['fal_webhook']}"
            assert app.request(path, {"name": "NO"}, key=made["key"]).status == status
        app.ready["url"] = base
        run(state, "keys", "revoke", before["id"])
        assert app.request("/", {"name": "NO"}, key=before["key"]).status == 401
    with served(state, f"{file}::Holder") as app:
        assert app.request("/", {"name": "NO"}, key=during["key"]).status == 200
        assert app.request("/", {"name": "NO"}, key=before["key"]).status == 401
        own = app.ready["key"].partition(":")[0]  # it ends with this serve
        (live,) = [key for key in json.loads(run(state, "keys", "list", "--json")) if key["id"] == own]
        assert live["ends_with"].startswith("holding.py"), live
        assert own in run(state, "keys", "list")
        assert app.request("/", {"name": "NO"}).status == 200
        run(state, "keys", "revoke", app.ready["key"])
        assert app.request("/", {"name": "NO"}).status == 401
    listed = json.loads(run(state, "keys", "list", "--json"))
    assert [(key["id"], key["scope"]) for key in listed] == [(during["id"], "ADMIN")]
    secret = during["key"].partition(":")[2]
    assert all(secret.encode() not in path.read_bytes() for path in state.rglob("*") if path.is_file())
    assert stat.S_IMODE((state / "keys.json").stat().st_mode) == 0o600


def test_a_key_has_the_rights_of_its_preset_or_permissions(state: Path, file: str) -> None:
    def made(*words: str) -> str:
        return str(json.loads(run(state, "keys", "create", *words, "--json"))["key"])

    with served(state, f"{file}::Holder") as app:
        parts = urlsplit(app.ready["url"])
        queue = "/queue/" + parts.path.removeprefix("/run/")

        def ask(key: str, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
            connection = http.client.HTTPConnection(parts.netloc, timeout=30)
            sent = {"authorization": f"Key {key}", "content-type": "application/json"}
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            found = answer.status, json.loads(answer.read() or b"null")
            connection.close()
            return found

        body = b'{"name": "NO"}'
        submitted = ask(app.ready["key"], "POST", queue, body)[1]
        status = urlsplit(submitted["status_url"]).path
        until(lambda: ask(app.ready["key"], "GET", status)[0] == 200)
        asked = (
            ("POST", parts.path, body),
            ("POST", queue, body),
            ("GET", status, None),
            ("POST", "/rest/storage/auth/token", b"{}"),
            ("POST", "/rest/tokens/", b'{"allowed_apps": ["holder"]}'),
        )
        opened = {
            words: [ask(made(*words), *each)[0] for each in asked]
            for words in (
                (),
                ("--preset", "SERVERLESS"),
                ("--preset", "DEPLOY"),
                ("--preset", "READONLY"),
                ("--preset", "BILLING"),
                ("--permission", "serverless:apps:run"),
                ("--permission", "models:requests:read,storage:files:upload"),
            )
        }
        assert list(opened.values()) == [
            [200, 200, 200, 200, 201],
            [200, 200, 200, 200, 201],
            [403, 403, 403, 200, 403],
            [403, 403, 200, 403, 403],
            [403, 403, 403, 403, 403],
            [200, 200, 200, 403, 201],
            [403, 403, 200, 200, 403],
        ]
        detail = ask(made("--preset", "READONLY", "--desc", "a monitor"), "POST", parts.path, body)[1]["detail"]
        assert detail == "this key (READONLY) may not call apps; make one with: fal-jupyter keys create --preset API"
    listed = json.loads(run(state, "keys", "list", "--json"))
    assert listed[-1].items() >= {"preset": "READONLY", "scope": None, "permissions": [], "name": "a monitor"}.items()
    assert "gives no access on this machine" in run(state, "keys", "create", "--preset", "COMPUTE")


def test_keys_that_were_made_before_there_were_presets_are_read(state: Path) -> None:
    old = {"id": "fjk_1", "sha256": "00" * 32, "scope": "ADMIN", "name": "old", "created": 1.0}
    (state / "keys.json").write_text(json.dumps({"fjk_1": old}))
    run(state, "keys", "create")
    assert [key["preset"] for key in json.loads(run(state, "keys", "list", "--json"))] == ["FULL", "API"]


class _Giving(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/missing":
            self.send_error(404)
        elif self.path == "/moved":
            self.send_response(302)
            self.send_header("location", "/model.bin")
            self.end_headers()
        elif self.path == "/nonsense":
            self.wfile.write(b"nonsense\r\n\r\n")
            self.close_connection = True
        else:
            self.send_response(200)
            if self.path == "/named":
                self.send_header("content-disposition", 'attachment; filename="../../its name.bin"')
            self.send_header("content-length", "5")
            self.end_headers()
            self.wfile.write(b"hello")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server of this machine, whose addresses are allowed."""
    monkeypatch.setenv("FAL_JUPYTER_ALLOW_PRIVATE_URLS", "1")
    with web_server(_Giving) as port:
        yield f"http://127.0.0.1:{port}"


def test_files_come_from_the_web(state: Path, web: str) -> None:
    data = state / "data"
    for words, name in (
        ((f"{web}/model.bin?x=1",), "model.bin"),
        ((f"{web}/named",), "its name.bin"),
        ((f"{web}/moved", "models/"), "models/moved"),
        ((f"{web}/model.bin", "models"), "models/model.bin"),
        ((f"{web}/model.bin", "/data/deep/er/other.bin"), "deep/er/other.bin"),
        (("data:text/plain,hello", "said.txt"), "said.txt"),
    ):
        assert run(state, "files", "upload-url", *words) == f"{words[0]} is at /data/{name}.\n"
        assert (data / name).read_bytes() == b"hello"
    assert json.loads(run(state, "files", "upload-url", f"{web}/a", "--json")) == {"uploaded": "a"}
    assert "the server answered 404" in run(state, "files", "upload-url", f"{web}/missing", "model.bin", status=1)
    assert "is not HTTP" in run(state, "files", "upload-url", f"{web}/nonsense", status=1)
    assert (data / "model.bin").read_bytes() == b"hello"
    assert not list(data.rglob(".*"))


def test_files_go_up_down_away_and_elsewhere(state: Path, tmp_path: Path) -> None:
    local = tmp_path / "weights.bin"
    local.write_bytes(bytes(1000))
    run(state, "files", "upload", str(local), "models/")
    assert run(state, "files", "ls", "/data/models").split() == ["name", "bytes", "weights.bin", "1,000"]
    run(state, "files", "mv", "models/weights.bin", "/data/best.bin")
    run(state, "files", "download", "best.bin", str(tmp_path / "back.bin"))
    assert (tmp_path / "back.bin").read_bytes() == bytes(1000)
    run(state, "files", "rm", "models")
    assert json.loads(run(state, "files", "ls", "--json")) == [{"name": "best.bin", "size": 1000}]
    (state / "data" / "out").symlink_to(tmp_path)
    assert "leads out of /data" in run(state, "files", "rm", "out/weights.bin", status=1)
    assert local.exists()


def test_a_folder_that_cannot_be_copied_whole_is_not_there_at_all(state: Path, tmp_path: Path) -> None:
    up, data = tmp_path / "up", state / "data"
    (up / "in").mkdir(parents=True)
    (up / "in" / "one.txt").write_text("1")
    (up / "broken").symlink_to("/nonexist")

    output = run(state, "files", "upload", str(up), "up2", status=1)

    assert f"files: {up}/broken: No such file or directory; nothing was copied" in output
    assert list(data.iterdir()) == []
    (up / "broken").unlink()
    run(state, "files", "upload", str(up), "/")
    (up / "in" / "one.txt").write_text("2")
    (up / "two.txt").write_text("2")
    (data / "up" / "kept.txt").write_text("k")
    run(state, "files", "upload", str(up), "/")  # into what is there
    names = sorted(str(path.relative_to(data)) for path in data.rglob("*.txt"))
    assert names == ["up/in/one.txt", "up/kept.txt", "up/two.txt"]
    assert (data / "up" / "in" / "one.txt").read_text() == "2"
    (up / "aaa").write_text("new")
    (up / "kept.txt").mkdir()
    output = run(state, "files", "upload", str(up), "/", status=1)
    assert "/data/up/kept.txt: a file cannot be replaced by a folder" in output
    assert not (data / "up" / "aaa").exists()
    assert not list(data.rglob(".*"))


def test_a_folder_does_not_go_into_itself(state: Path) -> None:
    (state / "data" / "a" / "b").mkdir(parents=True)
    for words in (
        ("mv", "a", "a/in"),
        ("mv", "a", "a/b"),
        ("mv", "a", "a"),
        ("upload", str(state / "data" / "a"), "a/b/"),
    ):
        assert "a folder cannot be copied into itself" in run(state, "files", *words, status=1)
    assert [path.name for path in (state / "data").rglob("*")] == ["a", "b"]


def test_a_link_is_removed_and_moved_and_what_it_leads_to_is_left(state: Path, tmp_path: Path) -> None:
    data, outside = state / "data", tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("k")
    (data / "inner").mkdir(parents=True)
    for name, to in (("out", outside), ("in", data / "inner"), ("nowhere", "/nonexist")):
        (data / name).symlink_to(to)

    run(state, "files", "mv", "out", "moved")
    for name in ("moved", "in", "nowhere"):
        assert run(state, "files", "rm", name) == f"{name} is removed.\n"

    assert [path.name for path in data.iterdir()] == ["inner"]
    assert (outside / "kept").exists()
    (data / "inner" / "up").symlink_to(outside)
    (tmp_path / "up").mkdir()
    assert "leads out of /data" in run(state, "files", "upload", str(tmp_path / "up"), "inner", status=1)
    for words in (("rm", "inner/up/kept"), ("rm", "../x"), ("mv", "inner/up/kept", "x"), ("rm", "inner/../..")):
        assert "leads out of /data" in run(state, "files", *words, status=1)
    assert "all of /data" in run(state, "files", "rm", "inner/..", status=1)
