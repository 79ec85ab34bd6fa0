"""An endpoint calls another local app with fal's unmodified Python client; the variables of the platform in runners."""

from __future__ import annotations

import http.client
import json
import textwrap
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.kernel import kernel
from tests.support.serve import command, served
from tests.support.state import state_directory, wait_for_end

APPS = """
import os, subprocess, sys
class Sibling(fal.App):
    app_name = "sibling"
    keep_alive = 300
    @fal.endpoint("/")
    def double(self, n: int) -> int:
        return 2 * n

class Caller(fal.App):
    app_name = "caller"
    keep_alive = 300
    @fal.endpoint("/")
    def call(self, n: int) -> list:
        import fal_client
        name = os.environ["FAL_USER_NICKNAME"] + "/sibling"
        queued = fal_client.submit(name, {"n": n})
        return [fal_client.run(name, {"n": n}), fal_client.subscribe(name, {"n": n + 1}), queued.get()]
    @fal.endpoint("/async")
    async def call_async(self, n: int) -> int:
        import fal_client
        return await fal_client.run_async(os.environ["FAL_USER_NICKNAME"] + "/sibling", {"n": n})
    @fal.endpoint("/child")
    def child(self, n: int) -> str:
        code = f"import fal_client, os; print(fal_client.run(os.environ['FAL_USER_NICKNAME'] + '/sibling', {{'n': {n}}}))"
        return subprocess.check_output([sys.executable, "-c", code], text=True)
    @fal.endpoint("/upload")
    def upload(self, text: str) -> list:
        import fal_client, httpx
        address = fal_client.upload(text.encode(), "text/plain")
        return [address.startswith("http://127.0.0.1:"), httpx.get(address).text]
    @fal.endpoint("/variables")
    def variables(self) -> dict:
        return dict(os.environ)
"""
NO_KEY = dict.fromkeys(("FAL_KEY", "FAL_KEY_ID", "FAL_KEY_SECRET", "FAL_RUN_HOST", "HF_HOME"))
PROXY = {"HTTPS_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9", "NO_PROXY": "example.org"}


def test_apps_of_a_notebook_call_each_other_with_fals_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NO_KEY:
        monkeypatch.delenv(name, raising=False)
    with state_directory() as state, kernel(state, tmp_path, env=PROXY) as notebook:
        notebook.run("%load_ext fal_jupyter").ok()
        notebook.run("%%fal_app\n" + APPS).ok()
        assert notebook.run("print(Caller.call(n=3), Caller.call_async(n=4))").ok().text == "[6, 8, 6] 8\n"
        assert notebook.run("print(Caller.child(n=5), Caller.upload(text='here'))").ok().text == "10\n [True, 'here']\n"

        seen = json.loads(notebook.run("import json; print(json.dumps(Caller.variables()))").ok().text)
        owner = seen["FAL_USER_NICKNAME"]
        assert seen["FAL_APP_NAME"] == f"{owner}/caller"
        assert seen["FAL_APP_ID"] == "caller-revision-1"
        assert seen["FAL_REGION"] == "local"
        assert seen["FAL_HOST"].startswith("api.localhost:")
        assert seen["HF_HOME"] == f"{state}/data/.cache/huggingface"
        assert seen["NO_PROXY"] == seen["no_proxy"] == "example.org,127.0.0.1,localhost,::1"
        runners = json.loads(command(state, "runners", "--json").stdout)
        (own,) = [runner for runner in runners if runner["app"] == seen["FAL_APP_NAME"]]
        assert seen["FAL_JOB_ID"] == own["runner_id"]

        port = int(seen["FAL_HOST"].partition(":")[2])
        assert status(port, f"/run/{owner}/sibling", seen["FAL_KEY"]) == 200
        hook = f"/queue/{owner}/sibling?fal_webhook=http://127.0.0.1:9/"  # deliveries to this machine are the owner's
        assert status(port, hook, seen["FAL_KEY"]) == 400
        assert status(port, hook, notebook.run("print(Sibling.key)").ok().text.strip()) == 200
        notebook.run("%fal stop caller").ok()
        assert wait_for_end([own["pid"]], 20) == set()
        deadline = time.monotonic() + 10  # the gateway learns of the end a moment later
        while status(port, f"/run/{owner}/sibling", seen["FAL_KEY"]) == 200 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert status(port, f"/run/{owner}/sibling", seen["FAL_KEY"]) == 401


def status(port: int, path: str, key: str) -> int:
    """Call an endpoint with a key; gives the status."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request(
            "POST", path, b'{"n": 1}', {"Authorization": f"Key {key}", "Content-Type": "application/json"}
        )
        return connection.getresponse().status


def test_served_apps_call_each_other_and_a_key_of_the_cloud_stays_with_its_app(tmp_path: Path) -> None:
    path = tmp_path / "apps.py"
    path.write_text("import fal\n" + textwrap.dedent(APPS))
    cloud = {**NO_KEY, "FAL_KEY": "of-the:cloud", "HF_HOME": "/models", "SSL_CERT_FILE": None}
    with (
        state_directory() as state,
        served(state, f"{path}::Sibling", env=NO_KEY),
        served(state, f"{path}::Caller", env=NO_KEY) as caller,
        served(state, f"{path}::Caller", "--name", "clouded", env=cloud) as clouded,
    ):
        assert caller.request("/", {"n": 3}).json == [6, 8, 6]
        assert caller.request("/variables", {}).json["FAL_KEY"].startswith("fjk_")

        seen = clouded.request("/variables", {}).json
        assert (seen["FAL_KEY"], seen["HF_HOME"], seen["FAL_REGION"]) == ("of-the:cloud", "/models", "local")
        assert not {"FAL_RUN_HOST", "FAL_QUEUE_RUN_HOST", "SSL_CERT_FILE"} & seen.keys()
