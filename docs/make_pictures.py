"""Takes the pictures of the README, each from a real JupyterLab in Chromium, light and dark; with ``--notebooks`` also runs the tour and
the quickstart anew, whose outputs are pictures, too.

``make pictures`` installs what it needs and writes ``notebooks/NAME.png`` and ``notebooks/NAME-dark.png`` (two minutes). Server, state and notebooks
are its own and end with it. ``python docs/make_pictures.py --only NAME`` takes some of them, ``--to FOLDER`` writes elsewhere.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
NOTEBOOKS = ROOT / "notebooks"

import numpy as np  # noqa: E402  # the root is put there first
from PIL import Image  # noqa: E402
from playwright.sync_api import Locator, expect, sync_playwright  # noqa: E402

from tests.browser.conftest import FLAGS, Front, chromium, front_page, front_server  # noqa: E402

THEMES = {"Light": "", "Dark": "-dark"}
MOST = 130_000  # bytes of a picture: GitHub and PyPI load ten of them
OF_PAGE, OF_IMAGES = 176, 80  # colours
Table = np.ndarray[Any, np.dtype[np.int64]]
Box = tuple[int, int, int, int]  # left, top, right, bottom
PAINTER = '''%%fal_app
from typing import Literal

from fal.toolkit import Image
from PIL import Image as Pillow
from pydantic import BaseModel, Field


class Waves(BaseModel):
    prompt: str = Field("a quiet sea", description="What to paint")
    palette: Literal["sea", "dusk"] = "sea"
    waves: int = Field(5, ge=1, le=12)
    seed: int = Field(7, ge=0, le=4294967295)


class Painter(fal.App):
    max_concurrency = 3
    keep_alive = 300  # so that both themes show the same

    def setup(self):
        time.sleep(1)  # a model would be loaded here

    @fal.endpoint("/")
    def paint(self, scene: Waves) -> dict:
        """Paint waves; the same seed paints the same ones."""
        print("INFO painting", scene.prompt)
        return {"image": Image.from_pil(painted(scene)), "seed": scene.seed}

    @fal.endpoint("/wait")
    def wait(self, seconds: float = 0.4) -> dict:
        """Take a while."""
        time.sleep(seconds)
        return {"waited": seconds}'''
BRUSH = """%load_ext fal_jupyter
import math
import random
import time


def painted(scene):
    rng, (width, height) = random.Random(scene.seed), (480, 300)
    low, high = {"sea": ((8, 40, 92), (170, 226, 240)), "dusk": ((48, 16, 76), (255, 176, 110))}[scene.palette]
    swells = [(rng.uniform(1, 3), rng.uniform(0, 7), rng.uniform(0.02, 0.06)) for _ in range(scene.waves)]
    picture = Pillow.new("RGB", (width, height))

    def colour(x, y):
        lift = sum(a * math.sin(x * f + p) for a, p, f in swells) * 6
        share = min(1.0, max(0.0, math.sin((y + lift) / height * math.pi * scene.waves) / 2 + 0.5)) * (1 - y / height / 2)
        return tuple(round(a + (b - a) * share) for a, b in zip(low, high))

    picture.putdata([colour(x, y) for y in range(height) for x in range(width)])
    return picture"""
CALLS = """for seed in (3, 11, 19, 23, 42, 57, 88):
    Painter.paint(prompt=f"waves of seed {seed}", seed=seed, palette="dusk" if seed in (19, 57) else "sea")"""
BURST = "_ = Painter.wait.map([0.4] * 14, concurrency=7)"


def shades(part: Image.Image) -> tuple[Table, Table, Table]:
    """Its colours, a row for each; for each pixel which it has; how many pixels have each."""
    codes = np.asarray(part).reshape(-1, 3) @ np.array([1 << 16, 1 << 8, 1])
    own, where, often = np.unique(codes, return_inverse=True, return_counts=True)
    return np.stack([own >> 16, own >> 8 & 255, own & 255], axis=1), where, often


def colours(part: Image.Image, count: int, exact: int, method: Image.Quantize) -> list[int]:
    """Colours for a part of a picture, as a palette: its *exact* most frequent ones as they are, the others as *method* sums them up."""
    own, _, often = shades(part)
    own = own[np.argsort(-often, kind="stable")]
    if exact:
        part = Image.fromarray(own[None, exact:].astype(np.uint8))
    means = part.quantize(count - exact, method, kmeans=0 if exact else 2).getpalette() or []
    return own[:exact].flatten().tolist() + means[: 3 * (count - exact)]


def reduced(shot: Image.Image, images: list[Box]) -> Image.Image:
    """The picture in 256 colours, a third of its size. Images get some of their own: their many shades would change the page's few."""
    page, seen = shot.copy(), [shot.crop(box) for box in images]
    for box in images:
        page.paste((255, 255, 255), box)
    chosen = colours(page, OF_PAGE if seen else OF_PAGE + OF_IMAGES, 64, Image.Quantize.MEDIANCUT)
    if seen:
        row = Image.new("RGB", (sum(one.width for one in seen), max(one.height for one in seen)))
        for at, one in enumerate(seen):
            row.paste(one, (sum(before.width for before in seen[:at]), 0))
        chosen += colours(row, OF_IMAGES, 0, Image.Quantize.MAXCOVERAGE)
    own, where, _ = shades(shot)
    wanted = np.array(chosen).reshape(-1, 3)
    # Pillow's own choice of the nearest is rough: white became 253
    nearest = np.concatenate(
        [((few[:, None] - wanted) ** 2).sum(2).argmin(1) for few in np.array_split(own, len(own) // 4000 + 1)]
    )
    result = Image.fromarray(nearest[where].reshape(shot.height, shot.width).astype(np.uint8))
    result.putpalette(chosen)
    return result


class Photographer:
    """One page of JupyterLab, and the pictures that are taken of it."""

    def __init__(self, front: Front, target: Path, only: list[str]) -> None:
        self.front, self.page, self.target, self.only = front, front.page, target, only

    def take(self, name: str, look: Callable[[], object]) -> None:
        """Take a picture in each theme, after *look* has brought to the page what is to be seen."""
        if self.only and name not in self.only:
            return
        for theme, end in THEMES.items():
            self.front.theme(theme)
            look()
            self.page.wait_for_function("() => [...document.images].every(image => image.complete)")
            self.page.wait_for_timeout(1200)  # the last frame of the feed, and the theme's style sheet
            look()  # again: what came meanwhile has moved the card
            self.page.mouse.move(2, 500)
            path = self.target / f"{name}{end}.png"
            shot = Image.open(io.BytesIO(self.page.screenshot(animations="disabled"))).convert("RGB")
            reduced(shot, self.images(shot.size)).save(path, optimize=True)
            size = path.stat().st_size
            print(f"{path} ({size // 1000} kB)", flush=True)
            assert size <= MOST, f"{path} has {size} bytes, at most {MOST} are wanted"

    def images(self, size: tuple[int, int]) -> list[Box]:
        """Where images are seen in the page."""
        boxes = (image.bounding_box() for image in self.page.locator("img:visible").all())
        edges = (
            (round(box["x"]), round(box["y"]), round(box["x"] + box["width"]), round(box["y"] + box["height"]))
            for box in boxes
            if box
        )
        inside = ((max(0, a), max(0, b), min(size[0], c), min(size[1], d)) for a, b, c, d in edges)
        return [box for box in inside if box[0] < box[2] and box[1] < box[3]]

    def open(self, name: str) -> None:
        """Open a notebook, and run all of it."""
        self.front.open(name)
        cells = json.loads((self.front.server.directory / "root" / name).read_text())["cells"]
        self.front.run_all(sum(cell["cell_type"] == "code" for cell in cells))

    def card(self) -> Locator:
        """The first card, when its app is ready."""
        card = self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .fj-card").first
        card.scroll_into_view_if_needed()  # a panel draws nothing while it is not seen
        expect(card.get_by_text("Ready", exact=True)).to_be_visible(timeout=60_000)
        return card

    def tab(self, name: str) -> Locator:
        """The card at one of its tabs, below the end of its cell."""
        card = self.card()
        card.locator(f'[data-tab="{name}"]').click()
        card.evaluate("card => card.closest('.jp-Cell').scrollIntoView({block: 'end'})")
        return card.locator(f'[data-panel="{name}"]')


def quickstart(taken: Photographer) -> None:
    """The app of the quickstart below its cell, with an answer in Try."""
    notebook = json.loads((NOTEBOOKS / "quickstart.ipynb").read_text())
    made = next(at for at, cell in enumerate(notebook["cells"]) if "class Sentences" in "".join(cell["source"]))
    notebook["cells"] = notebook["cells"][: made + 1]
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
    root = taken.front.server.directory / "root"
    (root / "quickstart.ipynb").write_text(json.dumps(notebook))
    shutil.copy(NOTEBOOKS / "sentences.txt", root)
    taken.open("quickstart.ipynb")
    panel = taken.tab("try")
    panel.locator("select").first.select_option("/search")
    panel.get_by_label("query").first.fill("the internet is not working")
    panel.locator(".fj-run-button").click()
    expect(panel.locator(".fj-call-line")).to_contain_text("run")
    taken.take("quickstart", lambda: taken.tab("try"))


def painter(taken: Photographer) -> None:
    """Card, outputs and scaling of an app that paints, and the dashboard."""
    page = taken.page
    taken.front.write("painter.ipynb", [BRUSH, PAINTER, CALLS, BURST])
    taken.open("painter.ipynb")
    panel = taken.tab("try")
    panel.get_by_label("prompt").fill("evening at the pier")
    panel.get_by_label("palette").select_option("dusk")
    panel.locator(".fj-run-button").click()
    expect(panel.locator(".fj-answer img")).to_be_visible()
    taken.take("scaling", lambda: taken.tab("timeline"))  # first: the longer the app idles, the narrower is what it did
    taken.take("card", lambda: taken.tab("try"))
    taken.take("outputs", lambda: expect(taken.tab("outputs").locator("img")).to_have_count(8))
    page.locator("li.lm-TabBar-tab[data-id='fal-jupyter-sidebar']").click()
    taken.front.command("fal-jupyter:open-dashboard")
    expect(page.locator(".fj-dashboard tr[data-request]").first).to_be_visible()
    page.locator(".fj-dashboard tr[data-request]", has_text=re.compile("/wait")).first.click()
    expect(page.locator(".fj-dashboard .fj-inspector")).to_be_visible()
    taken.take("dashboard", lambda: expect(page.locator(".fj-dashboard .fj-inspector")).to_be_visible())


SCENES: dict[Callable[[Photographer], None], tuple[str, ...]] = {
    quickstart: ("quickstart",),
    painter: ("card", "outputs", "scaling", "dashboard"),
}


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=NOTEBOOKS, metavar="FOLDER")
    parser.add_argument(
        "--only", action="append", default=[], choices=[name for names in SCENES.values() for name in names]
    )
    parser.add_argument("--notebooks", action="store_true", help="run the tour and the quickstart anew as well")
    given = parser.parse_args()
    given.to.mkdir(parents=True, exist_ok=True)
    os.environ["FAL_JUPYTER_OWNER"] = "ada"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), headless=True, args=list(FLAGS))
        for scene, names in SCENES.items():
            if given.only and not set(names) & set(given.only):
                continue
            with (
                front_server("lab", base_url="/") as (server, state),
                front_page(browser, server, state, "lab", "pictures") as front,
            ):
                scene(Photographer(front, given.to, given.only))
        browser.close()
    if given.notebooks:
        for words in (["make_tour.py"], ["run_demo.py", "--write"]):
            subprocess.run([sys.executable, NOTEBOOKS / words[0], *words[1:]], check=True)


if __name__ == "__main__":
    main()
