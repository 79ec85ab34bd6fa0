"""Every public module and name of the real package: it is there, or one sentence says that it is not; never a bare error."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parity.test_parity import ROOT
from tests.support.real_fal import PYTHON

LIST = """
import importlib, json, pkgutil, types, warnings
warnings.simplefilter("ignore")
import fal

def names(module):
    given = getattr(module, "__all__", None)
    if given is not None:
        return sorted(given)
    return sorted(
        name for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
        and str(getattr(value, "__module__", module.__name__)).split(".")[0] == "fal"
    )

found = {"fal": names(fal)}
for module in pkgutil.walk_packages(fal.__path__, "fal.", onerror=lambda name: None):
    if not any(part.startswith("_") for part in module.name.split(".")):
        try:
            found[module.name] = names(importlib.import_module(module.name))
        except ImportError:  # it needs torch or transformers
            found[module.name] = []
print(json.dumps(found))
"""
WALK = """
import json, sys, warnings
warnings.simplefilter("ignore")
import fal_jupyter.fal
fal_jupyter.fal.install()

def outcome_of(code):
    try:
        exec(code, {})
        return "there"
    except (ImportError, AttributeError) as error:
        return f"{'ImportError' if isinstance(error, ImportError) else 'AttributeError'}: {getattr(error, 'message', error)}"

out = {}
for module, names in json.load(sys.stdin).items():
    out[f"import {module}"] = outcome_of(f"import {module}")
    for name in names:
        out[f"from {module} import {name}"] = outcome_of(f"from {module} import {name}")
        out[f"{module}.{name}"] = outcome_of(f"import {module}\\n{module}.{name}")
print(json.dumps(out))
"""
SENTENCE = re.compile(r"(ImportError|AttributeError): fal_jupyter does not have fal[\w.]*( yet)?")


@pytest.fixture(scope="module")
def outcomes() -> dict[str, str]:
    assert PYTHON.exists(), f"{PYTHON} is missing: `make test` creates the environment of the real fal"
    listed = subprocess.run([PYTHON, "-c", LIST], cwd="/", capture_output=True, text=True, check=True, timeout=300)
    walked = subprocess.run(
        [sys.executable, "-c", WALK], input=listed.stdout, cwd=ROOT, capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert walked.returncode == 0, walked.stderr[-3000:]
    found: dict[str, str] = json.loads(walked.stdout)
    return found


def test_each_name_exists_or_raises_one_sentence(outcomes: dict[str, str]) -> None:
    assert len(outcomes) > 1500
    bare = {
        code: outcome for code, outcome in outcomes.items() if outcome != "there" and not SENTENCE.fullmatch(outcome)
    }
    assert not bare


def test_what_public_apps_import_is_there(outcomes: dict[str, str]) -> None:
    codes = [
        "from fal import App", "from fal import ContainerImage", "from fal.app import App", "from fal.container import ContainerImage",
        "from fal.toolkit import File", "from fal.toolkit import download_model_weights", "from fal.toolkit.image import Image",
        "from fal.flags import FAL_RUN_HOST", "from fal.sdk import RetryConfig", "from fal.exceptions import FieldException",
    ]  # fmt: skip
    assert {code: outcomes[code] for code in codes} == dict.fromkeys(codes, "there")


def test_an_unknown_name_is_reported_in_the_same_way() -> None:
    code = (
        "import fal_jupyter.fal as ours; ours.install(); import fal, fal.sdk\n"
        "assert not hasattr(fal, 'nope') and not hasattr(fal.sdk, 'nope')\n"
        "for line in ('from fal import nope', 'from fal.sdk import nope', 'import fal.nope', 'from fal.nope import x', 'from fal.toolkit.nowhere import x',\n"
        "             'import fal; fal.nope', 'import fal; fal.sdk.nope', 'import fal; fal.api.nope', 'import fal.api.api', 'from fal.sdk import get_default_credentials'):\n"
        "    try: exec(line, {})\n"
        "    except (ImportError, AttributeError) as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path("/"), capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == [
        "ImportError fal_jupyter does not have fal.nope",
        "ImportError fal_jupyter does not have fal.sdk.nope",
        "ModuleNotFoundError fal_jupyter does not have fal.nope",
        "ModuleNotFoundError fal_jupyter does not have fal.nope",
        "ModuleNotFoundError fal_jupyter does not have fal.toolkit.nowhere",
        "ComesLater fal_jupyter does not have fal.nope",
        "ComesLater fal_jupyter does not have fal.sdk.nope",
        "ComesLater fal_jupyter does not have fal.api.nope",
        "ModuleNotFoundError fal_jupyter does not have fal.api.api",
        "ImportError fal_jupyter does not have fal.sdk.get_default_credentials",
    ], done.stderr
