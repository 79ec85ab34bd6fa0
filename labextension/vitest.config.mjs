import { defineConfig } from "vitest/config";

const HANG = 30000; // a guard only: a busy machine is slow

export default defineConfig({ test: { environment: "jsdom", include: ["test/**/*.test.mjs"], testTimeout: HANG } });
