/**
 * Stores in files that go with the test, and other processes on them.
 */
import { Database } from "bun:sqlite"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { Storage } from "@smithers/core/Storage"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** A folder of its own for as long as the scope. */
export const folder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "smithers-"))),
  (made) => Effect.sync(() => fs.rmSync(made, { recursive: true, force: true })),
)

/** The name of a file that is not there yet. */
export const newFile = Effect.map(folder, (made) => path.join(made, "smithers.db"))

/** A store in a new file. */
export const layerTemporary = Layer.unwrapScoped(Effect.map(newFile, (filename) => SqliteStorage.layer({ filename })))

export const layerMemory = SqliteStorage.layer({ filename: ":memory:" })

/** Opens a store, uses it and closes it. */
export const using = <A, E, R>(
  config: SqliteStorage.SqliteConfig,
  use: (storage: Storage["Type"]) => Effect.Effect<A, E, R | Storage>,
) => Effect.provide(Effect.flatMap(Storage, use), SqliteStorage.layer(config))

/** A plain connection, as any SQLite tool would have. It waits while another process opens or closes the file. */
export const rawConnection = (filename: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const database = new Database(filename)
      database.run("PRAGMA busy_timeout = 5000")
      return database
    }),
    (database) => Effect.sync(() => database.close()),
  )

/** The rows of a query on a connection of its own. */
export const query = (filename: string, sql: string, ...values: ReadonlyArray<string | number>) =>
  Effect.scoped(Effect.map(rawConnection(filename), (database) => database.query(sql).values(...values)))

/** Starts another process on a file (`fixtures/process.ts`) and waits for its first line. It is killed with the scope. */
export const otherProcess = (action: string, filename: string, argument = "", prefix: ReadonlyArray<string> = []) =>
  Effect.gen(function* () {
    const script = path.join(import.meta.dirname, "fixtures", "process.ts")
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => Bun.spawn([...prefix, "bun", script, action, filename, argument], { stdout: "pipe", stderr: "inherit" })),
      (child) =>
        Effect.promise(() => {
          child.kill("SIGKILL")
          return child.exited
        }),
    )
    const line = yield* Effect.promise(async () => {
      let text = ""
      for await (const chunk of child.stdout) {
        text += new TextDecoder().decode(chunk)
        if (text.includes("\n")) break
      }
      return text.trim()
    })
    return { child, line }
  })
