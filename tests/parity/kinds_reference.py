"""Asks the generated app of :mod:`tests.parity.kinds` where the real ``fal`` is, or builds its parts with either package.

``python -m tests.parity.kinds_reference built EVERY [--ours]`` prints what each part says when it is built;
``python -m tests.parity.kinds_reference asked FOLDER EVERY STEP`` reads which of them can be built, and prints the answers of FOLDER's app.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import warnings
from typing import Any

from tests.parity import kinds


def asked(folder: str, every: int, step: int, can_be_built: list[bool]) -> list[Any]:
    """Give status, content type and body of each answer."""
    from starlette.testclient import TestClient

    sys.path.insert(0, folder)
    os.environ["IS_ISOLATE_AGENT"] = "1"  # what a runner has
    app = __import__("kinds_app").Kinds(_allow_init=True)._build_app()
    found = []
    with TestClient(app, raise_server_exceptions=False, follow_redirects=False) as client:
        for _, path, body, headers in kinds.requests(can_be_built, every, step):
            answer = client.post(path, content=body, headers=headers)
            found.append(
                [
                    answer.status_code,
                    answer.headers.get("content-type"),
                    answer.content.decode("utf-8", "backslashreplace"),
                ]
            )
    return found


def main() -> None:
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the app prints is not part of the answers
    warnings.simplefilter("ignore")
    if "--ours" in sys.argv:
        from fal_jupyter import fal

        fal.install()
    with contextlib.redirect_stdout(io.StringIO()):
        if sys.argv[1] == "built":
            found: list[Any] = kinds.built(int(sys.argv[2]))
        else:
            found = asked(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), json.load(sys.stdin))
    json.dump(found, out)
    out.flush()


if __name__ == "__main__":
    main()
