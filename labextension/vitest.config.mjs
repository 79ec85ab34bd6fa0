import { defineConfig } from "vitest/config";

const HANG = 120000; // a guard only: a busy machine is slow
const ALL = "test/**/*.test.mjs";

// These put something in a module's place, or count who listens to the whole page: each has a page of its own.
const APART = ["test/keys.test.mjs", "test/notifications.test.mjs", "test/plugins.test.mjs"];

const COMMON = { environment: "jsdom", testTimeout: HANG, setupFiles: ["test/setup.mjs"] };

// The others share pages and modules: loading both anew for each file would take most of the time.
export default defineConfig({
  test: {
    isolate: false,
    projects: [
      { test: { name: "together", ...COMMON, include: [ALL], exclude: APART } },
      { test: { name: "apart", ...COMMON, include: APART, isolate: true } },
    ],
  },
});
