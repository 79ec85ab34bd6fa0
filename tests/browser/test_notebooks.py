"""The notebooks that a newcomer opens: as they are stored, while they run, and as a page on the web."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import Browser, expect

from tests.browser.conftest import ARTEFACTS, Front

OVER = re.compile("Stopped|Saved state of")  # who looks at a card after its app has stopped finds its picture only
NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def opened(front: Front, name: str) -> None:
    """Open one of the project's notebooks, with what lies beside it."""
    for file in (name, "sentences.txt"):
        shutil.copy(NOTEBOOKS / file, front.server.directory / "root" / file)
    front.open(name)


def count_of_cells(name: str) -> int:
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)  # type: ignore[no-untyped-call]
    return sum(cell.cell_type == "code" for cell in notebook.cells)


@pytest.mark.long  # tests/quickstart runs it in a kernel
@pytest.mark.timeout(300)  # it loads torch and a model, beside whatever else the machine does
def test_the_quickstart_in_jupyterlab(lab: Front) -> None:
    pytest.importorskip("torch")
    page = lab.page
    lab.expected.append("/fal/api/apps/sentences/schema")  # 404 for a card that asks while the last cell stops the app
    opened(lab, "quickstart.ipynb")
    lab.run_all(count_of_cells("quickstart.ipynb"))
    expect(page.locator(".fj-status")).to_contain_text(
        "fal 1 app stopped", timeout=90_000
    )  # its last cell stops the app
    card = page.locator(".fj-card").first
    card.scroll_into_view_if_needed()  # a panel draws nothing while it is not seen
    expect(card).to_contain_text(OVER)
    page.locator(".jp-Cell", has_text="class Sentences").first.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".fj-status")).to_contain_text("fal 1 app ready", timeout=60_000)
    expect(page.locator(".jp-InputPrompt", has_text="[*]:")).to_have_count(0)  # its new card is there
    card.scroll_into_view_if_needed()
    expect(card.get_by_text("Ready", exact=True)).to_be_visible()
    expect(card.locator(".fj-facts")).to_contain_text("/embed · /search")
    lab.picture("quickstart-light")


@pytest.mark.long  # tests/tour runs it in a kernel, and test_notebook7 has a card there
@pytest.mark.timeout(300)
def test_the_tour_in_notebook_7(notebook7: Front) -> None:
    page = notebook7.page
    notebook7.expected.append("/schema?")  # 404 for a card that asks while its app is stopped
    opened(notebook7, "tour.ipynb")
    notebook7.run_all(count_of_cells("tour.ipynb"))
    panels = page.locator(".fj-card")
    expect(panels).to_have_count(5)
    for at in range(5):
        panels.nth(at).scroll_into_view_if_needed()  # a panel draws nothing while it is not seen
        expect(panels.nth(at).get_by_text("Ready", exact=True)).to_be_visible(
            timeout=60_000
        )  # it ends with an app alive
    chosen = panels.nth(1).get_by_role("tab", selected=True)
    expect(chosen).to_have_attribute("data-tab", "timeline")
    panels.first.scroll_into_view_if_needed()
    panels.first.get_by_label("Stop the app").click()  # as its last text says
    page.locator(".jp-Dialog button.jp-mod-warn").click()
    panels.first.get_by_role("button", name="Start", exact=True).click()
    expect(panels.first.get_by_text("Ready", exact=True)).to_be_visible()
    panels.first.get_by_label("text", exact=True).fill("one two three")
    panels.first.locator(".fj-run-button").click()
    expect(panels.first.locator(".fj-answer")).to_contain_text("count: 3")
    notebook7.picture("tour-light")


@pytest.mark.parametrize("name", [pytest.param("quickstart", marks=pytest.mark.long), "tour"])
def test_a_web_page_of_a_notebook_shows_pictures_without_a_script(browser: Browser, tmp_path: Path, name: str) -> None:
    page_text, _ = HTMLExporter().from_filename(str(NOTEBOOKS / f"{name}.ipynb"))  # type: ignore[no-untyped-call]
    (tmp_path / "page.html").write_text(page_text)
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1200, "height": 1000})
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    context.route("http*://**", lambda route: route.abort())
    page = context.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    wanted = "demo/sentences" if name == "quickstart" else "ada/counter"
    picture = page.get_by_text(wanted).first
    expect(picture).to_be_visible()
    expect(page.get_by_text("Loading widget")).to_have_count(0)
    picture.scroll_into_view_if_needed()
    page.screenshot(path=ARTEFACTS / f"page-{name}.png")
    context.close()
    assert not [url for url in asked if url.startswith("http") and "cdnjs.cloudflare.com" not in url]  # nbconvert's own
