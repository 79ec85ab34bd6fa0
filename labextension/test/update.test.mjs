import { describe, expect, it } from "vitest";
import { h, svg, update } from "../../fal_jupyter/widgets/static/elements/dom.mjs";

const row = (key, text, press) => h("li", { dataset: { key }, onclick: press }, h("b", null, text));

describe("update", () => {
  it("keeps nodes by key, changes their text, and puts new ones where they belong", () => {
    const list = document.createElement("ul");
    update(list, row("a", "1"), row("b", "2"));
    const [a, b] = list.children;
    update(list, row("new", "0"), row("b", "3"), row("a", "1"));
    expect([...list.children].map((one) => one.textContent)).toEqual(["0", "3", "1"]);
    expect(list.children[1]).toBe(b);
    expect(list.children[2]).toBe(a);
    update(list, row("a", "9"));
    expect(list.children.length).toBe(1);
    expect(list.firstChild).toBe(a);
    expect(a.textContent).toBe("9");
  });
  it("keeps the focus of a row while rows come above it and others leave", () => {
    const list = document.createElement("ul");
    document.body.append(list);
    const focusable = (key) => h("li", { dataset: { key }, tabindex: 0 }, key);
    update(list, ["a", "b", "c", "d"].map(focusable));
    list.children[2].focus();
    update(list, ["x", "y", "c", "d"].map(focusable));
    expect(document.activeElement?.textContent).toBe("c");
    list.remove();
  });
  it("exchanges listeners: the old one is heard no more", () => {
    const heard = [];
    const list = document.createElement("ul");
    update(
      list,
      row("a", "1", () => heard.push("old")),
    );
    update(
      list,
      row("a", "1", () => heard.push("new")),
    );
    list.firstChild.click();
    update(list, h("li", { dataset: { key: "a" } }));
    list.firstChild.click();
    expect(heard).toEqual(["new"]);
  });
  it("takes attributes away, keeps the namespace, and never makes text into elements", () => {
    const place = svg("svg", null);
    update(place, svg("path", { d: "M0,0", class: "x" }));
    const path = place.firstChild;
    update(place, svg("path", { d: "M1,1" }), "<b>no</b>");
    expect(place.firstChild).toBe(path);
    expect(path.getAttribute("class")).toBe(null);
    expect(path.namespaceURI).toBe("http://www.w3.org/2000/svg");
    expect(place.querySelector("b")).toBe(null);
  });
  it("leaves an element alone that is given again", () => {
    const place = document.createElement("div");
    const kept = h("input", { value: "typed" });
    update(place, "a", kept);
    update(place, h("p", null, "new"), kept, "end");
    expect(place.querySelector("input")).toBe(kept);
    expect(place.textContent).toBe("newend");
  });
  it("gives two rows of one key both", () => {
    const list = document.createElement("ul");
    update(list, row("a", "1"), row("a", "2"));
    update(list, row("a", "1"), row("a", "2"));
    expect(list.textContent).toBe("12");
  });
});
