/**
 * What the core is about to offer, in the form it will have.
 */
import type { CommandError } from "@smithers/core/Commands"
import { InvalidCommand } from "@smithers/core/Errors"
import { generateRunId } from "@smithers/core/Ids"
import { type Instruction, type RunSummary, Storage } from "@smithers/core/Storage"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

export type Status = RunSummary["status"] | "paused"

export const known = (statuses: ReadonlyArray<Status>): ReadonlyArray<RunSummary["status"]> =>
  statuses as ReadonlyArray<RunSummary["status"]>

export const sourceOf = (run: RunSummary): string | undefined => (run as { readonly source?: string | null }).source ?? undefined

const deliver = (runId: string, command: Instruction) =>
  Effect.gen(function* () {
    const storage = yield* Storage
    yield* storage.deliver({ id: yield* generateRunId, runId, at: yield* Clock.currentTimeMillis, command })
  })

const notYet = (runId: string, what: string): Effect.Effect<void, CommandError, Storage> =>
  Effect.fail(new InvalidCommand({ runId, problem: `this version cannot ${what}` }))

export const cancel = (runId: string, options: { readonly reason?: string }): Effect.Effect<void, CommandError, Storage> =>
  deliver(runId, { _tag: "Cancel", ...options })
export const pause = (runId: string, _: { readonly by?: string }) => notYet(runId, "pause runs")
export const unpause = (runId: string) => notYet(runId, "pause runs")
export const retryNode = (runId: string, _: string, __: { readonly iteration?: number }) => notYet(runId, "retry nodes")
