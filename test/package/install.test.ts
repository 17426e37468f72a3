/**
 * The package as people install it: in empty projects, by npm and by Bun, beside the oldest and the newest Effect that it works with.
 */
import { Database } from "bun:sqlite"
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import {
  bun,
  clean,
  copy,
  emit,
  hasRegistry,
  install,
  node,
  project,
  root,
  run,
  succeed,
  tarball,
  titled,
  typecheck,
  versionOf,
} from "./Fixture.ts"

const describeInstalled = describe.skipIf(!hasRegistry)
const minutes = 60_000

afterAll(clean)

/** The copies of a package in a project. */
const copies = (folder: string, name: string): ReadonlyArray<string> =>
  readdirSync(join(folder, "node_modules"), { recursive: true, encoding: "utf8" }).filter(
    (path) => path === name || path.endsWith(`node_modules/${name}`),
  )

/** What a program prints last; a busy machine has it log before that how long a transaction took. */
const lastOf = (text: string): unknown => JSON.parse(text.trim().split("\n").at(-1) ?? "")

const finished = (runId: string, output: unknown) => ({ status: "finished", runId, output })
const reported = finished("review-1", { text: "low\0 1970-01-01T00:00:00.000Z 9007199254740998" })
const reviewed = finished("drafts-1", { approved: true, round: 2 })

/** Kinds of projects in which users compile: none needs `allowImportingTsExtensions`. */
const settings = (["NodeNext", "Bundler"] as const).flatMap((resolution) =>
  [false, true].map((skip) => [resolution, skip] as const),
)

describeInstalled(titled("installed by npm beside effect 3.22.1"), () => {
  let folder = ""
  beforeAll(async () => {
    folder = project()
    await install("npm", folder, "effect@3.22.1", "@types/node@22")
    copy("base", folder)
    await emit(folder)
  }, 5 * minutes)

  it("there is one copy of effect and of react", () => {
    expect([copies(folder, "effect"), copies(folder, "react")]).toEqual([["effect"], ["react"]])
    expect(versionOf(folder, "effect")).toBe("3.22.1")
  })

  it.each(settings)("programs of both front ends type-check without an error (%s, skipLibCheck %s)", async (resolution, skip) => {
    expect(await typecheck(folder, resolution, skip)).toBe("")
  })

  it("a program that is wrong does not type-check", async () => {
    const wrong = join(folder, "wrong.ts")
    writeFileSync(wrong, 'import { Smithers } from "smithers-orchestrator"\nSmithers.sqlite({ file: "x" })\n')
    expect(await typecheck(folder, "NodeNext", true)).toMatch(/^wrong\.ts\(2,19\): error TS2353/)
    writeFileSync(wrong, "")
  })

  /** Checks a program of 300 steps in a chain, and gives how many instantiations that takes the compiler. */
  const instantiationsOf = async (imports: string, step: (at: number, needs: string) => string, end = ""): Promise<number> => {
    const steps = Array.from({ length: 300 }, (_, at) => at)
    const chain = join(folder, "chain.ts")
    writeFileSync(
      chain,
      `import { ${imports} } from "effect"
import { Smithers } from "smithers-orchestrator"
const output = Schema.Struct({ value: Schema.Number, text: Schema.String })
export const Chain = Smithers.createWorkflow({ name: "chain", input: Schema.Struct({ start: Schema.Number }) }).build(($) => {
${steps.map((at) => step(at, at === 0 ? "" : `needs: { before: step${at - 1} },`)).join("\n")}
return $.sequence(${steps.map((at) => `step${at}`).join(", ")})
})
${end}`,
    )
    const said = await typecheck(folder, "NodeNext", true, { extendedDiagnostics: true })
    rmSync(chain)
    expect(said).not.toContain("error")
    const [, count = ""] = /^Instantiations:\s+(\d+)/m.exec(said) ?? []
    expect(Number(count)).toBeGreaterThan(10_000)
    return Number(count)
  }

  it("300 steps in a chain cost the compiler less than 1.2 million instantiations", async () => {
    const step = (at: number, needs: string): string => {
      const [given, value] = at === 0 ? ["{ input }", "input.start"] : ["{ before }", "before.value + 1"]
      return `const step${at} = $.step("step${at}", { ${needs} output, run: (${given}) => ({ value: ${value}, text: "" }) })`
    }
    expect(await instantiationsOf("Schema", step)).toBeLessThan(1_200_000)
  })

  it("300 steps with an error and a service of their own each cost less than 2 million, and callers are given all of them", async () => {
    const step = (at: number, needs: string): string => {
      const [given, value] = at === 0 ? ["{ input }", "input.start"] : ["{ before }", "before.value + 1"]
      return `class Error${at} extends Schema.TaggedError<Error${at}>()("Error${at}", { at: Schema.Number }) {}
class Service${at} extends Context.Tag("Service${at}")<Service${at}, { readonly get: Effect.Effect<string, Error${at}> }>() {}
const step${at} = $.step("step${at}", { ${needs} output, error: Error${at}, run: (${given}) =>
  Effect.map(Effect.flatMap(Service${at}, ({ get }) => get), (text) => ({ value: ${value}, text })) })`
    }
    const end = `type Run = ReturnType<typeof Chain.execute>
type Tag = Extract<Effect.Effect.Error<Run>, { readonly _tag: \`Error\${number}\` }>["_tag"]
export const tags: readonly [Tag, Tag] = ["Error0", "Error299"]
// @ts-expect-error no step has it
export const other: Tag = "Error300"
// @ts-expect-error the services of the steps are not provided
Effect.runPromise(Effect.provide(Chain.execute({ start: 0 }), Smithers.memory))
`
    expect(await instantiationsOf("Context, Effect, Schema", step, end)).toBeLessThan(2_000_000)
  })

  it("runs on Node 20 in memory, and says there what SQLite needs", { timeout: 3 * minutes }, async () => {
    const node20 = await node("20.19.5")
    expect(JSON.parse(await succeed([node20, "out/builder.js"], folder))).toEqual(reported)
    expect(JSON.parse(await succeed([node20, "out/components.js"], folder))).toEqual(reviewed)
    const { code, stderr } = await run([node20, "out/builder.js", "no.db"], folder)
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining("A SQLite store needs Bun, or Node 22.20 or later, and this is Node 20.19.5. Nothing was opened."),
    ])
    expect(existsSync(join(folder, "no.db"))).toBe(false)
  })

  it("keeps runs in one file for Node 22 and for Bun", { timeout: 3 * minutes }, async () => {
    const node22 = await node("22.23.3")
    for (const [first, second, db] of [
      [node22, "bun", "by-node.db"],
      ["bun", node22, "by-bun.db"],
    ] as const) {
      for (const executable of [first, second]) {
        expect(JSON.parse(await succeed([executable, "out/builder.js", db], folder))).toEqual(reported)
        expect(JSON.parse(await succeed([executable, "out/components.js", db], folder))).toEqual(reviewed)
      }
      const database = new Database(join(folder, db), { readonly: true })
      expect(database.query("SELECT count(*) FROM smithers_attempts").values()).toEqual([[5]])
      expect(database.query("SELECT typeof(big), big, risk FROM review_analyze").values()).toEqual([["real", 2 ** 53 + 6, "low"]])
      database.close()
    }
  })

  it("the command runs by npx where there is a Bun, and says how to get one where there is none", async () => {
    expect((await succeed(["npx", "--no-install", "smithers", "--version"], folder)).trim()).toBe(
      versionOf(folder, "smithers-orchestrator"),
    )
    const bin = join(folder, "tools")
    await succeed(["mkdir", "-p", bin], folder)
    for (const tool of ["node", "sh"])
      if (!existsSync(join(bin, tool)))
        symlinkSync((await succeed(["sh", "-c", `command -v ${tool}`], folder)).trim(), join(bin, tool))
    const { code, stdout, stderr } = await run([join(folder, "node_modules", ".bin", "smithers"), "ps"], folder, {
      PATH: bin,
      HOME: folder,
      BUN_INSTALL: undefined,
    })
    expect([code, stdout, stderr]).toEqual([
      127,
      "",
      "smithers runs on Bun 1.3 or later, and there is none on the PATH. Install it for this project: npm install --save-dev bun\n",
    ])
  })

  it("the command speaks MCP where no library of schemas is installed", async () => {
    const info = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "test", version: "1" } }
    writeFileSync(join(folder, "asked.json"), `${JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params: info })}\n`)
    expect(existsSync(join(folder, "node_modules", "zod"))).toBe(false)
    expect(JSON.parse(await succeed(["sh", "-c", "node_modules/.bin/smithers mcp < asked.json"], folder))).toMatchObject({
      result: { serverInfo: { name: "smithers" } },
    })
  })

  it("says which subpath there is not", async () => {
    writeFileSync(join(folder, "unknown.mjs"), 'import "smithers-orchestrator/nothing"\n')
    const inNode = await run([await node("22.23.3"), "unknown.mjs"], folder)
    expect(inNode.stderr).toContain(
      `Package subpath './nothing' is not defined by "exports" in ${join(folder, "node_modules", "smithers-orchestrator", "package.json")}`,
    )
    const command = await run([join(folder, "node_modules", ".bin", "smithers"), "check", "unknown.mjs"], folder)
    expect([command.code, command.stderr]).toEqual([
      4,
      expect.stringContaining("which does not exist. Available: smithers-orchestrator, smithers-orchestrator/agents,"),
    ])
  })

  it("asks for the peer of a subpath where it is missing, by its name", async () => {
    writeFileSync(join(folder, "reads.ts"), 'export { Sql as default } from "smithers-orchestrator/sql"\n')
    const { code, stderr } = await run([join(folder, "node_modules", ".bin", "smithers"), "check", "reads.ts"], folder)
    expect([code, stderr]).toEqual([
      4,
      expect.stringMatching(
        /smithers-orchestrator needs the package "@effect\/(sql|experimental)" for this import, and it is not installed\. Install it: .* && bun add "@effect\/experimental@\^0\.61\.1" "@effect\/sql@\^0\.52\.1"/,
      ),
    ])
    writeFileSync(join(folder, "reads.mjs"), 'import "smithers-orchestrator/sql"\n')
    for (const executable of ["bun", await node("22.23.3")])
      expect((await run([executable, "reads.mjs"], folder)).stderr).toMatch(
        /Cannot find (module|package) ['"]@effect\/(sql|experimental).*smithers-orchestrator\/dist\/needs-effect-sql-0\.52\.1-and-effect-experimental-0\.61\.1-to-be-installed\/\w+\.js/,
      )
    writeFileSync(join(folder, "asks.ts"), 'export { effectAgent as default } from "smithers-orchestrator/effect-ai"\n')
    const asks = await run([join(folder, "node_modules", ".bin", "smithers"), "check", "asks.ts"], folder)
    expect([asks.code, asks.stderr]).toEqual([
      4,
      expect.stringMatching(
        /needs the package "@effect\/ai" for this import, and it is not installed\. Install it: .* && bun add "@effect\/ai@\^0\.37\.0"\s/,
      ),
    ])
  })
})

describeInstalled(titled("installed by Bun with the line of the guide"), () => {
  let folder = ""
  beforeAll(async () => {
    folder = project({ devDependencies: { "@types/bun": "1.4.4" } })
    await install("bun", folder, "ai", "@ai-sdk/anthropic", "zod")
    copy("base", folder)
    copy("agents", folder)
  }, 5 * minutes)

  it("there is one copy of effect and of react", () => {
    expect([copies(folder, "effect"), copies(folder, "react")]).toEqual([["effect"], ["react"]])
    expect(versionOf(folder, "effect")).toMatch(/^3\.2[2-9]\./)
  })

  it.each(["NodeNext", "Bundler"] as const)("programs of each front end type-check without an error (%s)", async (resolution) => {
    expect(await typecheck(folder, resolution, true, { types: ["bun"] })).toBe("")
  })

  it("programs of both front ends run on a file", async () => {
    expect(JSON.parse(await succeed(["bun", "builder.ts", "runs.db"], folder))).toEqual(reported)
    expect(JSON.parse(await succeed(["bun", "components.tsx", "runs.db"], folder))).toEqual(reviewed)
  })

  it("the command runs a workflow with an agent, a prompt as MDX and a schema of Zod, and shows the run", async () => {
    const smithers = join("node_modules", ".bin", "smithers")
    expect(JSON.parse(await succeed([smithers, "up", "agents.tsx", "--run-id", "ada", "--json"], folder))).toMatchObject({
      status: "finished",
      output: { seen: true },
    })
    expect(await succeed([smithers, "ps"], folder)).toMatch(/^ada +greet +finished/m)
    expect(await succeed([smithers, "graph", "agents.tsx"], folder)).toContain("greet")
    expect(JSON.parse(await succeed([smithers, "why", "ada", "--json"], folder))).toMatchObject({ runId: "ada" })
  })
})

describeInstalled(titled("with the SQL client of users and the kit for tests, by npm"), () => {
  it("the overrides of the guide install both, and programs of both subpaths type-check and run", {
    timeout: 5 * minutes,
  }, async () => {
    const guide = readFileSync(join(root, "docs", "guides", "sql.md"), "utf8")
    const [, overrides = ""] = /```json\n(\{\n {2}"overrides"[\s\S]*?)```/.exec(guide) ?? []
    const [, packages = ""] = /^bun add (@effect\/sql.*)$/m.exec(guide) ?? []
    const dependencies = Object.fromEntries(
      [...packages.split(" "), "@effect/sql-sqlite-bun@0.50.2", "effect@3.22.4"].map((one) => {
        const at = one.lastIndexOf("@")
        return [one.slice(0, at), one.slice(at + 1)]
      }),
    )
    const folder = project({ ...JSON.parse(overrides), dependencies, devDependencies: { "@types/bun": "1.4.4" } })
    await install("npm", folder)
    expect([copies(folder, "effect"), copies(folder, "@effect/sql")]).toEqual([["effect"], ["@effect/sql"]])
    copy("sql", folder)
    for (const [resolution, skip] of settings)
      expect(await typecheck(folder, resolution, skip || resolution === "Bundler", { types: ["bun"] })).toBe("")
    expect(JSON.parse(await succeed(["bun", "sql.ts"], folder))).toEqual({
      output: 3,
      rows: [{ nodeId: "add", output: 3 }],
      count: 1,
    })
    // The same file, by turns.
    expect(await typecheck(folder, "NodeNext", true, { types: ["bun"], noEmit: false, outDir: "out" })).toBe("")
    for (const executable of [await node("22.23.3"), "bun"])
      expect(lastOf(await succeed([executable, "out/reads.js", "reads.db"], folder))).toEqual({
        output: { left: 7 },
        rows: [{ runId: "one", output: { left: 7 } }],
        accounts: [{ id: "a", balance: 7 }],
        refused: "Failed to execute statement: it takes 2 values, and is given 1",
      })
  })
})

describeInstalled(titled("with @effect/platform, by Bun"), () => {
  it("the server type-checks and answers in a program beside a path of its own, with the page and MCP", {
    timeout: 3 * minutes,
  }, async () => {
    const folder = project({ devDependencies: { "@types/bun": "1.4.4" } })
    await install("bun", folder, "effect@3.22.4", "@effect/platform@0.97.2")
    copy("server", folder)
    for (const [resolution, skip] of settings)
      expect(await typecheck(folder, resolution, skip || resolution === "Bundler", { types: ["bun"] })).toBe("")
    expect(lastOf(await succeed(["bun", "served.ts"], folder))).toEqual({
      hello: "hello",
      page: true,
      output: "shipped: a login",
      mcp: true,
    })
  })
})

describeInstalled(titled("a project that init has written"), () => {
  it("installs, type-checks, passes its tests and runs", { timeout: 3 * minutes }, async () => {
    const folder = project()
    await install("bun", folder)
    await succeed([join("node_modules", ".bin", "smithers"), "init", "flows"], folder)
    const flows = join(folder, "flows")
    const manifest = JSON.parse(readFileSync(join(flows, "package.json"), "utf8"))
    // What it asks for is not published where this runs.
    manifest.dependencies["smithers-orchestrator"] = tarball
    writeFileSync(join(flows, "package.json"), JSON.stringify(manifest))
    await succeed(["bun", "install"], flows)
    expect(await succeed(["bun", "run", "typecheck"], flows)).toBe("")
    expect((await run(["bun", "test"], flows)).stderr).toMatch(/\n 9 pass\n 0 fail\n/)
    const { code, stdout } = await run(["bun", "run", "kanban"], flows, { SMITHERS_AGENT: "stand-in" })
    expect([code, stdout]).toEqual([3, expect.stringContaining("start: approval: Work on these cards for")])
    expect(existsSync(join(flows, "smithers.db"))).toBe(true)
  })
})

describeInstalled(titled("beside an Effect 4 that users import by another name"), () => {
  it("schemas and Effects of it are refused with what they are", { timeout: 3 * minutes }, async () => {
    const folder = project()
    await install("bun", folder, "effect@3.22.4", "four@npm:effect@4.1.0")
    const begin =
      'import { Effect, Schema } from "effect"\nimport * as Four from "four"\nimport { Smithers } from "smithers-orchestrator"\n'
    const declare =
      'const make = (output, run) => Smithers.createWorkflow({ name: "w", input: Schema.Struct({}) }).build(($) => $.step("a", { output, run }))\n'
    writeFileSync(join(folder, "schema.mjs"), `${begin}${declare}make(Four.Schema.String, () => "")`)
    expect((await run(["bun", "schema.mjs"], folder)).stderr).toContain(
      '"output" must be an Effect Schema or a Standard Schema. This is a schema of Effect 4: import effect ^3.22.1 in its file',
    )
    const execute = "Effect.runPromise(Effect.provide(workflow.run({}), Smithers.memory))"
    writeFileSync(
      join(folder, "step.mjs"),
      `${begin}${declare}const workflow = make(Schema.String, () => Four.Effect.succeed(""))\nconsole.log(JSON.stringify(await ${execute}))`,
    )
    expect(await succeed(["bun", "step.mjs"], folder)).toContain(
      "the step returned an Effect of Effect 4, which Effect 3 cannot run",
    )
  })
})

describeInstalled(titled("with a second copy of a package"), () => {
  let folder = ""
  const nested = join("node_modules", "smithers-orchestrator", "node_modules")
  const first = (name: string): string => join(folder, "node_modules", name)
  const second = (name: string): string => join(folder, nested, name)
  /** Puts other versions where a package manager would, for this package alone. */
  const nest = async (versions: Readonly<Record<string, string>>): Promise<void> => {
    const others = Object.entries(versions).map(([name, version]) => `other-${name}@npm:${name}@${version}`)
    await succeed(["npm", "install", "--no-audit", "--no-fund", "--prefer-offline", ...others], folder)
    rmSync(join(folder, nested), { recursive: true, force: true })
    mkdirSync(join(folder, nested), { recursive: true })
    for (const name of Object.keys(versions)) renameSync(join(folder, "node_modules", `other-${name}`), second(name))
  }
  const declare = `const make = (Schema, run) => Smithers.createWorkflow({ name: "w", input: Schema.Struct({}) }).build(($) => $.step("a", { output: Schema.String, run }))`
  const begin = `import { Effect, Schema } from "effect"
import * as Other from "./${nested}/effect/dist/esm/index.js"
import { Smithers } from "smithers-orchestrator"
${declare}
const execute = ({ provide }, workflow) => provide(workflow.execute({}), Smithers.memory)
`
  const said = async (executable: string, code: string): Promise<string> => {
    writeFileSync(join(folder, "program.mjs"), begin + code)
    const { stdout, stderr } = await run([executable, "program.mjs"], folder)
    return stdout + stderr
  }
  const installed = "install one copy for both (npm ls effect, or bun pm ls --all, lists them)"

  beforeAll(async () => {
    folder = project()
    await install("npm", folder, "effect@3.22.1", "react@19.3.1")
    await nest({ effect: "3.22.4", react: "19.2.0" })
  }, 5 * minutes)

  it("of another version of effect, a schema of one is refused with both places and versions", async () => {
    const works = `smithers-orchestrator works with effect 3.22.4 in ${second("effect")}: ${installed}`
    for (const executable of ["bun", await node("20.19.5")]) {
      const text = await said(executable, 'make(Schema, () => "")')
      expect(text).toContain(`"input": it is a schema of effect 3.22.1 in ${first("effect")}, and ${works}`)
      expect(text).not.toContain("Executing an Effect versioned")
    }
    writeFileSync(join(folder, "workflow.mjs"), `${begin}export default make(Schema, () => "")\n`)
    const command = await run([join(folder, "node_modules", ".bin", "smithers"), "check", "workflow.mjs"], folder)
    expect([command.code, command.stderr]).toEqual([4, expect.stringContaining(works)])
  })

  it("of another version of effect, an Effect that a step returns, or that runs the program, is refused with both places", async () => {
    for (const executable of ["bun", await node("20.19.5")]) {
      const step = 'const workflow = make(Other.Schema, () => Effect.succeed(""))\n'
      expect(
        await said(
          executable,
          `${step}Other.Effect.runPromise(execute(Other.Effect, workflow)).catch(({ message }) => console.log(message))`,
        ),
      ).toContain(
        `cannot be run: it is an Effect of effect 3.22.1 in ${first("effect")}, and smithers-orchestrator works with effect 3.22.4 in ${second("effect")}`,
      )
      const ran = 'const workflow = make(Other.Schema, () => "")\n'
      expect(await said(executable, `${ran}Effect.runPromise(execute(Effect, workflow))`)).toContain(
        `this program runs on effect 3.22.1 in ${first("effect")}, and smithers-orchestrator works with effect 3.22.4 in ${second("effect")}: ${installed}.`,
      )
    }
  })

  it("of react, which a library brings with it, its hooks say so with both places", async () => {
    const library = join(folder, "node_modules", "library")
    const own = join(library, "node_modules", "react")
    mkdirSync(dirname(own), { recursive: true })
    renameSync(second("react"), own)
    writeFileSync(join(library, "package.json"), JSON.stringify({ name: "library", type: "module", exports: "./index.js" }))
    writeFileSync(join(library, "index.js"), 'import { useState } from "react"\nexport const useNote = () => useState("note")[0]\n')
    for (const executable of ["bun", await node("20.19.5")]) {
      const text = await said(
        executable,
        `import { useNote } from "library"
import { createSmithers, renderPlan } from "smithers-orchestrator"
import { jsx } from "smithers-orchestrator/jsx-runtime"
const { Workflow, Task, smithers, outputs } = createSmithers({ note: Other.Schema.String })
const Note = () => jsx(Task, { id: useNote(), output: outputs.note, children: "x" })
renderPlan(smithers(() => jsx(Workflow, { name: "w", children: jsx(Note, {}) })))`,
      )
      expect(text).toContain(
        `useState was called on another copy of React than the one that renders (it is in ${own}, and ${first("react")} renders)`,
      )
    }
  })

  it("of the same version of effect, programs run, and are told once where both are", async () => {
    await nest({ effect: "3.22.1" })
    const text = await said(
      "bun",
      'const workflow = make(Schema, () => Effect.succeed("done"))\nconsole.log(await Effect.runPromise(execute(Effect, workflow)))',
    )
    expect(text).toContain("done")
    const told = `this program runs on effect 3.22.1 in ${first("effect")}, and smithers-orchestrator works with effect 3.22.1 in ${second("effect")}`
    expect(text.split(told)).toHaveLength(2)
  })
})

describeInstalled(titled("beside versions that it does not work with"), () => {
  const importing = 'import "smithers-orchestrator"\n'

  it("npm refuses effect 4, and beside one that Bun installed all the same everything says which it needs", {
    timeout: 3 * minutes,
  }, async () => {
    const folder = project({ dependencies: { effect: "4.1.0" } })
    await expect(install("npm", folder)).rejects.toThrow(/peer effect@"\^3\.22\.1" from smithers-orchestrator/)
    await install("bun", folder, "zod")
    // Whichever module the runtime looks for first: what effect 4 lacks is imported in the folder that names the version, and nowhere else.
    const dist = join(folder, "node_modules", "smithers-orchestrator", "dist")
    const lacking = readdirSync(dist, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".js"))
      .flatMap((file) =>
        [...readFileSync(join(dist, file), "utf8").matchAll(/"effect\/(\w+)"/g)].map(([, name]) => ({ file, name })),
      )
      .filter(({ name }) => !existsSync(join(folder, "node_modules", "effect", "dist", `${name}.js`)))
    expect(lacking).toContainEqual({ file: "needs-effect-3.22.1-or-later-and-below-4/Either.js", name: "Either" })
    expect(lacking.filter(({ file }) => !file.startsWith("needs-effect-3.22.1-or-later-and-below-4/"))).toEqual([])
    writeFileSync(join(folder, "program.mjs"), importing)
    for (const executable of ["bun", await node("20.19.5"), await node("22.23.3")]) {
      const { code, stderr } = await run([executable, "program.mjs"], folder)
      expect([code, stderr]).toEqual([
        1,
        expect.stringContaining("smithers-orchestrator/dist/needs-effect-3.22.1-or-later-and-below-4/"),
      ])
    }
    const { code, stderr } = await run([join(folder, "node_modules", ".bin", "smithers"), "check", "program.mjs"], folder)
    expect([code, stderr]).toEqual([
      4,
      `smithers needs effect ^3.22.1; ${join(folder, "node_modules", "effect")} is 4.1.0. Install a supported version: bun add effect@^3.22.1\n`,
    ])
    // What loads no workflow needs no package of the project.
    expect((await run([join(folder, "node_modules", ".bin", "smithers"), "ps"], folder)).stderr).toContain(
      "There is no smithers.db in",
    )
  })

  it("an effect or a react that is too old is named with its version", { timeout: 3 * minutes }, async () => {
    const folder = project({ dependencies: { effect: "3.21.0", react: "18.3.1" } })
    await install("bun", folder)
    writeFileSync(join(folder, "program.mjs"), importing)
    expect((await run(["bun", "program.mjs"], folder)).stderr).toContain(
      "smithers-orchestrator needs effect ^3.22.1; found effect 3.21.0. Install a supported version: npm install effect@^3.22.1",
    )
    await succeed(["bun", "add", "effect@3.22.4"], folder)
    expect((await run(["bun", "program.mjs"], folder)).stderr).toContain(
      "smithers-orchestrator needs react ^19; found react 18.3.1.",
    )
  })

  it("a Bun or a Node that is too old is named with its version, by a program as by the command", {
    timeout: 3 * minutes,
  }, async () => {
    const folder = project()
    await install("npm", folder)
    writeFileSync(join(folder, "program.mjs"), importing)
    const oldBun = await bun("1.2.23")
    for (const [executable, sentence] of [
      [oldBun, "smithers-orchestrator needs Bun 1.3 or later; this is Bun 1.2.23. Upgrade it: bun upgrade"],
      [
        await node("18.20.8"),
        "smithers-orchestrator needs Node 20.19 or later; this is Node 18.20.8. Install a newer one: https://nodejs.org",
      ],
    ] as const) {
      const { code, stderr } = await run([executable, "program.mjs"], folder)
      expect([code, stderr]).toEqual([1, expect.stringContaining(sentence)])
    }
    for (const version of ["1.2.23", "1.1.45"]) {
      const PATH = `${dirname(await bun(version))}:${process.env.PATH}`
      const command = await run([join(folder, "node_modules", ".bin", "smithers"), "ps"], folder, { PATH })
      expect([command.code, command.stdout, command.stderr]).toEqual([
        4,
        "",
        `smithers needs Bun 1.3 or later; this is ${version}. Upgrade it: bun upgrade\n`,
      ])
    }
  })
})
