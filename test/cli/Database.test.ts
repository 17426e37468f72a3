/**
 * Whose database a command uses, by which path, and what becomes of it. Where another user is needed the tests run as root, and start
 * commands as `nobody`.
 */
import { Database } from "bun:sqlite"
import {
  appendFileSync,
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { type Folder, folder, until } from "./Fixture.ts"

const bin = join(import.meta.dirname, "..", "..", "packages", "smithers", "src", "bin.ts")
const nobody = 65_534
const asNobody = ["setpriv", `--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups"]

const whyNot = ((): string | undefined => {
  if (process.getuid?.() !== 0) return "only root can be another user"
  if (Bun.which("setpriv") === null) return "setpriv is not installed"
  const { exitCode } = Bun.spawnSync([...asNobody, process.execPath, bin, "--version"], { cwd: "/" })
  return exitCode === 0 ? undefined : "another user cannot read this checkout"
})()
const skipped = whyNot === undefined ? "" : ` (skipped: ${whyNot})`

let place: Folder
beforeEach(() => {
  place = folder()
  chmodSync(place.path, 0o755)
})
afterEach(() => place.remove())

const db = () => place.file("smithers.db")

/** The files of the folder of the database. */
const files = () => readdirSync(place.path).sort()

const spawnAsNobody = (args: ReadonlyArray<string>) =>
  Bun.spawn([...asNobody, process.execPath, bin, ...args], {
    cwd: "/",
    env: { PATH: process.env.PATH ?? "", HOME: "/nonexistent", NO_COLOR: "1", CI: "1" },
    stdout: "pipe",
    stderr: "pipe",
  })

const run = async (...args: ReadonlyArray<string>) => {
  const child = spawnAsNobody(args)
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return { code: await child.exited, stdout, stderr }
}

const reading: ReadonlyArray<ReadonlyArray<string>> = [
  ["ps"],
  ["why", "w"],
  ["inspect", "w"],
  ["node", "w", "ok"],
  ["logs", "w"],
  ["events", "w"],
  ["inbox"],
  ["graph", "w"],
  ["db", "path"],
  ["db", "check"],
  ["db", "prune", "--older-than", "1d", "--dry-run"],
  ["supervise", "--dry-run"],
]

const waits = async () => expect((await place.run("up", "workflow.ts", "--input", '{"spec":"x"}', "--run-id", "w")).code).toBe(3)

describe.skipIf(whyNot !== undefined)(`a database of another user${skipped}`, () => {
  it("that is found and not named is refused by every command, and nothing of it is run", async () => {
    writeFileSync(place.file("evil.ts"), `await Bun.write("${place.file("ran")}", "")\nexport { default } from "./workflow.ts"\n`)
    expect((await place.run("up", "evil.ts", "--input", '{"spec":"x"}', "--run-id", "w")).code).toBe(3)
    expect((await place.run("approve", "w")).code).toBe(0)
    rmSync(place.file("ran"))
    chownSync(db(), nobody, nobody)
    mkdirSync(place.file("below/here"), { recursive: true })
    const below = (...args: ReadonlyArray<string>) => {
      const { exitCode, stdout } = Bun.spawnSync([process.execPath, bin, ...args, "--json"], { cwd: place.file("below/here") })
      return { exitCode, value: JSON.parse(stdout.toString()) as unknown }
    }
    const refused = {
      error: { tag: "ForeignDatabase", path: db(), owner: nobody, user: 0, message: expect.stringContaining(`--db ${db()}`) },
    }
    for (const args of [
      ...reading,
      ["supervise", "--once"],
      ["approve", "w"],
      ["cancel", "w"],
      ["up", "--resume", "w"],
      ["up", place.file("workflow.ts#nap"), "--input", "{}"],
      ["db", "vacuum"],
    ]) {
      expect([args, below(...args)]).toMatchObject([args, { exitCode: 4, value: refused }])
    }
    expect(existsSync(place.file("ran"))).toBe(false)
    expect((await place.json("ps", "--db", "smithers.db")).value).toMatchObject({ runs: [{ runId: "w" }] })
    const named = await place.start(["supervise", "--once"], { env: { SMITHERS_DB: db() } }).result
    expect([named.code, existsSync(place.file("ran"))]).toEqual([0, true])
  })

  it("that a link of another user leads to is refused as well", async () => {
    await waits()
    renameSync(db(), place.file("mine.db"))
    symlinkSync("mine.db", db())
    expect((await place.json("ps")).code).toBe(0)
    lchownSync(db(), nobody, nobody)
    expect((await place.json("ps")).value).toMatchObject({ error: { tag: "ForeignDatabase" } })
  })

  it("can be read where it is readable, also in a folder that cannot be written; nothing is made beside it", {
    timeout: 60_000,
  }, async () => {
    await waits()
    chmodSync(db(), 0o644)
    const before = [files(), readFileSync(db())] as const
    for (const args of reading) expect([args, await run(...args, "--db", db())]).toMatchObject([args, { code: 0, stderr: "" }])
    for (const args of [
      ["approve", "w"],
      ["cancel", "w"],
      ["db", "vacuum"],
    ]) {
      const { code, stdout } = await run(...args, "--db", db(), "--json")
      expect([args, code, JSON.parse(stdout)]).toMatchObject([args, 1, { error: { tag: "StoreReadOnly" } }])
    }
    // Where files can be made, those of the log would stay, and be in the way of the owner.
    chmodSync(place.path, 0o777)
    for (const args of reading) expect([args, await run(...args, "--db", db())]).toMatchObject([args, { code: 0, stderr: "" }])
    expect([files(), readFileSync(db())]).toEqual(before)
    expect((await place.run("approve", "w")).code).toBe(0)
  })

  it("is read with what is in its log, of a process that works on it and of one that was killed, and followed", {
    timeout: 60_000,
  }, async () => {
    await waits()
    chmodSync(db(), 0o644)
    // As it stands, until someone writes to it.
    const follower = spawnAsNobody(["logs", "w", "--follow", "--db", db()])
    const said = new Response(follower.stdout).text()
    await Bun.sleep(2000)
    const up = place.start(["up", "workflow.ts#slow", "--input", '{"gate":"gate"}', "--run-id", "s"])
    const seen = async () => (await run("inspect", "s", "--db", db())).stdout
    await until(async () => /second +0 +running/.test(await seen()), "another user sees what is at work")
    up.kill("SIGKILL")
    await up.result
    expect(files()).toContain("smithers.db-wal")
    expect((await run("why", "s", "--db", db())).stdout).toContain("smithers up --resume s")
    expect((await place.run("approve", "w")).code).toBe(0)
    expect((await place.run("up", "--resume", "w")).code).toBe(0)
    expect(await follower.exited).toBe(0)
    expect(await said).toMatch(/ok .*approved[\s\S]*finished/)
  })
})

describe("a file that holds no store", () => {
  it("is left as it is, and said to be none, by commands that read and by those that write to one", async () => {
    writeFileSync(place.file("empty.db"), "")
    const other = new Database(place.file("other.db"))
    other.run("CREATE TABLE notes (text)")
    other.close()
    const before = readFileSync(place.file("other.db"))
    for (const args of [
      ...reading.filter(([, word]) => word !== "path"),
      ["approve", "w"],
      ["cancel", "w"],
      ["supervise", "--once"],
      ["db", "vacuum"],
      ["down"],
    ]) {
      for (const [file, holds] of [
        ["empty.db", "nothing"],
        ["other.db", "others"],
      ] as const) {
        const { code, value } = await place.json(...args, "--db", file)
        expect([args, code, value]).toMatchObject([args, 4, { error: { tag: "NoDatabase", path: place.file(file), holds } }])
      }
    }
    expect(files()).toEqual(["empty.db", "other.db", "workflow.ts"])
    expect(statSync(place.file("empty.db")).size).toBe(0)
    expect(readFileSync(place.file("other.db"))).toEqual(before)
    expect((await place.run("up", "workflow.ts#nap", "--input", "{}", "--db", "empty.db")).code).toBe(3)
  })

  it("of an older version is left as it is", async () => {
    await waits()
    const store = new Database(db())
    store.run("UPDATE smithers_store SET layout = layout - 1")
    store.close()
    const before = readFileSync(db())
    for (const args of reading.filter(([, word]) => word !== "path")) {
      expect([args, (await place.json(...args)).value]).toMatchObject([args, { error: { tag: "StoreTooOld" } }])
    }
    expect(readFileSync(db())).toEqual(before)
    expect(files()).toEqual(["smithers.db", "workflow.ts"])
  })
})

describe("a database that a link leads to", () => {
  const supervised = async (runId: string, ...args: ReadonlyArray<string>) => {
    expect((await place.run("approve", runId, ...args)).code).toBe(0)
    const { code, stdout } = await place.run("supervise", "--once", ...args)
    expect([code, stdout]).toMatchObject([0, expect.stringContaining(`settled ${runId}`)])
    expect((await place.json("inspect", runId, ...args)).value).toMatchObject({
      run: { status: "finished", source: place.file("flows/workflow.ts") },
    })
  }

  it("is the same by each of its paths: runs begun by one go on by the other", { timeout: 90_000 }, async () => {
    mkdirSync(place.file("data"))
    mkdirSync(place.file("flows"))
    copyFileSync(place.file("workflow.ts"), place.file("flows/workflow.ts"))
    mkdirSync(place.file("links/deep"), { recursive: true })
    // Links to the file, also before it is there, to its folder, and to the folder of the workflow.
    symlinkSync("../../data/smithers.db", place.file("links/deep/link.db"))
    symlinkSync("../../data", place.file("links/deep/folder"))
    symlinkSync("../../flows", place.file("links/deep/flows"))
    symlinkSync("../data/smithers.db", place.file("links/smithers.db"))
    const begin = (runId: string, workflow: string, database: string) =>
      place.run("up", workflow, "--input", '{"spec":"x"}', "--run-id", runId, "--db", database)
    expect((await begin("by-link", "links/deep/flows/workflow.ts", "links/deep/link.db")).code).toBe(3)
    expect((await begin("by-folder", "flows/workflow.ts", "links/deep/folder/smithers.db")).code).toBe(3)
    const found = Bun.spawnSync(
      [process.execPath, bin, "up", place.file("flows/workflow.ts"), "--input", '{"spec":"x"}', "--run-id", "found"],
      {
        cwd: place.file("links/deep"),
      },
    )
    expect([found.exitCode, found.stdout.toString()]).toEqual([
      3,
      expect.stringMatching(/smithers approve found --node ok --iteration 0 --request \S+\n/),
    ])
    expect((await place.json("db", "path", "--db", "links/deep/link.db")).value).toEqual({ db: place.file("data/smithers.db") })
    await supervised("by-link", "--db", "data/smithers.db")
    await supervised("by-folder", "--db", "links/deep/link.db")
    await supervised("found", "--db", "links/deep/folder/smithers.db")
    expect(readdirSync(place.file("links/deep")).sort()).toEqual(["flows", "folder", "link.db"])
    expect(readdirSync(place.file("data/.smithers/logs"))).toHaveLength(3)
  })
})

describe("a database that is deleted or replaced under a run", () => {
  const begin = async () => {
    const up = place.start(["up", "workflow.ts#slow", "--input", '{"gate":"gate"}', "--run-id", "s", "--json"])
    await until(async () => JSON.stringify((await place.json("ps")).value).includes('"running"'), "the run is at work")
    return up
  }
  const gone = { error: { tag: "StoreRemoved", message: expect.stringContaining("deleted, moved or replaced") } }
  const ways: { readonly [how: string]: () => void } = {
    deleted: () => {
      for (const name of files().filter((name) => name.startsWith("smithers.db"))) rmSync(place.file(name))
    },
    replaced: () => {
      copyFileSync(db(), place.file("copy.db"))
      renameSync(place.file("copy.db"), db())
    },
    moved: () => renameSync(db(), place.file("elsewhere.db")),
  }

  it.each(Object.entries(ways))(
    "is noticed with the next renewal of the lease when it is %s",
    { timeout: 60_000 },
    async (_, take) => {
      const up = await begin()
      take()
      const { code, stdout } = await up.result
      expect([code, JSON.parse(stdout)]).toMatchObject([1, gone])
    },
  )

  it("is noticed when the run ends before: nobody is told that it finished", { timeout: 60_000 }, async () => {
    const up = await begin()
    ways.deleted?.()
    appendFileSync(place.file("gate"), "")
    const { code, stdout } = await up.result
    expect([code, JSON.parse(stdout)]).toMatchObject([1, gone])
    expect(existsSync(db()), "no empty database is left in its place").toBe(false)
  })

  it("stops a supervisor, which says so", { timeout: 60_000 }, async () => {
    await waits()
    const supervisor = place.start(["supervise", "--interval", "500ms", "--json"])
    await until(() => supervisor.said().stdout.includes("watching"), "it watches")
    ways.deleted?.()
    const { code, stdout } = await supervisor.result
    expect([code, JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "")]).toMatchObject([1, gone])
  })
})

describe("the database of `up`", () => {
  it("is opened once, by a new run as by one that is resumed", async () => {
    const counted = place.file("connections")
    const preload = `--preload=${join(import.meta.dirname, "fixtures", "connections.ts")}`
    writeFileSync(
      place.file("asks.ts"),
      `import { Smithers } from "smithers-orchestrator"
import { Schema } from "effect"
export default Smithers.createWorkflow({ name: "asks", input: Schema.Struct({}) }).build(($) =>
  $.signal("go", { name: "go", payload: Schema.Number }))
`,
    )
    const up = async (...words: ReadonlyArray<string>) => {
      writeFileSync(counted, "")
      const { result } = place.start(["up", ...words], { env: { BUN_OPTIONS: preload, CONNECTIONS: counted } })
      const { code } = await result
      return [code, readFileSync(counted, "utf8")]
    }
    expect(await up("asks.ts", "--run-id", "asks-1")).toEqual([3, "1\n"])
    expect(await up("--resume", "asks-1")).toEqual([3, "1\n"])
    expect((await place.run("signal", "asks-1", "go", "--data", "1")).code).toBe(0)
    expect(await up("--resume", "asks-1")).toEqual([0, "1\n"])
    expect(await up("--resume", "asks-1")).toEqual([0, "1\n"])
  })
})
