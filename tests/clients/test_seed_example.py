"""fal's own complete example, as its documentation has it to the letter, on two fake GPUs, asked by the real client."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fal_client
import pytest
from PIL import Image

from tests.support.serve import Served, command, served
from tests.support.state import state_directory

HERE = Path(__file__).parent
Clients = Callable[[str, str], fal_client.SyncClient]
VERSIONS = {"torch": "2.1.0", "transformers": "4.35.0", "diffusers": "0.24.0", "accelerate": "0.25.0"}


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    place = tmp_path_factory.mktemp("example")
    shutil.copytree(HERE / "standins", place / "installed")
    for name, version in VERSIONS.items():
        about = place / "installed" / f"{name}-{version}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    shutil.copy(HERE / "seed_example.txt", place / "example.py")
    (place / "custom_pipeline.py").write_text("STEPS = 30\n")
    env = {
        "FAL_JUPYTER_FAKE_GPUS": "1x80GiB:H100,1x141GiB:H200",
        "XDG_RUNTIME_DIR": str(tmp_path_factory.mktemp("run")),  # the claims of this test's devices
        "PYTHONPATH": os.pathsep.join(filter(None, [str(place / "installed"), os.environ.get("PYTHONPATH")])),
    }
    with state_directory() as state, served(state, f"{place / 'example.py'}::ImageGenerationApp", env=env) as app:
        yield app


def test_it_answers_the_real_client_called_with_the_json_of_its_parameters(example: Served, client_of: Clients) -> None:
    key = json.loads(command(example.state, "keys", "create", "--json").stdout)["key"]  # shared: any valid key
    client = client_of(example.ready["base"], key)
    assert example.ready["app"].endswith("/stable-diffusion-xl")
    asked = {"prompt": "a lighthouse at dusk", "negative_prompt": "fog", "steps": 4, "width": 64, "height": 48}
    for answer in (
        client.run(example.ready["app"], arguments=asked, path="/generate"),
        client.subscribe(example.ready["app"], arguments=asked, path="/generate"),
    ):
        picture = Image.open(io.BytesIO(base64.b64decode(answer.pop("image"))))
        assert picture.size == (64, 48)
        assert picture.getpixel((0, 0)) == (20, 3, 4)
        assert answer == {"content_type": "image/png", "width": 64, "height": 48}
    assert client.run(example.ready["app"], arguments={}, path="/health") == {"status": "healthy", "model": "sdxl"}
    with pytest.raises(fal_client.FalClientHTTPError) as raised:
        client.run(example.ready["app"], arguments={"steps": 4}, path="/generate")
    assert raised.value.status_code == 422
    with pytest.raises(fal_client.FalClientHTTPError) as raised:
        client_of(example.ready["base"], key[:-1]).run(example.ready["app"], arguments=asked)
    assert raised.value.status_code == 401


def test_a_spare_runner_comes_up_beside_the_one_that_works_and_each_has_its_device(
    example: Served, client_of: Clients
) -> None:
    client = client_of(example.ready["base"], example.ready["key"])
    asked = {"prompt": "x", "width": 400, "height": 300}
    enough = threading.Event()

    def go_on_calling() -> int:
        answered = 0
        while not enough.is_set():
            assert client.run(example.ready["app"], asked, path="/generate")["width"] == 400
            answered += 1
        return answered

    with ThreadPoolExecutor(1) as pool:
        calling = pool.submit(go_on_calling)
        try:
            deadline = time.monotonic() + 60
            while True:
                runners = json.loads(command(example.state, "runners", "--json").stdout)
                if len(runners) == 2 and {runner["state"] for runner in runners} <= {"IDLE", "RUNNING"}:
                    break
                explained = command(example.state, "scale", "stable-diffusion-xl", "--explain").stdout
                assert time.monotonic() < deadline, explained
        finally:
            enough.set()
        assert calling.result() > 0
    assert sorted(device for runner in runners for device in runner["devices"]) == ["FAKE-GPU-0", "FAKE-GPU-1"]
