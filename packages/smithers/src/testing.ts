/**
 * The kit for tests of workflows, for `bun test`, Vitest and `@effect/vitest`.
 */
export * from "@smithers/testing"
