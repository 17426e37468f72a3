import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.{ts,tsx}"],
    pool: "forks",
    // Modules are what they export; guessing at their default export hides named ones of the same module.
    deps: { interopDefault: false },
    // Milliseconds. No test takes a tenth of this, but a busy machine may take ten times as long for each process that one starts.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 10_000,
  },
})
