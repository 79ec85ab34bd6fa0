"""A Jupyter server as a user runs it, in a process and directories of its own, and a caller that keeps cookies."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.support.http_answer import Answer

BASE_URL = "/user/a%20b/"
TOKEN = "a-token-for-tests"
START_LIMIT = 60.0


# becomes a command that is told to end when the tests have been killed before they could end it
_MORTAL = """
import os, signal, sys
from fal_jupyter.processes import PR_SET_PDEATHSIG, prctl
prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
os.execv(sys.argv[1], sys.argv[1:])
"""


# Runs a module, then its arguments, as `python -m` does. Without rfc3987_syntax: jsonschema imports it where it is installed, and it
# spends 3 s on a grammar for the format "iri", which Jupyter's schemas do not use. And without asking yarn for the registry of packages:
# JupyterLab starts Node for it, twice, when it is imported.
_MODULE = """
import runpy, sys
sys.modules["rfc3987_syntax"] = None
del sys.argv[0]
if sys.argv[0] != "jupyter_server":
    import jupyterlab.commands
    jupyterlab.commands._yarn_config = lambda logger: {"yarn config": {}, "npm config": {}}
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


# Runs a script, then its arguments, as `python FILE` does, but without rfc3987_syntax, as above.
SCRIPT = """
import runpy, sys
sys.modules["rfc3987_syntax"] = None
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class Jupyter:
    """A running server; ``request`` sends requests below its base URL, with its token by default."""

    def __init__(self, port: int, directory: Path, process: subprocess.Popen[bytes], base_url: str = BASE_URL) -> None:
        self.port, self.directory, self.process, self.base_url = port, directory, process, base_url
        self.runtime = directory / "runtime"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    def request(
        self,
        path: str,
        body: Any = None,
        *,
        method: str = "GET",
        token: str | None = TOKEN,
        headers: dict[str, str] | None = None,
        timeout: float = 60,
    ) -> Answer:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        sent = {} if token is None else {"authorization": f"token {token}"}
        if data is not None:
            sent["content-type"] = "application/json"
        try:
            connection.request(method, self.base_url + path, data, sent | (headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def settle(self) -> None:
        """Wait for what the server does for a page in threads of anyio: if its loop stops meanwhile, they live on, and it with them.

        JupyterLab asks for the formats of ``nbconvert`` when it starts; further requests wait for that.
        """
        if self.process.poll() is None:
            assert self.request("api/nbconvert").status == 200

    def log_in(self) -> dict[str, str]:
        """Log in as a browser does; returns the headers of later requests: its cookies, and the XSRF token for our API."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        jar: dict[str, str] = {}

        def take(answer: http.client.HTTPResponse) -> None:
            for name, value in answer.getheaders():
                if name.lower() == "set-cookie":
                    key, _, rest = value.partition("=")
                    jar[key] = rest.partition(";")[0]
            answer.read()

        def cookies() -> str:
            return "; ".join(f"{key}={value}" for key, value in jar.items())

        connection.request("GET", f"{self.base_url}login")
        take(connection.getresponse())
        form = urlencode({"password": TOKEN, "_xsrf": jar["_xsrf"]})
        given = {"cookie": cookies(), "content-type": "application/x-www-form-urlencoded"}
        connection.request("POST", f"{self.base_url}login", form, given)
        take(connection.getresponse())
        connection.close()
        return {"cookie": cookies(), "x-xsrftoken": jar["_xsrf"]}


@contextmanager
def jupyter_server(
    state: Path,
    *options: str,
    base_url: str = BASE_URL,
    env: dict[str, str] | None = None,
    module: str = "jupyter_server",
    lenient: bool = False,
    python: Path | str = sys.executable,
) -> Iterator[Jupyter]:
    """Run a server with our extension; *module* is what runs it, a plain Jupyter server by default; *lenient* leaves who comes in to each
    handler, as Jupyter does by default."""
    with tempfile.TemporaryDirectory(prefix="fj-jupyter-", ignore_cleanup_errors=True) as place:
        directory = Path(place)
        kinds = {"CONFIG": "config", "DATA": "data", "RUNTIME": "runtime"}
        directories = {f"JUPYTER_{kind}_DIR": str(directory / name) for kind, name in kinds.items()}
        (directory / "root").mkdir()
        port = _free_port()
        command = [
            str(python),
            *("-c", _MODULE, module),
            "--no-browser",
            "--allow-root",
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={port}",
            "--ServerApp.port_retries=0",
            f"--ServerApp.base_url={base_url}",
            f"--IdentityProvider.token={TOKEN}",
            f"--ServerApp.root_dir={directory / 'root'}",
            f"--ServerApp.jpserver_extensions={_extensions(module)}",
            f"--ServerApp.allow_unauthenticated_access={lenient}",
            # the asynchronous one reads files in threads: see settle
            "--ServerApp.contents_manager_class=jupyter_server.services.contents.largefilemanager.LargeFileManager",
            "--KernelManager.transport=ipc",  # see tests.support.kernel
            *options,
        ]
        given = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "FAL_", "JPY"))}
        given |= {
            **directories,
            "FAL_JUPYTER_STATE": str(state),
            "PYTHONFAULTHANDLER": "1",  # see _end
            "IPYTHONDIR": str(directory / "ipython"),
            **(env or {}),
        }
        with open(directory / "log", "wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", _MORTAL, *command], stdout=log, stderr=log, env=given, start_new_session=True
            )
        server = Jupyter(port, directory, process, base_url)
        try:
            _wait_until_up(server)
            yield server
        finally:
            _end(server)


def _extensions(module: str) -> dict[str, bool]:
    """The server extensions: ours, and with a front end those that are enabled here."""
    others = ("jupyter_lsp", "jupyter_server_terminals", "jupyterlab", "notebook", "notebook_shim")
    return {"fal_jupyter": True} | (dict.fromkeys(others, False) if module == "jupyter_server" else {})


def _end(server: Jupyter) -> None:
    """End a server as a user does; one that does not end writes its stacks, and the test fails."""
    process = server.process  # a test may have put another in its place
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # faulthandler writes every thread's stack to the log
        process.wait()
        raise AssertionError(
            f"the Jupyter server did not end within a minute of SIGTERM:\n{server.log[-6000:]}"
        ) from None


def _wait_until_up(server: Jupyter) -> None:
    """Wait for the file that the server writes when it listens; Jupyter has no other signal."""
    import time

    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://{server.host}{server.base_url}api?token={TOKEN}", timeout=5):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"the server did not start:\n{server.log}")


def _free_port() -> int:
    """A free port below the ephemeral range, so that the system assigns it to no other process before the server listens there."""
    while True:
        port = random.randrange(12_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
