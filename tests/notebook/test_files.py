"""Files and pictures of the toolkit, from a cell to a runner and back, and as URLs for everybody else."""

from __future__ import annotations

import base64
import io
import json
import urllib.request
from pathlib import Path

import pytest
from PIL import Image as Pillow

from tests.support.kernel import Cell, Kernel

APP = """%%fal_app
from fal.toolkit import Image, File, KVStore, FAL_PERSISTENT_DIR, download_file
from pathlib import Path
from PIL import Image as Pillow
from pydantic import BaseModel

class Made(BaseModel):
    images: list[Image]
    best: Image | None = None
    seed: int = 1

class Pictures(fal.App):
    @fal.endpoint("/model")
    def model(self) -> Made:
        return Made(images=[Image.from_pil(Pillow.new("RGB", (width, 2))) for width in (3, 4)])

    @fal.endpoint("/displayed")
    def displayed(self) -> Made:
        from IPython.display import display
        drawn = Pillow.effect_noise((6, 2), 50)
        made = [Image.from_pil(drawn), Image.from_pil(Pillow.effect_noise((7, 2), 50)), Image.from_pil(Pillow.effect_noise((6, 2), 50))]
        display(drawn, made[1])
        return Made(images=made)

    @fal.endpoint("/image")
    def paint(self, width: int = 8) -> Image:
        return Image.from_pil(Pillow.new("RGB", (width, 4), (255, 0, 0)))

    @fal.endpoint("/images")
    def images(self) -> dict:
        return {"images": [Image.from_pil(Pillow.new("RGB", (3, 2)), format="jpeg")], "seed": 1}

    @fal.endpoint("/pil")
    def pil(self):
        return {"made": [Pillow.new("RGB", (5, 6))]}

    @fal.endpoint("/size")
    def size(self, image: Image) -> list:
        return list(image.to_pil().size)

    @fal.endpoint("/file")
    def file(self, text: str) -> File:
        return File.from_bytes(text.encode(), file_name="a b.txt")

    @fal.endpoint("/path")
    def path(self, text: str) -> File:
        place = Path(FAL_PERSISTENT_DIR) / "made"
        place.mkdir(parents=True, exist_ok=True)
        (place / "x.bin").write_text(text)
        return File.from_path(place / "x.bin")

    @fal.endpoint("/read")
    def read(self, url: str) -> str:
        return download_file(url, "downloads", force=True).read_text()

    @fal.endpoint("/sound")
    def sound(self) -> dict:
        made = File.from_bytes(b"RIFF", content_type="audio/wav", file_name="tone.wav")
        return {"audio": made.model_dump(), "film": {"url": made.url, "content_type": "video/none\\"><script>"}}

    @fal.endpoint("/count")
    def count(self) -> int:
        store = KVStore("counter")
        number = int(store.get("n") or 0) + 1
        store.set("n", str(number), ttl=60)
        return number
"""


@pytest.fixture(scope="module")
def pictures(notebook: Kernel) -> Kernel:
    notebook.run(APP).ok()
    return notebook


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=20) as answer:
        found: bytes = answer.read()
    return found


def test_a_picture_shows_under_the_cell_and_is_a_url_for_everybody_else(pictures: Kernel) -> None:
    cell = pictures.run(
        "made = Pictures.paint()\nprint(made.url, made.width, made.height, made.content_type)\nmade"
    ).ok()
    url, width, height, kind = cell.text.split()
    assert (width, height, kind) == ("8", "4", "image/png")
    assert Pillow.open(io.BytesIO(fetched(url))).size == (8, 4)
    (result,) = [output for output in cell.outputs if output["output_type"] == "execute_result"]
    assert Pillow.open(io.BytesIO(base64.b64decode(result["data"]["image/png"]))).size == (8, 4)
    assert result["metadata"] == {"image/png": {"alt": "picture, 8 × 4"}}  # nbconvert's classic template reads it


def test_pictures_in_a_plain_answer_show_as_well(pictures: Kernel) -> None:
    cell = pictures.run("answer = Pictures.images()").ok()
    (shown,) = [output["data"] for output in cell.outputs if "image/jpeg" in output.get("data", {})]
    assert Pillow.open(io.BytesIO(base64.b64decode(shown["image/jpeg"]))).size == (3, 2)


def shown_pictures(cell: Cell) -> list[tuple[int, int]]:
    shown = [output for output in cell.outputs if "image/png" in output.get("data", {})]
    assert all(output["metadata"]["image/png"]["alt"].startswith("picture") for output in shown)
    bundles = [output["data"] for output in shown]
    return [Pillow.open(io.BytesIO(base64.b64decode(data["image/png"]))).size for data in bundles]


def test_pictures_in_a_model_show_as_well_and_each_once(pictures: Kernel) -> None:
    assert shown_pictures(pictures.run("Pictures.model()").ok()) == [(3, 2), (4, 2)]
    assert shown_pictures(pictures.run("Pictures.paint(width=7)").ok()) == [(7, 4)]
    assert shown_pictures(pictures.run("Pictures.paint.map([5, 6])").ok()) == [(5, 4), (6, 4)]


def test_a_picture_of_an_answer_that_the_cell_ends_with_shows_once(pictures: Kernel) -> None:
    assert shown_pictures(pictures.run("made = Pictures.model()\nmade.images[0]").ok()) == [(3, 2), (4, 2)]
    assert shown_pictures(pictures.run("made = Pictures.model()\nmade.images[0];").ok()) == [(3, 2), (4, 2)]


def test_a_picture_that_is_displayed_by_hand_shows_once(pictures: Kernel) -> None:
    display = "made = Pictures.model()\ndisplay(made.images[0])\n"
    assert shown_pictures(pictures.run(display).ok()) == [(3, 2), (4, 2)]
    assert shown_pictures(pictures.run(f"{display}display(made.images[0])").ok()) == [(3, 2), (3, 2), (4, 2)]
    by_endpoint = pictures.run("made = Pictures.displayed()").ok().outputs
    shown = [output["data"]["image/png"] for output in by_endpoint if "image/png" in output.get("data", {})]
    assert [Pillow.open(io.BytesIO(base64.b64decode(data))).size for data in shown] == [(6, 2), (7, 2), (6, 2)]
    assert len(set(shown)) == 3


def test_a_sound_has_a_player_under_the_cell(pictures: Kernel) -> None:
    cell = pictures.run("heard = Pictures.sound()").ok()
    players = [output["data"] for output in cell.outputs if "<audio" in output.get("data", {}).get("text/html", "")]
    (player,) = players
    assert 'src="data:audio/wav;base64,UklGRg=="' in player["text/html"]
    assert player["text/plain"].endswith("tone.wav")
    assert "<script" not in str(cell.outputs)


def test_a_pil_picture_that_is_returned_becomes_a_file(pictures: Kernel) -> None:
    cell = pictures.run("import json; print(json.dumps(Pictures.pil()))").ok()
    file = json.loads(cell.text)["made"][0]
    assert (file["content_type"], file["width"], file["height"]) == ("image/png", 5, 6)
    assert Pillow.open(io.BytesIO(fetched(file["url"]))).size == (5, 6)


def test_inputs_may_be_data_uris_and_our_own_urls(pictures: Kernel) -> None:
    image = io.BytesIO()
    Pillow.new("RGB", (7, 9)).save(image, "png")
    uri = f"data:image/png;base64,{base64.b64encode(image.getvalue()).decode()}"
    assert pictures.run(f"Pictures.size({uri!r})").ok().result == "[7, 9]"
    assert pictures.run("Pictures.size(Pictures.paint(width=11))").ok().result == "[11, 4]"
    assert pictures.run("Pictures.size({'url': Pictures.paint(width=12).url})").ok().result == "[12, 4]"


def test_files_have_names_types_and_sizes(pictures: Kernel) -> None:
    cell = pictures.run(
        "f = Pictures.file('héllo')\nprint(f.url, f.file_size, f.content_type)\nassert f.file_name == 'a b.txt'"
    ).ok()
    url, size, kind = cell.text.split()
    assert (fetched(url), size, kind) == ("héllo".encode(), "6", "text/plain")
    assert pictures.run(f"Pictures.read({url!r})").ok().result == "'héllo'"
    url = pictures.run("print(Pictures.path('kept').url)").ok().text.strip()
    assert fetched(url) == b"kept"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:9/x", "Hostname resolves to a non-routable address"),
        ("http://169.254.169.254/latest", "Hostname resolves to a non-routable address"),
        ("file:///etc/hostname", "URL scheme 'file' is not allowed"),
        ("http://127.0.0.1:9/cdn/files/" + "0" * 32 + "/x", "Hostname resolves to a non-routable address"),
    ],
)
def test_an_address_that_only_this_machine_can_reach_is_refused(pictures: Kernel, url: str, message: str) -> None:
    assert message in pictures.run(f"Pictures.read({url!r})").evalue


def test_the_key_value_store_outlives_runners(pictures: Kernel, state: Path) -> None:
    assert [pictures.run("Pictures.count()").ok().result for _ in range(2)] == ["1", "2"]
    pictures.run("%fal stop pictures").ok()
    pictures.run(APP.replace("class Pictures", "class Others")).ok()
    assert pictures.run("Others.count()").ok().result == "3"
    assert (state / "kv.sqlite").stat().st_mode & 0o777 == 0o600
