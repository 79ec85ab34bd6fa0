"""What an image brings, and what code tries before it uses it, is no finding."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from fal_jupyter.portability.image import read_dockerfile
from tests.portability.app_folder import AppFolder, app

DOCKERFILE = """
# syntax=docker/dockerfile:1
ARG PLACE=/srv/models
ARG VERSION
FROM python:3.11 AS base
ENV SHARED=1
FROM debian AS other
ENV OTHERS=1
COPY only /lost/and/found
FROM base
ENV ONE=1 TWO="a b" \\
    # a comment
    THREE=$PLACE/three
ENV OLD style of it
WORKDIR /comfy/ui
RUN <<EOF
git clone https://example.test/x /workspace/repo
ENV NOT=1
EOF
COPY --chown=1:1 a.json ${PLACE:-/none}/a-${VERSION}.json
"""


def test_a_dockerfile_is_read_as_docker_reads_it() -> None:
    image = read_dockerfile(DOCKERFILE, {"VERSION": "7"})

    assert image.variables == {"SHARED", "ONE", "TWO", "THREE", "OLD"}
    for path in ("/srv/models/three", "/comfy/ui/models/x", "/workspace/repo", "/workspace", "/srv/models/a-7.json"):
        assert image.has(PurePosixPath(path)), path
    for path in ("/lost/and/found", "/none/a", "/usr/share/x", "/example.test/x"):
        assert not image.has(PurePosixPath(path)), path


IMAGE = """
from fal.container import ContainerImage
from pathlib import Path
IMAGE = ContainerImage.from_dockerfile(Path(__file__).parent / "Dockerfile")
"""


def test_variables_and_paths_of_an_image_are_no_findings(app_folder: AppFolder) -> None:
    app_folder.write("Dockerfile", f"FROM x\nENV MODEL=/models/one TOKEN_FILE=a\nCOPY . {app_folder.folder}/copied\n")
    (app_folder.folder / "copied").mkdir()
    body = 'import os; return [os.environ["MODEL"], open("/models/one/a"), open("/base/file"), open("{0}/copied/x")]'
    assert app_folder.codes(app(body.format(app_folder.folder), head=IMAGE, options="image = IMAGE")) <= {
        "computed-once",
        "no-local-effect",
    }

    found = app_folder.examine(app('import os; return os.environ["ELSE"]', head=IMAGE, options="image = IMAGE"))
    [missing] = [one for one in found if one.code == "environment-missing"]
    assert missing.severity == "differs"
    assert "unless the base of the image sets it" in missing.message


@pytest.mark.parametrize(
    "body",
    [
        'places = [Path(__file__).parent / "x", Path("/opt/there/x")]; return [p for p in places if p.exists()]',
        'here = Path(__file__).parent / "x"; return here.read_text() if here.is_file() else ""',
        "return open(__file__) if os.path.exists(__file__) else None",
        "for p in (os.path.dirname(__file__), FOLDER):\n            if os.path.isdir(p): return p",
    ],
)
def test_paths_that_are_tried_are_no_findings(app_folder: AppFolder, body: str) -> None:
    head = f"import os\nfrom pathlib import Path\nFOLDER = {str(app_folder.folder)!r}"
    assert app_folder.codes(app(body, head=head)) <= {"import-missing"}


@pytest.mark.parametrize(
    "body",
    [
        'here = Path(__file__).parent / "x"; return here.read_text() if Path("y").exists() else ""',
        "return [open(__file__)]",
    ],
)
def test_paths_that_are_not_tried_are(app_folder: AppFolder, body: str) -> None:
    assert "own-file" in app_folder.codes(app(body, head="from pathlib import Path"))


@pytest.mark.parametrize(
    "body",
    [
        'clone_repository("https://example.test/a.git", commit_hash="0", include_to_path=True); import of_the_clone',
        'import sys; sys.path.append("/data/repo"); import of_the_clone',
        'import subprocess; subprocess.run(["pip", "install", "x"]); import of_the_clone',
        'import os; os.system("git clone https://example.test/a"); from of_the_clone.deep import x',
    ],
)
def test_packages_that_the_code_brings_are_no_findings(app_folder: AppFolder, body: str) -> None:
    assert "import-missing" not in app_folder.codes(app(body, head="from fal.toolkit import clone_repository"))
    assert "import-missing" in app_folder.codes(
        app(f"{body}; import numpy", head="from fal.toolkit import clone_repository")
    )


def test_packages_that_nothing_brings_are(app_folder: AppFolder) -> None:
    assert "import-missing" in app_folder.codes(app("import of_the_clone"))


def test_folders_of_the_toolkit_are_no_paths_of_this_machine(app_folder: AppFolder) -> None:
    body = 'return open(FAL_PERSISTENT_DIR / "x"), os.environ["HF_HOME"]'
    assert app_folder.codes(app(body, head="import os\nfrom fal.toolkit import FAL_PERSISTENT_DIR")) == set()


def test_a_file_named_as_a_package_means_the_package(app_folder: AppFolder) -> None:
    codes = app_folder.codes(app("import app", options="requirements = ['app==1.0']"))
    assert "local-module" not in codes


def test_a_module_beside_the_file_may_be_in_the_image(app_folder: AppFolder) -> None:
    app_folder.write("Dockerfile", "FROM x\n")
    app_folder.write("beside_it.py", "A = 1\n")
    found = app_folder.examine(app("import beside_it; return beside_it.A", head=IMAGE, options="image = IMAGE"))
    assert [one.severity for one in found if one.code == "local-module"] == ["note"]
    assert "local-module" in app_folder.codes(app("import beside_it; return beside_it.A"))
