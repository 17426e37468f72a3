import { availableParallelism } from "node:os"
import { configDefaults, defineConfig } from "vitest/config"

const all = "test/**/*.test.{ts,tsx}"

/** Suites that take most of a minute each or more: simulations, kills, clocks that jump, commands as processes. `bun run test:long` runs them, and `bun run test` the others. */
const long = [
  "test/agents/commandLine.test.ts",
  "test/agents/commandLineRuns.test.ts",
  "test/agents/realPrograms.test.ts",
  "test/core/Families.test.ts",
  "test/core/Generations.test.ts",
  "test/core/Replay.simulation.test.ts",
  "test/core/Simulation.test.ts",
  "test/agents/Crashes.test.ts",
  "test/cli/Database.test.ts",
  "test/cli/Launch.test.ts",
  "test/cli/anyIds.test.ts",
  "test/cli/cancelling.test.ts",
  "test/cli/commands.test.ts",
  "test/cli/decisions.test.ts",
  "test/cli/errors.test.ts",
  "test/cli/Input.test.ts",
  "test/cli/cache.test.ts",
  "test/cli/fork.test.ts",
  "test/cli/hot.test.ts",
  "test/cli/laterAttempts.test.ts",
  "test/cli/leaving.test.ts",
  "test/cli/lookingBack.test.ts",
  "test/cli/mcp.test.ts",
  "test/cli/memory.test.ts",
  "test/cli/replay.test.ts",
  "test/cli/revert.test.ts",
  "test/cli/sandboxes.test.ts",
  "test/cli/schedules.test.ts",
  "test/cli/scores.test.ts",
  "test/cli/outcomes.test.ts",
  "test/cli/telemetry.test.ts",
  "test/cli/templates.test.ts",
  "test/cli/secrets.test.ts",
  "test/cli/signalled.test.ts",
  "test/cli/status.test.ts",
  "test/cli/stories.test.ts",
  "test/cli/supervise.test.ts",
  "test/cli/wholeIds.test.ts",
  "test/core/Depth.test.ts",
  "test/jsx/Crashes.test.tsx",
  "test/jsx/Depth.test.tsx",
  "test/patterns/again.test.tsx",
  "test/patterns/deeper.test.tsx",
  "test/patterns/late.test.tsx",
  "test/patterns43/Patterns.test.ts",
  "test/sandbox/Isolation.test.ts",
  "test/sandbox/escapes.test.ts",
  "test/sandbox/patches.test.ts",
  "test/sandbox/kills.test.ts",
  "test/sqlite/Families.test.ts",
  "test/scripts/compatibility.test.ts",
  "test/server/oneWay.test.ts",
  "test/server/secrets.test.ts",
  "test/server/security.test.ts",
  "test/server/serve.test.ts",
  "test/testing/sandboxChecks.test.ts",
  "test/smithers/demo.test.ts",
  "test/smithers/clock.test.ts",
  "test/smithers/hot.test.ts",
  "test/smithers/killedElsewhere.test.ts",
  "test/smithers/processes.test.ts",
  "test/smithers/revertKilled.test.ts",
  "test/smithers/sandboxes.test.tsx",
  "test/smithers/sharedSandboxes.test.tsx",
  "test/smithers/transactions.test.tsx",
  "test/workspace/attacks.test.ts",
  "test/workspace/crashes.test.ts",
]

/** Suites that fill the machine with processes, so that others would fail beside them. `bun run test:long` runs them behind the long ones. */
const alone = ["test/agents/attacks.test.ts"]

/** Suites that Node runs and not Bun, as `bun run test:package` does. */
const node = ["test/sqlite/node/*.test.ts"]

/** Suites that open the page in Chromium, as `bun run test:browser` does. */
const browser = ["test/browser/*.test.ts"]

/** Suites that install the package, as `bun run test:package` does. */
const packaged = ["test/package/*.test.ts"]

export default defineConfig({
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: "short",
          include: [all],
          exclude: [...configDefaults.exclude, ...long, ...alone, ...node, ...browser, ...packaged],
        },
      },
      { extends: true, test: { name: "long", include: long } },
      // Files of a single process begin when all others have ended.
      { extends: true, test: { name: "alone", include: alone, poolOptions: { forks: { singleFork: true } } } },
      { extends: true, test: { name: "node", include: node } },
      { extends: true, test: { name: "browser", include: browser, poolOptions: { forks: { singleFork: true } } } },
      { extends: true, test: { name: "package", include: packaged, globalSetup: "test/package/setup.ts" } },
    ],
    pool: "forks",
    // Files wait for their processes more than they compute, so that two at once also pay where there are two processors.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    minWorkers: 1,
    // Modules are what they export; guessing at their default export hides named ones of the same module.
    deps: { interopDefault: false },
    // Milliseconds. No test takes a tenth of this, but a busy machine may take ten times as long for each process that one starts.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 10_000,
  },
})
