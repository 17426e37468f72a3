/**
 * Takes changes of a workflow's files over while its run is at work, and tells what becomes of each.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import type { EngineShape } from "@smithers/core/Engine"
import { ReloadRefused } from "@smithers/core/Errors"
import type { StorageShape } from "@smithers/core/Storage"
import * as Hot from "@smithers/hot/Hot"
import * as Modules from "@smithers/hot/Modules"
import { clock, plural } from "@smithers/server/views/Text"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { ScreenShape } from "../Screen.ts"
import { definitionFor, load, plugins, type WorkflowModule } from "../WorkflowFile.ts"

interface Watched {
  readonly loaded: WorkflowModule
  /** When the file was loaded, or a moment before (epoch ms). */
  readonly loadedAt: number
  readonly runId: string
  readonly engine: EngineShape
  readonly storage: StorageShape
  readonly screen: ScreenShape
  /** The command that resumes the run. */
  readonly resume: string
  /** The database, if the command or the environment of the process names it. */
  readonly db: string | undefined
  /** The folder whose `.env` files this process was started with. */
  readonly folder: string
}

/** The variable that names the database. */
const variable = "SMITHERS_DB"

/** The files that Bun reads variables from, the last one counting. */
const environmentFiles = [".env", `.env.${process.env.NODE_ENV ?? "development"}`, ".env.local"]

/** The database that the `.env` files of a folder name. */
const databaseIn = (folder: string): string | undefined =>
  environmentFiles
    .flatMap((name) => {
      try {
        const text = readFileSync(join(folder, name), "utf8")
        return [...text.matchAll(new RegExp(`^[ \\t]*(?:export[ \\t]+)?${variable}[ \\t]*=[ \\t]*(.*)$`, "gm"))].map(
          ([, value = ""]) => value,
        )
      } catch {
        return []
      }
    })
    .map((value) => /^(["'`])(.*)\1/.exec(value)?.[2] ?? value.replace(/\s+#.*$/, "").trim())
    .at(-1)

const shown = (path: string | undefined): string => (path === undefined || path === "" ? "none" : `"${path}"`)

/** Watches the files of a run that is about to start. */
export const hot = ({ loaded, loadedAt, runId, engine, storage, screen, resume, db, folder }: Watched) =>
  Effect.gen(function* () {
    const { path, exported } = loaded
    let createdAt: number | undefined
    const say = (text: string) =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        createdAt ??= yield* Effect.orElseSucceed(
          Effect.map(storage.run(runId), ({ run }) => run.createdAt),
          () => undefined,
        )
        yield* screen.log(`[${clock(now - (createdAt ?? now))}] ${text}`)
      })
    const named = { file: databaseIn(folder), variable: process.env[variable] }
    const source: Hot.Source<WorkflowModule> = {
      entry: path,
      plugins: yield* plugins(path),
      load: (importing) =>
        load(exported === undefined ? path : `${path}#${exported}`, {
          importing,
          otherwise: "",
        }).pipe(Effect.mapError(({ message }) => ({ problem: message.replace(/\s+$/gm, ""), isStuck: Modules.isStuck(message) }))),
      take: (next, code) =>
        Effect.gen(function* () {
          const now = process.env[variable]
          if (now !== named.variable && db === undefined) {
            if (named.variable === undefined) delete process.env[variable]
            else process.env[variable] = named.variable
            const problem = `the code sets ${variable} to ${shown(now)}: another database needs a restart`
            return yield* new ReloadRefused({ runId, reason: "restart", problem })
          }
          const stored = yield* Effect.orElseSucceed(
            Effect.map(storage.run(runId), ({ run }) => run.workflow),
            () => undefined,
          )
          const definition = (stored === undefined ? undefined : definitionFor(next, stored)) ?? next.workflow.definition
          return yield* engine.reload(runId, definition, code)
        }),
      tell: (notice) => {
        switch (notice._tag) {
          case "Detected":
            return say(`⟳ File change detected: ${notice.files} file(s)`)
          case "Reloaded":
            // Its event is shown.
            return Effect.void
          case "Refused":
            return say(`✗ Not reloaded, the old code goes on: ${notice.problem}`)
          case "Unchanged":
            return say("⟳ Not reloaded: the code is the one at work")
          case "Heavy":
            return say(
              `⟳ ${plural(notice.reloads, "reload")} have taken ${notice.megabytes} MB, which only a restart frees. Stop the run with Ctrl-C, and resume it: ${resume} --hot`,
            )
        }
      },
      fixed: {
        files: environmentFiles.map((name) => join(folder, name)),
        problem: () => {
          const now = databaseIn(folder)
          // A variable of the process counts before those of files.
          if (db !== undefined || named.variable !== named.file || now === named.file) return undefined
          return `${variable} changed from ${shown(named.file)} to ${shown(now)} in .env: another database needs a restart`
        },
      },
    }
    return yield* Hot.make(source, loadedAt)
  })
