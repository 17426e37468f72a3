/**
 * Sandboxes of tests: real ones, on an empty root of their own, which is removed with the runtime. The files of the machine take no part.
 */
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { heldLimits, type SandboxesShape, type SandboxProvider, type SandboxRequest } from "@smithers/core/Sandboxes"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** Makes the sandboxes of a runtime. Nothing is written before the first is opened. */
export const make: Effect.Effect<SandboxesShape, never, Scope.Scope> = Effect.gen(function* () {
  const made: { root?: string } = {}
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      if (made.root !== undefined) rmSync(made.root, { recursive: true, force: true })
    }),
  )
  const here = (request: SandboxRequest): SandboxRequest => {
    made.root ??= realpathSync(mkdtempSync(join(tmpdir(), "smithers-sandboxes-")))
    // A root that a test has removed is made again.
    mkdirSync(made.root, { recursive: true })
    // A sandbox in another has that one for its root.
    return request.root.startsWith(`${made.root}/`) ? request : { ...request, root: made.root }
  }
  const load = yield* Effect.cached(Effect.promise(() => import("@smithers/sandbox/Sandboxes")))
  const local = yield* Effect.cached(Effect.map(load, ({ local }) => local()))
  const provider: SandboxProvider = {
    name: "local",
    limits: heldLimits,
    open: (request) => Effect.flatMap(local, ({ open }) => open(here(request))),
    patch: (request) => Effect.flatMap(local, ({ patch }) => patch(here(request))),
    close: (request) => Effect.flatMap(local, ({ close }) => close(here(request))),
  }
  return {
    providers: { local: provider, worktree: { ...provider, name: "worktree" } },
    apply: (request, patch) => Effect.flatMap(load, ({ apply }) => apply(here(request), patch)),
  }
})
