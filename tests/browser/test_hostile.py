"""Whatever an app, its callers or its files say is text: no dialog, no script, no request, no element of theirs."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.apps import LOAD
from tests.browser.conftest import Front
from tests.browser.test_lab import tab

CORPUS = (
    '<img src=x onerror="window.__pwned=1;alert(1)">',
    "<script>window.__pwned=1</script>",
    "<svg onload=alert(1)><a xlink:href='javascript:alert(1)'>x</a></svg>",
    "</textarea></pre></style><iframe srcdoc='<script>parent.__pwned=1</script>'></iframe>",
    "javascript:window.__pwned=1",
    "data:text/html,<script>window.__pwned=1</script>",
    "[x](javascript:alert(1)) ![y](http://attacker.invalid/y.png) <b>bold</b>",
    "\x1b]8;;http://attacker.invalid\x07click\x1b]8;;\x07 \x1b[31mred\x1b[0m \x07\x08",
    "\u202egnp.exe \u2066x\u2069",
    "{{constructor.constructor('alert(1)')()}} ${alert(1)} %{7*7}",
    "'\"`;--><!--",
    "__proto__ constructor <form id=body><input name=nodeName>",
    "x" * 300,
)
APP = f'''%%fal_app
from fastapi import Response
CORPUS = {CORPUS!r}

class Hostile(fal.App):
    """{CORPUS[0]}"""

    @fal.endpoint("/")
    def hi(self, text: str = "<b>x</b>") -> dict:
        """<img src=x onerror="window.__pwned=1"> says hello."""
        for line in CORPUS:
            print(line)
        pictures = [{{"url": "http://attacker.invalid/p.png", "content_type": "image/png", "file_name": CORPUS[0]}}]
        return {{"all": list(CORPUS), "records": [{{line: line}} for line in CORPUS], "images": pictures, **{{line: 1 for line in CORPUS}}}}

    @fal.endpoint("/html")
    def html(self) -> Response:
        return Response(CORPUS[0] + CORPUS[1], media_type="text/html")

    @fal.endpoint("/svg")
    def svg(self) -> Response:
        return Response("<svg xmlns='http://www.w3.org/2000/svg'><script>parent.__pwned=1</script></svg>", media_type="image/svg+xml")

    @fal.endpoint("/table")
    def table(self) -> list[dict]:
        return [{{"a": line, "b": 1}} for line in CORPUS]

    @fal.endpoint("/csv")
    def csv(self) -> Response:
        return Response("a,b\\n" + "\\n".join('"' + line.replace('"', '""') + '",1' for line in CORPUS), media_type="text/csv")

    @fal.endpoint("/events")
    def events(self) -> Response:
        return Response("".join(f"data: {{line}}\\n\\n" for line in CORPUS[:7]), media_type="text/event-stream")

    @fal.endpoint("/error")
    def error(self) -> dict:
        raise ValueError(" ".join(CORPUS))
'''
NAME = "<img src=x onerror=alert(1)>.ipynb"


def unharmed(front: Front) -> None:
    page = front.page
    assert page.evaluate("() => window.__pwned === undefined")
    strange = page.evaluate(
        "() => [...document.querySelectorAll('.fj script, .fj iframe, .fj form, .fj object, .fj embed, .fj [onerror], .fj [onload],"
        ' .fj img:not([src^="blob:"]):not([src^="data:image/"]), .fj a[href^="javascript"]\')].map(e => e.outerHTML)'
    )
    assert strange == []


def test_hostile_text_stays_text_on_every_surface(lab: Front) -> None:
    page = lab.page
    lab.write(NAME, [LOAD, APP, "Hostile.hi(text='<img src=x onerror=alert(1)>')\nfor _ in range(3): Hostile.hi()"])
    lab.open(NAME)
    lab.run_all(3)
    card = page.locator(".fj-card").first
    expect(card.get_by_text("Ready", exact=True)).to_be_visible()
    for path, shown in (
        ("/", "onerror"), ("/html", "window.__pwned"), ("/svg", "parent.__pwned"), ("/table", "onerror"), ("/csv", "onerror"),
        ("/events", "onerror"), ("/error", "ValueError"),
    ):  # fmt: skip
        card.locator(".fj-try-form select").first.select_option(path)
        card.locator(".fj-run-button").click()
        expect(card.locator(".fj-answer")).to_contain_text(shown)
        expect(card.locator(".fj-trial-title")).to_contain_text(re.compile(rf"Result.*\d{path}r\d"))
        unharmed(lab)
    for name in ("requests", "timeline", "config", "logs", "snippets"):
        expect(tab(card, name)).to_be_visible()
        unharmed(lab)
    tab(card, "requests").locator("tr[data-request]", has_text="/error").first.click()
    expect(card.locator(".fj-inspector")).to_contain_text("ValueError")
    unharmed(lab)
    lab.command("fal-jupyter:open-dashboard")
    board = page.locator(".fj-dashboard")
    expect(board.locator(".fj-apps")).to_contain_text("hostile")
    expect(board.locator(".fj-apps")).to_contain_text(re.compile("onerror"))  # the notebook's name, as text
    page.locator("li.lm-TabBar-tab[data-id='fal-jupyter-sidebar']").click()
    expect(page.locator("#fal-jupyter-sidebar")).to_contain_text("hostile")
    unharmed(lab)
    lab.picture("hostile")
