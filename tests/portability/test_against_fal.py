"""What the rules about pickling rest on, measured: the real package's own pickles of a file, opened where the file is not."""

from __future__ import annotations

import subprocess
import textwrap
from pathlib import Path

import pytest

from tests.portability.app_folder import AppFolder, app
from tests.support.real_fal import PYTHON

SHIP = """
import os, pickle, runpy, sys
import cloudpickle, fal, fal._serialization as way
way.patch_pickle()
known = set(cloudpickle.cloudpickle._PICKLE_BY_VALUE_MODULES)
sent = []
for folder in sys.argv[1:]:
    os.chdir(folder)
    sys.path[0] = folder
    sys.modules.pop("helpers", None)
    cloudpickle.cloudpickle._PICKLE_BY_VALUE_MODULES = set(known)
    try:
        cls = runpy.run_path(folder + "/app.py")["Hello"]
        for name in cls.local_python_modules:
            way.include_module(name)
        sent.append(cloudpickle.dumps(cls))
    except Exception as error:
        sent.append(repr(error))
sys.stdout.buffer.write(pickle.dumps(sent))
"""
ARRIVE = """
import pickle, sys
import fal
for one in pickle.load(sys.stdin.buffer):
    try:
        if isinstance(one, bytes):
            cls = pickle.loads(one)
            one = repr(cls.hi(cls(_allow_init=True)))
        print(one)
    except Exception as error:
        print(repr(error))
"""


NAMED = 'local_python_modules = ["helpers"]'
CASES = [
    ("local-module", app("return helpers.f()", head="import helpers"), "No module named 'helpers'"),
    ("", app("return helpers.f()", head="import helpers", options=NAMED), "5"),
    ("local-import", app("import helpers\nreturn helpers.f()", options=NAMED), "No module named 'helpers'"),
    ("own-file", app("return __file__"), "app.py'"),
    ("not-picklable", app("return V.get(1)", head="import contextvars\nV = contextvars.ContextVar('v')"), "cannot pickle"),
    ("not-picklable", app("return L.x", head="import threading\nL = threading.local()"), "cannot pickle"),
    ("", app("with LOCK: return 7", head="import threading\nLOCK = threading.Lock()"), "7"),
    ("", app("return E.is_set()", head="import threading\nE = threading.Event()"), "False"),
    ("computed-once", app("return AT", head="import os\nAT = os.getcwd()"), "deployed"),
    ("self-logger", app("return self.logger.name"), "has no attribute 'logger'"),
]  # fmt: skip


@pytest.fixture(scope="module")
def in_the_cloud(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What ``hi()`` of each case gives after the real package has pickled its class, or the error."""
    folders = [tmp_path_factory.mktemp("deployed") for _ in CASES]
    for folder, (_, text, _) in zip(folders, CASES, strict=True):
        furnish(folder, text)
    sent = subprocess.run([PYTHON, "-c", SHIP, *folders], capture_output=True, timeout=60)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    came = subprocess.run([PYTHON, "-c", ARRIVE], input=sent.stdout, capture_output=True, timeout=60, cwd=elsewhere)
    answers = came.stdout.decode().splitlines()
    assert len(answers) == len(CASES), (sent.stderr, came.stderr)
    return answers


def furnish(folder: Path, text: str) -> None:
    (folder / "helpers.py").write_text("def f(): return 5\n")
    (folder / "app.py").write_text(f"import fal\n{textwrap.dedent(text)}")


@pytest.mark.skipif(not PYTHON.exists(), reason="the real package has an environment of its own: make setup-test")
@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{i}-{case[0] or 'quiet'}" for i, case in enumerate(CASES)])
def test_reported_differences_match_the_real_behaviour(
    app_folder: AppFolder, in_the_cloud: list[str], number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, text, answer = CASES[number]
    furnish(app_folder.folder, text)
    monkeypatch.chdir(app_folder.folder)

    reported = app_folder.codes(text) & {case[0] for case in CASES}

    assert reported == ({code} if code else set())
    assert answer in in_the_cloud[number]
