import { copyFileSync, mkdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import * as Catalog from "@smithers/cli/Catalog"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { checked, type Folder, fill, folder, mask, maskJson, maskTimes, until } from "./Fixture.ts"

const bin = `${import.meta.dirname}/../../packages/smithers/src/bin.ts`

let shared: Folder
let start: number
beforeAll(async () => {
  shared = folder()
  start = await fill(shared.file("smithers.db"))
})
afterAll(() => shared.remove())

const shell = (args: ReadonlyArray<string>) => args.map((arg) => (/^[\w./#=-]+$/.test(arg) ? arg : `'${arg}'`)).join(" ")

/** Runs a command and holds what it says to people against its golden output. */
const golden = async (place: Folder, name: string, args: ReadonlyArray<string>) => {
  const human = await place.run(...args)
  const text = [
    `$ smithers ${shell(args)}`,
    human.stdout.trimEnd(),
    ...(human.stderr.trim() === "" ? [] : ["[stderr]", human.stderr.trimEnd()]),
    `[exit code ${human.code}]`,
    "",
  ].join("\n")
  // A supervisor says the time of day.
  const masked = args[0] === "supervise" ? maskTimes(text, place.path) : mask(text, place.path, start)
  await expect(masked).toMatchFileSnapshot(`golden/${name}.txt`)
  return human
}

/** The same, and beside it with `--json`, which is held against its schema and its golden output, and must end the same way. */
const both = async (place: Folder, name: string, args: ReadonlyArray<string>) => {
  // In a folder of its own a test changes things: there the second finds what the first has done.
  const human = place === shared ? golden(place, name, args) : await golden(place, name, args)
  const [{ code }, json] = await Promise.all([human, place.run(...args, "--json")])
  expect(json.code).toBe(code)
  expect(json.stderr).toBe("")
  const documents = json.stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => maskJson(JSON.parse(line), place.path, start))
  const text = documents.map((document) => `${JSON.stringify(document, undefined, 2)}\n`).join("")
  await expect(text).toMatchFileSnapshot(`golden/${name}.json`)
}

describe("commands that show", () => {
  const cases: ReadonlyArray<readonly [name: string, ...args: ReadonlyArray<string>]> = [
    ["ps", "ps"],
    ["ps-filtered", "ps", "--status", "waiting-timer", "--workflow", "nap", "--status=paused"],
    ["ps-page", "ps", "--limit", "2", "--before", "poll-f"],
    ["inspect-finished", "inspect", "ship-done"],
    ["inspect-waiting", "inspect", "ship-w"],
    ["inspect-failed", "inspect", "poll-failed"],
    ["node-loop", "node", "poll-done", "look", "--iteration", "1"],
    ["node-failed", "node", "poll-failed", "end"],
    ["node-decided", "node", "ship-done", "ok"],
    ["node-unknown", "node", "ship-done", "nope"],
    ["output", "output", "ship-done"],
    ["output-node", "output", "poll-done", "look"],
    ["output-none", "output", "ship-waits"],
    ["logs", "logs", "poll-failed"],
    ["logs-type", "logs", "ship-done", "--type", "AttemptSucceeded", "--type", "ApprovalDecided"],
    ["logs-last", "logs", "ship-done", "--limit", "2"],
    ["events", "events", "ship-waits", "--since", "3"],
    ["why-approval", "why", "ship-waits"],
    ["why-human", "why", "triage-1"],
    ["why-signal", "why", "pay-1"],
    ["why-timer", "why", "nap-1"],
    ["why-finished", "why", "ship-done"],
    ["why-failed", "why", "poll-failed"],
    ["why-cancelled", "why", "nap-gone"],
    ["why-paused", "why", "nap-paused"],
    ["inbox", "inbox"],
    ["graph-run", "graph", "poll-failed"],
    ["graph-file", "graph", "workflow.ts#poll"],
    ["graph-mermaid", "graph", "ship-waits", "--format", "mermaid"],
    ["graph-dot", "graph", "ship-waits", "--format", "dot"],
    ["check", "check", "workflow.ts"],
    ["check-against", "check", "workflow.ts", "--against", "ship-waits"],
    ["workflow-list", "workflow", "list"],
    ["workflow-path", "workflow", "path", "nope"],
    ["db-path", "db", "path"],
    ["db-check", "db", "check"],
    ["db-prune-dry", "db", "prune", "--older-than", "0s", "--dry-run"],
    ["supervise-dry", "supervise", "--dry-run"],
    ["no-such-run", "why", "zzz"],
    ["ambiguous-run", "why", "ship"],
    ["unknown-command", "ups"],
    ["unknown-option", "ps", "--limti", "3"],
    ["invalid-option", "ps", "--limit", "many"],
    ["invalid-choice", "ps", "--status", "waitin"],
    ["invalid-type", "events", "ship-done", "--type", "AttemptFaild"],
    ["invalid-limit", "logs", "ship-done", "--limit", "-3"],
    ["missing-argument", "why"],
    ["too-many-arguments", "why", "ship-done", "ship-waits"],
  ]
  for (const [name, ...args] of cases) {
    it(`${shell(args)} prints its golden output, and JSON that matches its schema`, async () => {
      if (Catalog.find(args) === undefined) await golden(shared, name, args)
      else await both(shared, name, args)
    })
  }

  it("help of the program and of each command is printed with an example", async () => {
    await golden(shared, "help", ["--help"])
    await golden(shared, "help-approve", ["approve", "--help"])
    for (const { examples } of Catalog.all) expect(examples[0].line).toMatch(/smithers /)
  })

  it("options of all commands may stand before the command", async () => {
    const { code, stdout } = await shared.run("--db", "smithers.db", "--json", "why", "ship-done")
    expect([code, JSON.parse(stdout)]).toMatchObject([0, { reason: "finished" }])
    expect((await shared.run("--db=nope.db", "ps")).stderr).toContain("There is no database")
  })

  it("words that are no command of their own are explained, with --json as well", async () => {
    const program = Bun.spawnSync([process.execPath, bin, "--json"], { cwd: shared.path })
    expect(JSON.parse(program.stdout.toString())).toMatchObject({
      commands: expect.arrayContaining([{ command: "up", summary: expect.any(String) }]),
    })
    const group = Bun.spawnSync([process.execPath, bin, "db", "--help"], { cwd: shared.path })
    expect([group.exitCode, group.stdout.toString()]).toEqual([0, expect.stringContaining("db prune")])
    expect((await shared.run("db", "--json")).stdout).toContain("must be followed by one of path, check, vacuum, prune. See")
  })

  it("--version and completions answer without a database", async () => {
    const version = await shared.run("--version")
    const versionJson = Bun.spawnSync([process.execPath, bin, "--version", "--json"], { cwd: shared.path })
    expect(JSON.parse(versionJson.stdout.toString())).toEqual({ version: version.stdout.trim() })
    const { version: packaged } = JSON.parse(
      readFileSync(`${import.meta.dirname}/../../packages/smithers/package.json`, "utf8"),
    ) as { version: string }
    expect(version).toEqual({ code: 0, stdout: `${packaged}\n`, stderr: "" })
    const { code, stdout } = await shared.run("completions", "bash")
    expect(code).toBe(0)
    for (const { path } of Catalog.all) expect(stdout).toContain(path.at(-1))
    expect((await shared.json("completions", "tcsh")).code).toBe(4)
    for (const shell of ["bash", "zsh", "fish"]) expect((await shared.json("completions", shell)).code).toBe(0)
  })
})

describe("commands that tell", () => {
  const fresh = async (): Promise<Folder> => {
    const place = folder()
    for (const suffix of ["", "-wal", "-shm"]) {
      const from = Bun.file(shared.file(`smithers.db${suffix}`))
      if (await from.exists()) await Bun.write(place.file(`smithers.db${suffix}`), from)
    }
    return place
  }

  it("approve, deny, answer and signal are kept and checked, and say who has heard them", async () => {
    const place = await fresh()
    try {
      await golden(place, "approve", ["approve", "ship-waits", "--by", "ann", "--note", "ship it"])
      await both(place, "approve-again", ["approve", "ship-waits", "--node", "ok", "--by", "bob"])
      await both(place, "deny-too-late", ["deny", "ship-waits", "--by", "bob"])
      await both(place, "why-told", ["why", "ship-waits"])
      await both(place, "answer-wrong", ["answer", "triage-1", "rate", "--value", '{"severity":"awful","score":1.5}'])
      await both(place, "answer-not-asked", ["answer", "triage-1", "other", "--value", "1"])
      await both(place, "answer-no-value", ["answer", "triage-1", "rate"])
      await golden(place, "answer", ["answer", "triage-1", "rate", "--value", '{"severity":"low","score":3}', "--by", "ann"])
      await golden(place, "signal", ["signal", "pay-1", "paid", "--data", '{"amount":3}', "--correlation", "o-1", "--id", "p1"])
      await place.json("signal", "pay-1", "paid", "--data", '{"amount":3}', "--correlation", "o-1", "--id", "p1")
      const other = await fresh()
      try {
        await golden(other, "approve-json", ["approve", "ship-waits", "--by", "ann", "--note", "ship it", "--json"])
        await golden(other, "answer-json", ["answer", "triage-1", "rate", "--value", '{"severity":"low","score":3}', "--json"])
      } finally {
        other.remove()
      }
      await both(place, "answer-again", ["answer", "triage-1", "rate", "--value", '{"severity":"high","score":3}', "--by", "bob"])
      await both(place, "signal-bad-json", ["signal", "pay-1", "paid", "--data", "{amount:3}"])
      await both(place, "approve-nothing", ["approve", "nap-1"])
      await both(place, "approve-ended", ["approve", "ship-done", "--node", "deploy"])
      // What was told is taken up.
      const lines = (await place.run("supervise", "--once", "--json")).stdout
      const settled = lines
        .split("\n")
        .filter((line) => line.includes('"action":"settled"'))
        .map((line) => JSON.parse(line) as { runId: string; message: string })
      expect(settled.map(({ runId, message }) => `${runId} ${message}`).sort()).toEqual([
        "pay-1 finished",
        "ship-waits finished",
        "triage-1 finished",
      ])
      expect((await place.run("output", "ship-waits")).stdout).toBe("shipped: adds a logout\n")
    } finally {
      place.remove()
    }
  })

  it("cancel-node and complete-node leave a scope, once, and say who has asked for something else", async () => {
    const place = await fresh()
    try {
      await Bun.write(
        place.file("regions.ts"),
        `import { Smithers } from "smithers-orchestrator"
import { Schema } from "effect"
export default Smithers.createWorkflow({ name: "regions", input: Schema.Struct({}) }).build(($) =>
  $.parallel(...["one", "two"].map((id) =>
    $.scope({ id, body: $.approval(id + "-ok", { request: () => ({ title: id }) }) }))))
`,
      )
      expect((await place.run("up", "regions.ts", "--run-id", "regions-1")).code).toBe(3)
      await both(place, "cancel-node", ["cancel-node", "regions-1", "one", "--by", "ann", "--reason", "not needed"])
      await both(place, "complete-node", ["complete-node", "regions-1", "two", "--by", "ann"])
      await both(place, "complete-node-again", ["complete-node", "regions-1", "one", "--by", "bob"])
      await both(place, "cancel-node-unknown", ["cancel-node", "regions-1", "three", "--by", "bob"])
      await both(place, "cancel-node-step", ["cancel-node", "regions-1", "one-ok", "--by", "bob"])
    } finally {
      place.remove()
    }
  })

  it("cancel, pause, unpause, retry and down", async () => {
    const place = await fresh()
    try {
      await both(place, "pause", ["pause", "nap-1", "--by", "ann"])
      await both(place, "unpause", ["unpause", "nap-paused"])
      await both(place, "retry", ["retry", "poll-failed", "end"])
      await both(place, "retry-unknown", ["retry", "poll-failed", "nope"])
      await both(place, "cancel", ["cancel", "pay-1", "--reason", "no money"])
      await both(place, "cancel-finished", ["cancel", "ship-done"])
      expect((await place.json("deny", "ship-waits", "--note", "not today")).code).toBe(0)
      // The second one finds nothing left to cancel, so they cannot go at once.
      await golden(place, "down", ["down", "--workflow", "triage"])
      await place.json("down", "--workflow", "triage")
      expect((await place.run("why", "pay-1")).stdout).toContain("Run pay-1 was cancelled")
      // It is not over for good.
      expect((await place.run("up", "--resume", "pay-1", "--uncancel")).code).toBe(3)
    } finally {
      place.remove()
    }
  })

  it("prune deletes what ended, with its outputs, and nothing that can go on", async () => {
    const place = await fresh()
    try {
      await both(place, "db-prune-when", ["db", "prune"])
      await golden(place, "db-prune", ["db", "prune", "--older-than", "0s"])
      await place.json("db", "prune", "--older-than", "0s")
      await golden(place, "db-vacuum", ["db", "vacuum"])
      await place.json("db", "vacuum")
      const left = (await place.json("ps")).value as { runs: ReadonlyArray<{ runId: string; status: string }> }
      expect(left.runs.map(({ runId }) => runId).sort()).toEqual(["nap-1", "nap-paused", "pay-1", "ship-waits", "triage-1"])
      await golden(place, "db-check-pruned", ["db", "check"])
    } finally {
      place.remove()
    }
  })

  it("workflow create writes a workflow that can be run by its name, and is never overwritten", async () => {
    const place = folder()
    try {
      await both(place, "init", ["init", "project"])
      await golden(place, "workflow-create", ["workflow", "create", "hello"])
      await place.json("workflow", "create", "other")
      rmSync(place.file(".smithers/workflows/other.tsx"))
      await both(place, "workflow-create-again", ["workflow", "create", "hello"])
      await both(place, "workflow-list-one", ["workflow", "list"])
      await both(place, "workflow-path-near", ["workflow", "path", "helo"])
      await both(place, "check-jsx", ["check", ".smithers/workflows/hello.tsx"])
      expect((await place.json("workflow", "path", "hello")).code).toBe(0)
      const silent = await place.json("workflow", "run", "hello", "--input", '{"goal":"rest"}', "--run-id", "hello-0")
      expect(silent).toMatchObject({ code: 3, value: { runId: "hello-0", status: "waiting-approval" } })
      const ran = await place.run("workflow", "run", "hello", "--input", '{"goal":"rest"}', "--run-id", "hello-1")
      expect(ran.code).toBe(3)
      expect(ran.stdout).toContain("go: approval: Go on with: rest?")
      // From anywhere in the project it is the same workflow, and the same database.
      mkdirSync(place.file("deep/down"), { recursive: true })
      const below = Bun.spawnSync([process.execPath, bin, "workflow", "run", "hello", "--run-id", "hello-2"], {
        cwd: place.file("deep/down"),
        env: { ...process.env, CI: "1" },
      })
      expect([below.exitCode, below.stdout.toString()]).toEqual([3, expect.stringContaining("smithers up --resume hello-2\n")])
      expect((await place.json("why", "hello-2")).value).toMatchObject({ reason: "approval" })
    } finally {
      place.remove()
    }
  })
})

describe("with --json every command", () => {
  it("has printed what its schema says", async () => {
    const place = folder()
    try {
      expect((await place.json("up", "workflow.ts#poll", "--input", '{"fail":false}')).code).toBe(0)
      // Those about agents, whose output other tests look at.
      copyFileSync(join(import.meta.dirname, "fixtures/chat.ts"), place.file("chat.ts"))
      expect((await place.run("up", "chat.ts", "--run-id", "letter")).code).toBe(3)
      for (const args of [
        ["chat", "letter"],
        ["tools", "letter"],
        ["agents"],
        ["costs"],
        ["metrics"],
        ["mcp", "add"],
        ["limit", "set", "hub", "--concurrency", "2"],
        ["limit", "list"],
        ["scores", "letter"],
        ["fork", "letter", "--dry-run"],
        ["timeline", "letter"],
        ["show", "letter", "--frame", "1"],
        ["revert", "chat.ts", "--run-id", "letter", "--node-id", "write", "--dry-run"],
        ["diff", "letter", "1"],
        ["budget", "letter"],
        ["eject", "Panel"],
        ["workflow", "doctor"],
        ["replay", "letter"],
        ["cache", "list"],
        ["cache", "clear", "--all"],
        ["publish", "merged", "--id", "pr-12", "--data", "{}"],
        ["published"],
        ["schedule", "add", "chat.ts", "--cron", "@daily", "--tz", "Europe/Berlin", "--id", "daily"],
        ["schedule", "pause", "daily"],
        ["schedule", "unpause", "daily"],
        ["schedule", "run-now", "daily"],
        ["schedule", "show", "daily"],
        ["schedule", "list"],
        ["schedule", "rm", "daily"],
        ["token", "add", "ann"],
        ["token", "list"],
        ["token", "rm", "ann"],
        ["hook", "add", "pay", "paid"],
        ["hook", "add", "merged"],
        ["hook", "list"],
        ["hook", "rm", "pay", "paid"],
        ["workflow", "show", "chat.ts"],
      ])
        expect((await place.run(...args, "--json")).code).toBe(0)
      for (const command of [
        ["serve", "--port", "0"],
        ["ui", "--no-open", "--supervise"],
      ]) {
        const server = place.start([...command, "--json"])
        await until(() => server.said().stdout.includes("\n"), "it listens")
        server.kill("SIGTERM")
        expect((await server.result).code).toBe(143)
      }
      const fact = ["workflow:letter", "style"] as const
      for (const args of [["set", ...fact, "--value", "1"], ["get", ...fact], ["list"], ["search", "style"], ["delete", ...fact]])
        expect((await place.run("memory", ...args, "--json")).code).toBe(0)
    } finally {
      place.remove()
    }
    expect([...checked].sort()).toEqual(Catalog.all.map(({ path }) => path.join("-")).sort())
  })
})
