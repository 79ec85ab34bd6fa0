/** Markdown of a docstring: what becomes elements, and that nothing else ever does. */
import { beforeEach, describe, expect, test } from "vitest";
import { cardPanel } from "../../fal_jupyter/widgets/static/card/card.mjs";
import { markdownView } from "../../fal_jupyter/widgets/static/elements/markdown.mjs";
import { HOSTILE, madeApp, madeHost, madeLine, until } from "./made.mjs";

const html = (text) => markdownView(text).innerHTML;

describe("markdown", () => {
  test.each([
    ["plain text\non two lines\n\nand more", "<p>plain text\non two lines</p><p>and more</p>"],
    ["# Title #\ntext", "<h3>Title</h3><p>text</p>"],
    ["###### deep", "<h6>deep</h6>"],
    ["- a\n- b\n  more\n\n  apart\n- c", "<ul><li>a</li><li><p>b\nmore</p><p>apart</p></li><li>c</li></ul>"],
    ["1. a\n2. b", '<ol start="1"><li>a</li><li>b</li></ol>'],
    ["3. a\n\n4. b\nlazy\n\nafter", '<ol start="3"><li>a</li><li><p>b\nlazy</p></li></ol><p>after</p>'],
    ["* a\n* * *\nb", "<ul><li>a</li></ul><hr><p>b</p>"],
    [
      "Title\n=====\nParameters\n----------\nx : int\n    The x.",
      "<h3>Title</h3><h4>Parameters</h4><p>x : int\n    The x.</p>",
    ],
    [
      "Example::\n\n    a = 1\n\n      b <i>\n\nafter",
      '<p>Example::</p><pre class="fj-code" tabindex="0">a = 1\n\n  b &lt;i&gt;</pre><p>after</p>',
    ],
    ["Try\n>>> f(1)\n2\n\nafter", '<p>Try</p><pre class="fj-code" tabindex="0">&gt;&gt;&gt; f(1)\n2</pre><p>after</p>'],
    [
      "a|b\n-|-\nx \\| y|`p\\|q`\\|",
      '<table class="fj-table"><thead><tr><th>a</th><th>b</th></tr></thead>' +
        '<tbody><tr><td>x | y</td><td><code class="fj-mono">p|q</code>|</td></tr></tbody></table>',
    ],
    [
      "**over\nlines *and* in** ***both*** a < https://",
      "<p><strong>over\nlines <em>and</em> in</strong> <strong><em>both</em></strong> a &lt; https://</p>",
    ],
    ["- a\n  - b", "<ul><li><p>a</p><ul><li>b</li></ul></li></ul>"],
    ["> quoted\n> too", "<blockquote><p>quoted\ntoo</p></blockquote>"],
    [
      "```python\n# no <b>title</b>\n\nx\n```\nafter",
      '<pre class="fj-code" tabindex="0"># no &lt;b&gt;title&lt;/b&gt;\n\nx</pre><p>after</p>',
    ],
    ["```\nopen", '<pre class="fj-code" tabindex="0">open</pre>'],
    ["---", "<hr>"],
    [
      "a | b\n--|--\n**1** | 2 | 3",
      '<table class="fj-table"><thead><tr><th>a</th><th>b</th></tr></thead>' +
        "<tbody><tr><td><strong>1</strong></td><td>2</td></tr></tbody></table>",
    ],
    [
      "**a `b` _c_** *d* _e_ __f__ `g <i>` \\*h\\* snake_case_name 2 * 3 * 4",
      '<p><strong>a <code class="fj-mono">b</code> <em>c</em></strong> <em>d</em> <em>e</em> ' +
        '<strong>f</strong> <code class="fj-mono">g &lt;i&gt;</code> *h* snake_case_name 2 * 3 * 4</p>',
    ],
  ])("%j", (text, expected) => {
    expect(html(text)).toBe(expected);
  });

  test("links lead to the web and to mail only, and pictures are links", () => {
    const links = markdownView(
      '[a](https://a.b/c "t") ![pic](http://a.b/x.png) ' +
        "<https://c.d> https://e.f/g, [m](mailto:a@b.c) [x](javascript:alert(1)) [y](data:text/html,x) " +
        "[z](/run/me) ![](javascript:1)",
    );
    expect([...links.querySelectorAll("a")].map((one) => [one.textContent, one.getAttribute("href"), one.rel])).toEqual(
      [
        ["a", "https://a.b/c", "noopener noreferrer"],
        ["pic", "http://a.b/x.png", "noopener noreferrer"],
        ["https://c.d", "https://c.d/", "noopener noreferrer"],
        ["https://e.f/g", "https://e.f/g", "noopener noreferrer"],
        ["m", "mailto:a@b.c", "noopener noreferrer"],
      ],
    );
    expect(links.textContent).toContain("https://e.f/g, m");
    const underscored = markdownView("see https://a.b/__init__.py#_x_.");
    expect([underscored.textContent, underscored.querySelector("a").getAttribute("href")]).toEqual([
      "see https://a.b/__init__.py#_x_.",
      "https://a.b/__init__.py#_x_",
    ]);
    expect(links.querySelector("img, iframe, script")).toBeNull();
  });

  test("HTML stays text", () => {
    for (const text of [
      HOSTILE,
      `# ${HOSTILE}`,
      `- ${HOSTILE}`,
      `a|b\n-|-\n${HOSTILE}|x`,
      `[${HOSTILE}](https://a.b)`,
      `\`${HOSTILE}\``,
      `**${HOSTILE}**`,
    ]) {
      const view = markdownView(text);
      expect(view.querySelector("img, script, iframe, object, style, svg")).toBeNull();
      expect(
        [...view.querySelectorAll("*")].every((one) =>
          [...one.attributes].every((attribute) => !attribute.name.startsWith("on")),
        ),
      ).toBe(true);
    }
  });

  test("odd and long text is shown in bounded time", () => {
    const began = performance.now();
    for (const part of [
      "`",
      "*",
      "_",
      "[",
      "![",
      "> ",
      "- ",
      "|",
      "#",
      "\\",
      "**a",
      "[a](",
      "```\n",
      "  - a\n",
      "<https://",
    ]) {
      expect(markdownView(part.repeat(30000)).textContent.length).toBeLessThan(50000);
    }
    expect(performance.now() - began).toBeLessThan(20000); // quadratic ones take minutes
  });
});

describe("about", () => {
  let root;
  beforeEach(() => {
    root = document.createElement("div");
    document.body.replaceChildren(root);
  });

  test("the card has the docstring, folded, and follows it", async () => {
    const stop = new AbortController();
    const host = madeHost(madeLine({ apps: [madeApp("hello", { about: "# Draws\n\nText **here**." })] }));
    cardPanel(
      root,
      host,
      {
        version: 1,
        panel: "card",
        tab: "config",
        alias: "hello",
        app: "me/hello",
        class_name: "Hello",
        revision: 1,
        cell: "",
        source: "",
        gateway: null,
        options: [],
        picture: null,
      },
      stop.signal,
    );
    const about = await until(() => root.querySelector("details.fj-about:not([hidden])"));
    expect(about.open).toBe(false);
    expect(about.querySelector("summary").textContent).toBe("About");
    expect(about.querySelector(".fj-markdown").innerHTML).toBe("<h3>Draws</h3><p>Text <strong>here</strong>.</p>");
    host.store.apply(madeLine({ seq: 2, apps: [madeApp("hello", { about: "" })] }));
    await until(() => root.querySelector("details.fj-about").hidden);
    stop.abort();
  });
});
