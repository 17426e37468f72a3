/**
 * Which packages a workflow's imports lead to, and what the command runs of the folder it is called in. A registry that answers on the
 * loopback interface notes what it is asked for; it is never asked for anything.
 */
import { chmodSync, mkdirSync, readdirSync, realpathSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { type Folder, folder, until } from "./Fixture.ts"

const bin = join(import.meta.dirname, "..", "..", "packages", "smithers", "src", "bin.ts")

const asked: Array<string> = []
let registry: Bun.Server<undefined>
beforeAll(() => {
  registry = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => {
      asked.push(new URL(request.url).pathname)
      return new Response("{}", { status: 404 })
    },
  })
})
afterAll(() => registry.stop(true))

let place: Folder
beforeEach(() => {
  place = folder()
  asked.length = 0
})
afterEach(() => {
  place.remove()
  expect(asked, "what a registry was asked for").toEqual([])
})

const env = () => ({
  BUN_CONFIG_REGISTRY: registry.url.href,
  npm_config_registry: registry.url.href,
  BUN_CONFIG_TOKEN: "",
  CI: "1",
})

const write = (name: string, text: string) => {
  mkdirSync(dirname(place.file(name)), { recursive: true })
  writeFileSync(place.file(name), text)
}

const run = (...args: ReadonlyArray<string>) => place.start(args, { env: env() }).result

const json = async (...args: ReadonlyArray<string>) => {
  const { code, stdout } = await run(...args, "--json")
  return { code, value: JSON.parse(stdout) as Record<string, unknown> }
}

const task = (value: string) =>
  `export default smithers(() => <Workflow name="w"><Task id="t" output={outputs.out}>{() => ({ said: ${value} })}</Task></Workflow>)\n`
const make = `createSmithers({ out: z.object({ said: z.string() }) })`

/** Files that each import packages in another way, and say in the end what they have. */
const files: { readonly [how: string]: string } = {
  "after a statement": `const early = 1
import { createSmithers } from "smithers-orchestrator"
import { z } from "zod"
const { Workflow, Task, smithers, outputs } = ${make}
${task('"ok" + early')}`,
  "behind a directive": `"use strict"
import { createSmithers } from "smithers-orchestrator"
import { z } from "zod"
const { Workflow, Task, smithers, outputs } = ${make}
${task('"ok1"')}`,
  "behind texts that look like imports": `const prompt = \`
import { z } from "nowhere"
\` // import x from "nowhere"
import { createSmithers } from "smithers-orchestrator"; import { z } from
  /* here */ "zod"
const { Workflow, Task, smithers, outputs } = ${make}
${task('prompt.includes(\'import { z } from "nowhere"\') ? "ok1" : prompt')}`,
  "dynamically, by names that are computed": `const { createSmithers } = await import("smithers-" + "orchestrator")
const { z } = await import(\`zod\`)
const { Workflow, Task, smithers, outputs } = ${make}
${task('"ok1"')}`,
  "by require, and by a require that is made": `import { createRequire } from "node:module"
const { createSmithers } = require("smithers-orchestrator")
const { z } = createRequire(import.meta.url)("zod")
const { Workflow, Task, smithers, outputs } = ${make}
${task('"ok1"')}`,
  "within a step": `import { createSmithers } from "smithers-orchestrator"
import { z } from "zod"
const { Workflow, Task, smithers, outputs } = ${make}
export default smithers(() => <Workflow name="w"><Task id="t" output={outputs.out}>{async () => {
  const { Option } = await import("effect")
  const { some } = await import("effect/Option")
  return { said: Option.isSome(some(1)) ? "ok1" : "two copies" }
}}</Task></Workflow>)
`,
  "by a pragma": `/** @jsxImportSource smithers-orchestrator */
import { createSmithers } from "smithers-orchestrator"
import { z } from "zod"
const { Workflow, Task, smithers, outputs } = ${make}
${task('"ok1"')}`,
  "by its parts": `import { createSmithers } from "smithers-orchestrator"
import * as mini from "zod/mini"
import * as Schema from "effect/Schema"
import { useMemo } from "react"
import { generateText } from "ai"
export * from "zod/v4"
import { z } from "zod"
const { Workflow, Task, smithers, outputs } = ${make}
const have = [mini.object, Schema.Struct, useMemo, generateText].every((one) => typeof one === "function")
${task('have ? "ok1" : "not all"')}`,
}

describe("in a folder without node_modules", () => {
  it.each(Object.entries(files))("packages that are imported %s are those that came with the command", async (_, source) => {
    write("w.tsx", source)
    expect(await json("up", "w.tsx")).toMatchObject({ code: 0, value: { status: "finished", output: { said: "ok1" } } })
  })

  it("a workflow that was created runs, is drawn and checked, and so do those that another file or an .mdx prompt is part of", async () => {
    expect((await run("workflow", "create", "hello")).code).toBe(0)
    expect(await json("workflow", "run", "hello", "--run-id", "h")).toMatchObject({
      code: 3,
      value: { status: "waiting-approval" },
    })
    expect((await run("graph", ".smithers/workflows/hello.tsx")).stdout).toContain("approval go")
    expect((await run("check", ".smithers/workflows/hello.tsx")).code).toBe(0)
    expect((await run("approve", "h")).code).toBe(0)
    // Processes that the command starts keep to the same.
    expect((await run("supervise", "--once")).code).toBe(0)
    expect((await json("output", "h")).value).toMatchObject({ output: { text: expect.stringContaining("Done") } })
    write("lib/shapes.ts", 'const first = 1\nimport { z } from "zod"\nexport const out = z.object({ said: z.string() })\n')
    write("lib/prompt.mdx", 'import { z } from "zod"\n\n{typeof z.object} {props.name}\n')
    write(
      "w.tsx",
      `import { createSmithers } from "smithers-orchestrator"
import { out } from "./lib/shapes.ts"
import Prompt from "./lib/prompt.mdx"
const { Workflow, Task, smithers, outputs } = createSmithers({ out })
const agent = { id: "a", generate: async ({ prompt }) => ({ text: JSON.stringify({ said: prompt.trim().split("\\n")[0] }) }) }
export default smithers(() => <Workflow name="w"><Task id="t" output={outputs.out} agent={agent}><Prompt name="ann" /></Task></Workflow>)
`,
    )
    expect((await json("up", "w.tsx")).value).toMatchObject({ output: { said: "function ann" } })
    const detached = await json("up", "w.tsx", "--detach", "--wait")
    expect(detached.code).toBe(0)
  })

  it("what is missing is said, with the file that imports it and the command that installs it", async () => {
    write("lib/uses.ts", 'import leftPad from "left-pad"\nexport default leftPad\n')
    write("w.ts", 'import x from "./lib/uses.ts"\nexport default x\n')
    const { code, value } = await json("up", "w.ts")
    const message = `${place.file("w.ts")} cannot be loaded: ${place.file("lib/uses.ts")} imports the package "left-pad", which is not installed. Install it: cd ${place.file("lib")} && bun add left-pad. Nothing was started.`
    const error = { tag: "InvalidWorkflowFile", path: place.file("w.ts"), reason: "import", missing: "left-pad", message }
    expect([code, value]).toMatchObject([4, { error }])
    write("package.json", "{}")
    const problems: { readonly [specifier: string]: string } = {
      "@scope/pack/sub": `imports the package "@scope/pack", which is not installed. Install it: cd ${place.path} && bun add @scope/pack`,
      "effect/Nope": 'imports "effect/Nope", but the package "effect" that comes with this command has no such module',
      "effect/internal/core":
        'imports "effect/internal/core", but the package "effect" that comes with this command has no such module',
      "./nowhere.ts": "Cannot find module './nowhere.ts'",
      "@smithers-orchestrator/scorers":
        'a package of Smithers 0.x that is one with smithers-orchestrator. Import it from "smithers-orchestrator/scorers"',
      "smithers-orchestrator/memory": "which does not exist. Give the tasks memory={{ recall, remember }}",
    }
    for (const [specifier, problem] of Object.entries(problems)) {
      for (const source of [`import "${specifier}"`, `await import("${specifier}")`, `require("${specifier}")`]) {
        write("w.ts", `${source}\nexport default 1\n`)
        const said = await json("up", "w.ts")
        expect([said.code, said.value]).toMatchObject([
          4,
          { error: { reason: "import", message: expect.stringContaining(problem) } },
        ])
      }
    }
    write("w.ts", 'import { ReviewLoop } from "smithers-orchestrator"\nexport default ReviewLoop\n')
    expect((await json("up", "w.ts")).value).toMatchObject({
      error: {
        reason: "import",
        message: expect.stringContaining(
          'it imports "ReviewLoop" of Smithers 0.x. Import it from "smithers-orchestrator/patterns"',
        ),
      },
    })
  })
})

describe("beside packages that are installed", () => {
  it("each file has those of its own folder, and the command's only where there are none", async () => {
    // As pnpm and isolated installations have it: a dependency has what the project itself has not.
    const install = (at: string, name: string, said: string) => {
      write(
        join(at, "node_modules", name, "package.json"),
        JSON.stringify({ name, version: "1.0.0", type: "module", exports: "./index.js" }),
      )
      write(join(at, "node_modules", name, "index.js"), said)
    }
    install(".", "lib", 'export { z } from "zod"\n')
    install("node_modules/lib", "zod", 'export const z = "the zod of lib"\n')
    install("inner", "zod", 'export const z = "the zod of inner"\n')
    write("inner/own.ts", 'import { z } from "zod"\nexport const own = z\n')
    write(
      "w.tsx",
      `import { z as ofLib } from "lib"
import { own } from "./inner/own.ts"
import { createSmithers } from "smithers-orchestrator"
import { z } from "zod"
const { Workflow, Task, smithers, outputs } = ${make}
${task('[ofLib, own, typeof z.object].join(", ")')}`,
    )
    expect((await json("up", "w.tsx")).value).toMatchObject({ output: { said: "the zod of lib, the zod of inner, function" } })
    write("n.ts", 'import "zod/nope"\n')
    write("inner/n.ts", 'import "zod/nope"\n')
    const { value } = await json("up", "inner/n.ts")
    expect(value).toMatchObject({ error: { message: expect.stringContaining('"zod" that is installed there has no such module') } })
  })

  it("a smithers-orchestrator of somebody else is named, with what to do about it", async () => {
    const folder = place.file("node_modules/smithers-orchestrator")
    write(
      "node_modules/smithers-orchestrator/package.json",
      JSON.stringify({ name: "smithers-orchestrator", version: "9.9.9", main: "i.js" }),
    )
    write(
      "node_modules/smithers-orchestrator/i.js",
      "export const createSmithers = () => ({ smithers: () => ({ other: true }) })\n",
    )
    const said = `It uses smithers-orchestrator 9.9.9 in ${folder}, not the one of this command. Remove that package to use the one of this command.`
    for (const source of [
      'import { createSmithers } from "smithers-orchestrator"\nexport default createSmithers().smithers()\n',
      'import { createSmithers } from "smithers-orchestrator"\nexport default createSmithers({}).smithers.missing.deep\n',
      'import "smithers-orchestrator/nope"\n',
    ]) {
      write("w.ts", source)
      const { code, value } = await json("up", "w.ts")
      expect([code, value]).toMatchObject([4, { error: { tag: "InvalidWorkflowFile", message: expect.stringContaining(said) } }])
      expect(JSON.stringify(value)).not.toContain("bun add smithers-orchestrator")
    }
  })

  it("NODE_PATH is what it was to programs that a step starts, and nothing of the command is in their environment", async () => {
    write(
      "w.ts",
      `import { Smithers } from "smithers-orchestrator"
import { Schema } from "effect"
import { execSync } from "node:child_process"
export default Smithers.createWorkflow({ name: "w", input: Schema.Struct({}) }).build(($) =>
  $.step("env", { output: Schema.String, run: () => execSync("env | grep -E '^(NODE_PATH|SMITHERS_)' || true").toString() }))
`,
    )
    expect((await json("up", "w.ts")).value).toMatchObject({ output: "" })
    const given = await place.start(["up", "w.ts", "--json"], { env: { ...env(), NODE_PATH: "/a:/b" } }).result
    expect(JSON.parse(given.stdout)).toMatchObject({ output: "NODE_PATH=/a:/b\n" })
  })

  it("the links are made once, in a folder that nobody else can write", async () => {
    const cache = place.file("cache")
    const once = () => place.start(["check", "workflow.ts"], { env: { ...env(), XDG_CACHE_HOME: cache } }).result
    expect((await Promise.all([once(), once(), once()])).map(({ code }) => code)).toEqual([0, 0, 0])
    const folders = readdirSync(join(cache, "smithers", "packages"))
    expect(folders).toHaveLength(1)
    const links = join(cache, "smithers", "packages", folders[0] as string)
    expect(realpathSync(join(links, "smithers-orchestrator", "index.ts"))).toBe(join(dirname(bin), "index.ts"))
    chmodSync(links, 0o777)
    expect((await once()).code, "one that others could have written is not used").toBe(0)
    writeFileSync(place.file("file"), "")
    const without = await place.start(["check", "workflow.ts"], { env: { ...env(), XDG_CACHE_HOME: place.file("file") } }).result
    expect(without.code, "a cache that cannot be written").toBe(0)
  })
})

describe("the executable", () => {
  const execute = async (args: ReadonlyArray<string>, at = place.path) => {
    const { SMITHERS_DB: _, ...inherited } = process.env
    const bun = dirname(process.execPath)
    const child = Bun.spawn([bin, ...args], {
      cwd: at,
      env: { ...inherited, ...env(), PATH: `${bun}:${inherited.PATH}` },
      stdout: "pipe",
      stderr: "pipe",
    })
    const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
    return { code: await child.exited, stdout, stderr }
  }

  it("runs nothing of the folder it reads in, and what a project preloads where it runs a workflow of it", async () => {
    expect((await execute(["up", "workflow.ts#nap", "--run-id", "n", "--input", "{}"])).code).toBe(3)
    write("bunfig.toml", 'preload = ["./preload.ts"]\n[install]\nauto = "force"\n')
    write("preload.ts", 'import { writeFileSync } from "node:fs"\nwriteFileSync("preloaded", String(process.env.OF_PROJECT))\n')
    write(".env", "SMITHERS_DB=/nowhere/other.db\nOF_PROJECT=yes\n")
    for (const args of [
      ["ps"],
      ["why", "n"],
      ["inspect", "n"],
      ["inbox"],
      ["logs", "n"],
      ["db", "path"],
      ["db", "check"],
      ["events", "n"],
    ]) {
      const { code, stderr } = await execute(args)
      expect([args, code, stderr]).toEqual([args, 0, ""])
    }
    expect(readdirSync(place.path)).not.toContain("preloaded")
    write(".env", "OF_PROJECT=yes\n")
    expect((await execute(["up", "workflow.ts#nap", "--input", "{}"])).code).toBe(3)
    expect(await Bun.file(place.file("preloaded")).text()).toBe("yes")
  })

  it("preloads our own .mdx plugin where a project asks for it and has installed nothing", async () => {
    write("bunfig.toml", 'preload = ["smithers-orchestrator/mdx"]\n')
    expect(await execute(["check", "workflow.ts"])).toMatchObject({ code: 0, stderr: "" })
  })

  it("keeps its process, so that what is sent to it arrives", { timeout: 30_000 }, async () => {
    const child = Bun.spawn([bin, "up", "workflow.ts#slow", "--input", '{"gate":"never"}', "--run-id", "s", "--json"], {
      cwd: place.path,
      env: { ...process.env, ...env(), PATH: `${dirname(process.execPath)}:${process.env.PATH}` },
      stdout: "pipe",
      stderr: "pipe",
    })
    const owners = async () => {
      const { runs = [] } = (await place.json("ps")).value as { runs?: ReadonlyArray<{ owner: string | null }> }
      return runs.map(({ owner }) => owner ?? "")
    }
    await until(async () => (await owners()).some((owner) => owner.includes(`:${child.pid}:`)), "the process works on the run")
    child.kill("SIGTERM")
    expect(await child.exited).toBe(143)
    expect(JSON.parse(await new Response(child.stdout).text())).toMatchObject({ error: { tag: "Interrupted", runId: "s" } })
  })
})
