"""The far end: ``python -m tests.shipping.arrival`` unpacks the jobs on its standard input, each in a fork of its own."""

from __future__ import annotations

import base64
import json
import os
import sys
import traceback
from typing import Any

from fal_jupyter import fal
from fal_jupyter.shipping import unpack
from tests.shipping.notebook import serve


def one(job: dict[str, Any]) -> Any:
    """Give what the job's application answers, or the traceback of its arrival."""
    try:
        cls = unpack(base64.b64decode(job["payload"]), job["source"])
        return serve(cls, job["posts"])
    except BaseException:
        return traceback.format_exc()


def in_a_fork(job: dict[str, Any]) -> Any:
    """The same, in a process that has seen no other job."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        with os.fdopen(writing, "w") as pipe:
            json.dump(one(job), pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else "the process died"


if __name__ == "__main__":
    fal.install()
    print(json.dumps([in_a_fork(job) for job in json.load(sys.stdin)]))
