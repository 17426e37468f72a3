/**
 * The code of a workflow that a program runs with `hot: true`: its file, watched.
 */
import { realpathSync } from "node:fs"
import { resolve } from "node:path"
import type { Definition } from "@smithers/core/Definition"
import { Engine } from "@smithers/core/Engine"
import { InvalidSetting } from "@smithers/core/Errors"
import * as Thrown from "@smithers/core/Thrown"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

interface Loaded {
  readonly definition: Definition<unknown>
}

const isWorkflow = (value: unknown): value is Loaded => typeof value === "object" && value !== null && "definition" in value

const invalid = (setting: string, received: string, expected: string) => new InvalidSetting({ setting, received, expected })

/** The path of the workflow's file, if it can be loaded again. */
const fileOf = (source: string | undefined): Effect.Effect<string, InvalidSetting> =>
  Effect.suspend(() => {
    if (typeof Bun === "undefined") return invalid("hot", "true", "left out: only Bun can load files again")
    if (source === undefined) return invalid("source", "missing", "the path of the workflow's file, for `hot`")
    const path = resolve(source)
    const real = (() => {
      try {
        return realpathSync(path)
      } catch {
        return undefined
      }
    })()
    if (real === undefined) return invalid("source", `"${source}"`, "the path of the workflow's file, which is not there")
    if (real === realpathSync(Bun.main))
      return invalid(
        "source",
        `"${source}"`,
        "another file than the program, for `hot`: loading the program again would run it again",
      )
    return Effect.succeed(real)
  })

/** Takes changes of a workflow's file, and of what it imports, over while a run is at work. Ends with the scope. */
export const follow = (
  workflow: unknown,
  source: string | undefined,
  runId: string,
): Effect.Effect<void, InvalidSetting, Engine | Scope.Scope> =>
  Effect.gen(function* () {
    const path = yield* fileOf(source)
    const engine = yield* Engine
    const loadedAt = Date.now() - performance.now()
    const [{ Hot, Modules }, { mdx }] = yield* Effect.promise(() => Promise.all([import("@smithers/hot"), import("./mdx.ts")]))
    const read = (importing: () => Promise<object>) =>
      Effect.tryPromise({
        try: async (): Promise<{ readonly [name: string]: unknown }> => ({ ...(await importing()) }),
        catch: (thrown) => {
          const { message } = Thrown.describe(thrown, [])
          return { problem: message, isStuck: Modules.isStuck(message) }
        },
      })
    const first = yield* Effect.orElseSucceed(
      read(() => import(path)),
      () => ({}),
    )
    const name = Object.entries(first).find(([, value]) => value === workflow)?.[0]
    if (name === undefined) return yield* invalid("source", `"${source}"`, "the file that exports this workflow, for `hot`")
    const hot = yield* Hot.make<Loaded>(
      {
        entry: path,
        plugins: [mdx()],
        load: (importing) =>
          Effect.flatMap(read(importing), (exports) => {
            const found = exports[name]
            const what = name === "default" ? "default export" : `export "${name}"`
            return isWorkflow(found)
              ? Effect.succeed(found)
              : Effect.fail({ problem: `${path} has no ${what} that is a workflow`, isStuck: false })
          }),
        take: ({ definition }, code) => engine.reload(runId, definition, code),
        tell: (notice) => {
          switch (notice._tag) {
            case "Detected":
              return Effect.logInfo(`⟳ File change detected: ${notice.files} file(s)`)
            case "Reloaded": {
              const { generation, kept, added, removed } = notice.run
              return Effect.logInfo(`⟳ Workflow reloaded (generation ${generation})`, `${kept} kept, ${added} new, ${removed} gone`)
            }
            case "Refused":
              return Effect.logWarning(`✗ Not reloaded, the old code goes on: ${notice.problem}`)
            case "Unchanged":
              return Effect.logInfo("⟳ Not reloaded: the code is the one at work")
            case "Heavy":
              return Effect.logWarning(`${notice.reloads} reloads have taken ${notice.megabytes} MB, which only a restart frees`)
          }
        },
      },
      loadedAt,
    )
    if (hot.code !== undefined) yield* engine.noteCode(runId, hot.code)
    yield* Effect.forkScoped(hot.follow)
  })
