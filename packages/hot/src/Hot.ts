/**
 * Replaces the code of a run at work when its files change: watch → bundle → import → take over. A save that fails at any of these leaves the old
 * code at work; the next good one is taken, whatever failed before.
 */
import { statSync } from "node:fs"
import type { CodeIdentity } from "@smithers/core/CodeGeneration"
import type { Reloaded } from "@smithers/core/Engine"
import type { ReloadRefused } from "@smithers/core/Errors"
import type { BunPlugin } from "bun"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import * as FolderWatch from "./FolderWatch.ts"
import * as Graph from "./Graph.ts"
import * as Modules from "./Modules.ts"

/** What there is to say of a change. */
export type Notice =
  | { readonly _tag: "Detected"; readonly files: number }
  | { readonly _tag: "Reloaded"; readonly run: Reloaded }
  /** The old code goes on. */
  | { readonly _tag: "Refused"; readonly problem: string }
  /** The files are again those of the code at work. */
  | { readonly _tag: "Unchanged" }
  /** Code that was left cannot be freed, and there is much of it. */
  | { readonly _tag: "Heavy"; readonly reloads: number; readonly megabytes: number }

/** The workflow file of a process, and how its code is loaded and taken over. */
export interface Source<A> {
  /** Real path of the workflow file. */
  readonly entry: string
  /** Plugins that compile what Bun does not, as in this process. */
  readonly plugins: ReadonlyArray<BunPlugin>
  /** Finds the workflow among what is imported. Fails with the problem of the code. */
  readonly load: (importing: () => Promise<object>) => Effect.Effect<A, LoadProblem>
  /** Takes new code over. */
  readonly take: (loaded: A, code: CodeIdentity) => Effect.Effect<ReadonlyArray<Reloaded>, ReloadRefused>
  readonly tell: (notice: Notice) => Effect.Effect<void>
  /** Files beside the code that decide about the run, and the problem that a change of them is. */
  readonly fixed?: { readonly files: ReadonlyArray<string>; readonly problem: () => string | undefined }
}

/** A failed load. */
export interface LoadProblem {
  readonly problem: string
  /** `true` if the files failed to link, see `Modules.isStuck`. */
  readonly isStuck: boolean
}

/** The code of a run, watched. */
export interface Hot {
  /** The code as it was loaded; `undefined` for code that cannot be bundled. */
  readonly code: CodeIdentity | undefined
  /** Takes changes over until it is interrupted. */
  readonly follow: Effect.Effect<never>
}

/** Time without another report after which a burst of changes is over, and the longest that one may last. */
const quiet = Duration.millis(50)
const longestBurst = Duration.seconds(1)

/** Time that a file may be missing or empty while an editor saves it. */
const saving = Duration.millis(200)

/** Code that is left takes some 70 kB per reload of a mid-sized workflow. */
const heavyReloads = 1000
const heavyBytes = 200 * 1024 * 1024

/** A collection takes some tens of milliseconds, in which nothing else runs. */
const reloadsPerCollection = 10

/** Extensions with which an import may name a file. */
const extensions = [
  "",
  ".ts",
  ".tsx",
  ".js",
  ".jsx",
  ".mjs",
  ".mts",
  ".json",
  ".md",
  ".mdx",
  "/index.ts",
  "/index.tsx",
  "/index.js",
]

/** Reads the graph of the entry, and watches it. Call it right before or after the entry is loaded first; `loadedAt` is when that began (epoch ms). */
export const make = <A>(source: Source<A>, loadedAt: number): Effect.Effect<Hot, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { entry, plugins, load, take, tell, fixed } = source
    const watch = yield* FolderWatch.make()
    const first = yield* Effect.either(Graph.read(entry, plugins))
    let code = Either.isRight(first) ? first.right.identity : undefined
    /** Every file that was of the code at some time. */
    const all = new Set<string>([entry])
    /** Files whose changes matter now, with their digests. */
    let digests = new Map<string, string>()
    const followed = (files: Iterable<string>): void => {
      const before = digests
      digests = new Map([...files, ...(fixed?.files ?? [])].map((file) => [file, before.get(file) ?? Graph.digestOf(file)]))
      watch.follow(digests.keys())
    }
    const files = Either.isRight(first) ? first.right.files : [entry]
    for (const file of files) all.add(file)
    followed(files)
    // What was saved between the load and the bundle is a change.
    let isLate = files.some((file) => (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0) > loadedAt)
    const rssBefore = process.memoryUsage.rss()
    let reloads = 0
    let isHeavy = false
    /** `true` once the files cannot be loaded from their paths any more. */
    let isStuck = false

    /** Waits for the end of a burst of changes. */
    const settled = Effect.gen(function* () {
      const until = (yield* Clock.currentTimeMillis) + Duration.toMillis(longestBurst)
      for (let now = 0; now < until; now = yield* Clock.currentTimeMillis) {
        yield* Effect.sleep(quiet)
        if (!watch.isHinted()) return
        yield* watch.hint
      }
    })
    /** The files that have changed since the last look. */
    const changed = (): ReadonlyArray<string> =>
      [...digests].flatMap(([file, digest]) => (Graph.digestOf(file) === digest ? [] : [file]))
    const isBeingSaved = (file: string): boolean => (Graph.contentOf(file)?.length ?? 0) === 0 && digests.get(file) !== ""

    const refuse = (problem: string) => tell({ _tag: "Refused", problem })

    /** Imports the code that a graph was read of. */
    const imported = (graph: Graph.Graph) =>
      Effect.gen(function* () {
        if (!isStuck) {
          Modules.forget(all)
          const loaded = yield* Effect.either(load(() => import(entry)))
          if (Either.isRight(loaded) || !loaded.left.isStuck) return yield* loaded
          isStuck = true
        }
        return yield* load(() => Modules.importBundled(graph))
      })

    const reload = Effect.gen(function* () {
      const problem = fixed?.problem()
      if (problem !== undefined) return yield* refuse(problem)
      const read = yield* Effect.either(Graph.read(entry, plugins))
      if (Either.isLeft(read)) {
        const wanted = read.left.unresolved.flatMap((path) => extensions.map((extension) => path + extension))
        followed([...digests.keys(), ...wanted])
        return yield* refuse(read.left.message)
      }
      const graph = read.right
      for (const file of graph.files) all.add(file)
      followed(graph.files)
      if (graph.identity.hash === code?.hash) return yield* tell({ _tag: "Unchanged" })
      const loaded = yield* Effect.either(imported(graph))
      reloads++
      if (Either.isLeft(loaded)) return yield* refuse(loaded.left.problem)
      const taken = yield* Effect.either(take(loaded.right, graph.identity))
      if (Either.isLeft(taken)) return yield* refuse(taken.left.problem)
      code = graph.identity
      const [run] = taken.right
      if (run !== undefined) yield* tell({ _tag: "Reloaded", run })
      // Left code is garbage; without this the heap grows before it is collected.
      if (reloads % reloadsPerCollection === 0) Bun.gc(true)
      const bytes = process.memoryUsage.rss() - rssBefore
      if (isHeavy || (reloads < heavyReloads && bytes < heavyBytes)) return
      isHeavy = true
      yield* tell({ _tag: "Heavy", reloads, megabytes: Math.round(bytes / 1024 / 1024) })
    })

    const step = Effect.gen(function* () {
      if (!isLate) {
        yield* watch.hint
        yield* settled
      }
      let found = changed()
      for (let tries = 0; found.some(isBeingSaved) && tries < 2; tries++) {
        yield* Effect.sleep(saving)
        found = changed()
      }
      const count = isLate ? Math.max(1, found.length) : found.length
      isLate = false
      if (count === 0) return
      for (const file of found) digests.set(file, Graph.digestOf(file))
      yield* tell({ _tag: "Detected", files: count })
      // A defect of one save does not end the watch.
      yield* Effect.catchAllDefect(reload, (defect) => refuse(String(defect)))
    })
    return { code, follow: Effect.forever(step) }
  })
