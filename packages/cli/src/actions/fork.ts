/**
 * Forks a run: `fork`.
 */
import * as Fork from "@smithers/core/Fork"
import { ports } from "@smithers/core/Storage"
import { defined } from "@smithers/core/Struct"
import * as Effect from "effect/Effect"
import { resumeLineOf } from "../CommandLine.ts"
import { connect, findRun } from "../Database.ts"
import type { Reply } from "../Definition.ts"
import { InvalidUsage } from "../Errors.ts"
import * as Input from "../Input.ts"
import { plural, shorten } from "../Text.ts"
import { userName } from "../User.ts"
import { definitionOfRun } from "../WorkflowOfRun.ts"

interface ForkCommand {
  readonly db: string | undefined
  readonly run: string
  readonly frame: number | undefined
  readonly before: string | undefined
  readonly iteration: number | undefined
  readonly fromFailure: boolean
  readonly input: string | undefined
  readonly set: string | undefined
  readonly reask: boolean
  readonly children: "new" | "adopt" | undefined
  readonly replaySignals: boolean
  readonly keepDeadlines: boolean
  readonly ownEffects: boolean
  readonly runId: string | undefined
  readonly workflow: string | undefined
  readonly by: string | undefined
  readonly dryRun: boolean
}

/** Names a node of a list, with its iteration if it is not the first. */
const nameOf = ({ nodeId, iteration }: Fork.ForkedNode): string => (iteration === 0 ? nodeId : `${nodeId} (iteration ${iteration})`)

/** A line of a list; long lists are cut. */
const line = (title: string, nodes: ReadonlyArray<Fork.ForkedNode>): ReadonlyArray<string> => {
  if (nodes.length === 0) return []
  const shown = nodes.slice(0, 20).map(nameOf).join(", ")
  const rest = nodes.length > 20 ? `, and ${nodes.length - 20} more` : ""
  return [`  ${title.padEnd(15)} ${nodes.length}: ${shorten(shown, 400)}${rest}`]
}

export const fork = (options: ForkCommand) =>
  Effect.scoped(
    Effect.gen(function* () {
      const database = yield* connect(options.db, options.dryRun ? "read" : "write")
      const from = yield* findRun(database, options.run)
      const { storage } = database
      const definition = yield* definitionOfRun({ ...database, runId: from }, options.workflow, "--workflow")
      const input = options.input === undefined ? {} : { input: yield* Input.read("--input", options.input) }
      const set = options.set === undefined ? undefined : yield* Input.read("--set", options.set)
      const isObject = typeof set === "object" && set !== null && !Array.isArray(set)
      if (set !== undefined && !isObject)
        return yield* new InvalidUsage({
          problem: `--set must be a JSON object of outputs by node id, such as {"review":{"ok":true}}`,
          command: "fork",
        })
      const { frame, before, iteration, fromFailure, reask, children, replaySignals, keepDeadlines, ownEffects, runId, dryRun } =
        options
      const by = options.by ?? userName()
      const wanted: Fork.ForkOptions = {
        ...{ fromFailure, reask, replaySignals, keepDeadlines, ownEffects, dryRun },
        ...defined({ frame, before, iteration, children, runId, by }),
        ...(isObject ? { set: set as { readonly [nodeId: string]: unknown } } : {}),
        ...input,
      }
      const forked = yield* Effect.provide(Fork.fork(definition, from, wanted), ports(storage))
      const source = (yield* storage.run(forked.from)).run.source
      const next = dryRun ? [] : [resumeLineOf(options.db, { runId: forked.runId, source })]
      const title = dryRun
        ? `A fork of run ${from} as of frame ${forked.frame} would have:`
        : `Forked run ${from} as of frame ${forked.frame}, as run ${forked.runId}:`
      const problems = forked.incompatible.map(
        ({ nodeId, issues }) => `  The output of "${nodeId}" no longer matches its schema: ${issues.join("; ")}`,
      )
      const text = [
        title,
        ...line("kept", forked.kept),
        ...line("set", forked.set),
        ...line("runs again", forked.rerun),
        ...line("asks again", forked.requested),
        ...line("waits for", forked.waiting),
        ...problems,
        ...(problems.length === 0
          ? []
          : [`  ${plural(problems.length, "output")} must match, or resume with --on-incompatible rerun.`]),
        ...(dryRun ? ["Nothing was changed."] : [`Nothing runs yet. Resume it: ${next[0]}`]),
      ].join("\n")
      return { value: { ...forked, next }, text } satisfies Reply
    }),
  )
