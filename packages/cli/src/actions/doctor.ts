/**
 * Examines a project: its files, its database, and its workflows.
 */
import { existsSync } from "node:fs"
import { join, relative } from "node:path"
import { plural } from "@smithers/server/views/Text"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Database from "../Database.ts"
import { examine, type Finding } from "../Doctor.ts"
import { Exit } from "../Exit.ts"
import { rootOf, workflows } from "../Project.ts"
import * as WorkflowFile from "../WorkflowFile.ts"

/** Opens the database of the project, as a command that reads does. */
const database = (root: string, db: string | undefined) =>
  Effect.gen(function* () {
    const named = yield* Effect.orElseSucceed(Database.named(db), () => undefined)
    const file = named ?? join(root, Database.filename)
    if (!existsSync(file)) return []
    const opened = yield* Effect.either(Effect.scoped(Database.open(file, "read")))
    if (Either.isRight(opened)) return []
    const { message } = opened.left
    const repair = /newer/.test(message) ? "Update the package: bun update smithers-orchestrator" : "smithers db check"
    return [{ check: "database", status: "problem", file: relative(root, file), message, repair } satisfies Finding]
  })

/** Loads the workflows of the project. */
const loaded = (root: string) =>
  Effect.forEach(workflows(root), ({ path }) =>
    Effect.map(Effect.either(WorkflowFile.load(path, { otherwise: "" })), (result): ReadonlyArray<Finding> => {
      if (Either.isRight(result)) return []
      const file = relative(root, path)
      const { missing } = { missing: undefined, ...result.left }
      const repair = missing === undefined ? `Repair it, then: smithers check ${file}` : `bun add ${missing}`
      return [{ check: "workflows", status: "problem", file, message: result.left.message.trim(), repair }]
    }),
  )

export const doctor = ({ root: folder, db }: { readonly root: string | undefined; readonly db: string | undefined }) =>
  Effect.gen(function* () {
    const root = rootOf(folder ?? ".")
    const files = yield* Effect.sync(() => examine(root))
    const findings = [...files, ...(yield* database(root, db)), ...(yield* loaded(root)).flat()]
    const problems = findings.filter(({ status }) => status === "problem").length
    const known = workflows(root).length
    const text = [
      ...findings.flatMap(({ status, file, message, repair }) => [
        `${status === "problem" ? "✗" : "!"} ${file === null ? "" : `${file}: `}${message}`,
        `    ${repair}`,
      ]),
      findings.length === 0
        ? `${root}: nothing wrong, ${plural(known, "workflow")} loaded.`
        : `${root}: ${plural(problems, "problem")}, ${plural(findings.length - problems, "warning")}, ${plural(known, "workflow")}.`,
    ]
    return {
      value: { root, workflows: known, findings },
      text: text.join("\n"),
      code: problems === 0 ? Exit.finished : Exit.failed,
    }
  })
