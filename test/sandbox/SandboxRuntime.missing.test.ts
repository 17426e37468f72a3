/** Isolation by a package that is not installed. */
import { expect, it } from "@effect/vitest"
import { Runner } from "@smithers/sandbox"
import * as Effect from "effect/Effect"
import { vi } from "vitest"

vi.mock("@anthropic-ai/sandbox-runtime", () => {
  throw new Error("Cannot find package '@anthropic-ai/sandbox-runtime'")
})

vi.stubGlobal("process", Object.create(process, { getuid: { value: () => 1000 } }))

it.effect("commands fail with what to install, and nothing is started", () =>
  Effect.gen(function* () {
    const failed = yield* Effect.flip(Runner.make("sandbox-runtime").run(["true"], { policy: { root: import.meta.dirname } }))
    expect(failed._tag).toBe("IsolationUnavailable")
    expect(failed.message).toContain(
      "the package @anthropic-ai/sandbox-runtime cannot be loaded. Install it: bun add @anthropic-ai/sandbox-runtime.",
    )
  }),
)
