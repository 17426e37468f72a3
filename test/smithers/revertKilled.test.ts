/**
 * Processes that are killed in the middle of a snapshot, a revert or its undoing, or a fork with files: at each write of the store, and between git and the store.
 */
import { execFileSync, spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Smithers } from "smithers-orchestrator"
import { describe } from "vitest"
import { flow } from "./fixtures/reverting.ts"

type Action = "run" | "revert" | "undo" | "fork"

const program = join(import.meta.dirname, "fixtures", "reverting.ts")

/** A repository, and a database beside it. */
const place = () => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "smithers-killed-")))
  const root = join(folder, "repo")
  const git = (...args: ReadonlyArray<string>) =>
    execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@t", ...args], { cwd: root, encoding: "utf8" })
  execFileSync("git", ["init", "-q", "-b", "main", root])
  writeFileSync(join(root, "a.txt"), "one\n")
  git("add", "-A")
  git("commit", "-qm", "first")
  const db = join(folder, "runs.db")
  const act = (action: Action, point: number) => {
    const { status, signal, stdout, stderr } = spawnSync(process.execPath, [program, action, root, db, String(point)], {
      encoding: "utf8",
      timeout: 60_000,
    })
    if (signal !== "SIGKILL" && status !== 0) throw new Error(`${action} at ${point}: ${stderr}`)
    return { isKilled: signal === "SIGKILL", count: Number(stdout) }
  }
  const on = <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) =>
    Effect.provide(effect, Smithers.sqlite({ filename: db, tools: { root } }))
  return {
    act,
    on,
    root,
    has: (name: string) => existsSync(join(root, name)),
    log: () => readFileSync(`${root}.log`, "utf8").trim(),
    fsck: () => git("fsck", "--no-dangling"),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

const kills = <A>(
  prepare: (at: ReturnType<typeof place>) => A,
  action: Action,
  check: (at: ReturnType<typeof place>, point: number) => Effect.Effect<void, unknown>,
) =>
  Effect.gen(function* () {
    let points = 0
    for (let point = 0; point <= points; point++) {
      const at = place()
      try {
        prepare(at)
        const { isKilled, count } = at.act(action, point)
        if (point === 0) points = count
        else expect([point, isKilled]).toEqual([point, true])
        yield* check(at, point)
        expect(at.fsck()).not.toMatch(/error|missing/)
      } finally {
        at.remove()
      }
    }
    return points
  })

describe("a process that is killed", () => {
  it.live(
    "around snapshots leaves a run that goes on, with a snapshot before and after each attempt that finishes",
    () =>
      Effect.gen(function* () {
        const points = yield* kills(
          () => undefined,
          "run",
          (at) =>
            at.on(
              Effect.gen(function* () {
                expect(yield* flow(at.root).execute({}, { runId: "r" })).toBe("second")
                const all = yield* Smithers.snapshots("r")
                const { attempts } = yield* Smithers.inspect("r")
                for (const { nodeId, attempt, status } of attempts) {
                  if (status !== "succeeded") continue
                  const own = all.filter((one) => one.nodeId === nodeId && one.attempt === attempt)
                  expect(own.map(({ moment, failure }) => [moment, failure])).toEqual([
                    ["before", null],
                    ["after", null],
                  ])
                }
              }),
            ),
        )
        expect(points).toBeGreaterThan(15)
      }),
    240_000,
  )

  it.live(
    "in a revert leaves a run that is as before or reverted, never half, once it is resumed",
    () =>
      Effect.gen(function* () {
        const points = yield* kills(
          (at) => at.act("run", 0),
          "revert",
          (at) =>
            at.on(
              Effect.gen(function* () {
                expect(yield* flow(at.root).execute({}, { runId: "r" })).toBe("second")
                const reverts = (yield* Smithers.inspect("r")).run.status
                expect(reverts).toBe("finished")
                // Either nothing was done, or the second task ran again.
                expect(["first second", "first second second"]).toContain(at.log())
                expect([at.has("first.txt"), at.has("second.txt")]).toEqual([true, true])
              }),
            ),
        )
        expect(points).toBeGreaterThan(8)
      }),
    240_000,
  )

  it.live(
    "in a revert is completed or undone by another one",
    () =>
      kills(
        (at) => at.act("run", 0),
        "revert",
        (at, point) =>
          Effect.gen(function* () {
            at.act("revert", 0)
            expect([point, at.has("first.txt"), at.has("second.txt")]).toEqual([point, true, false])
            at.act("undo", 0)
            yield* at.on(
              Effect.gen(function* () {
                expect(yield* flow(at.root).execute({}, { runId: "r" })).toBe("second")
              }),
            )
            expect(["first second", "first second second"]).toContain(at.log())
          }),
      ),
    240_000,
  )

  it.live(
    "while it undoes a revert leaves a run that ends as if it had not been killed",
    () =>
      kills(
        (at) => {
          at.act("run", 0)
          at.act("revert", 0)
          expect(at.has("second.txt")).toBe(false)
        },
        "undo",
        (at) =>
          at.on(
            Effect.gen(function* () {
              expect(yield* flow(at.root).execute({}, { runId: "r" })).toBe("second")
              expect([at.has("first.txt"), at.has("second.txt")]).toEqual([true, true])
              expect(["first second", "first second second"]).toContain(at.log())
            }),
          ),
      ),
    240_000,
  )

  it.live(
    "in a fork with files leaves either no fork and the files as they were, or a fork that goes on with its files and none of its steps before",
    () =>
      Effect.gen(function* () {
        const seen = new Set<string>()
        const points = yield* kills(
          (at) => at.act("run", 0),
          "fork",
          (at, point) =>
            at.on(
              Effect.gen(function* () {
                const runs = (yield* Smithers.list()).map(({ runId }) => runId).sort()
                seen.add(runs.join(" "))
                expect([point, runs.includes("f") || at.has("second.txt")]).toEqual([point, true])
                if (!runs.includes("f")) return
                const files = yield* Smithers.snapshots("f")
                expect(yield* flow(at.root).resume("f")).toBe("second")
                const before = (yield* Smithers.snapshots("f", { nodeId: "second" })).find(({ moment }) => moment === "before")
                // The step of the fork began with the files of the cut.
                expect([point, before?.tree]).toEqual([point, files.findLast(({ nodeId }) => nodeId === "first")?.tree])
                expect([at.log(), at.has("first.txt"), at.has("second.txt")]).toEqual(["first second second", true, true])
              }),
            ),
        )
        expect([...seen].sort()).toEqual(["f r", "r"])
        expect(points).toBeGreaterThan(7)
      }),
    240_000,
  )
})
