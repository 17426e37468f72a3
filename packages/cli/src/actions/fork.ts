/**
 * Forks a run: `fork`.
 */
import * as Fork from "@smithers/core/Fork"
import { ports } from "@smithers/core/Storage"
import { defined } from "@smithers/core/Struct"
import { resumeLineOf } from "@smithers/server/views/CommandLine"
import { plural } from "@smithers/server/views/Text"
import * as Effect from "effect/Effect"
import { connect, findRun } from "../Database.ts"
import type { Reply } from "../Definition.ts"
import { InvalidUsage } from "../Errors.ts"
import { Exit } from "../Exit.ts"
import * as Input from "../Input.ts"
import { filesText, listed } from "../RestoredFiles.ts"
import { Screen } from "../Screen.ts"
import { userName } from "../User.ts"
import { definitionOfRun } from "../WorkflowOfRun.ts"
import { workspaces } from "../Workspaces.ts"

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
  readonly files: boolean
  readonly force: boolean
  readonly runId: string | undefined
  readonly workflow: string | undefined
  readonly by: string | undefined
  readonly dryRun: boolean
  readonly yes: boolean
}

/** Names a node of a list, with its iteration if it is not the first. */
const nameOf = ({ nodeId, iteration }: Fork.ForkedNode): string => (iteration === 0 ? nodeId : `${nodeId} (iteration ${iteration})`)

/** Width of the titles of lines. */
const width = 15

const line = (title: string, nodes: ReadonlyArray<Fork.ForkedNode>) => listed(title, nodes.map(nameOf), width)

/** The lists of a fork, and the outputs that do not fit. */
const describe = (forked: Fork.Forked): ReadonlyArray<string> => {
  const problems = forked.incompatible.map(
    ({ nodeId, issues }) => `  The output of "${nodeId}" no longer matches its schema: ${issues.join("; ")}`,
  )
  return [
    ...line("kept", forked.kept),
    ...line("set", forked.set),
    ...line("runs again", forked.rerun),
    ...line("asks again", forked.requested),
    ...line("waits for", forked.waiting),
    ...forked.files.flatMap((files) => filesText(files, width)),
    ...problems,
    ...(problems.length === 0
      ? []
      : [`  ${plural(problems.length, "output")} must match, or resume with --on-incompatible rerun.`]),
  ]
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
      const { files, force } = options
      const by = options.by ?? userName()
      const wanted: Fork.ForkOptions = {
        ...{ fromFailure, reask, replaySignals, keepDeadlines, ownEffects, files, force },
        ...defined({ frame, before, iteration, children, runId, by }),
        ...(isObject ? { set: set as { readonly [nodeId: string]: unknown } } : {}),
        ...input,
      }
      const forking = (dryRun: boolean) =>
        Effect.provide(Effect.provide(Fork.fork(definition, from, { ...wanted, dryRun }), ports(storage)), workspaces)
      const screen = yield* Screen
      const isAsking = files && screen.canAsk && !options.yes
      if (dryRun || isAsking) {
        const preview = yield* forking(true)
        const lines = [`A fork of run ${from} as of frame ${preview.frame} would have:`, ...describe(preview)]
        if (dryRun) return { value: { ...preview, next: [] }, text: [...lines, "Nothing was changed."].join("\n") } satisfies Reply
        yield* screen.log(lines.join("\n"))
        const { confirm } = yield* Effect.promise(() => import("../Ask.ts"))
        if (!(yield* confirm("Fork it, and restore these files?")))
          return { value: undefined, text: "Nothing was changed.", code: Exit.input } satisfies Reply
      }
      const forked = yield* forking(false)
      const source = (yield* storage.run(forked.from)).run.source
      const next = [resumeLineOf(options.db, { runId: forked.runId, source })]
      const text = [
        `Forked run ${from} as of frame ${forked.frame}, as run ${forked.runId}:`,
        ...describe(forked),
        `Nothing runs yet. Resume it: ${next[0]}`,
      ].join("\n")
      return { value: { ...forked, next }, text } satisfies Reply
    }),
  )
