/**
 * Agents in processes that are killed, on a database, against a provider that speaks real protocols.
 */
import { Database } from "bun:sqlite"
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FakeProvider from "../providers/FakeProvider.ts"

const items = 24

/** Seconds for one test: dozens of processes start in each, and a busy machine takes ten times as long. */
const timeout = 600_000

for (const [protocol, mode, width] of [
  ["anthropic", "plain", 1],
  ["anthropic", "plain", 3],
  ["anthropic", "stream", 3],
  ["openai", "plain", 3],
  ["openai", "stream", 1],
  ["anthropic", "effect", 3],
  ["openai", "effect-stream", 1],
] as const) {
  it.scopedLive(
    `${protocol}, ${mode}, ${width} at once: kills cost no stored reply twice, and no call that its tool does not allow`,
    () =>
      Effect.gen(function* () {
        const folder = yield* Effect.acquireRelease(
          Effect.sync(() => mkdtempSync(join(tmpdir(), "smithers-agent-"))),
          (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true })),
        )
        const provider = yield* FakeProvider.serve((request) => {
          const made = callsIn(request.body)
          if (made >= items) return FakeProvider.says(JSON.stringify({ items: made }))
          const next = Array.from({ length: width }, (_, index) => made + index)
          return FakeProvider.calls(...next.map((item) => ({ name: item % 2 === 0 ? "work" : "redo", input: { item } })))
        })
        const [db, log] = [join(folder, "runs.db"), join(folder, "log")]
        const start = () => {
          const args = ["bun", join(import.meta.dirname, "fixtures/worker.tsx"), db, provider.v1, protocol, mode, log]
          return Bun.spawn(args, { stdout: "pipe", stderr: "pipe" })
        }
        const lines = () => (existsSync(log) ? readFileSync(log, "utf8").split("\n").filter(Boolean) : [])
        let kills = 0
        let output = ""
        for (;;) {
          const child = start()
          const before = lines().length
          const wanted = 1 + Math.floor(Math.random() * 5)
          const ended = child.exited.then(() => true)
          for (;;) {
            if (yield* Effect.promise(() => Promise.race([ended, Bun.sleep(3).then(() => false)]))) break
            if (kills < 12 && lines().length >= before + wanted) {
              child.kill("SIGKILL")
              kills++
              break
            }
          }
          yield* Effect.promise(() => child.exited)
          output = yield* Effect.promise(() => new Response(child.stdout).text())
          const problem = yield* Effect.promise(() => new Response(child.stderr).text())
          if (child.exitCode !== null && child.exitCode !== 0) throw new Error(problem + output)
          if (output !== "") break
        }
        expect(JSON.parse(output)).toEqual({ items })
        expect(kills).toBeGreaterThan(5)
        const read = <Row>(sql: string): ReadonlyArray<Row> => {
          const database = new Database(db, { readonly: true })
          try {
            database.run("PRAGMA busy_timeout = 5000")
            return database.query(sql).all() as ReadonlyArray<Row>
          } finally {
            database.close()
          }
        }
        // One conversation, whose replies were each asked for once, or once more for a kill before they were stored.
        expect(read("SELECT conversation, status FROM smithers_conversations")).toEqual([{ conversation: 1, status: "finished" }])
        const replies = items / width + 1
        expect(read("SELECT seq FROM smithers_transcript WHERE kind = 'reply'").length).toBe(replies)
        expect(provider.requests.length).toBeGreaterThanOrEqual(replies)
        expect(provider.requests.length).toBeLessThanOrEqual(replies + kills)
        const calls = read<{ tool: string; status: string; input: string }>(
          `SELECT c.tool, c.status, t.content AS input FROM smithers_tool_calls c JOIN smithers_texts t ON t.hash = c.input_hash`,
        )
        expect(calls.length).toBe(items)
        const begun = Map.groupBy(
          lines().filter((line) => line.startsWith("begin")),
          (line) => line,
        )
        // A kill may come after the intent of a call is stored, and before the call: then its outcome is not known.
        const silent = calls.filter(({ tool, input }) => !begun.has(`begin ${tool} ${JSON.parse(input).item}`))
        expect(silent.map(({ tool, status }) => `${tool} ${status}`)).toEqual(silent.map(() => "work unknown"))
        expect(begun.size + silent.length).toBe(items)
        for (const [line, times] of begun) if (line.startsWith("begin work")) expect([line, times.length]).toEqual([line, 1])
        // A call that ended and is stored was made once; only what a kill cut off is made again.
        const again = [...begun.values()].reduce((sum, times) => sum + times.length - 1, 0)
        expect(again).toBeLessThanOrEqual(kills * width)
        const statuses = new Set(calls.map(({ tool, status }) => `${tool} ${status}`))
        for (const status of statuses) expect(["work finished", "work unknown", "redo finished"]).toContain(status)
      }),
    timeout,
  )
}

const git = (root: string, ...args: ReadonlyArray<string>) =>
  execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@t", ...args], { cwd: root, stdio: "pipe" })

for (const isRebuilt of [false, true]) {
  it.scopedLive(
    isRebuilt
      ? "a conversation that was killed begins again in a work tree that was made anew, and is told what it had written"
      : "a conversation that was killed goes on in the work tree that it left",
    () =>
      Effect.gen(function* () {
        const folder = yield* Effect.acquireRelease(
          Effect.sync(() => mkdtempSync(join(tmpdir(), "smithers-agent-"))),
          (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true })),
        )
        const [db, main, root, go] = ["runs.db", "main", "tree", "go"].map((name) => join(folder, name)) as [
          string,
          string,
          string,
          string,
        ]
        mkdirSync(main)
        git(main, "init", "-q", "-b", "main")
        writeFileSync(join(main, "a.txt"), "one\n")
        git(main, "add", "-A")
        git(main, "commit", "-qm", "first")
        git(main, "worktree", "add", "-q", "-b", "work", root)
        const provider = yield* FakeProvider.serve([
          { when: { results: /waited/ }, answer: FakeProvider.says("done") },
          { when: { results: true }, answer: FakeProvider.calls({ name: "wait", input: {} }) },
          { answer: FakeProvider.calls({ name: "write", input: { path: "b.txt", content: "written\n" } }) },
        ])
        const start = () => {
          const args = ["bun", join(import.meta.dirname, "fixtures/editor.ts"), db, provider.v1, root, go]
          return Bun.spawn(args, { stdout: "pipe", stderr: "inherit" })
        }
        const first = start()
        const reader = first.stdout.getReader()
        yield* Effect.promise(() => reader.read())
        first.kill("SIGKILL")
        yield* Effect.promise(() => first.exited)
        expect(readFileSync(join(root, "b.txt"), "utf8")).toBe("written\n")
        if (isRebuilt) {
          git(main, "worktree", "remove", "--force", root)
          git(main, "worktree", "add", "-q", root, "work")
        }
        writeFileSync(go, "")
        const second = start()
        expect(yield* Effect.promise(() => new Response(second.stdout).text())).toContain("done")
        expect(readFileSync(join(root, "b.txt"), "utf8")).toBe("written\n")
        const database = new Database(db, { readonly: true })
        const conversations = database.query("SELECT status, failure FROM smithers_conversations ORDER BY conversation").all()
        database.close()
        const asked = provider.requests.map(({ user }) => user)
        if (isRebuilt) {
          const reason = '{"reason":"it was broken off, since its workspace was made again"}'
          expect(conversations).toEqual([
            { status: "superseded", failure: reason },
            { status: "finished", failure: null },
          ])
          expect(asked.filter((user) => user.includes("An earlier conversation") && user.includes("write("))).toHaveLength(3)
        } else {
          expect(conversations).toEqual([{ status: "finished", failure: null }])
          expect(asked).toHaveLength(3)
        }
      }),
    timeout,
  )
}

/** Number of calls in the conversation of a request. */
const callsIn = (body: unknown): number => {
  const { messages, input } = Object(body) as { readonly messages?: unknown; readonly input?: unknown }
  return [...JSON.stringify(messages ?? input).matchAll(/item\\*":/g)].length
}
