// While a cell runs again its card's room stays as high as it was, and says that a card comes.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { keepHeight } from "../src/cards/held_height.ts";

const HEIGHT = 400;

beforeEach(() => {
  vi.useFakeTimers();
  document.body.innerHTML = `<div class="jp-Cell"><div class="jp-InputPrompt">[*]:</div>
    <div class="jp-Cell-outputWrapper"><div class="jp-OutputArea"><div class="jp-OutputArea-output"><div class="fj-output"></div></div></div></div></div>`;
  Object.defineProperty(wrapper(), "offsetHeight", { get: () => HEIGHT });
});
afterEach(() => {
  vi.useRealTimers();
  document.body.innerHTML = "";
});

const wrapper = () => document.querySelector(".jp-Cell-outputWrapper");
const area = () => document.querySelector(".jp-OutputArea");

function cleared() {
  keepHeight(document.querySelector(".fj-output"));
  area().replaceChildren();
  vi.advanceTimersByTime(1000);
}

test("an empty room says that a card comes, until it is there", () => {
  cleared();
  expect(wrapper().style.minHeight).toBe(`${HEIGHT}px`);
  expect(wrapper().querySelector("[role=status]").textContent).toBe("The cell runs. Its card comes here.");
  area().innerHTML = '<div class="jp-OutputArea-output"><div class="fj-card"></div></div>';
  Object.defineProperty(area(), "offsetHeight", { get: () => HEIGHT });
  vi.advanceTimersByTime(250);
  expect([wrapper().style.minHeight, wrapper().querySelector("[role=status]")]).toEqual(["", null]);
});

test("a cell that does not run says nothing and gives its room back", () => {
  document.querySelector(".jp-InputPrompt").textContent = "[3]:";
  cleared();
  expect([wrapper().style.minHeight, wrapper().querySelector("[role=status]")]).toEqual(["", null]);
});
