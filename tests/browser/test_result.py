"""What an app answers, prints and displays, as the card shows it: in Try, in Outputs and in Logs."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.apps import LOAD
from tests.browser.conftest import EVERY, Front

MAKER = r"""%%fal_app
import io
import json
import sys
import time
import wave

from fal.toolkit import File, Image
from fastapi.responses import StreamingResponse
from pydantic import BaseModel


class Wish(BaseModel):
    prompt: str = "two squares"
    seed: int = 7


class Painted(BaseModel):
    images: list[Image]
    seed: int
    score: float


class Maker(fal.App):
    @fal.endpoint("/images")
    def images(self, wish: Wish) -> Painted:
        from PIL import Image as Pillow

        squares = [Image.from_pil(Pillow.new("RGB", (64, 48), colour)) for colour in ("red", "blue")]
        broken = Image.from_bytes(b"no picture", format="png")
        return Painted(images=[*squares, broken], seed=wish.seed, score=1 / 3)

    @fal.endpoint("/plot")
    def plot(self) -> dict:
        import matplotlib.pyplot as plt

        plt.plot([1, 3, 2])
        plt.show()
        print("between")
        return {"n": 1}

    @fal.endpoint("/sound")
    def sound(self) -> File:
        written = io.BytesIO()
        with wave.open(written, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(bytes(8000))
        return File.from_bytes(written.getvalue(), content_type="audio/wav", file_name="tone.wav")

    @fal.endpoint("/stream")
    def stream(self, n: int = 3) -> StreamingResponse:
        def events():
            for at in range(n):
                if n < 10:
                    time.sleep(0.1)
                yield f"data: {json.dumps({'text': f'word{at} '})}\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    @fal.endpoint("/print")
    def printing(self) -> list[dict]:
        print("\x1b[31mred\x1b[0m and plain")
        for done in (10, 50, 100):
            print(f"\r{done:3d}%", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        print("WARNING low <b>disk</b>")
        return [{"name": "Ada", "born": 1815}, {"name": "Grace", "born": 1906}]

    @fal.endpoint("/fail")
    def fail(self, x: int = 0) -> float:
        return 1 / x

    @fal.endpoint("/deep")
    def deep(self) -> dict:
        found = {"end": True}
        for level in range(200):
            found = {"level": found}
        return found

    @fal.endpoint("/large")
    def large(self, megabytes: int = 80) -> StreamingResponse:
        return StreamingResponse((bytes(1 << 20) for _ in range(megabytes)), media_type="application/octet-stream")
"""


def run(card: Locator, path: str, **fields: str) -> Locator:
    """Run an endpoint in Try, wait for its end, and give the answer."""
    card.locator('[data-tab="try"]').click()
    card.locator(".fj-try-form select").first.select_option(path)
    for name, value in fields.items():
        card.get_by_label(name, exact=True).fill(value)
    card.locator(".fj-run-button").click()
    expect(card.locator(".fj-trial-title").first).to_contain_text(re.compile(rf"Result.*\d{path}r\d"), timeout=60_000)
    expect(card.locator(".fj-run-button")).to_be_enabled()
    return card.locator(".fj-answer").first


def drawn(pictures: Locator) -> list[list[int]]:
    """The natural sizes of pictures, once they are loaded."""
    sizes: list[list[int]] = pictures.evaluate_all(
        "async all => { await Promise.all(all.map(one => one.decode())); return all.map(one => [one.naturalWidth, one.naturalHeight]); }"
    )
    return sizes


def test_answers_are_shown_by_what_they_are(lab: Front) -> None:
    page = lab.page
    lab.write("result.ipynb", [LOAD, MAKER])
    lab.open("result.ipynb")
    lab.run_all(2)
    card = page.locator('.fj-card[data-app="maker"]')
    card.scroll_into_view_if_needed()

    # pictures of the own CDN through Jupyter's origin (Front complains of any other), a broken one has its state
    answer = run(card, "/images")
    expect(answer.get_by_text("This picture cannot be shown (image/png")).to_be_visible()
    assert drawn(answer.locator("img")) == [[64, 48], [64, 48]]
    folded = answer.locator("details.fj-fold").first
    expect(folded.locator("summary").first).to_have_text("JSON 3 keys")
    folded.locator("summary").first.click()
    expect(folded.get_by_text("0.333333", exact=True)).to_have_attribute("title", "0.3333333333333333")
    answer.get_by_label("Enlarge").first.press("Enter")
    expect(answer.locator(".fj-large")).to_have_count(1)

    # what plt.show() displays
    answer = run(card, "/plot")
    expect(answer.locator(".fj-displays img")).to_be_visible()
    assert drawn(answer.locator(".fj-displays img"))[0][0] > 200
    expect(answer.get_by_text("1 line printed")).to_be_visible()

    # a sound plays
    answer = run(card, "/sound")
    page.wait_for_function("one => one.duration > 0.4", arg=answer.locator("audio").element_handle(), polling=EVERY)

    # a stream: its text joined, its first event's time, and how much is listed
    answer = run(card, "/stream")
    expect(answer.locator(".fj-stream-text")).to_have_text("word0 word1 word2 ")
    expect(answer.locator(".fj-stream [role=status]")).to_contain_text("3 events · first after")
    height = answer.locator(".fj-stream-box").bounding_box()
    answer.get_by_role("button", name="Events").press("Enter")
    expect(answer.locator(".fj-stream-events > li")).to_have_count(3)
    assert answer.locator(".fj-stream-box").bounding_box() == height

    # an error comes first
    answer = run(card, "/fail")
    expect(answer.locator(":scope > *").first).to_contain_text("ZeroDivisionError")
    expect(answer.get_by_text("Answer with status 500")).to_be_visible()

    # records are a table; logs are those of a terminal
    answer = run(card, "/print")
    expect(answer.locator("th", has_text="born")).to_have_class("fj-number")
    card.locator('[data-tab="logs"]').click()
    logs = card.locator('[data-panel="logs"]')
    lines = logs.locator(".fj-log-line")
    expect(lines.filter(has_text="red and plain").locator(".fj-ansi-red")).to_have_text("red")
    expect(lines.filter(has_text="100%")).to_contain_text("stderr 100%")
    assert lines.filter(has_text="50%").count() == 0
    logs.get_by_label("Level").select_option("2")
    expect(lines.filter(has_text="<b>disk</b>")).to_have_count(1)
    assert lines.filter(has_text="plain").count() == 0
    logs.get_by_label("Level").select_option("0")
    logs.get_by_label("Filter the lines").fill("PLAIN")
    expect(lines).to_have_count(1)
    expect(logs.locator("mark")).to_have_text("plain")

    logs.get_by_label("Filter the lines").fill("")
    card.locator('[data-tab="try"]').click()
    card.locator('[data-tab="logs"]').click()
    expect(logs.get_by_role("button", name="Follow")).to_have_attribute("aria-pressed", "true")
    page.wait_for_function(
        "e => e.scrollTop + e.clientHeight >= e.scrollHeight - 8",
        arg=logs.locator(".fj-log").element_handle(),
        polling=EVERY,
    )

    # a deep answer
    answer = run(card, "/deep")
    expect(answer.locator(".fj-json summary").first).to_be_visible()

    # Outputs: everything that can be seen, and one of them again
    card.locator('[data-tab="outputs"]').click()
    outputs = card.locator(".fj-output-card")
    expect(outputs).to_have_count(3)
    painted = outputs.filter(has_text="two squares")
    expect(painted).to_contain_text("seed 7")
    assert drawn(painted.locator("img")) == [[64, 48], [64, 48]]
    painted.get_by_role("button", name="Reuse").click()
    expect(card.locator('[data-tab="try"]')).to_have_attribute("aria-selected", "true")
    expect(card.locator(".fj-try-form select").first).to_have_value("/images")


@pytest.mark.long
def test_a_panel_shows_how_much_of_a_very_large_answer_and_of_many_events_is_buffered(lab: Front) -> None:
    lab.expected.append("ERR_INCOMPLETE_CHUNKED_ENCODING")  # it holds the beginning only
    lab.write("large.ipynb", [LOAD, MAKER])
    lab.open("large.ipynb")
    lab.run_all(2)
    card = lab.page.locator('.fj-card[data-app="maker"]')
    card.scroll_into_view_if_needed()
    answer = run(card, "/large")
    expect(answer.get_by_text("The answer has 83.9 MB; a panel holds 67.1 MB at most")).to_be_visible()
    answer = run(card, "/stream", n="10000")
    expect(answer.locator(".fj-stream [role=status]")).to_contain_text("10,000 events")
    answer.get_by_role("button", name="Events").click()
    expect(answer.get_by_text("the last 500 of 10,000 events are listed")).to_be_visible()
