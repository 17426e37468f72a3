/**
 * Every command of the table, as text and as JSON, on runs that hold a secret everywhere: they were stored before anybody called it one.
 * The commands run in this process, one after the other; `secrets.test.ts` has the terminal of real ones.
 */
import { Database } from "bun:sqlite"
import { execFileSync } from "node:child_process"
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Catalog from "@smithers/cli/Catalog"
import { toReply } from "@smithers/cli/Errors"
import { Host } from "@smithers/cli/Host"
import * as Launch from "@smithers/cli/Launch"
import { perform } from "@smithers/cli/Program"
import { Screen, type ScreenShape } from "@smithers/cli/Screen"
import * as Secrets from "@smithers/core/Secrets"
import { neutralise } from "@smithers/server/views/Text"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Logger from "effect/Logger"
import { Smithers } from "smithers-orchestrator"
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest"
import * as Canary from "../canary/Canary.ts"

// A process that may load workflows, as the executable starts it for commands that do.
vi.hoisted(() => {
  process.env.SMITHERS_LAUNCHED = String(process.pid)
})
Launch.replaceFor(["up"], "")

const [canary = { name: "", value: "" }] = Canary.make().filter(({ name }) => name.endsWith("QUOTED"))
const file = join(import.meta.dirname, "fixtures", "leaks.ts")
const before = process.cwd()

describe("a secret that older rows hold", () => {
  let folder: string

  /** Runs a command, and returns all that it says. */
  const say = async (args: ReadonlyArray<string>, isJson: boolean, columns?: number): Promise<string> => {
    const said: Array<string> = []
    const keep = (text: string) => Effect.sync(() => void said.push(Secrets.text(text)))
    const screen: ScreenShape = {
      isJson,
      // A width cuts the cells of tables.
      isTerminal: columns !== undefined,
      isLive: false,
      hasColors: false,
      canAsk: false,
      columns: () => columns ?? 100,
      rows: () => 24,
      print: (value, text) =>
        isJson && value === undefined ? Effect.void : keep(isJson ? JSON.stringify(value) : neutralise(text)),
      log: (text) => (isJson ? Effect.void : keep(neutralise(text))),
      redirectOutput: () => {},
      setCurrentRun: () => {},
      draw: (text) => void said.push(Secrets.text(text)),
    }
    const line = isJson ? [...args, "--json"] : args
    const command = perform(line, screen).pipe(
      Effect.provideService(Screen, screen),
      Effect.provideService(Host, { self: ["smithers"], commands: Catalog.all }),
      Effect.either,
      Effect.provide(Logger.remove(Logger.defaultLogger)),
      Effect.interruptible,
    )
    const ended = await Effect.runPromise(command)
    if (Either.isLeft(ended)) said.push(Secrets.text(isJson ? JSON.stringify(toReply(ended.left)) : neutralise(ended.left.message)))
    return said.join("\n")
  }

  beforeAll(async () => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), "smithers-secrets-")))
    execFileSync("git", ["init", "-q"], { cwd: folder })
    writeFileSync(join(folder, "other.txt"), "no secret\n")
    process.chdir(folder)
    process.env.LEAKED_VALUE = canary.value
    process.env.SMITHERS_DB = join(folder, "smithers.db")
    const { leak } = await import("./fixtures/leaks.ts")
    const store = Smithers.sqlite({
      filename: join(folder, "smithers.db"),
      tools: { root: folder },
      limits: { hub: { concurrency: 1 } },
    })
    const filled = Effect.gen(function* () {
      for (const [runId, end] of [
        ["open", undefined],
        ["done", undefined],
        ["bad", "fail"],
      ] as const) {
        const input = { key: canary.value, ...(end === undefined ? {} : { end }) }
        yield* leak.run(input, { runId, tags: [`tag ${canary.value}`], source: file })
        yield* Smithers.approve(runId, "gated", { note: `because ${canary.value}`, by: `by ${canary.value}` })
        yield* leak.run(input, { runId })
        if (runId === "open") continue
        yield* Smithers.approve(runId, "ok", { note: canary.value })
        yield* Smithers.answer(runId, "form", { text: canary.value })
        yield* Smithers.signal(runId, "go", { payload: { text: canary.value } })
        yield* leak.run(input, { runId })
      }
      yield* Smithers.signal("open", "early", { payload: { text: canary.value } })
      yield* leak.run({ key: canary.value }, { runId: "gone", source: file })
      yield* Smithers.cancel("gone", { reason: `since ${canary.value}` })
      yield* Smithers.remember({ namespace: `space ${canary.value}`, key: "k", value: canary.value })
    })
    await Effect.runPromise(Effect.provide(filled, store))
    Secrets.add(canary.name, canary.value)
  })
  afterAll(() => {
    process.chdir(before)
    rmSync(folder, { recursive: true, force: true })
  })

  const fresh = "fresh-1"
  /** A command line, by its command. `shows`: what it says holds the place of the secret. */
  type Line = readonly [command: string, args: ReadonlyArray<string>, shows?: "shows"]
  const reading: ReadonlyArray<Line> = [
    ["ps", ["ps", "--children"]],
    ["why", ["why", "open"], "shows"],
    ["why", ["why", "bad"], "shows"],
    ["why", ["why", "gone"], "shows"],
    ["inspect", ["inspect", "open"], "shows"],
    ["inspect", ["inspect", "bad"], "shows"],
    ["inspect", ["inspect", "done"], "shows"],
    ["inspect", ["inspect", "done~sub~0"], "shows"],
    ["node", ["node", "open", "returns"], "shows"],
    ["node", ["node", "bad", "chain"], "shows"],
    ["node", ["node", "done", "gated"], "shows"],
    ["output", ["output", "done"], "shows"],
    ["output", ["output", "done", "returns"], "shows"],
    ["scores", ["scores", "open"], "shows"],
    ["chat", ["chat", "done"], "shows"],
    ["tools", ["tools", "done"], "shows"],
    ["costs", ["costs", "done"]],
    ["logs", ["logs", "bad"], "shows"],
    ["events", ["events", "bad"], "shows"],
    ["timeline", ["timeline", "bad"]],
    ["show", ["show", "bad", "--frame", "6"]],
    ["show", ["show", "done"], "shows"],
    ["diff", ["diff", "open", "done"], "shows"],
    ["diff", ["diff", "done", "2", "9"], "shows"],
    ["diff", ["diff", "bad", "--node", "chain", "--attempts", "1,2"]],
    ["inbox", ["inbox"], "shows"],
    ["budget", ["budget", "done"]],
    ["graph", ["graph", "open"]],
    ["graph", ["graph", file]],
    ["check", ["check", file, "--against", "open"]],
    ["replay", ["replay", "done", "--file", file]],
    ["agents", ["agents", "pi"]],
    ["workflow list", ["workflow", "list"]],
    ["workflow path", ["workflow", "path", "none"]],
    ["memory list", ["memory", "list"], "shows"],
    ["memory search", ["memory", "search", "fact"], "shows"],
    ["memory get", ["memory", "get", "workflow:leak", "fact"], "shows"],
    ["cache list", ["cache", "list"]],
    ["limit list", ["limit", "list"]],
    ["schedule list", ["schedule", "list"]],
    ["published", ["published"]],
    ["metrics", ["metrics"]],
    ["mcp", ["mcp", "add"]],
    ["serve", ["serve", "--host", "0.0.0.0"]],
    ["ui", ["ui", "--host", "0.0.0.0", "--no-open"]],
    ["token list", ["token", "list"]],
    ["hook list", ["hook", "list"]],
    ["workflow show", ["workflow", "show", file]],
    ["db path", ["db", "path"]],
    ["db check", ["db", "check"]],
    ["db prune", ["db", "prune", "--older-than", "1d", "--dry-run"]],
    ["completions", ["completions", "bash"]],
    ["fork", ["fork", "open", "--before", "asks", "--dry-run"]],
    ["revert", ["revert", file, "--run-id", "bad", "--node-id", "files", "--dry-run"]],
    ["supervise", ["supervise", "--dry-run"]],
  ]
  /** What these are told is a secret, too. */
  const changing: ReadonlyArray<Line> = [
    ["approve", ["approve", "open", "ok", "--note", canary.value, "--by", canary.value]],
    ["deny", ["deny", "open", "ok", "--note", canary.value]],
    ["answer", ["answer", "open", "form", "--value", JSON.stringify({ text: canary.value })], "shows"],
    ["signal", ["signal", "open", "go", "--data", JSON.stringify({ text: canary.value })], "shows"],
    ["memory set", ["memory", "set", "workflow:leak", "new", "--value", JSON.stringify(canary.value)]],
    ["memory delete", ["memory", "delete", "workflow:leak", "new"]],
    ["limit set", ["limit", "set", "hub", "--concurrency", "2"]],
    ["publish", ["publish", "go", "--id", "e1", "--data", JSON.stringify({ text: canary.value })], "shows"],
    ["publish", ["publish", "elsewhere", "--id", canary.value], "shows"],
    ["publish", ["publish", "elsewhere", "--id", "e2"]],
    ["schedule add", ["schedule", "add", file, "--cron", "@daily", "--id", "kept", "--input", JSON.stringify({ key: "none" })]],
    ["schedule add", ["schedule", "add", file, "--cron", canary.value, "--input", JSON.stringify({ key: canary.value })], "shows"],
    ["schedule add", ["schedule", "add", file, "--cron", "@daily", "--input", JSON.stringify({ key: canary.value })], "shows"],
    ["schedule show", ["schedule", "show", "kept"]],
    ["schedule pause", ["schedule", "pause", "kept"]],
    ["schedule unpause", ["schedule", "unpause", "kept"]],
    ["schedule run-now", ["schedule", "run-now", "kept"]],
    ["schedule rm", ["schedule", "rm", "kept"]],
    ["schedule rm", ["schedule", "rm", canary.value], "shows"],
    ["pause", ["pause", "open", "--by", canary.value]],
    ["unpause", ["unpause", "open"]],
    ["retry", ["retry", "bad", "end"]],
    ["cancel-node", ["cancel-node", "open", "open", "--reason", canary.value]],
    ["complete-node", ["complete-node", "open", "open", "--reason", canary.value]],
    ["fork", ["fork", "done", "--before", "end", "--run-id", "forked", "--by", canary.value]],
    ["up", ["up", "--resume", "bad"], "shows"],
    ["up", ["up", file, "--run-id", canary.value]],
    ["up", ["up", file, "--input", JSON.stringify({ key: canary.value })], "shows"],
    ["up", ["up", file, "--run-id", fresh, "--input", JSON.stringify({ key: "none" })]],
    ["approve", ["approve", fresh, "gated", "--note", canary.value, "--by", `by ${canary.value}`]],
    ["up", ["up", "--resume", fresh]],
    ["diff", ["diff", fresh, "open"], "shows"],
    ["replay", ["replay", fresh, "--file", file]],
    ["timeline", ["timeline", fresh, "--json"]],
    ["fork", ["fork", fresh, "--before", "asks", "--run-id", `${fresh}-fork`, "--by", canary.value]],
    ["up", ["up", "--resume", `${fresh}-fork`]],
    ["revert", ["revert", file, "--run-id", fresh, "--node-id", "files", "--by", canary.value, "--yes"]],
    ["revert", ["revert", file, "--run-id", fresh, "--undo", "--by", canary.value, "--yes"]],
    ["revert", ["revert", file, "--run-id", "bad", "--node-id", "files", "--by", canary.value, "--yes"]],
    ["cancel", ["cancel", "open", "--reason", canary.value]],
    ["down", ["down", "--reason", canary.value]],
    ["cache clear", ["cache", "clear", "--all"]],
    ["db vacuum", ["db", "vacuum"]],
    ["db prune", ["db", "prune", "--older-than", "1d"]],
    ["token add", ["token", "add", canary.value, "--for-run", canary.value]],
    ["token rm", ["token", "rm", canary.value]],
    ["hook add", ["hook", "add", canary.value, canary.value]],
    ["hook rm", ["hook", "rm", canary.value, canary.value]],
    ["init", ["init", "made"]],
    ["eject", ["eject", "ReviewLoop", "--to", `made-${canary.value.length}`]],
    ["workflow create", ["workflow", "create", "made"]],
    ["workflow doctor", ["workflow", "doctor"]],
    ["workflow run", ["workflow", "run", "none", "--input", JSON.stringify({ key: canary.value })]],
  ]

  it("is in nothing that any command prints, as text, as JSON and in a narrow terminal; its name stands for it", {
    timeout: 120_000,
  }, async () => {
    const found: Array<string> = []
    const look = async ([, args, shows]: Line, isJson: boolean, columns?: number): Promise<void> => {
      const text = await say(args, isJson, columns)
      const line = `${args.join(" ").replaceAll(canary.value, "…")}${isJson ? " --json" : ""}`
      for (const leak of Canary.leaks([canary], text)) found.push(`${line}: ${leak}`)
      if (columns === undefined && shows === "shows" && !text.includes(canary.name))
        found.push(`${line} shows nothing: ${text.slice(0, 300)}`)
    }
    for (const line of reading) await look(line, false, 60)
    for (const line of [...reading, ...changing]) for (const isJson of [false, true]) await look(line, isJson)
    const covered = new Set([...reading, ...changing].map(([command]) => command))
    expect(found).toEqual([])
    expect([...covered].sort()).toEqual(Catalog.all.map(({ path }) => path.join(" ")).sort())
  })

  it("is in no row of a run that was started since, and in no file besides the database", () => {
    const database = new Database(join(folder, "smithers.db"), { readonly: true })
    const tables = database
      .query<{ readonly name: string }, []>(
        "SELECT m.name FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table' AND c.name = 'run_id'",
      )
      .all()
    const rows = tables.flatMap(({ name }) => database.query(`SELECT * FROM "${name}" WHERE run_id GLOB 'fresh-*'`).all())
    database.close()
    expect(rows.length).toBeGreaterThan(20)
    expect(Canary.leaks([canary], JSON.stringify(rows))).toEqual([])
    // Their snapshots, too: the file that a step writes is left out.
    const told = (...args: ReadonlyArray<string>) => execFileSync("git", [...args], { cwd: folder, encoding: "utf8" }).trim()
    const [ref = "", ...others] = told("for-each-ref", "--format=%(refname)", `refs/smithers/${fresh}@*`).split("\n")
    expect(others).toEqual([])
    const tree = told("ls-tree", "-r", "--name-only", ref).split("\n")
    expect(tree).toEqual(["other.txt"])
    // The step wrote it into this file by itself.
    rmSync(join(folder, "notes.txt"), { force: true })
    const except = ["smithers.db", "smithers.db-wal", "smithers.db-shm"]
    const found = Canary.leaksBelow([canary], folder, except)
    expect(found).toEqual([])
  })
})
