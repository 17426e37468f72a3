/** The end of a process in the middle of a snapshot or a restore, by a signal that it cannot see. */
import { chmodSync, mkdirSync, readdirSync, rmSync, unlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect } from "@effect/vitest"
import type { Workspaces } from "@smithers/core/Workspaces"
import * as Effect from "effect/Effect"
import { ownerOf } from "../../packages/workspace/src/internal/owner.ts"
import { sweep } from "../../packages/workspace/src/internal/repository.ts"
import { restore, snapshot, test } from "./fixtures/operations.ts"
import { contents, folder, git, owned, repository, write } from "./fixtures/trees.ts"

const working = join(import.meta.dirname, "fixtures", "working.ts")

/**
 * Runs an operation whose process is killed with its n-th process of git: before that begins, or while it works, which it then does to its end on its own. Gives
 * `false` where the operation was over before.
 */
const killedAt = (at: number, mode: "before" | "during", args: ReadonlyArray<string>): Effect.Effect<boolean> =>
  Effect.scoped(
    Effect.gen(function* () {
      const programs = yield* folder
      const real = Bun.which("git") ?? "git"
      writeFileSync(
        join(programs, "git"),
        `#!/bin/sh
n=1
until mkdir ${programs}/call.$n 2>/dev/null; do
  # A process that begins after the test has removed this folder: no number would ever be free.
  [ -d ${programs} ] || exit 1
  n=$((n+1))
done
[ "$n" -eq ${at} ] || exec ${real} "$@"
${mode === "before" ? "kill -9 $PPID; exit 1" : `${real} "$@" <&0 & kill -9 $PPID; wait; touch ${programs}/over`}
`,
      )
      chmodSync(join(programs, "git"), 0o755)
      const child = Bun.spawn([process.execPath, working, ...args], {
        env: { ...process.env, PATH: `${programs}:${process.env.PATH}` },
        stdout: "pipe",
        stderr: "pipe",
      })
      const [output, said] = yield* Effect.promise(() =>
        Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited]),
      )
      if (child.signalCode === "SIGKILL") return true
      expect(`${output}${said}`).toContain("done")
      return false
    }),
  )

/** A work tree with changes of all kinds after its first snapshot. */
const changed = Effect.gen(function* () {
  const root = yield* repository(
    Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`${index % 5}/file-${index}.txt`, `${index}\n`])),
  )
  write(root, { "untracked.txt": "only here\n" })
  const target = contents(root)
  const first = yield* snapshot(root)
  for (let index = 0; index < 20; index++) write(root, { [`${index % 5}/file-${index}.txt`]: `changed ${index}\n` })
  for (let index = 20; index < 30; index++) unlinkSync(join(root, `${index % 5}/file-${index}.txt`))
  for (let index = 0; index < 10; index++) write(root, { [`new/${index}.txt`]: `new ${index}\n` })
  unlinkSync(join(root, "untracked.txt"))
  return { root, first, target, before: contents(root), user: owned(root) }
})

/** Nothing that a dead process has left in the slots of a root. */
const expectTidy = (root: string): void => {
  const slots = join(root, ".git", "smithers")
  for (const key of readdirSync(slots))
    for (const run of readdirSync(join(slots, key))) expect(readdirSync(join(slots, key, run))).toEqual(["index"])
}

const everyMoment = (body: (at: number, mode: "before" | "during") => Effect.Effect<boolean, unknown, Workspaces>) =>
  Effect.gen(function* () {
    for (const mode of ["before", "during"] as const) {
      let kills = 0
      for (let at = 1; yield* body(at, mode); at++) kills++
      expect(kills).toBeGreaterThan(8)
    }
  })

describe("a process that is killed", () => {
  test(
    "with any of its processes of git during a snapshot leaves files, user's state and earlier snapshots whole, and the next one succeeds",
    () =>
      everyMoment((at, mode) =>
        Effect.scoped(
          Effect.gen(function* () {
            const { root, first, target, before, user } = yield* changed
            const isKilled = yield* killedAt(at, mode, ["snapshot", root])
            expect(contents(root)).toEqual(before)
            expect(owned(root)).toEqual(user)
            const next = yield* snapshot(root)
            expectTidy(root)
            expect(git(root, "fsck", "--strict", "--no-dangling")).toBe("")
            const chain = git(root, "log", "--format=%H", "refs/smithers/run").trim().split("\n")
            expect(chain.at(-1)).toBe(first.commit)
            expect(chain[0]).toBe(next.commit)
            yield* restore(root, first.commit)
            expect(contents(root)).toEqual(target)
            yield* restore(root, next.commit)
            expect(contents(root)).toEqual(before)
            return isKilled
          }),
        ),
      ),
    { timeout: 600_000 },
  )

  test(
    "with any of its processes of git during a restore leaves files of both, and the same restore completes it, or that of the safety snapshot takes it back",
    () =>
      everyMoment((at, mode) =>
        Effect.scoped(
          Effect.gen(function* () {
            const { root, first, target, before, user } = yield* changed
            const isKilled = yield* killedAt(at, mode, ["restore", root, first.commit])
            const between = contents(root)
            for (const [path, content] of Object.entries(between)) expect([target[path], before[path]]).toContain(content)
            expect(owned(root)).toEqual(user)
            yield* restore(root, first.commit)
            expect(contents(root)).toEqual(target)
            expectTidy(root)
            const safety = git(root, "log", "--format=%H %s", "refs/smithers/run")
              .trim()
              .split("\n")
              .filter((line) => line.includes(" before restoring "))
              .at(-1)
              ?.slice(0, 40)
            yield* restore(root, safety ?? "")
            // Killed before the safety snapshot, the files were still as they were.
            expect(contents(root)).toEqual(before)
            expect(git(root, "fsck", "--strict", "--no-dangling")).toBe("")
            return isKilled
          }),
        ),
      ),
    { timeout: 600_000 },
  )
})

describe("a lock", () => {
  const slotOf = (root: string): string => {
    const slots = join(root, ".git", "smithers")
    return join(slots, readdirSync(slots)[0] ?? "", "run")
  }

  test("of a process that has ended, or whose id is another's now, or that is garbage, is taken over", () =>
    Effect.gen(function* () {
      const root = yield* repository()
      yield* snapshot(root)
      const ended = Bun.spawn(["true"])
      yield* Effect.promise(() => ended.exited)
      const lock = join(slotOf(root), "lock.1")
      const [, , machine] = ownerOf(process.pid).split(" ")
      for (const owner of [`${ended.pid} 1 ${machine}`, `${process.pid} 1 ${machine}`, "garbage", ""]) {
        writeFileSync(lock, owner)
        writeFileSync(join(slotOf(root), "index.of-the-dead"), "half")
        writeFileSync(join(slotOf(root), "index.of-the-dead.lock"), "half")
        write(root, { "a.txt": owner })
        expect((yield* snapshot(root)).isNew).toBe(true)
        expectTidy(root)
      }
    }))

  test("of a process that lives is waited for", () =>
    Effect.gen(function* () {
      const root = yield* repository()
      yield* snapshot(root)
      const holder = Bun.spawn(["sleep", "30"])
      const lock = join(slotOf(root), "lock.1")
      writeFileSync(lock, `${ownerOf(holder.pid)} token`)
      const begun = performance.now()
      setTimeout(() => holder.kill("SIGKILL"), 700)
      write(root, { "a.txt": "b\n" })
      yield* snapshot(root)
      expect(performance.now() - begun).toBeGreaterThan(650)
    }))

  test("is held by one process at a time, also while owners are killed", () =>
    Effect.gen(function* () {
      const directory = join(yield* folder, "slot")
      const file = join(directory, "..", "count")
      mkdirSync(directory)
      writeFileSync(file, "00000000")
      let counted = 0
      const start = () => {
        const child = Bun.spawn([process.execPath, join(import.meta.dirname, "fixtures", "counting.ts"), directory, file, "40"], {
          stdout: "pipe",
        })
        return { child, output: new Response(child.stdout).text() }
      }
      const all = Array.from({ length: 4 }, start)
      // Two of them are killed wherever they are.
      for (const [index, { child }] of all.entries()) if (index < 2) setTimeout(() => child.kill("SIGKILL"), 700 + index * 150)
      for (const { output, child } of all) {
        const text = yield* Effect.promise(() => output)
        yield* Effect.promise(() => child.exited)
        counted += text.split("counted").length - 1
      }
      const count = Number(yield* Effect.promise(() => Bun.file(file).text()))
      // A process that is killed between its write and its line has counted in silence.
      expect(count - counted).toBeGreaterThanOrEqual(0)
      expect(count - counted).toBeLessThanOrEqual(2)
      expect(counted).toBeGreaterThanOrEqual(80)
    }))
})

describe("directories of operations", () => {
  test("that dead processes have left in the temporary directory are removed", () =>
    Effect.gen(function* () {
      const dead = join(tmpdir(), `smithers-git-dead${process.pid}`)
      const alive = join(tmpdir(), `smithers-git-alive${process.pid}`)
      for (const [directory, owner] of [
        [dead, ownerOf(999_999_999)],
        [alive, ownerOf(process.pid)],
      ] as const) {
        mkdirSync(directory)
        writeFileSync(join(directory, "owner"), owner)
      }
      sweep()
      const names = readdirSync(tmpdir())
      expect(names).not.toContain(`smithers-git-dead${process.pid}`)
      expect(names).toContain(`smithers-git-alive${process.pid}`)
      rmSync(alive, { recursive: true })
    }))
})
