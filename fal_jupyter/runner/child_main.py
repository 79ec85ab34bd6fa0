"""``__main__`` of the processes that a runner's user code spawns: it has the names of the runner's ``__main__``, and ``import fal`` works.

Run by ``multiprocessing`` (and libraries that use its protocol) under the name ``__mp_main__``, after it has set ``sys.path``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from fal_jupyter.protocol import frames
from fal_jupyter.protocol.api import LoadHead
from fal_jupyter.runner.lifecycle import enter_imports, load_class
from fal_jupyter.runner.process.children import LOAD_VARIABLE, enter_main


def names_of_the_runner() -> dict[str, object]:
    """Load the runner's code; returns the names of its ``__main__``."""
    head_json, payload = frames.decode_load(Path(os.environ[LOAD_VARIABLE]).read_bytes())
    head = msgspec.json.decode(head_json, type=LoadHead)
    enter_imports(head)
    enter_main()
    load_class(head, payload)
    return {name: value for name, value in vars(sys.modules["__main__"]).items() if not name.startswith("__")}


if __name__ == "__mp_main__":
    globals().update(names_of_the_runner())
