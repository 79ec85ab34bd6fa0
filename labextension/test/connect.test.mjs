// The line that reaches an app from any notebook.
import { expect, test } from "vitest";
import { connectCell } from "../../fal_jupyter/widgets/static/sidebar/connect.mjs";
import { madeApp } from "./made.mjs";

const endpoint = (signature, more = {}) => ({
  name: "paint",
  path: "/",
  signature,
  doc: "",
  protocol: "http",
  ...more,
});

test.each([
  ["() -> dict", "()"],
  ["(prompt: str, n: int = 3) -> dict", '(prompt="text")'],
  ["(a: int, b: float, c: bool) -> dict", "(a=1, b=1.0, c=True)"],
  ["(*, prompt: str = 'a, b)', tags: list[str] = ['x', 'y']) -> dict", "()"],
])("a call with plain values stands in the line: %s", (signature, call) => {
  expect(connectCell(madeApp("painter", { app: "me/painter", endpoints: [endpoint(signature)] }))).toBe(
    `import fal_jupyter; fal_jupyter.app("me/painter").paint${call}`,
  );
});

test("where a value has a form of its own, the line gives the app, which tells its endpoints", () => {
  const line = 'import fal_jupyter; fal_jupyter.app("me/painter")';
  expect(connectCell(madeApp("painter", { app: "me/painter", endpoints: [endpoint("(input: Wanted) -> dict")] }))).toBe(
    line,
  );
  expect(
    connectCell(madeApp("painter", { app: "me/painter", endpoints: [endpoint("()", { protocol: "realtime" })] })),
  ).toBe(line);
});
