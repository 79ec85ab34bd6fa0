"""Runs in an environment with the real ``fal``: asks it everything and prints one JSON value, results in the order of the checks.

``python -m tests.parity.reference``; also used with our own ``fal`` on the shelf for the definitions (``--ours``).
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import sys
import warnings
from typing import Any

from tests.parity.checks import ASKED, TALKED, Asked, Talked
from tests.parity.definitions import DEFINED, HEAD

HEADERS = ("content-type", "x-fal-billable-units", "allow", "location", "x-fal-runner-hints", "x-fal-cdn-token", "x-a", "x-t", "www-authenticate", "access-control-allow-origin", "access-control-allow-headers", "access-control-max-age")  # fmt: skip


def evaluated(source: str) -> str:
    """Give the value of the last expression, or the exception."""
    tree = ast.parse(HEAD + source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    namespace: dict[str, Any] = {"__name__": "parity"}
    before = dict(os.environ)
    try:
        exec(compile(tree, "<check>", "exec", dont_inherit=True), namespace)
        if last is None:
            return "ok"
        assert isinstance(last, ast.Expr)
        return shown(eval(compile(ast.Expression(last.value), "<check>", "eval"), namespace))
    except Exception as error:
        kind = type(error)
        if kind.__module__ == "fal_jupyter.domain.errors":  # ours are also what the real package raises
            kind = next(k for k in kind.__mro__ if k.__module__ == "builtins")
        return f"{kind.__name__}: {error}"
    finally:
        os.environ.clear()
        os.environ.update(before)
        forget_current_app()


def forget_current_app() -> None:
    ref = sys.modules.get("fal.ref")
    if ref is not None:
        for name in ("_current_app", "current_app"):
            if hasattr(ref, name):
                setattr(ref, name, None)


def shown(value: Any) -> str:
    """A readable form in which the two packages can be compared."""
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, default=repr, sort_keys=True)
    return repr(value)


def definitions() -> list[str]:
    found = []
    for check in DEFINED:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            found.append(evaluated(check.source))
    return found


class Real:
    """The real package's own applications, by starlette's test client."""

    def __init__(self) -> None:
        self._clients: dict[str, Any] = {}
        self._instances: dict[str, Any] = {}

    def client(self, app: str) -> Any:
        if app not in self._clients:
            from starlette.testclient import TestClient

            module, _, name = app.partition(".")
            sys.path.insert(0, os.path.join(os.path.dirname(__file__), "apps"))
            cls = getattr(__import__(module), name)
            os.environ["IS_ISOLATE_AGENT"] = "1"  # what a runner has
            self._instances[app] = instance = cls(_allow_init=True)
            client = TestClient(instance._build_app(), raise_server_exceptions=False, follow_redirects=False)
            client.__enter__()
            self._clients[app] = client
        sys.modules["fal.ref"].current_app = self._instances[app]  # type: ignore[attr-defined]  # a runner has one app
        return self._clients[app]

    def ask(self, check: Asked) -> dict[str, Any]:
        options: dict[str, Any] = {"headers": check.headers}
        if check.json is not None:
            options |= {"content": json.dumps(check.json).encode("utf-8", "surrogatepass")}
            options["headers"] = {"content-type": "application/json", **check.headers}
        elif check.content is not None:
            options["content"] = check.content
        answer = self.client(check.app).request(check.method, check.path, **options)
        return reply(answer.status_code, dict(answer.headers), answer.content)

    def talk(self, check: Talked) -> list[Any]:
        import msgpack
        from starlette.websockets import WebSocketDisconnect

        found: list[Any] = []
        try:
            with self.client(check.app).websocket_connect(check.path) as socket:
                for value in check.sent:
                    if isinstance(value, str):
                        socket.send_text(value)
                    else:
                        socket.send_bytes(value if isinstance(value, bytes) else msgpack.packb(value))
                while True:
                    message = socket.receive()
                    if message["type"] == "websocket.close":
                        found.append(["close", message["code"]])
                        break
                    if message.get("text") is not None:
                        found.append(["text", message["text"]])
                    else:
                        found.append(["bin", message["bytes"].hex()])
        except WebSocketDisconnect as error:
            found.append(["refused", error.code])
        return found


def reply(status: int, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """What is compared of an answer."""
    lower = {name.lower(): value for name, value in headers.items()}
    return {
        "status": status,
        "body": body.decode("utf-8", "backslashreplace"),
        "headers": {name: lower[name] for name in HEADERS if name in lower},
    }


def main() -> None:
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the apps print is not part of the answer
    if "--ours" in sys.argv:
        from fal_jupyter import fal

        fal.install()
        json.dump({"defined": definitions()}, out)
        return
    real = Real()
    with contextlib.redirect_stdout(io.StringIO()):
        found = {
            "defined": definitions(),
            "asked": [real.ask(check) for check in ASKED],
            "talked": [real.talk(check) for check in TALKED],
        }
    json.dump(found, out)
    out.flush()
    os._exit(0)  # some of the apps' threads still sleep


if __name__ == "__main__":
    main()
