/** The tools of agents, as a model calls them: by the AI SDK's loop, in steps of real runs. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { basename, dirname, join } from "node:path"
import { ToolLoopAgent } from "ai"
import { MockLanguageModelV4 } from "ai/test"
import { Effect, Schema } from "effect"
import {
  applyPatch,
  bash,
  createSmithers,
  defineTool,
  edit,
  grep,
  read,
  Smithers,
  Task,
  Workflow,
  write,
} from "smithers-orchestrator"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import * as z from "zod"
import { hasBubblewrap } from "../sandbox/fixtures/here.ts"

let root: string
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "smithers-tools-")))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const put = (path: string, text: string | Uint8Array) => {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), text)
}
const get = (path: string) => readFileSync(join(root, path), "utf8")

const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
}

interface Call {
  readonly tool: string
  readonly input: unknown
}

/** A model that makes these calls one after the other, and then ends; it keeps what it was told of each. */
const calling = (calls: ReadonlyArray<Call>) => {
  const results: Array<string> = []
  let next = 0
  const model = new MockLanguageModelV4({
    doGenerate: async ({ prompt }) => {
      const last = prompt.at(-1)
      if (last?.role === "tool")
        for (const part of last.content)
          if (part.type === "tool-result") results.push("value" in part.output ? String(part.output.value) : part.output.type)
      const call = calls[next++]
      const content =
        call === undefined
          ? [{ type: "text" as const, text: '{"text":"done"}' }]
          : [{ type: "tool-call" as const, toolCallId: `call-${next}`, toolName: call.tool, input: JSON.stringify(call.input) }]
      const finishReason = { unified: call === undefined ? ("stop" as const) : ("tool-calls" as const), raw: undefined }
      return { content, finishReason, usage, warnings: [] }
    },
  })
  return { model, results }
}

const tools = { read, write, edit, grep, bash, apply_patch: applyPatch }

/** What a model is told of its calls, in a step of a run. */
const told = async (options: Smithers.ToolOptions, ...calls: ReadonlyArray<Call>): Promise<ReadonlyArray<string>> => {
  const { model, results } = calling(calls)
  const agent = new ToolLoopAgent({ model, tools, maxRetries: 0, stopWhen: () => false })
  const { smithers, outputs } = createSmithers({ work: z.object({ text: z.string() }) })
  const workflow = smithers(() => (
    <Workflow name="tools">
      <Task id="work" output={outputs.work} agent={agent} retries={0}>
        Work.
      </Task>
    </Workflow>
  ))
  const runtime = Smithers.sqlite({ filename: ":memory:", tools: { root, ...options } })
  const output = await Effect.runPromise(workflow.execute({}).pipe(Effect.provide(runtime)))
  expect(output).toEqual({ text: "done" })
  return results
}

describe("tools for files", () => {
  it("read by lines with numbers, in parts, and say what is no text", async () => {
    put("a.txt", "one\ntwo\r\nthree\n")
    put("long.txt", Array.from({ length: 3000 }, (_, index) => `line ${index + 1}\n`).join(""))
    put("wide.txt", "x".repeat(100_000))
    put("empty.txt", "")
    put("image.png", new Uint8Array([137, 80, 0, 1]))
    const results = await told(
      {},
      { tool: "read", input: { path: "a.txt" } },
      { tool: "read", input: { path: "long.txt" } },
      { tool: "read", input: { path: "long.txt", offset: 2999, limit: 5 } },
      { tool: "read", input: { path: "long.txt", offset: 4000 } },
      { tool: "read", input: { path: "wide.txt" } },
      { tool: "read", input: { path: "empty.txt" } },
      { tool: "read", input: { path: "image.png" } },
    )
    expect(results[0]).toBe("     1\tone\n     2\ttwo\r\n     3\tthree")
    expect(Buffer.byteLength(results[1] as string)).toBeLessThan(41_000)
    expect(results[1]).toContain("… 1000 more lines; read on with offset 2001")
    expect(results.slice(2, 4)).toEqual(["  2999\tline 2999\n  3000\tline 3000", "(the file has 3000 lines)"])
    expect(results[4]).toBe(`     1\t${"x".repeat(2000)}…`)
    expect(results.slice(5)).toEqual([
      "(the file is empty)",
      expect.stringMatching(/^\(a binary file of 4 bytes, SHA-256 [0-9a-f]{64}\)$/),
    ])
  })

  it("write new files, and replace only what was read and has not changed since", async () => {
    put("old.txt", "old\n")
    put("changing.txt", "first\n")
    chmodSync(join(root, "old.txt"), 0o755)
    const change = { tool: "bash", input: { command: "echo second > changing.txt" } }
    const results = await told(
      { isolation: "none" },
      { tool: "write", input: { path: "new/deep.txt", content: "a\nb\n" } },
      { tool: "write", input: { path: "old.txt", content: "replaced\n" } },
      { tool: "read", input: { path: "old.txt" } },
      { tool: "write", input: { path: "./old.txt", content: "replaced\n" } },
      { tool: "write", input: { path: "old.txt", content: "again\n" } },
      { tool: "read", input: { path: "changing.txt" } },
      change,
      { tool: "edit", input: { path: "changing.txt", edits: [{ old: "first", new: "mine" }] } },
    )
    expect(results[0]).toBe("Created new/deep.txt: 4 bytes, 3 lines.")
    expect(results[1]).toContain("old.txt was not read yet: read it before you change it. Nothing was changed.")
    expect(results.slice(3, 5)).toEqual(["Replaced old.txt: 9 bytes, 2 lines.", "Replaced old.txt: 6 bytes, 2 lines."])
    expect(results[7]).toContain("changing.txt has changed since it was read")
    expect([get("new/deep.txt"), get("old.txt"), get("changing.txt")]).toEqual(["a\nb\n", "again\n", "second\n"])
  })

  it("edit exact text that stands once, all edits or none, and show the change", async () => {
    put("a.ts", "const a = 1\nconst b = 2\nconst c = 3\nconst b2 = 2\n")
    put("crlf.txt", "one\r\ntwo\r\nthree\r\n")
    put("latin.txt", new Uint8Array([0x66, 0xfc, 0x72]))
    const edits = (path: string, ...list: ReadonlyArray<object>) => ({ tool: "edit", input: { path, edits: list } })
    const results = await told(
      {},
      edits("a.ts", { old: "const b = 2", new: "const b = 20" }),
      { tool: "read", input: { path: "a.ts" } },
      edits("a.ts", { old: "const b = 2", new: "const b = 20" }),
      edits("a.ts", { old: "const a = 1", new: "const a = $&1" }, { old: "const", new: "let" }),
      edits("a.ts", { old: "const  c = 3", new: "x" }),
      edits("a.ts", { old: "const", new: "let", replaceAll: true }, { old: "let c = 3\n", new: "" }),
      edits("a.ts", { old: "let", new: "let" }),
      edits("a.ts", { old: "", new: "x" }),
      { tool: "read", input: { path: "crlf.txt" } },
      edits("crlf.txt", { old: "one\ntwo", new: "1\n2" }),
      { tool: "read", input: { path: "latin.txt" } },
      edits("latin.txt", { old: "f", new: "g" }),
    )
    expect(results[0]).toContain("a.ts was not read yet")
    expect(results[2]).toBe("@@ line 2 @@\n const a = 1\n-const b = 2\n+const b = 20\n const c = 3\n const b2 = 2")
    expect(results[3]).toContain(
      'Edit 2 of 2: "old" stands in 4 places, in lines 1, 2, 3, 4: give more of the text around it, or replaceAll. Nothing was changed.',
    )
    expect(results[4]).toContain('"old" does not stand in the file. The nearest line is 3: "const c = 3". Nothing was changed.')
    expect(results[5]).toContain("the first of 4 places")
    expect(results[6]).toContain('"old" and "new" are the same.')
    expect(results[7]).toContain('"old" is empty')
    expect(results[11]).toContain("is no UTF-8 text: edit would damage it")
    expect([get("a.ts"), get("crlf.txt")]).toEqual(["let a = 1\nlet b = 20\nlet b2 = 2\n", "1\r\n2\r\nthree\r\n"])
  })

  it("patch several files, all or none, and only those that were read and have not changed since", async () => {
    put("a.ts", "one\r\ntwo\r\nthree\r\n")
    put("b.ts", "b\n")
    put("old.ts", "old\n")
    put("taken.ts", "taken\n")
    const patch = (...lines: ReadonlyArray<string>) => ({
      tool: "apply_patch",
      input: { input: ["*** Begin Patch", ...lines, "*** End Patch"].join("\n") },
    })
    const update = ["*** Update File: a.ts", " one", "-two", "+TWO"]
    const results = await told(
      {},
      patch(...update),
      { tool: "read", input: { path: "a.ts" } },
      patch(...update, "*** Add File: taken.ts", "+mine"),
      patch(...update, "*** Delete File: b.ts"),
      patch(...update, "*** Update File: ../outside.ts", "-a", "+b"),
      patch(...update, "*** Add File: .git/hooks/pre-commit", "+evil"),
      patch(...update, "*** Update File: ./a.ts", "-three", "+3"),
      { tool: "read", input: { path: "b.ts" } },
      { tool: "read", input: { path: "old.ts" } },
      patch(
        ...update,
        "*** Delete File: b.ts",
        "*** Add File: src/new.ts",
        "+new",
        "*** Update File: old.ts",
        "*** Move to: src/moved.ts",
        "-old",
        "+moved",
      ),
      patch("*** Update File: a.ts", "-three", "+3", "*** Update File: src/moved.ts", "-moved", "+again"),
    )
    expect(results[0]).toContain("a.ts was not read yet")
    expect(results[2]).toContain("taken.ts exists already. Nothing was changed.")
    expect(results[3]).toContain("b.ts was not read yet")
    expect(results[4]).toContain("leads outside the root")
    expect(results[5]).toContain("belongs to git")
    expect(results[6]).toContain("names a.ts twice")
    expect(results[9]).toBe("Updated a.ts\nDeleted b.ts\nAdded src/new.ts\nAdded src/moved.ts\nDeleted old.ts")
    expect(results[10]).toBe("Updated a.ts\nUpdated src/moved.ts")
    expect([get("a.ts"), get("src/new.ts"), get("src/moved.ts"), get("taken.ts")]).toEqual([
      "one\r\nTWO\r\n3\r\n",
      "new\n",
      "again\n",
      "taken\n",
    ])
    for (const path of ["b.ts", "old.ts", ".git"]) expect(existsSync(join(root, path))).toBe(false)
  })

  it("stay below the root, leave git alone, and change nothing where a step may only read", async () => {
    put(".git/config", "config\n")
    put("a.txt", "a\n")
    symlinkSync("/etc", join(root, "etc"))
    const outside = await told(
      {},
      { tool: "read", input: { path: "../../etc/passwd" } },
      { tool: "read", input: { path: "etc/passwd" } },
      { tool: "write", input: { path: "/etc/smithers", content: "x" } },
      { tool: "write", input: { path: ".git/hooks/pre-commit", content: "x" } },
      { tool: "grep", input: { pattern: "root", path: "etc" } },
    )
    for (const result of outside) expect(result).toMatch(/is refused: it (leads outside the root|belongs to git)/)
    const readOnly = await told(
      { isReadOnly: true },
      { tool: "read", input: { path: "a.txt" } },
      { tool: "write", input: { path: "b.txt", content: "x" } },
      { tool: "edit", input: { path: "a.txt", edits: [{ old: "a", new: "b" }] } },
    )
    expect(readOnly[0]).toBe("     1\ta")
    for (const result of readOnly.slice(1)) expect(result).toContain("unavailable tool")
    expect([existsSync(join(root, "b.txt")), get("a.txt")]).toEqual([false, "a\n"])
  })
})

describe.each([
  ["none", true],
  ["bubblewrap", hasBubblewrap],
] as const)("tools that run commands, isolation %s", (isolation, isHere) => {
  const here = it.skipIf(!isHere)

  here("run a command line in the root, with its output, its errors and its exit code", async () => {
    const results = await told(
      { isolation, env: { GIVEN: "yes" } },
      { tool: "bash", input: { command: "pwd; echo $GIVEN; echo oops >&2; exit 3" } },
      { tool: "bash", input: { command: "sleep 60", timeoutSeconds: 1 } },
      { tool: "bash", input: { command: "seq 1 100000" } },
    )
    expect(results[0]).toBe(`${root}\nyes\n[stderr]\noops\n[exit code 3]`)
    expect(results[1]).toBe("[The command was killed with all its processes: it ran longer than 1s.]")
    expect(Buffer.byteLength(results[2] as string)).toBeLessThan(41_000)
    expect(results[2]).toMatch(/^1\n2\n[\s\S]*bytes left out …\n[\s\S]*99999\n100000\n\[exit code 0\]$/)
  })

  here("find lines that match, and say when there are more", async () => {
    put("src/a.ts", "const needle = 1\nconst other = 2\n")
    put("src/b.md", "a Needle in a text\n")
    put("many.txt", "needle\n".repeat(50))
    put(".hidden", "needle\n")
    put("binary", new Uint8Array([0, 110, 101, 101, 100, 108, 101]))
    const results = await told(
      { isolation },
      { tool: "grep", input: { pattern: "needle\\b.*=", path: "src" } },
      { tool: "grep", input: { pattern: "needle", ignoreCase: true, glob: "*.md" } },
      { tool: "grep", input: { pattern: "needle", path: "many.txt", limit: 2 } },
      { tool: "grep", input: { pattern: "no such text" } },
      { tool: "grep", input: { pattern: "(" } },
      { tool: "grep", input: { pattern: "--files", path: "." } },
    )
    expect(results.slice(0, 4)).toEqual([
      "src/a.ts:1:const needle = 1",
      "src/b.md:1:a Needle in a text",
      "many.txt:1:needle\nmany.txt:2:needle\n… more lines match; narrow the pattern or the path",
      "(no line matches)",
    ])
    expect(results[4]).toContain("The pattern was refused")
    expect(results[5]).toBe("(no line matches)")
  })
})

describe.each([
  ["none", true],
  ["bubblewrap", hasBubblewrap],
] as const)("the search without ripgrep on the PATH, isolation %s", (isolation, isHere) => {
  it.skipIf(!isHere)("is made by the one of the package @vscode/ripgrep", async () => {
    put("src/a.ts", "const needle = 1\n")
    put(".gitignore", "ignored.ts\n")
    mkdirSync(join(root, ".git"))
    // A walk of our own would find it.
    put("ignored.ts", "needle\n")
    const bin = join(root, "..", `${basename(root)}-bin`)
    mkdirSync(bin)
    for (const program of ["bash", "head", "sh", "bwrap"]) symlinkSync(Bun.which(program) ?? "/nowhere", join(bin, program))
    try {
      const results = await told({ isolation, env: { PATH: bin } }, { tool: "grep", input: { pattern: "need.e" } })
      expect(results).toEqual(["src/a.ts:1:const needle = 1"])
    } finally {
      rmSync(bin, { recursive: true })
    }
  })
})

describe("a runtime without isolation", () => {
  it("refuses commands, says what to install, and starts nothing", async () => {
    const path = process.env.PATH
    process.env.PATH = root
    try {
      const results = await told({}, { tool: "bash", input: { command: "touch begun" } })
      expect(results[0]).toContain("Commands cannot be isolated by bubblewrap: bubblewrap (bwrap) is not installed.")
      expect(existsSync(join(root, "begun"))).toBe(false)
    } finally {
      process.env.PATH = path
    }
  })

  it("is refused where its name is none", async () => {
    const runtime = Smithers.sqlite({ filename: ":memory:", tools: { isolation: "docker" as "none" } })
    const error = await Effect.runPromise(Effect.flip(Effect.scoped(Effect.provide(Effect.void, runtime))))
    expect(error.message).toContain("tools.isolation")
    expect(error.message).toContain('"bubblewrap" or "sandbox-runtime" or "container" or "none"')
  })

  it("searches files by a walk of its own", async () => {
    put("src/a.ts", "const needle = 1\n")
    put("node_modules/x.ts", "needle\n")
    const path = process.env.PATH
    process.env.PATH = root
    try {
      const results = await told({ isolation: "none" }, { tool: "grep", input: { pattern: "need.e", glob: "src/**/*.ts" } })
      expect(results).toEqual(["src/a.ts:1:const needle = 1"])
    } finally {
      process.env.PATH = path
    }
  })
})

describe("a tool of one's own", () => {
  it("takes values of its schema, answers with a value, a promise or an Effect, and tells the model what it fails with", async () => {
    const own = {
      twice: defineTool({ description: "Twice.", input: Schema.Struct({ n: Schema.NumberFromString }), execute: ({ n }) => n * 2 }),
      later: defineTool({
        description: "Later.",
        input: z.object({ s: z.string().default("x") }),
        execute: async ({ s }) => `${s}!`,
      }),
      effect: defineTool({ description: "Effect.", input: Schema.Struct({}), execute: () => Effect.succeed(["a"]) }),
      fails: defineTool({
        description: "Fails.",
        input: Schema.Struct({}),
        execute: (): Effect.Effect<string, Error> => Effect.fail(new Error("out of paper")),
      }),
    }
    const { model, results } = calling([
      { tool: "twice", input: { n: "21" } },
      { tool: "twice", input: { n: "many" } },
      { tool: "later", input: {} },
      { tool: "effect", input: {} },
      { tool: "fails", input: {} },
    ])
    const agent = new ToolLoopAgent({ model, tools: own, maxRetries: 0, stopWhen: () => false })
    await agent.generate({ prompt: "x" })
    expect(results[0]).toBe("42")
    expect(results[1]).toContain("n")
    expect(results.slice(2, 4)).toEqual(["x!", "a"])
    expect(results[4]).toContain("out of paper")
  })

  it("that needs a step says so outside of one", async () => {
    const { model, results } = calling([{ tool: "read", input: { path: "a.txt" } }])
    await new ToolLoopAgent({ model, tools, maxRetries: 0, stopWhen: () => false }).generate({ prompt: "x" })
    expect(results[0]).toContain('Tool "read" works in steps of a workflow')
  })
})
