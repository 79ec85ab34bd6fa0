"""The docstring of an app as "About" on its card: every word of it is drawn, nothing of it runs or loads anything."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.apps import LOAD
from tests.browser.conftest import Front

APPS = r'''%%fal_app
class Parent(fal.App):
    """# Words of the parent

    An *inherited* docstring."""

class Rich(fal.App):
    """# Paints pictures

    **Bold over
    two lines**, *italic*, `x < 3`, [a link](https://example.com/p?a=1&b=2), https://example.com/__init__.

    1. first

    2. second
       - nested

    | option | meaning |
    |--------|---------|
    | `a\|b` | 1 \| 2  |

    ```python
    print("<b>")
    ```

    Example::

        indented <i>

    Parameters
    ----------
    >>> paint(1)
    1

    > quoted

    ![picture](http://attacker.invalid/p.png) ![inline](data:image/svg+xml,<svg/onload=__pwned=1>)

    שלום עולם (abc).

    <img src=x onerror="__pwned=1"> <script>__pwned=1</script> <details open ontoggle="__pwned=1"> &lt;
    [click](javascript:__pwned=1) [data](data:text/html,<script>__pwned=1</script>) [up](../../lab) [file](file:///etc/passwd)
    """

    @fal.endpoint("/go")
    def go(self) -> dict:
        return {}

class Child(Parent):
    @fal.endpoint("/go")
    def go(self) -> dict:
        return {}

class Bare(fal.App):
    @fal.endpoint("/go")
    def go(self) -> dict:
        return {}

class Rooted(fal.App):
    """Of the class."""

    @fal.endpoint("/")
    def go(self) -> dict:
        """Of the root endpoint."""
        return {}

class Long(fal.App):
    __doc__ = "\n\n".join(f"Paragraph {n} " + "word " * 40 for n in range(30)) + "x" * 1500

    @fal.endpoint("/go")
    def go(self) -> dict:
        return {}
'''
DESCRIPTIONS = """import json, urllib.request
for app in (Rich, Child, Bare, Rooted):
    asked = urllib.request.Request(app.local_url.rstrip("/") + "/openapi.json", headers={"Authorization": f"Key {app.key}"})
    print(app.__name__, (json.load(urllib.request.urlopen(asked))["info"].get("description") or "none").partition("\\n")[0])
"""
HTML = (
    '<img src=x onerror="__pwned=1"> <script>__pwned=1</script> <details open ontoggle="__pwned=1"> &lt;'
    " [click](javascript:__pwned=1) [data](data:text/html,<script>__pwned=1</script>) [up](../../lab) [file](file:///etc/passwd)"
)
DRAWN = [
    ["h3", "Paints pictures"],
    ["p", "Bold over two lines, italic, x < 3, a link, https://example.com/__init__."],
    ["li", "first"],
    ["li", "second nested"],
    ["li", "nested"],
    ["th", "option"], ["th", "meaning"], ["td", "a|b"], ["td", "1 | 2"],
    ["pre", 'print("<b>")'],
    ["p", "Example::"],
    ["pre", "indented <i>"],
    ["h4", "Parameters"],
    ["pre", ">>> paint(1) 1"],
    ["blockquote", "quoted"],
    ["p", "picture ![inline](data:image/svg+xml,<svg/onload=__pwned=1>)"],
    ["p", "שלום עולם (abc)."],
    ["p", HTML],
]  # fmt: skip


def about(card: Locator) -> Locator:
    """Unfold what the card says of its app."""
    card.scroll_into_view_if_needed()
    card.locator(".fj-about > summary").click()
    return card.locator(".fj-about .fj-markdown")


@pytest.mark.long  # labextension/test/markdown.test.mjs draws docstrings, and test_hostile.py has one of a hostile app
@pytest.mark.parametrize("front", ["lab", "notebook7"])
def test_a_docstring_is_drawn_whole_and_does_nothing(front: str, request: pytest.FixtureRequest) -> None:
    page = (
        shown := request.getfixturevalue(front)
    ).page  # at its end, each request to an unexpected place is a complaint
    assert isinstance(shown, Front)
    shown.write("about.ipynb", [LOAD, APPS, DESCRIPTIONS])
    shown.open("about.ipynb")
    shown.run_all(3)
    expect(page.locator(".jp-OutputArea-output pre").last).to_have_text(
        "Rich # Paints pictures\nChild # Words of the parent\nBare none\nRooted Of the root endpoint."
    )

    def card(alias: str) -> Locator:
        return page.locator(f'.fj-card[data-app="{alias}"]')

    rich = about(card("rich"))
    blocks = rich.locator("h3, h4, p:not(li p, blockquote p), li, th, td, pre, blockquote")
    drawn = blocks.evaluate_all("all => all.map(e => [e.localName, e.innerText.trim().replace(/\\s+/g, ' ')])")
    assert drawn == DRAWN
    assert rich.locator("a").evaluate_all("all => all.map(a => a.getAttribute('href'))") == [
        "https://example.com/p?a=1&b=2", "https://example.com/__init__", "http://attacker.invalid/p.png",
    ]  # fmt: skip
    assert rich.locator("img, svg, script, iframe, details").count() == 0
    assert page.evaluate("() => window.__pwned") is None
    hebrew = rich.locator("p", has_text="שלום")
    left, right = hebrew.evaluate(
        "p => { const r = new Range(); r.selectNodeContents(p); const t = r.getBoundingClientRect(), b = p.getBoundingClientRect();"
        " return [t.left - b.left, b.right - t.right]; }"
    )
    assert left > 100 > 2 > right  # it begins at the right

    expect(about(card("parent"))).to_have_text(
        "Words of the parentAn inherited docstring."
    )  # Child's: it inherits app_name, as in the real package
    expect(about(card("rooted"))).to_have_text("Of the root endpoint.")
    bare = card("bare")
    bare.scroll_into_view_if_needed()
    expect(bare.locator(".fj-facts")).to_contain_text("/go")
    expect(bare.locator(".fj-about")).to_be_hidden()
    long = about(card("long"))
    expect(long).to_contain_text("Paragraph 29")
    height, wide = long.evaluate("e => [e.clientHeight, e.scrollWidth - e.clientWidth]")
    assert height <= 400
    assert wide == 0
