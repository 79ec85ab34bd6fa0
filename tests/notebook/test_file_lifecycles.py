"""What callers ask of a file's life and readers, and weights that are fetched once: from a cell to the files of the state directory."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import httpx
import pytest

from tests.support.kernel import Kernel

APP = """%%fal_app
from fal.toolkit import File, download_file, download_model_weights
from fastapi import Request

class Pictures(fal.App):
    @fal.endpoint("/file")
    def file(self, text: str) -> File:
        return File.from_bytes(text.encode(), file_name="a b.txt")

    @fal.endpoint("/given")
    def given(self, request: Request) -> list[File]:
        return [File.from_bytes(b"of the request", file_name="a.txt", request=request), File.from_bytes(b"of the app", file_name="b.txt")]

    @fal.endpoint("/weights")
    def weights(self, url: str) -> dict:
        path = download_model_weights(url)
        return {"path": str(path), "text": path.read_text()}

    @fal.endpoint("/read")
    def read(self, url: str) -> str:
        return download_file(url, "downloads", force=True).read_text()
"""


UNSAID = 30 * 86400  # seconds that a file is kept where nobody says how long


@pytest.fixture(scope="module")
def pictures(notebook: Kernel) -> Kernel:
    notebook.run(APP).ok()
    return notebook


@pytest.mark.parametrize(
    ("wish", "lifetime", "access", "status"),
    [
        (None, UNSAID, "allow", 200),
        ('{"expiration_duration_seconds": 3600}', 3600, "allow", 200),
        ('{"expiration_duration_seconds": 60, "initial_acl": {"default": "hide"}}', 60, "hide", 404),
        (
            '{"initial_acl": {"default": "forbid", "rules": [{"user": "x", "decision": "allow"}]}}',
            UNSAID,
            "forbid",
            403,
        ),
        ('{"expiration_duration_seconds": -5, "initial_acl": {"default": "secret"}}', UNSAID, "forbid", 403),
        ("{bad", UNSAID, "allow", 200),
        ("[" * 3000, UNSAID, "allow", 200),
    ],
)
def test_a_requested_lifecycle_applies_to_the_files_of_the_answer(
    pictures: Kernel, state: Path, wish: str | None, lifetime: float, access: str, status: int
) -> None:
    headers = {"x-fal-object-lifecycle-preference": wish} if wish is not None else {}
    cell = pictures.run(
        f"files = Pictures.submit(headers={headers!r}).given().get()\n"
        "import fal_jupyter, json; print(json.dumps([[f.url for f in files], fal_jupyter.app(Pictures).key]))"
    ).ok()
    urls, key = json.loads(cell.text.splitlines()[-1])
    for url, text in zip(urls, (b"of the request", b"of the app"), strict=True):
        record = json.loads((state / "files" / "records" / f"{url.split('/')[-2]}.json").read_text())
        assert record["access"] == access
        assert record["expires"] - record["created"] == pytest.approx(lifetime)
        assert httpx.get(url).status_code == status
        assert httpx.get(url, headers={"authorization": f"Key {key}"}).content == text


def test_a_file_that_is_not_public_is_read_by_no_app(pictures: Kernel) -> None:
    wish = {"x-fal-object-lifecycle-preference": '{"initial_acl": {"default": "forbid"}}'}
    failed = pictures.run(f"file = Pictures.submit(headers={wish!r}).given().get()[0]\nPictures.read(file.url)")
    assert "DownloadError: Failed to get remote file properties for http://127.0.0.1:" in failed.evalue


def test_weights_are_fetched_once_for_each_address(pictures: Kernel, state: Path) -> None:
    cell = pictures.run(
        "file = Pictures.file('the weights')\nfirst = Pictures.weights(file.url)\nprint(first['path'], first['text'])"
    ).ok()
    path, text = cell.text.strip().splitlines()[-1].split(" ", 1)
    url = pictures.run("print(file.url)").ok().text.strip()
    digest = hashlib.sha256(url.encode()).hexdigest()
    assert Path(path) == state / "data" / ".fal" / "model_weights" / digest / "a%20b.txt"
    assert text == "the weights"
    (state / "files" / "records" / f"{url.split('/')[-2]}.json").unlink()  # it is not asked for again
    Path(path).write_text("changed by hand")
    assert "changed by hand" in pictures.run("print(Pictures.weights(file.url))").ok().text
    other = pictures.run(
        "other = Pictures.weights(Pictures.file('others').url)\nprint(other['path'], other['text'])"
    ).ok()
    assert digest not in other.text
    assert other.text.strip().endswith("others")
