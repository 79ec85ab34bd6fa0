"""``fal.flags``: hosts and switches of fal, read from the environment when it is imported, with the real package's defaults.

A served app has the gateway's addresses in its environment, so there ``FAL_RUN_HOST`` and its like are local.
"""

from __future__ import annotations

import os

_PLATFORM = "api.alpha.fal.ai"


def _switch(name: str) -> bool:
    return os.environ.get(name, "").strip().lower() not in ("", "0", "false")


def _host(name: str, otherwise: str) -> str:
    return os.environ.get(name) or otherwise


DEBUG = _switch("DEBUG")
TEST_MODE = _switch("ISOLATE_TEST_MODE")
AUTH_DISABLED = _switch("ISOLATE_AUTH_DISABLED")
DONT_OPEN_LINKS = _switch("FAL_DONT_OPEN_LINKS")
URL_OUTPUT = os.environ.get("FAL_URL_OUTPUT", "all").strip().lower()

GRPC_HOST = _host("FAL_GRPC_HOST", _host("FAL_HOST", _PLATFORM))
REST_HOST = _host("FAL_REST_HOST", GRPC_HOST.replace("api", "rest", 1) if GRPC_HOST.startswith("api") else GRPC_HOST)
REST_SCHEME = "http" if TEST_MODE or AUTH_DISABLED else "https"
REST_URL = f"{REST_SCHEME}://{REST_HOST}"
FAL_RUN_HOST = _host(
    "FAL_RUN_HOST", GRPC_HOST.replace("api.", "", 1).replace("alpha.", "", 1).replace(".ai", ".run", 1)
)
FAL_QUEUE_RUN_HOST = _host("FAL_QUEUE_RUN_HOST", f"queue.{FAL_RUN_HOST}")
FAL_WS_RUN_HOST = _host("FAL_WS_RUN_HOST", f"ws.{FAL_RUN_HOST}")
