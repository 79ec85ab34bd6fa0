import { describe, expect, it } from "vitest";
import { waitAdvice } from "../../fal_jupyter/widgets/static/inspector/advice.mjs";
import { madeApp, madeRequest } from "./made.mjs";

const said = (request, scaling, state = "Ready") =>
  waitAdvice(
    madeRequest("a", { state: "done", total_ms: 1000, queue_ms: 0, start_ms: 0, cold: false, ...request }),
    scaling && { ...madeApp("hello"), state, scaling },
  ).map((one) => one.textContent);

describe("what a request waited for", () => {
  it("is said with an option that would change it, by the values in force", () => {
    const cold = { cold: true, start_ms: 200 };
    expect(said(cold, { min_concurrency: 0, warm: 0, max_concurrency: 4 })).toEqual([
      "20 % was the start of a runner. min_concurrency 1 keeps one ready.",
    ]);
    expect(said(cold, { min_concurrency: 2, warm: 0, max_concurrency: 4 })).toEqual([
      "20 % was the start of a runner. 2 runners are kept ready now (min_concurrency 2); " +
        "min_concurrency 3 or a concurrency_buffer keeps more.",
    ]);
    expect(said(cold, { min_concurrency: 0, warm: 1, max_concurrency: 10 })).toEqual([
      "20 % was the start of a runner. 1 runner is kept ready now (warm 1); " +
        "min_concurrency 2 or a concurrency_buffer keeps more.",
    ]);
    expect(said(cold, { min_concurrency: 4, warm: 0, max_concurrency: 4 })[0]).toContain(
      "4 runners are kept ready now (min_concurrency 4), as many as max_concurrency allows.",
    );
    expect(said({ queue_ms: 400 }, { min_concurrency: 2, max_concurrency: 4 })).toEqual([
      "40 % was waiting for a free runner. max_concurrency is 4 now; a higher one lets more calls run at once.",
    ]);
  });
  it("is nothing where it hardly waited or still does, and gives no advice on an app that is not there", () => {
    expect(said({ cold: true, start_ms: 1, queue_ms: 20 }, { min_concurrency: 0 })).toEqual([]);
    expect(said({ cold: true, start_ms: 900, state: "waiting" }, { min_concurrency: 0 })).toEqual([]);
    expect(said({ cold: true, start_ms: 500, queue_ms: 400 }, null)).toEqual([
      "50 % was the start of a runner.",
      "40 % was waiting for a free runner.",
    ]);
    expect(said({ cold: true, start_ms: 500 }, { min_concurrency: 0 }, "Stopped")).toEqual([
      "50 % was the start of a runner.",
    ]);
  });
});
