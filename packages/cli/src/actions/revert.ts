/**
 * Takes a run back to before an attempt, with its files: `revert`.
 */

import * as Revert from "@smithers/core/Revert"
import { ports } from "@smithers/core/Storage"
import { defined } from "@smithers/core/Struct"
import { commandLine } from "@smithers/server/views/CommandLine"
import * as Effect from "effect/Effect"
import { connectWholeRun } from "../Database.ts"
import type { Reply } from "../Definition.ts"
import { InvalidUsage, InvalidWorkflowFile } from "../Errors.ts"
import { Exit } from "../Exit.ts"
import { filesText, listed } from "../RestoredFiles.ts"
import { Screen } from "../Screen.ts"
import { userName } from "../User.ts"
import { definitionFor, load } from "../WorkflowFile.ts"
import { workspaces } from "../Workspaces.ts"

interface RevertCommand {
  readonly db: string | undefined
  readonly workflow: string
  readonly runId: string | undefined
  readonly nodeId: string | undefined
  readonly attempt: number | undefined
  readonly iteration: number | undefined
  readonly files: boolean
  readonly noFiles: boolean
  readonly undo: boolean
  readonly force: boolean
  readonly by: string | undefined
  readonly dryRun: boolean
  readonly yes: boolean
}

/** Width of the titles of lines. */
const width = 11

const named = ({ nodeId, iteration }: Revert.RevertedNode): string =>
  iteration === 0 ? nodeId : `${nodeId} (iteration ${iteration})`

const describe = (reverted: Revert.Reverted): ReadonlyArray<string> => [
  ...listed("runs again", reverted.resets.map(named), width),
  ...listed("back", reverted.restored.map(named), width),
  ...(reverted.files === null ? ["  files       left alone"] : filesText(reverted.files, width)),
  ...reverted.notes.map((note) => `  ${note}`),
]

export const revert = (options: RevertCommand) =>
  Effect.scoped(
    Effect.gen(function* () {
      const invalid = (problem: string) => new InvalidUsage({ problem, command: "revert" })
      const { workflow, undo, force, attempt, iteration } = options
      if (options.runId === undefined) return yield* invalid("Give the run: --run-id <id>")
      if (options.nodeId === undefined && !undo) return yield* invalid("Give the node to go back to: --node-id <node>, or --undo")
      if (options.files && options.noFiles) return yield* invalid("Give --files or --no-files, not both")
      const { storage, runId } = yield* connectWholeRun(options.db, options.runId)
      const { run } = yield* storage.run(runId)
      const loaded = yield* load(workflow, {})
      const definition = definitionFor(loaded, run.workflow)
      if (definition === undefined) {
        const problem = `Run "${runId}" belongs to workflow "${run.workflow}", which ${loaded.path} does not export`
        return yield* new InvalidWorkflowFile({ path: loaded.path, reason: "no-export", problem })
      }
      const files = options.files ? true : options.noFiles ? false : undefined
      const wanted = { ...defined({ node: options.nodeId, attempt, iteration, files, by: options.by ?? userName() }), undo, force }
      const reverting = (dryRun: boolean) =>
        Effect.provide(Effect.provide(Revert.revert(definition, runId, { ...wanted, dryRun }), ports(storage)), workspaces)
      const screen = yield* Screen
      const to = ({ nodeId, attempt }: Revert.Reverted): string =>
        attempt === 0 ? `to before "${nodeId}"` : `to before attempt ${attempt} of "${nodeId}"`
      const verb = undo ? "Undo" : "Revert"
      const isAsking = screen.canAsk && !options.yes
      if (options.dryRun || isAsking) {
        const preview = yield* reverting(true)
        const lines = [
          undo ? `Undoing the last revert of run ${runId} would mean:` : `Reverting run ${runId} ${to(preview)} would mean:`,
          ...describe(preview),
        ]
        const value = { ...preview, next: [] }
        if (options.dryRun) return { value, text: [...lines, "Nothing was changed."].join("\n") } satisfies Reply
        yield* screen.log(lines.join("\n"))
        const { confirm } = yield* Effect.promise(() => import("../Ask.ts"))
        if (!(yield* confirm(`${verb} it?`)))
          return { value: undefined, text: "Nothing was changed.", code: Exit.input } satisfies Reply
      }
      const reverted = yield* reverting(false)
      const resume = commandLine(
        options.db,
        `up ${workflow}`,
        [],
        [
          ["run-id", runId],
          ["resume", "true"],
        ],
      )
      const back = commandLine(options.db, `revert ${workflow}`, [], [["run-id", runId], "undo"])
      const text = [
        undo ? `Undid the last revert of run ${runId}:` : `Reverted run ${runId} ${to(reverted)}:`,
        ...describe(reverted),
        ...(undo ? [] : [`Undo it: ${back}`]),
        `Resume it: ${resume}`,
      ].join("\n")
      return { value: { ...reverted, next: [resume, ...(undo ? [] : [back])] }, text } satisfies Reply
    }),
  )
