"""Runs in the environment of the real ``fal``: a class on its App is served by us, and asked; prints JSON.

``python -m tests.parity.real_class STATE``; the checks and the comparison are those of ``test_real_class.py``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import fal  # the real one, before ours can be on the shelf

from fal_jupyter.client.serving import serve
from tests.parity.checks import MARKED, MARKED_TALKS
from tests.parity.ours import APPS, Ours


def main() -> None:
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.path.insert(0, str(APPS))
    import marked

    assert marked.Marked.__mro__[-2].__module__.startswith("fal."), marked.Marked.__mro__
    ours = Ours(Path(sys.argv[1]))
    handle = serve(marked.Marked, client=ours.client)
    ours.handles["marked.Marked"] = handle
    found = {
        "version": fal.__version__,
        "kept": marked.Marked.run.__name__,  # the user's class is left as it is
        "scaling": [
            handle.spec.scaling.min_concurrency,
            handle.spec.scaling.keep_alive,
            handle.spec.scaling.max_multiplexing,
            handle.spec.scaling.request_timeout,
        ],
        "asked": [ours.ask(check) for check in MARKED],
        "talked": [ours.talk(check) for check in MARKED_TALKS],
    }
    ours.close()
    json.dump(found, out)
    out.flush()


if __name__ == "__main__":
    main()
