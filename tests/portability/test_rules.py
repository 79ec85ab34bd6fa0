"""Each rule with what it has to find, and with what is near to that and has to stay unsaid."""

from __future__ import annotations

import importlib.metadata
import sys

import pytest

from fal_jupyter.portability.findings import CODES
from tests.portability.app_folder import AppFolder, app

HERE = "/home/ada/models/tiny.bin"
OTHER = "3.12" if sys.version_info[:2] != (3, 12) else "3.13"
NUMPY = f'requirements = ["numpy=={importlib.metadata.version("numpy")}"]'
INPUT = "from pydantic import BaseModel\nclass Input(BaseModel):\n    prompt: str\n"

TALKING = """
import typing
class Hello(fal.App):
    machine_type, keep_alive, app_auth = "S", 60, "private"
    @fal.realtime("/rt")
    async def talk(self, given: dict) -> MODE: ...
"""

SHAPELESS = "from pydantic import BaseModel\nfrom typing import Callable\nclass Answer(BaseModel):\n    then: Callable[[], int]\n"
UNDEPLOYABLE = [
    app(options="host_kwargs = {'keep_alive': 60, 'bogus': 1}"),
    app(options='kind = "conda"'),
    app(options='kind = "container"\napp_files = ["table.csv"]'),
    app().replace("(fal.App)", '(fal.App, kind="container", compile_bytecode=True)'),
    app(options='app_files = ["/etc/passwd"]'),
    app(options='app_files = ["../beside"]'),
    app().replace("(fal.App)", '(fal.App, app_files=["../beside"])'),
    app(head=SHAPELESS).replace("def hi(self):", "def hi(self) -> Answer:"),
    TALKING.replace("MODE", "dict | list"),
]
EXIT = "    async def handle_exit(self):\n        self.ended = True\n"
MIXED_IN = app(head=f"class Ends:\n{EXIT}").replace("(fal.App)", "(Ends, fal.App)")

# (code, severity, the app)
HITS = [
    ("cannot-serve", "fails", "class Hello(fal.App):\n    x = 1\n"),
    *(("cannot-deploy", "fails", text) for text in UNDEPLOYABLE),
    ("app-file-missing", "note", app(options='app_files = ["table.csv", "nothing.csv"]')),
    ("requirement-missing", "fails", app(options='requirements = ["./nofolder"]')),
    ("requirement-missing", "fails", app(options='requirements = ["-r nofile.txt"]')),
    ("requirement-missing", "fails", app(options='requirements = [["numpy"], ["./there/gone.whl"]]')),
    ("captured-heavy", "differs", app("return len(TABLE)", head="TABLE = 'x' * 2_000_000")),
    ("not-picklable", "fails", app("return next(G)", head="G = (n for n in range(3))")),
    ("not-picklable", "fails", app("return LOG.get()", head="import contextvars\nLOG = contextvars.ContextVar('x')")),
    ("computed-once", "differs", app("return DEVICE", head="import os\nDEVICE = os.environ.get('DEVICE', 'cpu')")),
    ("computed-once", "differs", app("return BEGAN", head="from time import time\nBEGAN = round(time())")),
    ("computed-once", "differs", app("return S", head="import random\nS = [random.random() for _ in range(3)]")),
    ("global-state", "note", app("global N\nN += 1\nreturn N", head="N = 0")),
    ("local-module", "fails", app("return helpers.f()", head="import helpers")),
    ("local-module", "fails", app("return f()", head="from helpers import f")),
    ("local-module", "fails", app("import helpers\nreturn helpers.f()")),
    (
        "local-import",
        "fails",
        app("import helpers\nreturn helpers.f()", options='local_python_modules = ["helpers"]'),
    ),
    ("module-missing", "note", app(options='local_python_modules = ["not_there_at_all"]')),
    ("import-missing", "fails", app("import numpy\nreturn numpy.ones(3).sum()")),
    ("import-missing", "fails", app("return float(np.ones(3).sum())", head="import numpy as np")),
    ("import-missing", "fails", app("return float(ones(3).sum())", head="from numpy import ones")),
    ("import-missing", "fails", app("return float(X.sum())", head="import numpy\nX = numpy.ones(3)")),
    ("import-missing", "fails", app("return f(1)", head="import numpy as np\ndef f(x: np.ndarray): return x")),
    ("import-missing", "fails", app("return half(4)", head="def half(n):\n    import numpy\n    return n / 2")),
    ("import-missing", "fails", app("return Image.MAX_IMAGE_PIXELS", head="from PIL import Image", options=NUMPY)),
    ("import-missing", "note", app("import not_installed_x\nreturn 1", options='requirements = ["not-here-y==1"]')),
    (
        "import-missing",
        "note",
        app("return numeric.f()", head="import numeric", options='local_python_modules = ["numeric"]'),
    ),
    (
        "environment-missing",
        "note",
        app("return asking.f()", head="import asking", options='local_python_modules = ["asking"]'),
    ),
    ("requirement-unmet", "note", app(options='requirements = ["numpy==0.1"]')),
    ("requirement-unpinned", "note", app(options='requirements = ["numpy"]')),
    ("python-version", "fails", app().replace("(fal.App)", f'(fal.App, python_version="{OTHER}")')),
    ("absolute-path", "fails", app(f'return open("{HERE}").read()')),
    ("absolute-path", "fails", app('return {"at": MODEL}', head=f'MODEL = "{HERE}"')),
    (
        "absolute-path",
        "fails",
        app("return MODEL.name", head=f'from pathlib import Path\nMODEL = Path("{HERE}")'),
    ),
    ("absolute-path", "fails", app('return open(f"/home/ada/{self.n}.txt").read()')),
    ("absolute-path", "fails", app('return "/Users/ada/model.safetensors"')),
    ("absolute-path", "fails", app(r'return "C:\\models\\a.bin"')),
    ("absolute-path", "differs", app('return open("/app/weights.bin").read()')),
    ("absolute-path", "differs", app('return "/usr/share"', head="")),
    ("data-path", "differs", app('return open("/data/models/x.bin").read()')),
    ("data-path", "differs", app("return AT.exists()", head="from pathlib import Path\nAT = Path('/data')")),
    ("import-missing", "fails", app("return safe_open", head="from safetensors import safe_open")),  # says builtins
    ("home-path", "differs", app('return "~/models"')),
    ("home-path", "differs", app("return str(Path.home())", head="from pathlib import Path")),
    ("missing-file", "fails", app('return open("table.csv").read()')),
    ("missing-file", "fails", app("return open(NAME).read()", head='NAME = "table.csv"')),
    ("missing-file", "fails", app('return Path("data/words.txt").read_text()', head="from pathlib import Path")),
    ("missing-file", "fails", app('return self.model.from_pretrained("data")')),
    (
        "missing-file",
        "fails",
        app("return WORDS.read_text()", head="from pathlib import Path\nWORDS = Path('data/words.txt')"),
    ),
    ("own-file", "fails", app("return __file__")),
    ("local-address", "fails", app('return "http://localhost:11434/api"')),
    ("local-address", "fails", app('return f"http://127.0.0.1:8000/{1}"')),
    ("local-address", "fails", app("return BASE", head='BASE = "redis://:pw@192.168.1.4:6379"')),
    ("local-address", "fails", app('return connect("localhost:5432")', head="def connect(to): return to")),
    ("environment-missing", "fails", app('return os.environ["TOKEN"]', head="import os")),
    ("environment-missing", "fails", app('return environ["NOWHERE"]', head="from os import environ")),
    ("environment-missing", "differs", app('import os\nreturn os.getenv("TOKEN", "none")')),
    ("environment-missing", "fails", app('return os.environ["KEPT"]', head="import os", options="secrets = []")),
    ("environment-missing", "fails", app("return os.environ[NAME]", head='import os\nNAME = "TOKEN"')),
    ("environment-missing", "fails", app('key = "NOWHERE"\nreturn os.environ[key]', head="import os")),
    ("environment-missing", "differs", app("return os.getenv(NAME)", head='import os\nNAME = "TOKEN"')),
    ("environment-missing", "fails", app('return os.environ.pop("TOKEN")', head="import os")),
    ("environment-missing", "differs", app('return os.environ.pop("TOKEN", "")', head="import os")),
    ("secret-missing", "differs", app(options='secrets = ["NOT_SET"]')),
    ("notebook-only", "fails", app("return get_ipython().history_length")),
    ("notebook-only", "fails", app('display("x")\nreturn 1')),
    ("notebook-only", "fails", app('return input("name? ")')),
    ("notebook-only", "fails", app("from IPython.display import HTML\nreturn HTML('')")),
    ("own-package", "fails", app("import fal_jupyter\nreturn fal_jupyter.__version__")),
    ("own-package", "fails", app("return fj.__version__", head="import fal_jupyter as fj")),
    ("own-package", "fails", app(head="from fal_jupyter import fal")),
    ("own-package", "fails", app(head="import fal_jupyter.fal as fal")),
    ("relative-import", "fails", app("from .helpers import f\nreturn f()")),
    ("plain-parameters", "differs", app("return prompt", params=", prompt: str")),
    ("plain-parameters", "differs", app("return steps", params=", steps: int = 30")),
    ("plain-parameters", "differs", app("return x", params=", x")),
    ("picture-returned", "fails", app("return Image.new('RGB', (4, 4))", head="from PIL import Image")),
    ("picture-returned", "fails", app("p = self.pipe(1).images[0]\nreturn {'image': p}")),
    ("picture-returned", "fails", app("from PIL import Image\np = Image.new('L', (2, 2))\nreturn [p.resize((1, 1))]")),
    ("self-logger", "fails", app("self.logger.info('x')\nreturn 1")),
    ("async-handle-exit", "differs", app() + EXIT),
    ("async-handle-exit", "differs", MIXED_IN),
    ("machine-default", "differs", app(options="num_gpus = 1").replace('    machine_type = "S"\n', "")),
    ("machine-local", "fails", app(options='machine_type = "GPU"')),
    ("stream-order", "note", TALKING.replace("MODE", "typing.AsyncIterator[dict]")),
    ("warm-runner", "differs", app().replace("    keep_alive = 60\n", "")),
    ("many-threads", "differs", app(options="max_multiplexing = 64")),
    ("auth-default", "note", app().replace('    app_auth = "private"\n', "")),
    ("open-cors", "note", app(options='app_auth = "public"')),
    ("no-local-effect", "note", app(options='regions = ["us"]\nmetrics_port = 9090')),
    ("ugly-name", "note", app().replace("Hello", "ONNXModel")),
]

# (the code that must not be there, an app that is near to a hit)
MISSES = [
    ("cannot-serve", app()),
    ("cannot-deploy", app(options='host_kwargs = {"keep_alive": 60, "private_logs": True}')),
    ("cannot-deploy", app(options='kind = "container"\ncompile_bytecode = True')),  # a variable of the user's own
    ("cannot-deploy", app().replace("(fal.App)", "(fal.App, compile_bytecode=True)")),
    ("cannot-deploy", app(options='app_files = ["data", "./data/../table.csv"]')),
    ("cannot-deploy", app(options='app_files = ["../beside"]\napp_files_ignore = ["beside"]')),
    ("cannot-deploy", app(head=INPUT, params=", input: Input")),
    ("app-file-missing", app(options='app_files = ["data"]')),
    ("requirement-missing", app(options='requirements = ["./data", "-r table.csv", "numpy"]')),
    ("requirement-missing", app(options='requirements = ["words.txt"]')),  # a package of that name
    ("requirement-missing", app(options='requirements = ["-r words.txt"]\nrequirements_context_dir = "data"')),
    ("captured-heavy", app("return len(TABLE)", head="TABLE = 'x' * 900_000")),
    ("captured-heavy", app("return 1", head="TABLE = 'x' * 2_000_000")),
    ("captured-name", app("return f(WORD)", head="WORD = 'a'\ndef f(x): return x")),  # a file has it all
    ("not-picklable", app("with LOCK: return 1", head="import threading\nLOCK = threading.Lock()")),  # fal makes a new one
    ("not-picklable", app("return LOG.name", head="import logging\nLOG = logging.getLogger(__name__)")),
    ("not-picklable", app("return f(2)", head="import functools\n@functools.lru_cache\ndef f(n): return n")),
    ("computed-once", app("return WORDS", head="import os\nUNUSED = os.getcwd()\nWORDS = ['a', 'b']")),
    ("computed-once", app("return P.pattern", head="import re\nP = re.compile('x')")),
    ("computed-once", app("return NOW()", head="import time\nNOW = lambda: time.time()")),
    ("global-state", app("n = N + 1\nreturn n", head="N = 0")),
    ("local-module", app("return helpers.f()", head="import helpers", options='local_python_modules = ["helpers"]')),
    ("local-module", app("import helpers\nreturn helpers.f()", options='app_files = ["helpers.py"]')),
    ("local-module", app("return json.dumps(1)", head="import json, helpers")),  # imported, not used by the class
    ("local-import", app("return helpers.f()", head="import helpers", options='local_python_modules = ["helpers"]')),
    ("local-import", app("import helpers\nreturn helpers.f()", options='local_python_modules = ["helpers"]\napp_files = ["helpers.py"]')),
    ("module-missing", app(options='local_python_modules = ["helpers"]')),
    ("import-missing", app("import numpy\nreturn numpy.ones(3).sum()", options=NUMPY)),
    ("import-missing", app("import PIL.Image\nreturn 1", options='requirements = ["Pillow"]')),  # by another name
    ("import-missing", app("import pydantic, httpx, starlette, fastapi\nreturn 1")),  # fal brings them
    ("import-missing", app("try:\n    import numpy\nexcept ImportError:\n    pass\nreturn 1")),
    ("import-missing", app("import json, os.path, asyncio\nreturn 1")),
    ("import-missing", app("import jinja2\nreturn 1", options='requirements = ["nbconvert"]')),  # nbconvert needs it
    ("import-missing", app("import thing\nreturn 1", options='requirements = ["git+https://host/me/thing.git@v1"]')),
    ("import-missing", app("import thing\nreturn 1", options='requirements = ["thing @ https://host/thing.whl"]')),
    ("import-missing", app("import numpy\nreturn 1", head="from fal import ContainerImage", options='image = ContainerImage.from_dockerfile_str("FROM x")')),
    ("import-missing", app("return File.__name__", head="from fal.toolkit import File")),
    ("import-missing", app("return numeric.g()", head="import numeric", options=f'local_python_modules = ["numeric"]\n{NUMPY}')),
    ("import-missing", app("return f(1)", head="from __future__ import annotations\nimport numpy as np\ndef f(x: np.ndarray): return x")),
    ("import-missing", app("return 1", head="import numpy")),  # not the class's
    ("import-missing", app("np = 3\nreturn np", head="import numpy as np")),  # a variable of that name
    ("requirement-unmet", app(options=NUMPY)),
    ("requirement-unpinned", app(options=NUMPY)),
    ("requirement-unpinned", app(options='requirements = ["not-here-y"]')),
    ("python-version", app().replace("(fal.App)", '(fal.App, python_version="{}.{}")'.format(*sys.version_info))),
    ("absolute-path", app('return open("/data/models/x.bin").read()')),
    ("absolute-path", app('return open("/tmp/x/y.bin", "w").name')),
    ("absolute-path", app('return client.get("/home/items/3")', head="class client:\n    get = staticmethod(str)")),
    ("absolute-path", app(f'"""As in {HERE}"""\nreturn 1')),
    ("absolute-path", app(f'"{HERE}"\nreturn 1')),
    ("absolute-path", app('return "/v1/chat/completions"')),
    ("absolute-path", app('return "/dev/null", "/usr/bin/env", "/proc/self/status"')),
    ("absolute-path", app().replace('endpoint("/")', f'endpoint("{HERE}")')),
    ("data-path", app('return "/data/items", "/data"')),
    ("data-path", app("return str(FAL_PERSISTENT_DIR / 'x')", head="from fal.toolkit import FAL_PERSISTENT_DIR")),
    ("home-path", app('return "~ 3 items"')),
    ("missing-file", app('return open("table.csv").read()', options='app_files = ["table.csv"]')),
    ("missing-file", app('return open("data/words.txt").read()', options='app_files = ["data"]')),
    ("missing-file", app('open("table.csv", "w").write("x")\nreturn 1')),
    ("missing-file", app('return open("made_later.csv").read()')),
    ("missing-file", app('return "table.csv"')),
    ("missing-file", app('Path("data").mkdir(exist_ok=True)\nreturn 1', head="from pathlib import Path")),
    ("missing-file", app("OUT.mkdir(exist_ok=True)\nreturn 1", head="from pathlib import Path\nOUT = Path('data')")),
    ("missing-file", app('return self.model.from_pretrained("org/some-model")')),
    ("own-file", app("return __name__")),
    ("local-address", app('return "https://example.com/localhost"')),
    ("local-address", app('return serve(host="0.0.0.0", port=1)', head="def serve(host, port): return host")),
    ("local-address", app('import subprocess\nsubprocess.Popen(["x"])\nreturn "http://127.0.0.1:8188"')),
    ("local-address", app('return "http://8.8.8.8/x", "10:30"')),
    ("environment-missing", app('return os.environ["KEPT"]', head="import os")),  # a secret of this machine
    ("environment-missing", app('return os.environ["PATH"], os.environ["FAL_RUNNER_STATE"], os.environ["HF_HOME"]', head="import os")),
    ("environment-missing", app('import os\nos.environ["TOKEN"] = "a"\nreturn os.environ["TOKEN"]')),
    ("environment-missing", app('import os\nos.environ.setdefault("TOKEN", "a")\nreturn os.environ["TOKEN"]')),
    ("environment-missing", app("os.environ[NAME] = 'a'\nreturn os.environ['TOKEN']", head='import os\nNAME = "TOKEN"')),
    ("environment-missing", app("return os.environ[NAME] if NAME in os.environ else 1", head='import os\nNAME = "NOWHERE"')),
    ("environment-missing", app("return os.environ[NAME]", params=", NAME: str", head='import os\nNAME = "TOKEN"')),
    ("environment-missing", app('key = "TOKEN"\nkey += "S"\nreturn os.environ[key]', head="import os")),
    ("environment-missing", app('key = "TOKEN"\nfor key in ("A", "B"): pass\nreturn os.environ[key]', head="import os")),
    ("environment-missing", app('os.environ.pop("TOKEN", None)\nreturn 1', head="import os")),  # taken away, not read
    ("environment-missing", app('return os.environ.pop("NOWHERE", None)', head="import os")),
    ("environment-missing", app('import os\nreturn os.getenv("NOWHERE", "x")')),  # the same here and there
    ("environment-missing", app('import os\nreturn os.environ["NOWHERE"] if "NOWHERE" in os.environ else 1')),
    ("environment-missing", app('import os\ntry:\n    return os.environ["NOWHERE"]\nexcept KeyError:\n    return 1')),
    ("secret-missing", app(options='secrets = ["KEPT"]')),
    ("notebook-only", app('return display("x")', head="def display(x): return x")),
    ("notebook-only", app("return input", params=", input: dict")),
    ("notebook-only", app("return self.input(1)")),
    ("own-package", app("return 1", head="import fal_jupyter")),
    ("relative-import", app("from os.path import join\nreturn join('a')")),
    ("plain-parameters", app("return input.prompt", head=INPUT, params=", input: Input")),
    ("plain-parameters", app("return n", head=INPUT, params=", input: Input, n: int = 1")),  # as on fal
    ("plain-parameters", app("return n", head="from fastapi import Query", params=", n: int = Query(1)")),
    ("plain-parameters", app("return k", params=", k: int").replace('"/"', '"/i/{k}"')),
    ("plain-parameters", app("return 1", head="from fastapi import Request", params=", request: Request")),
    ("plain-parameters", app("return items", params=", items: list[int]")),  # a body
    ("plain-parameters", app()),
    ("picture-returned", app("p = Image.new('L', (2, 2))\nreturn p.size", head="from PIL import Image")),
    ("picture-returned", app("p = make()\nreturn p", head="def make(): return 1")),
    ("picture-returned", app("p = self.pipe(1).images[0]\np = str(p)\nreturn p")),
    ("picture-returned", app("return input['images'][0]", params=", input: dict")),
    ("self-logger", app("self.logger = 1\nreturn self.logger")),
    ("self-logger", app("return self.logger", options="logger = None")),
    ("self-logger", app("return self.other.logger")),
    ("async-handle-exit", app() + EXIT.replace("async ", "") + EXIT.replace("handle_exit", "teardown")),
    ("async-handle-exit", MIXED_IN.replace("(Ends, fal.App)", "(fal.App)")),
    ("machine-default", app()),
    ("machine-local", app(options='machine_type = ["GPU-H100", "GPU-A100"]')),
    ("stream-order", TALKING.replace("MODE", "dict")),
    ("warm-runner", app().replace("keep_alive = 60", "min_concurrency = 0")),
    ("many-threads", app(options="max_multiplexing = 40")),
    ("many-threads", app(options="max_multiplexing = 64").replace("def hi", "async def hi")),
    ("auth-default", app()),
    ("open-cors", app(options='app_auth = "shared"')),
    ("no-local-effect", app(options="request_timeout = 5")),
    ("ugly-name", app().replace("Hello", "OnnxModel")),
    ("ugly-name", app(options='app_name = "onnx"').replace("Hello", "ONNXModel")),
]  # fmt: skip
OF_NOTEBOOKS = {"run-option", "captured-name", "environment-set"}  # tests/notebook/test_doctor.py
SET_HERE = {"secrets": frozenset({"KEPT"}), "environ": {"TOKEN": "x", "PATH": "/bin", "KEPT": "y"}}


@pytest.fixture
def furnished(app_folder: AppFolder) -> AppFolder:
    app_folder.write("helpers.py", "def f(): return 5\n")
    app_folder.write("numeric.py", "import numpy\ndef f(): return numpy.ones(1)\ndef g(): return 1\n")
    app_folder.write("asking.py", "import os\ndef f(): return os.environ['TOKEN']\n")
    app_folder.write("table.csv", "a,b\n")
    app_folder.write("data/words.txt", "word\n")
    return app_folder


@pytest.mark.filterwarnings("ignore:.* is not an option of fal.App")
@pytest.mark.parametrize(("code", "severity", "text"), HITS, ids=[f"{i}-{hit[0]}" for i, hit in enumerate(HITS)])
def test_it_is_found(furnished: AppFolder, code: str, severity: str, text: str) -> None:
    found = [finding for finding in furnished.examine(text, **SET_HERE) if finding.code == code]

    assert [finding.severity for finding in found] == [severity], found
    (finding,) = found
    assert finding.where.startswith(("app.py:", "numeric.py:", "asking.py:")), finding
    assert int(finding.where.partition(":")[2]) > 1
    assert "\n" not in finding.message + finding.instead
    assert finding.instead or code in ("no-local-effect", "open-cors", "cannot-serve")


@pytest.mark.parametrize(("code", "text"), MISSES, ids=[f"{i}-{miss[0]}" for i, miss in enumerate(MISSES)])
def test_similar_harmless_code_is_not_reported(furnished: AppFolder, code: str, text: str) -> None:
    assert code not in furnished.codes(text, **SET_HERE)


def test_every_code_has_a_hit_and_a_near_miss() -> None:
    assert {hit[0] for hit in HITS} | OF_NOTEBOOKS == set(CODES)
    assert {miss[0] for miss in MISSES} | OF_NOTEBOOKS == set(CODES)


def test_all_unmet_requirements_are_one_note_and_settings_of_the_installer_are_none(furnished: AppFolder) -> None:
    options = 'requirements = [["--pre", "-f", "https://x.test/w.html"], ["not-here-a", "numpy", "not-here-b>=2", "not-here-c"]]'

    notes = [f for f in furnished.examine(app(options=options)) if f.code == "requirement-unmet"]

    (note,) = notes
    assert note.message == (
        "not-here-a is required, but not-here-a is not installed here, and 2 more; "
        "here its runners get an isolated environment, as in the cloud"
    )


def test_of_a_package_only_what_the_class_leads_to_is_examined(app_folder: AppFolder) -> None:
    """A package of examples, one app a file (fal's own demos): the other apps' imports are none of this one's."""
    app_folder.write("demos/__init__.py")
    app_folder.write("demos/used.py", "from . import deeper\n\ndef f():\n    return deeper.g()\n")
    app_folder.write("demos/deeper.py", "def g():\n    import of_the_deeper_one\n")
    app_folder.write("demos/lazy.py", "from demos.far import i\n\ndef h():\n    import of_the_lazy_one\n")
    app_folder.write("demos/far.py", "def i():\n    import of_the_far_one\n")
    app_folder.write("demos/other.py", "def h():\n    import of_another_app\n")
    text = app(
        "from demos.lazy import h\nreturn used.f()",
        head="from demos import used",
        options='local_python_modules = ["demos"]',
    )
    message = " ".join(finding.message for finding in app_folder.examine(text))
    assert "of_the_deeper_one" in message
    assert "of_the_lazy_one" in message
    assert "of_the_far_one" in message
    assert "of_another_app" not in message


def test_what_a_module_clones_is_not_missing_in_another_one(app_folder: AppFolder) -> None:
    app_folder.write("kit/__init__.py")
    app_folder.write(
        "kit/fetch.py",
        "import fal.toolkit\n\ndef get():\n    fal.toolkit.clone_repository('https://example.com/x.git')\n",
    )
    app_folder.write("kit/use.py", "def go():\n    import cloned_package\n")
    text = app(
        "fetch.get(); return use.go()", head="from kit import fetch, use", options='local_python_modules = ["kit"]'
    )
    assert "import-missing" not in app_folder.codes(text)


def test_an_app_may_connect_to_a_program_that_one_of_its_modules_starts(app_folder: AppFolder) -> None:
    app_folder.write("comfy.py", "import subprocess\n\ndef start():\n    subprocess.Popen(['comfy'])\n")
    text = app('return "http://127.0.0.1:8188"', head="import comfy", options='local_python_modules = ["comfy"]')
    assert "local-address" not in app_folder.codes(text)
    assert "local-address" in app_folder.codes(app('return "http://127.0.0.1:8188"'))
