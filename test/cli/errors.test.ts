import { Database } from "bun:sqlite"
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { type Folder, folder, maskTimes } from "./Fixture.ts"

let place: Folder
beforeEach(() => {
  place = folder()
})
afterEach(() => place.remove())

const write = (name: string, text: string) => writeFileSync(place.file(name), text)

/** What a command says and how it ends, in both forms; the JSON form must say the same. */
const refused = async (...args: ReadonlyArray<string>) => {
  const [human, json] = await Promise.all([place.run(...args), place.json(...args)])
  const { error } = json.value as { error: { tag: string; message: string } }
  expect(human.stdout).toBe("")
  // Both say where the file is; JSON holds what control sequences were.
  expect(error.message.split("\n")[0]).toBe(human.stderr.trimEnd().split("\n")[0])
  expect(json.code).toBe(human.code)
  return { code: human.code, tag: error.tag, message: maskTimes(human.stderr.trimEnd(), place.path) }
}

describe("a workflow file that cannot be used", () => {
  it("is missing", async () => {
    expect(await refused("up", "nope.tsx")).toEqual({
      code: 4,
      tag: "InvalidWorkflowFile",
      message: 'There is no file <folder>/nope.tsx. Run "smithers workflow list" to list the workflows of this project.',
    })
    expect(existsSync(place.file("smithers.db")), "nothing is made for it").toBe(false)
  })

  it("cannot be parsed: the places are named", async () => {
    write("broken.tsx", "const a = {\n  b: 1\n  c: 2\n}\n")
    const { code, message } = await refused("up", "broken.tsx")
    expect(code).toBe(4)
    expect(message).toContain("<folder>/broken.tsx cannot be parsed")
    expect(message).toContain('<folder>/broken.tsx:3:3 Expected "}" but found "c"\n    c: 2')
  })

  it("imports what is not there", async () => {
    write("imports.ts", 'import { x } from "./nowhere"\nexport default x\n')
    expect((await refused("up", "imports.ts")).message).toContain(
      "Cannot find module './nowhere' imported from <folder>/imports.ts",
    )
  })

  it("throws while it loads: what, and in which line", async () => {
    write("throws.ts", 'const a: number = 1\n\nthrow new TypeError("no " + a)\n')
    const { code, message } = await refused("up", "throws.ts")
    expect(code).toBe(4)
    expect(message).toContain("threw while it was loaded: TypeError: no 1")
    expect(message).toMatch(/throws\.ts:3:\d+/)
  })

  it("exports no workflow, or not the one that was named", async () => {
    write("empty.ts", "export const a = 1\nexport default 3\n")
    expect((await refused("up", "empty.ts")).message).toBe(
      "The default export of <folder>/empty.ts is a number, not a workflow. Export one: export default smithers(…).",
    )
    const { message } = await refused("check", "workflow.ts#nope")
    expect(message).toContain('has no export "nope". It exports its default export, "family", "loud"')
    expect((await refused("up", "workflow.md")).message).toBe(
      'There is no file <folder>/workflow.md. Run "smithers workflow list" to list the workflows of this project.',
    )
  })

  it("is not there any more for a run that remembers it, or is broken for one that is detached", async () => {
    expect((await place.run("up", "workflow.ts#nap", "--run-id", "n")).code).toBe(3)
    const moved = place.file("elsewhere.ts")
    await Bun.write(moved, Bun.file(place.file("workflow.ts")))
    write("workflow.ts", "export default (")
    expect((await refused("up", "--resume", "n")).message).toContain("<folder>/workflow.ts cannot be parsed")
    rmSync(place.file("workflow.ts"))
    expect((await refused("up", "--resume", "n")).message).toBe(
      'The workflow file of run "n" no longer exists: <folder>/workflow.ts. Name its new path: smithers up <workflow file> --resume n',
    )
    expect((await place.run("up", "elsewhere.ts#nap", "--resume", "n")).code).toBe(3)
    expect((await refused("up", "workflow.ts", "--detach")).tag).toBe("InvalidWorkflowFile")
    expect((await refused("up", "elsewhere.ts#nap", "--run-id", "a~b~0")).tag).toBe("InvalidRunId")
    expect((await refused("up", "elsewhere.ts", "--run-id", "n", "--input", '{"spec":"x"}', "--detach")).tag).toBe("DetachedEnded")
  })

  it("dies right after the claim of its run: a detached one was begun all the same", async () => {
    write(
      "dies.ts",
      `import { Smithers } from "smithers-orchestrator"
import { Schema } from "effect"
export default Smithers.createWorkflow({ name: "dies", input: Schema.Struct({}) }).build(($) =>
  $.step("only", { output: Schema.String, run: () => process.exit(7) }))
`,
    )
    const { code, stdout } = await place.run("up", "dies.ts", "--detach", "--run-id", "d", "--input", "{}")
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^Run d (was begun by|continues in) process \d+/)])
    expect((await place.json("inspect", "d")).value).toMatchObject({ run: { runId: "d" } })
  })

  it("draws what is no plan: check says so with exit code 1, and up does not begin", async () => {
    write(
      "twice.tsx",
      `import { createSmithers } from "smithers-orchestrator"
import { z } from "zod"
const { Workflow, Task, smithers, outputs } = createSmithers({ a: z.object({}) })
export default smithers(() => <Workflow name="twice"><Task id="a" output={outputs.a}>{{}}</Task><Task id="a" output={outputs.a}>{{}}</Task></Workflow>)
export const impure = smithers(() => <Workflow name="impure"><Task id={"t" + Math.floor(performance.now() * 1e6)} output={outputs.a}>{{}}</Task></Workflow>)
export const throwing = smithers(() => { throw new Error("not today") })
`,
    )
    const checked = await place.json("check", "twice.tsx")
    expect(checked).toMatchObject({ code: 1, value: { problems: [{ kind: "invalid", message: expect.stringContaining('"a"') }] } })
    expect((await refused("up", "twice.tsx")).tag).toBe("InvalidWorkflow")
    const impure = await place.json("check", "twice.tsx#impure")
    expect(impure).toMatchObject({ code: 1, value: { problems: [{ kind: "impure" }, { kind: "impure" }] } })
    const throwing = await place.run("check", "twice.tsx#throwing")
    expect(throwing.code).toBe(1)
    expect(throwing.stdout).toContain("not today")
  })

  it("does not fit a run any more: check --against says what would become of it", async () => {
    expect((await place.run("up", "workflow.ts", "--input", '{"spec":"x"}', "--run-id", "r")).code).toBe(3)
    const text = await Bun.file(place.file("workflow.ts")).text()
    write(
      "edited.ts",
      text
        .replace("const Text = Schema.Struct({ text: Schema.String })", "const Text = Schema.Struct({ words: Schema.Number })")
        .replace('"deploy"', '"release"'),
    )
    const { code, value } = await place.json("check", "edited.ts", "--against", "r")
    expect(code).toBe(1)
    expect(value).toMatchObject({
      problems: [{ kind: "incompatible", message: expect.stringContaining("words") }],
      difference: { added: ["release"], removed: ["deploy"] },
    })
    expect((await refused("up", "edited.ts", "--resume", "r")).tag).toBe("IncompatibleOutput")
  })
})

describe("a workflow that is checked against a run", () => {
  const jsx = (input: string) => `import { createSmithers } from "smithers-orchestrator"
import { z } from "zod"
const { Workflow, Task, Approval, smithers, outputs } = createSmithers({ a: z.object({}) }, { input: z.object({ ${input} }) })
export default smithers((ctx) => <Workflow name="asks"><Approval id="ok" request={{ title: String(ctx.input.spec) }} /></Workflow>)
`

  it("is drawn with the input that the run has, and needs no other", async () => {
    write("asks.tsx", jsx("spec: z.string(), size: z.string().transform(Number)"))
    expect((await place.run("up", "asks.tsx", "--run-id", "r", "--input", '{"spec":"x","size":"3"}')).code).toBe(3)
    expect((await refused("check", "asks.tsx")).message).toContain("It needs an input to render")
    expect(await place.json("check", "asks.tsx", "--against", "r")).toMatchObject({
      code: 0,
      value: { workflow: "asks", steps: 1, problems: [], difference: { kept: ["ok"], added: [], removed: [] } },
    })
    write("other.tsx", jsx("spec: z.string(), size: z.string().transform(Number)").replace('name="asks"', 'name="another"'))
    expect(await place.json("check", "other.tsx", "--against", "r")).toMatchObject({
      code: 1,
      value: {
        problems: [{ kind: "incompatible", message: 'run "r" belongs to workflow "asks", not to "another"' }],
        difference: null,
      },
    })
    write("more.tsx", jsx("spec: z.number()"))
    expect(await place.json("check", "more.tsx", "--against", "r")).toMatchObject({
      code: 1,
      value: { workflow: "asks", problems: [{ kind: "incompatible", message: expect.stringContaining("spec") }] },
    })
  })
})

describe("a workflow that ends its process", () => {
  const source = (body: string, top = "") => `import { Smithers } from "smithers-orchestrator"
import { Schema } from "effect"
${top}
export default Smithers.createWorkflow({ name: "ends", input: Schema.Struct({}) }).build(($) =>
  $.step("one", { output: Schema.Int, run: async () => { ${body}; return 1 } }))
`

  it("while it is loaded is one that cannot be loaded", async () => {
    write("loads.ts", source("", "process.exit(0)"))
    for (const command of ["up", "check"]) {
      const { code, message } = await refused(command, "loads.ts")
      expect(code).toBe(4)
      expect(message).toContain("threw while it was loaded: NonRetryable: process.exit(0) was called.")
    }
  })

  it("in a step fails that step", async () => {
    write("steps.ts", source("process.exit(0)"))
    expect(await place.json("up", "steps.ts")).toMatchObject({
      code: 1,
      value: {
        status: "failed",
        error: { attempts: 1, error: { message: expect.stringContaining("process.exit(0) was called") } },
      },
    })
    const human = await place.run("up", "steps.ts")
    expect([human.code, human.stdout]).toEqual([1, expect.stringContaining("process.exit(0) was called")])
  })

  it("from a timer, or throws there, has its run let go of and is told of", async () => {
    write("timer.ts", source("setTimeout(() => process.exit(0), 1); await new Promise(() => {})"))
    expect(await place.json("up", "timer.ts", "--run-id", "t")).toMatchObject({
      code: 1,
      value: { error: { tag: "Uncaught", message: expect.stringContaining("process.exit(0) was called"), runId: "t" } },
    })
    expect((await place.json("inspect", "t")).value).toMatchObject({ run: { status: "suspended", owner: null } })
    write("throws.ts", source(`Promise.reject(new Error("left alone")); await new Promise(() => {})`))
    const human = await place.run("up", "throws.ts", "--run-id", "r")
    expect(human.code).toBe(1)
    expect(human.stderr).toContain("A timer or a promise that no code awaits has thrown: Error: left alone")
    expect(human.stderr).toContain("Resume the run: smithers up --resume r")
  })
})

describe("an input that cannot be used", () => {
  it("is no JSON, or not in the file", async () => {
    expect((await refused("up", "workflow.ts", "--input", '{"spec":')).message).toMatch(/^--input is not JSON: /)
    expect((await refused("up", "workflow.ts", "--input", "@nope.json")).message).toContain("nope.json cannot be read")
  })

  it("does not match its schema: the path and the reason are printed, and nothing is made", async () => {
    const { code, tag, message } = await refused("up", "workflow.ts#poll", "--input", '{"fail":"yes"}')
    expect([code, tag]).toEqual([4, "InvalidInput"])
    expect(message).toMatch(/^The input of workflow "poll" is not valid: fail: .*"yes".*Nothing was started\.$/)
    expect((await refused("up", "workflow.ts")).message).toContain("spec")
    expect(existsSync(place.file("smithers.db"))).toBe(false)
  })

  it("is another than that of the run", async () => {
    await place.run("up", "workflow.ts", "--input", '{"spec":"x"}', "--run-id", "r")
    expect((await refused("up", "workflow.ts", "--input", '{"spec":"y"}', "--run-id", "r")).tag).toBe("InputMismatch")
    expect((await refused("up", "workflow.ts#triage", "--input", "{}", "--run-id", "r")).tag).toBe("WorkflowMismatch")
    expect((await refused("up", "--resume", "r", "--input", "{}")).tag).toBe("InvalidUsage")
    await place.run("up", "workflow.ts#poll", "--input", '{"fail":false}', "--run-id", "p")
    expect((await place.run("up", "workflow.ts#poll", "--run-id", "p", "--resume", "true")).code).toBe(0)
    write("other.ts", 'export { nap as default } from "./workflow.ts"\n')
    expect((await refused("up", "other.ts", "--run-id", "p", "--resume", "true")).tag).toBe("WorkflowMismatch")
    expect((await refused("up", "--resume")).message).toContain("Give the run to resume")
    expect((await refused("up", "--resume", "nobody")).tag).toBe("NoSuchRun")
  })
})

describe("a database", () => {
  it("that is not there: what to do next is said", async () => {
    expect(await refused("ps")).toEqual({
      code: 4,
      tag: "NoDatabase",
      message:
        'There is no smithers.db in <folder> or in a folder above it. Run "smithers up <workflow>" to create one with the first run, or name another file with --db or SMITHERS_DB.',
    })
    expect((await refused("ps", "--db", "other.db")).message).toContain("There is no database <folder>/other.db")
  })

  it("is the nearest one upward, or the one that is named", async () => {
    await place.run("up", "workflow.ts#nap", "--input", "{}", "--run-id", "here")
    mkdirSync(place.file("a/b"), { recursive: true })
    const inside = Bun.spawnSync([process.execPath, bin, "db", "path"], { cwd: place.file("a/b") })
    expect(inside.stdout.toString()).toBe(`${place.file("smithers.db")}\n`)
    await place.run("up", "workflow.ts#nap", "--input", "{}", "--run-id", "there", "--db", "a/there.db")
    await place.run("up", "workflow.ts#nap", "--run-id", "rooted", "--root", "a/b")
    expect(existsSync(place.file("a/b/smithers.db")), "a database further up is taken").toBe(false)
    expect((await place.json("why", "rooted")).value).toMatchObject({ reason: "timer" })
    expect((await refused("up", "workflow.ts#nap", "--root", "nowhere")).message).toContain("is not a folder")
    const named = await place.start(["ps"], { env: { SMITHERS_DB: "a/there.db" } }).result
    expect(named.stdout).toContain("there ")
    expect(named.stdout).not.toContain("here ago")
    expect((await place.json("ps", "--db", "a/there.db")).value).toMatchObject({ runs: [{ runId: "there" }] })
  })

  it("is named in the commands that are printed wherever they would find another, or none", async () => {
    mkdirSync(place.file("run"))
    mkdirSync(place.file("here"))
    const here = (...args: ReadonlyArray<string>) => {
      const child = Bun.spawnSync([process.execPath, bin, ...args], { cwd: place.file("here"), env: { ...process.env, CI: "1" } })
      return { code: child.exitCode, stdout: child.stdout.toString() }
    }
    const up = here("up", "../workflow.ts", "--root", "../run", "--run-id", "r", "--input", '{"spec":"x"}')
    expect([up.code, up.stdout]).toEqual([
      3,
      expect.stringMatching(/smithers approve r --node ok .*--db \.\.\/run\/smithers\.db$/m),
    ])
    expect(up.stdout).toContain("Then resume it: smithers up --resume r --db ../run/smithers.db")
    expect(here("approve", "r", "--db", "../run/smithers.db").code).toBe(0)
    const resumed = here("up", "--resume", "r", "--root", "../run")
    expect([resumed.code, resumed.stdout]).toEqual([0, expect.stringContaining("shipped")])
    // One that is found is not named.
    const found = here("up", "../workflow.ts#nap", "--root", "..", "--run-id", "n")
    expect(found.stdout).toContain("Then resume it: smithers up --resume n\n")
    expect(existsSync(place.file("smithers.db"))).toBe(true)
  })

  it("is named by a file or by a URL, and a URL of no kind of store that there is names those there are", async () => {
    await place.run("up", "workflow.ts#nap", "--input", "{}", "--db", "sqlite:named.db")
    expect(existsSync(place.file("named.db"))).toBe(true)
    expect((await place.json("ps", "--db", "named.db")).value).toMatchObject({ runs: [{ workflow: "nap" }] })
    expect((await place.json("ps", "--db", "sqlite:named.db")).value).toMatchObject({ runs: [{ workflow: "nap" }] })
    for (const args of [["ps"], ["up", "workflow.ts#nap", "--input", "{}"]]) {
      const { tag, message } = await refused(...args, "--db", "mysql://ann:secret@host/runs")
      expect(tag).toBe("UnknownStore")
      expect(message).toContain("sqlite:<file>")
      expect(message).not.toContain("secret")
    }
  })

  it("of a newer version, or that is none, is left as it is", async () => {
    await place.run("up", "workflow.ts#nap", "--input", "{}")
    const db = new Database(place.file("smithers.db"))
    db.run("UPDATE smithers_store SET layout = 999, protocol = 999")
    db.close()
    expect(await refused("ps")).toEqual({ code: 1, tag: "StoreTooNew", message: expect.stringContaining("schema version 999") })
    expect((await refused("up", "workflow.ts#nap", "--input", "{}")).tag).toBe("StoreTooNew")
    write("other.db", "this is no database, however long the text of it may be, and it says so")
    expect((await refused("ps", "--db", "other.db")).tag).toBe("StoreCorrupt")
  })

  it("that another holds is waited for, and then named as locked; what only reads is not held up", {
    timeout: 30_000,
  }, async () => {
    await place.run("up", "workflow.ts", "--input", '{"spec":"x"}', "--run-id", "r")
    const db = new Database(place.file("smithers.db"))
    db.run("BEGIN IMMEDIATE")
    try {
      const [listed, approved] = await Promise.all([place.run("ps"), place.json("approve", "r")])
      expect(listed.code).toBe(0)
      expect(approved).toMatchObject({ code: 1, value: { error: { tag: "StoreBusy" } } })
    } finally {
      db.run("ROLLBACK")
      db.close()
    }
    expect((await place.run("approve", "r")).code).toBe(0)
  })
})

describe("output", () => {
  it("is whole in JSON however large, and cut for people, with its control sequences taken apart", async () => {
    const args = ["up", "workflow.ts#loud", "--input", '{"size":3000000}', "--run-id", "l"]
    const { code, stdout } = await place.run(...args)
    expect(code).toBe(0)
    expect(stdout.length).toBeLessThan(10_000)
    expect(stdout).toContain("smithers output l --json shows all of it")
    const shown = [stdout, (await place.run("inspect", "l")).stdout, (await place.run("node", "l", "shout")).stdout].join("")
    // biome-ignore lint/suspicious/noControlCharactersInRegex: this is what must not be there.
    expect(shown).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f]/)
    const { value } = await place.json("output", "l")
    const { text } = (value as { output: { text: string } }).output
    // What goes on to a file or to another program is whole as well.
    const whole = (await place.run("output", "l")).stdout
    expect(whole.length).toBeGreaterThan(3_000_000)
    expect((await place.run("output", "l", "shout")).stdout).toBe(whole)
    expect(text).toBe(`\u001b[2J\u001b]0;owned\u0007${"x".repeat(3_000_000)}`)
  })

  it("is cut also where it is an error", async () => {
    write(
      "wails.ts",
      `import { Smithers } from "smithers-orchestrator"
import { Schema } from "effect"
export default Smithers.createWorkflow({ name: "wails", input: Schema.Void }).build(($) =>
  $.step("wail", { output: Schema.Void, retry: { maxAttempts: 1 }, run: () => { throw new Error("a".repeat(3_000_000)) } }))
`,
    )
    const { code, stdout, stderr } = await place.run("up", "wails.ts", "--run-id", "w")
    expect(code).toBe(1)
    const shown = [stdout, stderr, (await place.run("inspect", "w")).stdout, (await place.run("why", "w")).stdout]
    for (const text of shown) expect(text.length).toBeLessThan(5000)
    const { value } = await place.json("inspect", "w")
    const { message } = (value as { failure: { error: { message: string } } }).failure.error
    expect(message).toMatch(/^a+ … \d+ characters left out … a+$/)
    expect(message.length).toBeLessThan(10_000)
  })

  it("says where an error came from and why it is not retried, in every command that shows it", async () => {
    write(
      "chain.ts",
      `import { Smithers } from "smithers-orchestrator"
import { Effect, Schema } from "effect"
class Declined extends Error {}
const load = async () => {
  throw new Error("could not load", { cause: Object.assign(new Declined("refused"), { status: 401, code: "E_AUTH" }) })
}
const defect = () => Effect.map(Effect.void, () => { throw new Error("in a callback") })
const step = { output: Schema.Void, retry: { maxAttempts: 2, initialDelay: 0 } }
export default Smithers.createWorkflow({ name: "chain", input: Schema.Void }).build(($) => $.sequence(
  $.step("soft", { ...step, run: defect, continueOnFail: true }),
  $.step("hard", { ...step, run: () => Effect.tryPromise(load) }),
))
`,
    )
    const said = "Error: could not load. Caused by: Declined: refused (status 401, code E_AUTH)"
    const hard = "its retries are used up"
    const soft = "it is a defect: it was thrown inside an Effect"
    const up = await place.run("up", "chain.ts", "--run-id", "c")
    expect(up.code).toBe(1)
    const [why, inspect, logs] = await Promise.all([place.run("why", "c"), place.run("inspect", "c"), place.run("logs", "c")])
    for (const { stdout } of [up, why, inspect, logs]) {
      expect(stdout).toContain(said)
      expect(stdout.toLowerCase()).toContain(`not retried, because ${hard}`)
    }
    for (const { stdout } of [inspect, logs]) expect(stdout).toContain(`Error: in a callback; not retried, because ${soft}`)
    const node = (await place.run("node", "c", "hard")).stdout
    expect(node.split("Error: could not load\n")).toHaveLength(3)
    expect(node).toContain("Caused by: Declined: refused (status 401, code E_AUTH)")
    expect(node.split(`Not retried, because ${hard}`)).toHaveLength(2)
    expect((await place.run("node", "c", "soft")).stdout).toContain(`Not retried, because ${soft}`)
    const error = {
      name: "Error",
      message: "could not load",
      cause: { name: "Declined", message: "refused", status: 401, code: "E_AUTH" },
      notRetried: "attempts",
    }
    const { value } = await place.json("inspect", "c")
    expect(value).toMatchObject({ failure: { error }, nodes: [{ error: { notRetried: "defect" } }, { error }] })
    expect((await place.json("node", "c", "hard")).value).toMatchObject({
      attempts: [{ error: { cause: error.cause } }, { error }],
    })
  })

  it("of a workflow, or of a program it starts, does not mix with the JSON of the command", async () => {
    write(
      "chatty.ts",
      `import { spawnSync } from "node:child_process"
import { writeSync } from "node:fs"
import { Smithers } from "smithers-orchestrator"
import { Schema } from "effect"
console.log("loading")
export default Smithers.createWorkflow({ name: "chatty", input: Schema.Struct({}) }).build(($) =>
  $.step("talk", { output: Schema.Int, run: async () => {
    console.log("talking")
    process.stdout.write("through the stream\\n")
    writeSync(1, "through the descriptor\\n")
    await Bun.write(Bun.stdout, "through Bun\\n")
    spawnSync("echo", ["through a program"], { stdio: "inherit" })
    return 1
  } }))
`,
    )
    const { code, stdout, stderr } = await place.run("up", "chatty.ts", "--json")
    expect([code, JSON.parse(stdout)]).toMatchObject([0, { output: 1 }])
    expect(stderr).toBe("loading\ntalking\nthrough the stream\nthrough the descriptor\nthrough Bun\nthrough a program\n")
    // A file is written to its end as well.
    const shell = Bun.spawnSync(["sh", "-c", `"${process.execPath}" "${bin}" up chatty.ts --json > out.json`], { cwd: place.path })
    expect(shell.exitCode).toBe(0)
    expect(JSON.parse(await Bun.file(place.file("out.json")).text())).toMatchObject({ output: 1 })
  })

  it("of a list that nobody reads to its end is no failure", async () => {
    await place.run("up", "workflow.ts#poll", "--input", '{"fail":false}', "--run-id", "p")
    const shell = Bun.spawnSync(["sh", "-c", `"${process.execPath}" "${bin}" events p | head -n 1`], { cwd: place.path })
    expect(shell.stderr.toString()).toBe("")
    expect(shell.stdout.toString()).toContain("RunStarted")
  })

  it("that nobody reads stops neither a run nor its end, and stops a supervisor in order", { timeout: 30_000 }, async () => {
    const unread = (command: string) =>
      Bun.spawnSync(["bash", "-c", `set -o pipefail; "${process.execPath}" "${bin}" ${command} | head -n 1`], { cwd: place.path })
    const both = unread(`up workflow.ts#poll --input '{"fail":false}' --run-id both 2>&1`)
    expect([both.exitCode, both.stdout.toString()]).toEqual([0, "▶ run both\n"])
    expect((await place.json("inspect", "both")).value).toMatchObject({ run: { status: "finished", owner: null } })
    await place.run("up", "workflow.ts#slow", "--run-id", "s", "--input", '{"ms":1,"dies":true}')
    const supervised = unread("supervise --interval 1s")
    expect(supervised.exitCode).toBe(141)
    expect(supervised.stdout.toString()).toContain("watching")
    expect((await place.run("why", "s")).stdout, "nothing is left at work").not.toContain("at work")
    expect(unread("events both").exitCode).toBe(0)
  })
})

describe("a folder of ours that cannot be written", () => {
  it("is named, with what is in its way", async () => {
    write(".smithers", "this is a file")
    const detached = await refused("up", "workflow.ts#nap", "--detach", "--run-id", "n")
    expect(detached).toMatchObject({ code: 1, tag: "CannotWrite" })
    expect(detached.message).toMatch(/^<folder>\/\.smithers\/logs\/n\.log cannot be written: E(?:NOTDIR|EXIST)/)
    expect((await refused("workflow", "create", "hello")).tag).toBe("CannotWrite")
    // A supervisor says the same of each run that it cannot have a log for, and does not blame the run.
    await place.run("up", "workflow.ts", "--input", '{"spec":"x"}', "--run-id", "told")
    await place.run("approve", "told")
    const supervised = await place.run("supervise", "--once")
    expect(supervised.code).toBe(1)
    expect(supervised.stdout).toContain("refused told (ship): ")
    expect(supervised.stdout).toContain("told.log cannot be written")
    expect((await place.run("why", "told")).stdout).toContain("smithers up --resume told")
    expect((await place.run("workflow", "list")).stdout).toContain("There are no workflows")
  })
})

describe("listing runs", () => {
  it("says what each of them waits for, however much older ones wait for", async () => {
    write(
      "crowd.ts",
      `import { Smithers } from "smithers-orchestrator"
import { Schema } from "effect"
export default Smithers.createWorkflow({ name: "crowd", input: Schema.Struct({}) }).build(($) =>
  $.parallel(...Array.from({ length: 1001 }, (_, index) => $.approval("ok-" + index, { request: () => ({ title: "?" }) }))))
`,
    )
    expect((await place.run("up", "crowd.ts")).code).toBe(3)
    const naps = ["n1", "n2", "n3", "n4", "n5", "n6"]
    await Promise.all(naps.map((runId) => place.run("up", "workflow.ts#nap", "--run-id", runId)))
    expect((await place.run("ps")).stdout.match(/rest: its time, in /gm)).toHaveLength(naps.length)
    const { runs } = (await place.json("ps")).value as { runs: ReadonlyArray<{ runId: string; waits: ReadonlyArray<unknown> }> }
    for (const runId of naps) expect(runs.find((run) => run.runId === runId)?.waits).toMatchObject([{ nodeId: "rest" }])
  })

  it("loads neither React nor an SDK nor a platform", async () => {
    await place.run("up", "workflow.ts#nap", "--input", "{}")
    write(
      "trace.ts",
      `Bun.plugin({ name: "trace", setup: (build) => {
  build.onLoad({ filter: /node_modules\\/(react|react-reconciler|ai|zod|@mdx-js|@effect\\/platform-bun)\\/|packages\\/(jsx|agents)\\// }, ({ path }) => {
    throw new Error("loaded " + path)
  })
} })
`,
    )
    const listed = Bun.spawnSync([process.execPath, "--preload", place.file("trace.ts"), bin, "ps"], { cwd: place.path })
    expect(listed.stderr.toString()).toBe("")
    expect(listed.exitCode).toBe(0)
    expect(listed.stdout.toString()).toContain("nap")
  })
})

const bin = join(import.meta.dirname, "..", "..", "packages", "smithers", "src", "bin.ts")
