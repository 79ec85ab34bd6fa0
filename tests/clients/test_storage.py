"""``fal_client``'s uploads, as installed, against the gateway."""

from __future__ import annotations

import base64
import hashlib
import io
import os
from contextlib import nullcontext
from pathlib import Path

import fal_client
import httpx
import pytest
from PIL import Image

from tests.support.serve import Served

Client = fal_client.SyncClient
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # fal_client never closes what it uploads by


@pytest.mark.parametrize("repository", ["fal_v3", "cdn", "fal"])
def test_upload_gives_an_address_that_serves_the_bytes(client: Client, many: Served, repository: str) -> None:
    with pytest.warns(DeprecationWarning, match="cdn") if repository == "cdn" else nullcontext():
        url = client.upload(bytes(range(256)), "image/x-mine", "a b.bin", repository=repository)
    served = httpx.get(url)

    assert url.startswith(f"{many.ready['base']}/cdn/")
    assert (served.status_code, served.content) == (200, bytes(range(256)))
    assert served.headers["content-type"] == "image/x-mine"


def test_upload_takes_text(client: Client) -> None:
    assert httpx.get(client.upload("é漢🎈", "text/plain")).text == "é漢🎈"


def test_upload_file_takes_type_and_name_of_the_file(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "picture é.png"
    path.write_bytes(b"\x89PNG")
    served = httpx.get(client.upload_file(path))

    assert (served.content, served.headers["content-type"]) == (b"\x89PNG", "image/png")


def test_upload_image_serves_a_picture(client: Client) -> None:
    served = httpx.get(client.upload_image(Image.new("RGB", (8, 4), "red"), "png"))

    assert served.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(served.content)).size == (8, 4)


def test_a_range_of_a_file_can_be_requested(client: Client) -> None:
    url = client.upload(b"0123456789", "text/plain")
    part = httpx.get(url, headers={"Range": "bytes=2-4"})

    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")


def test_an_uploaded_file_is_read_by_a_model_without_a_key(client: Client, app: str) -> None:
    url = client.upload(b"input of a model", "text/plain")

    assert client.run(app, {"url": url}, path="/fetch") == {
        "length": 16,
        "type": "text/plain",
        "text": "input of a model",
    }


def test_a_data_address_is_an_input_as_well(client: Client, app: str) -> None:
    url = fal_client.encode(b"inline", "text/plain")

    assert url == f"data:text/plain;base64,{base64.b64encode(b'inline').decode()}"
    assert client.run(app, {"url": url}, path="/fetch")["text"] == "inline"


def test_a_lifetime_is_accepted_and_the_url_cannot_be_guessed(client: Client) -> None:
    settings = fal_client.StorageSettings(expires_in="1h")
    first, second = (client.upload(b"the same", "text/plain", lifecycle=settings) for _ in range(2))

    assert first != second
    assert httpx.get(first).content == b"the same"


def test_a_private_upload_needs_a_key_and_no_model_reads_it_for_others(client: Client, app: str, many: Served) -> None:
    private = fal_client.StorageSettings(initial_acl=fal_client.StorageACL(default="forbid"))
    url = client.upload(b"private", "text/plain", lifecycle=private)

    assert httpx.get(url).status_code == 403
    assert httpx.get(url, headers={"Authorization": f"Key {many.ready['key']}"}).content == b"private"
    with pytest.raises(fal_client.FalClientHTTPError):
        client.run(app, {"url": url}, path="/fetch")


def test_more_than_a_hundred_mebibytes_go_in_parts(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    block = os.urandom(1 << 20)
    with path.open("wb") as file:
        for _ in range(100):
            file.write(block)
        file.write(b"seven b")
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    url, digest = client.upload_file(path), hashlib.sha256()
    with httpx.stream("GET", url) as served:
        for chunk in served.iter_bytes():
            digest.update(chunk)

    assert served.headers["content-length"] == str((100 << 20) + 7)
    assert digest.hexdigest() == expected


def test_a_caller_without_a_key_cannot_upload(many: Served) -> None:
    base = many.ready["base"]
    for path in (
        "/rest/storage/auth/token?storage_type=fal-cdn-v3",
        "/rest/storage/upload/initiate?storage_type=gcs",
        "/cdn/files/upload",
    ):
        assert httpx.post(base + path, json={}).status_code in (401, 403), path
