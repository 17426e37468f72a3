/**
 * Measures snapshots and restores of 20,000 files in a process of its own, with the raw commands of git beside them, in turns: `bun bench/snapshots.ts [rounds]`.
 * Prints one line of JSON, in milliseconds.
 */
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Workspaces } from "@smithers/core/Workspaces"
import { GitWorkspaces } from "@smithers/workspace"
import { Effect } from "effect"

const rounds = Number(process.argv[2] ?? "5")
const files = 20_000
const root = mkdtempSync(join(tmpdir(), "smithers-bench-tree-"))
const index = join(root, ".git", "raw-index")

const git = (...args: ReadonlyArray<string>): string =>
  execFileSync("git", args, {
    cwd: root,
    env: { PATH: process.env.PATH, HOME: root, GIT_CONFIG_NOSYSTEM: "1", GIT_INDEX_FILE: index, LC_ALL: "C" },
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
    maxBuffer: 64 * 1024 * 1024,
  }).trim()
const as = ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "core.hooksPath=/dev/null"]

/** A snapshot as a script would make it. */
const rawSnapshot = (): string => {
  git("add", "-A")
  const tree = git("write-tree")
  const commit = git(...as, "commit-tree", tree, "-m", "snapshot")
  git(...as, "update-ref", "refs/raw/run", commit)
  return commit
}
/** A restore as a script would make it: save, write, and compare. */
const rawRestore = (commit: string): void => {
  git("read-tree", "-m", "-u", rawSnapshot(), commit)
  git("add", "-A")
  if (git("write-tree") !== git("rev-parse", `${commit}^{tree}`)) throw new Error("the tree differs")
}

let edits = 0
/** Changes 6 files and adds 4. */
const edit = (): void => {
  edits++
  const path = (number: number): string => join(root, `d${number % 40}`, `s${number % 400}`, `f${number}.ts`)
  for (let at = 0; at < 6; at++) writeFileSync(path((edits * 977 + at * 131) % files), `edit ${edits} ${at}\n`)
  for (let at = 0; at < 4; at++) writeFileSync(join(root, `new-${edits}-${at}.ts`), `new ${edits} ${at}\n`)
}

const median = (values: ReadonlyArray<number>): number => [...values].sort((left, right) => left - right)[values.length >> 1] ?? 0
const times: { readonly [name: string]: Array<number> } = {
  unchanged: [],
  changed: [],
  restored: [],
  rawUnchanged: [],
  rawChanged: [],
  rawRestored: [],
}
const timed = <A, E, R>(name: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const begin = performance.now()
    return Effect.tap(effect, () => Effect.sync(() => times[name]?.push(performance.now() - begin)))
  })

const program = Effect.gen(function* () {
  const workspaces = yield* Workspaces
  const snapshot = workspaces.snapshot({ root, runId: "run", label: "bench" })
  const raw = Effect.sync(rawSnapshot)
  const first = performance.now()
  yield* snapshot
  const firstMs = performance.now() - first
  yield* raw
  for (let round = 0; round < rounds; round++) {
    yield* timed("rawUnchanged", raw)
    yield* timed("unchanged", snapshot)
    const before = yield* snapshot
    yield* Effect.sync(edit)
    yield* timed("changed", snapshot)
    yield* timed("restored", workspaces.restore({ root, runId: "run", target: before.commit }))
    const rawBefore = yield* raw
    yield* Effect.sync(edit)
    yield* timed("rawChanged", raw)
    yield* timed(
      "rawRestored",
      Effect.sync(() => rawRestore(rawBefore)),
    )
    yield* snapshot
  }
  return firstMs
})

try {
  execFileSync("git", ["init", "-q", root])
  for (let number = 0; number < files; number++) {
    const directory = join(root, `d${number % 40}`, `s${number % 400}`)
    if (number < 400) mkdirSync(directory, { recursive: true })
    writeFileSync(join(directory, `f${number}.ts`), `export const value${number} = ${number}\n`.repeat(20))
  }
  execFileSync("git", ["add", "-A"], { cwd: root })
  const firstMs = await Effect.runPromise(Effect.provide(program, GitWorkspaces.layer()))
  console.log(
    JSON.stringify({ first: firstMs, ...Object.fromEntries(Object.entries(times).map(([name, all]) => [name, median(all)])) }),
  )
} finally {
  rmSync(root, { recursive: true, force: true })
}
