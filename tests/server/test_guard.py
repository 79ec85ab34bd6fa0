"""All addresses × all methods × everything that somebody may bring along: who comes in, and who does not."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fal_jupyter.server.extension import routes
from fal_jupyter.server.targets import METHODS
from tests.support.jupyter import TOKEN, Jupyter, jupyter_server
from tests.support.serve import Served
from tests.support.state import state_directory

ID = "00000000-0000-4000-8000-000000000000"
EXAMPLES = {
    r"/fal/(?:run|queue|cdn|ws)/.*": [
        *("fal/run/nobody/nothing/", "fal/queue/nobody/nothing/", "fal/cdn/files/nothing", "fal/ws/nobody/nothing"),
    ],
    r"/fal/api/hello": ["fal/api/hello"],
    r"/fal/api/start": ["fal/api/start"],
    r"/fal/api/feed": ["fal/api/feed"],
    r"/fal/api/.*": [
        *("fal/api/snapshot", "fal/api/apps", "fal/api/apps/nothing", "fal/api/apps/nothing/scaling"),
        *("fal/api/apps/nothing/calls", "fal/api/apps/nothing/keys", "fal/api/keys", "fal/api/keys/nothing"),
        *(
            f"fal/api/requests/{ID}",
            f"fal/api/requests/{ID}/answer",
            f"fal/api/requests/{ID}/input",
            "fal/api/runners/nothing-1",
            "fal/api/shutdown",
        ),
    ],
    r"/fal(?:/.*)?": ["fal", "fal/", "fal/nothing"],
}
PATHS = [path for paths in EXAMPLES.values() for path in paths]
SAFE = ("GET", "HEAD", "OPTIONS")


def test_every_route_has_an_example_here() -> None:
    patterns = [pattern for pattern, *_ in routes({}, {}, {})]
    assert patterns == list(EXAMPLES)
    for pattern, paths in EXAMPLES.items():
        for path in paths:
            assert next(p for p in patterns if re.fullmatch(p, "/" + path)) == pattern


@pytest.fixture(scope="module", params=[False, True], ids=["strict", "lenient"])
def guarded(request: pytest.FixtureRequest, state: Path, app: Served) -> Iterator[Jupyter]:
    """A server that denies by default, and one that leaves it to each handler."""
    with jupyter_server(state, lenient=request.param) as running:
        yield running


@pytest.fixture(scope="module")
def browser(guarded: Jupyter) -> dict[str, str]:
    return guarded.log_in()


class Caller:
    """Asks on one connection, and looks at the body only where it is refused."""

    def __init__(self, server: Jupyter) -> None:
        self.server = server

    def ask(self, method: str, path: str, headers: dict[str, str]) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        try:
            connection.putrequest(method, self.server.base_url + path, skip_host="Host" in headers)
            for name, value in ({"Content-Length": "0"} | headers).items():
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            if answer.status >= 400:
                self._is_one_sentence(answer, method)
            return answer.status
        finally:
            connection.close()

    def _is_one_sentence(self, answer: http.client.HTTPResponse, method: str) -> None:
        assert answer.headers["x-content-type-options"] == "nosniff"
        if answer.status == 404 and answer.headers["content-disposition"] == "attachment":
            return  # the gateway's own word, where it has no such address: let in, and passed on as a download
        assert answer.headers["content-type"] == "application/json"
        text = answer.read().decode()
        if method != "HEAD":
            assert json.loads(text)["detail"]
            assert "Traceback" not in text
            assert "evil" not in text

    def walk(self, methods: tuple[str, ...], headers: dict[str, str]) -> dict[str, int]:
        return {
            f"{method} {path}": self.ask(method, path, {"Host": self.server.host} | headers)
            for path in PATHS
            for method in methods
        }


def all_refused(found: dict[str, int]) -> None:
    assert {what: status for what, status in found.items() if status != 403} == {}


def all_let_in(found: dict[str, int]) -> None:
    assert {what: status for what, status in found.items() if status in (302, 401, 403)} == {}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "token wrong"},
        {"Authorization": f"token {TOKEN}x"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Cookie": "username=somebody"},
        {"X-XSRFToken": "abc", "Cookie": "_xsrf=abc"},
        {"Authorization": f"token {TOKEN}", "Host": "evil.example"},
        {"Authorization": f"token {TOKEN}", "Host": "evil.example:8888", "X-Forwarded-Host": "localhost"},
    ],
)
def test_no_request_passes_without_jupyters_authorization(guarded: Jupyter, headers: dict[str, str]) -> None:
    all_refused(Caller(guarded).walk(METHODS, headers))


def test_an_apps_key_opens_nothing_here(guarded: Jupyter, app: Served) -> None:
    key = app.ready["key"]
    for headers in ({"Authorization": f"Key {key}"}, {"X-Fal-Key": key}, {"Authorization": f"token {key}"}):
        all_refused(Caller(guarded).walk(METHODS, headers))


def test_the_token_opens_everything(guarded: Jupyter) -> None:
    all_let_in(Caller(guarded).walk(METHODS, {"Authorization": f"token {TOKEN}"}))


def test_a_page_of_jupyters_opens_everything(guarded: Jupyter, browser: dict[str, str]) -> None:
    own = {"Origin": f"http://{guarded.host}", "Sec-Fetch-Site": "same-origin"}
    all_let_in(Caller(guarded).walk(METHODS, browser | own))
    all_let_in(Caller(guarded).walk(METHODS, browser))


def test_a_cookie_alone_only_looks(guarded: Jupyter, browser: dict[str, str]) -> None:
    cookie = {"Cookie": browser["cookie"]}
    all_let_in(Caller(guarded).walk(SAFE, cookie))
    all_refused(Caller(guarded).walk(tuple(m for m in METHODS if m not in SAFE), cookie))
    wrong = cookie | {"X-XSRFToken": "2|00000000|00000000000000000000000000000000|1"}
    all_refused(Caller(guarded).walk(tuple(m for m in METHODS if m not in SAFE), wrong))


@pytest.mark.parametrize(
    "foreign",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://HOST.evil.example"},
        {"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
    ],
)
def test_a_page_of_another_origin_is_refused(
    guarded: Jupyter, browser: dict[str, str], foreign: dict[str, str]
) -> None:
    headers = {name: value.replace("HOST", guarded.host.replace(":", ".")) for name, value in foreign.items()}
    all_refused(Caller(guarded).walk(METHODS, browser | headers))


@pytest.mark.parametrize(
    "foreign",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Referer": "http://evil.example/page"},
    ],
)
def test_an_image_or_a_link_on_another_page_is_refused(
    guarded: Jupyter, browser: dict[str, str], foreign: dict[str, str]
) -> None:
    all_refused(Caller(guarded).walk(SAFE, {"Cookie": browser["cookie"]} | foreign))


def test_who_may_come_in_gets_no_cookie_from_us(guarded: Jupyter) -> None:
    for path in PATHS:
        if not path.endswith("feed"):
            assert "set-cookie" not in guarded.request(path).headers


def test_jupyter_does_not_warn_about_our_handlers(guarded: Jupyter) -> None:
    assert "registered for" in guarded.log or "JupyterServerAuthWarning" not in guarded.log
    assert [line for line in guarded.log.splitlines() if "registered for" in line and "/fal" in line] == []


AUTHORIZER = '''
from jupyter_server.auth import Authorizer


class Reader(Authorizer):
    """Everybody may look at everything of ours, and do nothing."""

    def is_authorized(self, handler, user, action, resource):
        return resource != "fal" or action == "read"
'''


def test_jupyters_authorizer_is_used(tmp_path: Path) -> None:
    (tmp_path / "authorizer_of_a_test.py").write_text(AUTHORIZER)
    option = "--ServerApp.authorizer_class=authorizer_of_a_test.Reader"
    with state_directory() as state, jupyter_server(state, option, env={"PYTHONPATH": str(tmp_path)}) as server:
        assert server.request("fal/api/hello").status == 200
        assert server.request("fal/api/apps").status == 503
        for method, path in (
            ("POST", "fal/api/start"),
            ("POST", "fal/api/apps/nothing/calls"),
            ("DELETE", "fal/api/apps/nothing"),
            ("POST", "fal/run/me/app/"),
            ("GET", "fal/run/me/app/"),
        ):
            answer = server.request(path, method=method)
            assert (answer.status, answer.json["error_type"]) == (403, "forbidden")
        assert not (state / "gateway.sock").exists()


def test_importing_the_extension_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.modules['rfc3987_syntax'] = None;"  # see tests.support.jupyter
        "import json, fal_jupyter;"
        "before = [m for m in ('tornado', 'jupyter_server') if m in sys.modules];"
        "fal_jupyter._jupyter_server_extension_points();"
        "print(json.dumps(before + [m for m in ('torch','fastapi','pydantic','numpy','IPython','msgspec') if m in sys.modules]))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(answer.stdout) == []
