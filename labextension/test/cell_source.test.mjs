/** Options that are written into an app's cell: the text stays Python, and the option counts. */
import { describe, expect, test } from "vitest";
import { lineWith, withOptions } from "../src/notebooks/cell_source.ts";

const CELL =
  '%%fal_app --keep-alive 30\nclass Hello(fal.App, max_concurrency=2):\n    """Says hello.\n\n' +
  '    Twice.\n    """\n    min_concurrency: int = 1  # warm\n\n    def setup(self):\n' +
  "        keep_alive = 9\n";
const inClass = (...lines) => ["class A(fal.App):", ...lines.map((line) => line && `    ${line}`), ""].join("\n");
const AFTER = ['@fal.endpoint("/")', "def a(self): ..."];

describe("options written into a cell", () => {
  test("take the place of what is written, else come behind the docstring", () => {
    const written = withOptions(CELL, "Hello", {
      keep_alive: 5,
      max_concurrency: 4,
      min_concurrency: 2,
      request_timeout: 60.5,
    });
    expect(written).toBe(
      CELL.replace("--keep-alive 30", "--keep-alive 5")
        .replace("max_concurrency=2", "max_concurrency=4")
        .replace("= 1  # warm", "= 2  # warm")
        .replace('    """\n    min', '    """\n    request_timeout = 60.5\n    min'),
    );
  });

  test.each([
    [["keep_alive = (", "    300", ")"], ["keep_alive = 5"]],
    [["keep_alive = max(", "    1,", "    2,", ")"], ["keep_alive = 5"]],
    [["keep_alive = 1 + \\", "    1"], ["keep_alive = 5"]],
    [["keep_alive = 2; max_multiplexing = 300"], ["keep_alive = 5; max_multiplexing = 300"]],
    [["x = 1; keep_alive: int = 2  # s"], ["x = 1; keep_alive: int = 5  # s"]],
    [['keep_alive = len("#ab")  # hash'], ["keep_alive = 5  # hash"]],
    [
      ["keep_alive = 1", "keep_alive = 2"],
      ["keep_alive = 1", "keep_alive = 5"],
    ],
    [
      ['doc = """', "keep_alive = 7", '"""'],
      ["keep_alive = 5", 'doc = """', "keep_alive = 7", '"""'],
    ],
    [
      ['"""Doc."""', "# keep_alive = 7", "x = '# keep_alive = 8'"],
      ['"""Doc."""', "keep_alive = 5", "# keep_alive = 7", "x = '# keep_alive = 8'"],
    ],
    [['"d"; x = 1'], ['"d"; x = 1', "keep_alive = 5", ""]],
    [["keep_alive = 3 if x else 4"], ["keep_alive = 5"]],
    [
      ["größe = 1", "keep_alive = 3  # ü"],
      ["größe = 1", "keep_alive = 5  # ü"],
    ],
    [
      ["keep_alive: int", "x = 1"],
      ["keep_alive = 5", "keep_alive: int", "x = 1"],
    ],
    [
      ["class Input(BaseModel):", "    keep_alive: int = 3", "def f(self, keep_alive=4):", "    keep_alive = 7"],
      [
        "keep_alive = 5",
        "",
        "class Input(BaseModel):",
        "    keep_alive: int = 3",
        "def f(self, keep_alive=4):",
        "    keep_alive = 7",
      ],
    ],
    [
      ["!pip list", "keep_alive = 3"],
      ["!pip list", "keep_alive = 5"],
    ],
  ])("of %j make %j", (before, after) => {
    expect(withOptions(inClass(...before, ...AFTER), "A", { keep_alive: 5 })).toBe(inClass(...after, ...AFTER));
  });

  test.each([
    [
      "class A(fal.App, keep_alive=max(1,\n  2), x=3):\n    y = 1\n",
      "class A(fal.App, keep_alive=5, x=3):\n    y = 1\n",
    ],
    ["class A[T](fal.App, keep_alive=1):\n    y = 1\n", "class A[T](fal.App, keep_alive=5):\n    y = 1\n"],
    [
      "class A(fal.App):\n    keep_alive = 1\n\nclass A(fal.App):\n    keep_alive = 2\n",
      "class A(fal.App):\n    keep_alive = 1\n\nclass A(fal.App):\n    keep_alive = 5\n",
    ],
    [
      "%%fal_app --max 2 --keep-alive=30\n%time x\nclass A(fal.App):\n    y = 1\n",
      "%%fal_app --max 2 --keep-alive=5\n%time x\nclass A(fal.App):\n    y = 1\n",
    ],
    ["if True:\n  class A(fal.App):\n    keep_alive = 1", "if True:\n  class A(fal.App):\n    keep_alive = 5"],
    ["class A(fal.App):\n\n    x = 1", "class A(fal.App):\n\n    keep_alive = 5\n    x = 1"],
    ['class A(fal.App):\n    """Doc."""', 'class A(fal.App):\n    """Doc."""\n    keep_alive = 5'],
  ])("of %j make %j", (before, after) => {
    expect(withOptions(before, "A", { keep_alive: 5 })).toBe(after);
  });

  test.each([
    // the class of the cell, and none of its name within another definition
    [
      "class A(fal.App):\n    keep_alive = 1\n    class A(BaseModel):\n        x: int = 1\n",
      "keep_alive = 1",
      "keep_alive = 5",
    ],
    [
      "class A(fal.App):\n    keep_alive = 1\ndef helper():\n    class A:\n        keep_alive = 3\n",
      "keep_alive = 1",
      "keep_alive = 5",
    ],
    // the last flag counts, and a flag within a text is none
    ["%%fal_app --keep-alive 3 --keep-alive 30\nclass A(fal.App):\n    x = 1\n", "--keep-alive 30", "--keep-alive 5"],
    [
      "%%fal_app --name 'x --keep-alive 3'\nclass A(fal.App):\n    x = 1\n",
      "    x = 1",
      "    keep_alive = 5\n    x = 1",
    ],
    ['%%fal_app --keep-alive "30" --max 2\nclass A(fal.App):\n    x = 1\n', '"30"', "5"],
    // commands of the shell
    [
      "files = !ls (x\nout = !echo '''\nt = %timeit -o f(\nclass A(fal.App):\n    keep_alive = 1\n",
      "alive = 1",
      "alive = 5",
    ],
    // names that are only read
    [inClass("d[keep_alive] = 3", "f(keep_alive=1).x = 3", "x = keep_alive"), "    d[", "    keep_alive = 5\n    d["],
    [inClass("y = [keep_alive for keep_alive in x]"), "    y =", "    keep_alive = 5\n    y ="],
  ])("of %j change %j to %j", (source, before, after) => {
    expect(withOptions(source, "A", { keep_alive: 5 })).toBe(source.replace(before, after));
  });

  test("find a header of several lines, and a class without a docstring", () => {
    expect(
      withOptions("class A(\n    fal.App,\n):\n    # first\n    x = 1\n\nclass B: pass", "A", { keep_alive: 5 }),
    ).toBe("class A(\n    fal.App,\n):\n    keep_alive = 5\n    # first\n    x = 1\n\nclass B: pass");
  });

  test("stand apart from a method that follows", () => {
    expect(withOptions("class A(fal.App):\n    def setup(self):\n        pass", "A", { keep_alive: 5 })).toBe(
      "class A(fal.App):\n    keep_alive = 5\n\n    def setup(self):\n        pass",
    );
    expect(
      withOptions('class A(fal.App):\n    """Doc."""\n    @fal.endpoint("/")\n    async def a(self): ...', "A", {
        keep_alive: 5,
      }),
    ).toContain('"""Doc."""\n    keep_alive = 5\n\n    @fal');
  });

  test("of runners kept ready go into the magic's line", () => {
    expect(withOptions("%%fal_app --max 2  \nclass A(fal.App):\n    x = 1", "A", { warm: 2 })).toBe(
      "%%fal_app --warm 2 --max 2  \nclass A(fal.App):\n    x = 1",
    );
    expect(withOptions("%%fal_app --warm 1\nclass A(fal.App):\n    x = 1", "A", { warm: 2 })).toContain("--warm 2\n");
    expect(() => withOptions("class A(fal.App):\n    x = 1", "A", { warm: 2 })).toThrow(
      "line %%fal_app, which this cell",
    );
  });

  test("are refused in one sentence where there is no place", () => {
    const write =
      (source, name = "A") =>
      () =>
        withOptions(source, name, { keep_alive: 5 });
    expect(write("x = 1", "Hello")).toThrow("The cell has no class Hello.");
    expect(write("class Hello(fal.App): pass", "Hello")).toThrow("in one line");
    expect(write("class Hello(fal.App):\n", "Hello")).toThrow("no body");
    for (const line of [
      "a = keep_alive = 3",
      "keep_alive, x = 1, 2",
      "keep_alive += 1",
      "(keep_alive) = 2",
      "[a, *keep_alive] = x",
      "for keep_alive in x: pass",
      "with x as keep_alive: pass",
      "(keep_alive := 3)",
      "import x as keep_alive",
      "from x import keep_alive",
      "del keep_alive",
      "def keep_alive(self): ...",
    ]) {
      expect(write(inClass("x = 1", line)), line).toThrow(
        "keep_alive is set in line 3 of the cell in a way that only you",
      );
    }
    expect(write(inClass("if x:", "    keep_alive = 2"))).toThrow("line 2");
    expect(write(inClass("if x:", "    y = 2", "else:", "    keep_alive = 3; z = 1"))).toThrow("only you can change");
  });
});

describe("the line of an error", () => {
  const source = "a\n  b\nc\nb\nd";

  test("is the one quoted, also where the cell was edited since", () => {
    expect(lineWith(source, 2, "b")).toBe(2);
    expect(lineWith(source, 3, "d")).toBe(5);
    expect(lineWith(source, 5, "b")).toBe(4);
  });

  test("stays, within the cell, where its text is gone", () => {
    expect([lineWith(source, 3, "gone"), lineWith(source, 99, "gone")]).toEqual([3, 5]);
  });
});
