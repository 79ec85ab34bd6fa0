import { defineConfig } from "vitest/config";

export default defineConfig({ test: {
    testTimeout: 30000, // a guard against hangs; a busy machine is slow environment: "jsdom", include: ["test/**/*.test.mjs"] } });
