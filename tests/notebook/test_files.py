"""Files and pictures of the toolkit, from a cell to a runner and back, and as URLs for everybody else."""

from __future__ import annotations

import base64
import io
import json
import re
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

    @fal.endpoint("/several")
    def several(self, count: int = 3) -> list[Image]:
        return [Image.from_pil(Pillow.new("RGB", (30, 200 + at))) for at in range(count)]

    @fal.endpoint("/records")
    def records(self, name: str = "<b>row</b>") -> list[dict]:
        return [{"name": name, "score": 1 / 7, "ok": True, "left": None}, {"name": "next", "score": 2, "ok": False}]

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
    """The sizes of all pictures under a cell, alone or in a gallery."""
    encoded = []
    for output in cell.outputs:
        data = output.get("data", {})
        if "image/png" in data:
            assert output["metadata"]["image/png"]["alt"].startswith("picture")
            encoded.append(data["image/png"])
        encoded += re.findall(r'<img alt="picture[^"]*" src="data:image/png;base64,([^"]+)"', data.get("text/html", ""))
    return [Pillow.open(io.BytesIO(base64.b64decode(one))).size for one in encoded]


def result_of(cell: Cell) -> dict[str, str]:
    (result,) = [output["data"] for output in cell.outputs if output["output_type"] == "execute_result"]
    found: dict[str, str] = result
    return found


def test_a_list_of_pictures_is_a_gallery_with_a_short_text(pictures: Kernel) -> None:
    cell = pictures.run("Pictures.several(count=3)").ok()
    html, words = result_of(cell)["text/html"], result_of(cell)["text/plain"]
    assert shown_pictures(cell) == [(30, 200), (30, 201), (30, 202)]
    assert html.count("max-height: 180px") == 3
    assert "<figcaption" in html
    assert "30 × 201" in html
    assert html.count('<details class="fal-jupyter-picture">') == 3  # a press enlarges
    assert "JSON <span" in html
    assert "3 items" in html
    assert words.startswith("[Image(url='http://127.0.0.1")
    assert words.count("\n") == 2
    assert max(map(len, words.splitlines())) < 200
    assert "/cdn/files/" not in words
    held = pictures.run("print(type(_).__name__, [type(one).__name__ for one in _], '/cdn/files/' in repr(_))").ok()
    assert held.text.strip() == "list ['Image', 'Image', 'Image'] True"
    assert "/cdn/files/" in pictures.run("made = Pictures.several()\nprint(made)").ok().text


def test_pictures_beyond_the_limit_are_counted(pictures: Kernel) -> None:
    cell = pictures.run("Pictures.several(count=11)").ok()
    assert len(shown_pictures(cell)) == 8
    assert "and 3 pictures more" in result_of(cell)["text/html"]
    cell = pictures.run("made = Pictures.several(count=11)").ok()
    (shown,) = [output["data"] for output in cell.outputs if "fal-jupyter-picture" in str(output)]
    assert shown["text/plain"] == "8 pictures that calls returned, and 3 pictures more"
    assert len(shown_pictures(pictures.run("made[:2]").ok())) == 2


def test_a_model_with_pictures_is_a_gallery_and_its_json(pictures: Kernel) -> None:
    cell = pictures.run("Pictures.model()").ok()
    shown = result_of(cell)
    assert shown["text/plain"].startswith("Made(images=[Image(url=")
    assert "seed=1" in shown["text/plain"]
    assert "&quot;seed&quot;: 1" in shown["text/html"]
    assert "3 keys" in shown["text/html"]
    assert pictures.run("Pictures.images()['seed'], Pictures.images() == _").ok().result.startswith("(1, ")
    (plain,) = [output["data"] for output in pictures.run("Pictures.images()").ok().outputs if "execute" in str(output)]
    assert "data:image/jpeg" in plain["text/html"]
    assert plain["text/plain"].startswith("{'images': [")


def test_records_of_a_call_are_a_table_and_other_lists_are_as_ever(pictures: Kernel) -> None:
    shown = result_of(pictures.run("Pictures.records()").ok())
    assert shown["text/html"].count("<tr") == 3
    assert "&lt;b&gt;row" in shown["text/html"]
    assert "<b>" not in shown["text/html"]
    assert ">0.142857<" in shown["text/html"]
    assert ">–<" in shown["text/html"]
    assert shown["text/plain"].startswith("[{'name': '<b>row</b>',\n  'score': 0.14285714285714285,")
    assert "text/html" not in result_of(pictures.run("[{'name': 1}, {'name': 2}]").ok())
    assert "text/html" in result_of(pictures.run("print(Pictures.images()['seed']); Pictures.records()").ok())


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
