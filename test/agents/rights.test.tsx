/** The rights that a step lists for the tools of its agent, in both front ends, and as they hold in real runs. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { generateText, ToolLoopAgent, type ToolSet } from "ai"
import { MockLanguageModelV4 } from "ai/test"
import { Effect, Schema } from "effect"
import {
  bash,
  createAgent,
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

let base: string
let root: string
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "smithers-rights-")))
  root = join(base, "root")
  put("root/a.txt", "a\n")
  put("root/.env", "secret\n")
  put("root/packages/core/b.txt", "b\n")
  put("root/packages/core/.env", "secret\n")
  put("outside/c.txt", "c\n")
  symlinkSync(join(base, "outside"), join(root, "away"))
})
afterEach(() => rmSync(base, { recursive: true, force: true }))

const put = (path: string, text: string) => {
  mkdirSync(dirname(join(base, path)), { recursive: true })
  writeFileSync(join(base, path), text)
}

const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
}

interface Call {
  readonly tool: string
  readonly input: unknown
}

/** A model that makes these calls one after the other; it keeps which tools it was offered, and what it was told. */
const calling = (calls: ReadonlyArray<Call>) => {
  const results: Array<string> = []
  const offers: Array<ReadonlyArray<string>> = []
  let next = 0
  const model = new MockLanguageModelV4({
    doGenerate: async ({ prompt, tools = [] }) => {
      offers.push(tools.map(({ name }) => name).sort())
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
  return { model, results, offers }
}

/** Calls that tools of one's own were asked to make. */
let deployed: Array<string> = []
const own = {
  deploy: defineTool({
    description: "Deploys.",
    input: Schema.Struct({ to: Schema.String }),
    execute: ({ to }) => {
      deployed.push(to)
      return "deployed"
    },
  }),
  look: defineTool({ description: "Looks.", input: Schema.Struct({}), isReadOnly: true, execute: () => "looked" }),
}
const tools = { read, write, edit, grep, bash, ...own }

interface Rights {
  readonly allowTools?: ReadonlyArray<string>
  readonly allowNetwork?: ReadonlyArray<string>
  readonly root?: string
  readonly readOnly?: boolean
}

/** Agents of each kind that has tools. */
const kinds = {
  ToolLoopAgent: (model: MockLanguageModelV4, tools: ToolSet) =>
    new ToolLoopAgent({ model, tools, maxRetries: 0, stopWhen: () => false }),
  createAgent: (model: MockLanguageModelV4, tools: ToolSet) => createAgent({ name: "own", model, tools, maxSteps: 50 }),
} as const

/** Runs a step whose agent makes these calls. */
const working = async (
  rights: Rights,
  options: Smithers.ToolOptions,
  calls: ReadonlyArray<Call>,
  kind: keyof typeof kinds = "ToolLoopAgent",
) => {
  deployed = []
  const { model, results, offers } = calling(calls)
  const { smithers, outputs } = createSmithers({ work: z.object({ text: z.string() }) })
  const workflow = smithers(() => (
    <Workflow name="rights">
      <Task id="work" output={outputs.work} agent={kinds[kind](model, tools)} {...rights}>
        Work.
      </Task>
    </Workflow>
  ))
  const runtime = Smithers.sqlite({ filename: ":memory:", tools: { root, isolation: "none", ...options } })
  const result = await Effect.runPromise(Effect.either(workflow.execute({})).pipe(Effect.provide(runtime)))
  return { result, results, offers }
}

describe.each(["ToolLoopAgent", "createAgent"] as const)("a step of a %s that lists", (kind) => {
  it("tools offers its agent these, and calls of others do nothing", async () => {
    const { results, offers } = await working(
      { allowTools: ["read", "deploy"] },
      {},
      [
        { tool: "read", input: { path: "a.txt" } },
        { tool: "write", input: { path: "new.txt", content: "x" } },
        { tool: "bash", input: { command: "touch by-bash" } },
        { tool: "deploy", input: { to: "staging" } },
      ],
      kind,
    )
    expect(offers[0]).toEqual(["deploy", "read"])
    expect(results[0]).toBe("     1\ta")
    expect(results[3]).toBe("deployed")
    expect(results.slice(1, 3).join()).toMatch(/unavailable tool|not available|NoSuchTool/i)
    expect([existsSync(join(root, "new.txt")), existsSync(join(root, "by-bash")), deployed]).toEqual([false, false, ["staging"]])
  })

  it("none offers none", async () => {
    const { offers } = await working({ allowTools: [] }, {}, [], kind)
    expect(offers).toEqual([[]])
  })

  it("nothing offers all", async () => {
    const { offers } = await working({}, {}, [], kind)
    expect(offers).toEqual([["bash", "deploy", "edit", "grep", "look", "read", "write"]])
  })

  it.skipIf(!hasBubblewrap)("readOnly offers tools that change nothing, and its commands change nothing", async () => {
    const { results, offers } = await working(
      { readOnly: true },
      { isolation: "bubblewrap" },
      [
        { tool: "bash", input: { command: "cat a.txt; echo x > by-bash; rm a.txt" } },
        { tool: "write", input: { path: "new.txt", content: "x" } },
        { tool: "deploy", input: { to: "production" } },
        { tool: "look", input: {} },
      ],
      kind,
    )
    expect(offers[0]).toEqual(["bash", "grep", "look", "read"])
    expect(results[0]).toMatch(/^a\n[\s\S]*Read-only file system/)
    expect(results[3]).toBe("looked")
    expect([
      existsSync(join(root, "by-bash")),
      existsSync(join(root, "new.txt")),
      readFileSync(join(root, "a.txt"), "utf8"),
      deployed,
    ]).toEqual([false, false, "a\n", []])
  })

  it("a root stays below it, and what the runtime hides stays hidden", async () => {
    const { results } = await working(
      { root: "packages/core" },
      { hidden: ["packages/core/.env"] },
      [
        { tool: "read", input: { path: "b.txt" } },
        { tool: "read", input: { path: "../../a.txt" } },
        { tool: "read", input: { path: join(root, "a.txt") } },
        { tool: "read", input: { path: ".env" } },
        { tool: "grep", input: { pattern: "secret", path: ".env" } },
        { tool: "write", input: { path: "new.txt", content: "x" } },
      ],
      kind,
    )
    expect(results[0]).toBe("     1\tb")
    expect(results.slice(1, 3).join("\n")).toMatch(/leads outside the root[\s\S]*leads outside the root/)
    expect(results.slice(3, 5).join("\n")).toMatch(/rights of this step hide it[\s\S]*rights of this step hide it/)
    expect(existsSync(join(root, "packages/core/new.txt"))).toBe(true)
  })
})

describe("rights that a step lists", () => {
  it("hold for an agent that does not show its tools: a call of another one is refused, and nothing is done", async () => {
    const { model, results } = calling([
      { tool: "read", input: { path: "a.txt" } },
      { tool: "write", input: { path: "new.txt", content: "x" } },
      { tool: "deploy", input: { to: "production" } },
    ])
    const generate = async ({ prompt }: { readonly prompt: string }) => {
      const { text } = await generateText({ model, prompt, tools, stopWhen: () => false })
      return { text }
    }
    deployed = []
    const { smithers, outputs } = createSmithers({ work: z.object({ text: z.string() }) })
    const workflow = smithers(() => (
      <Workflow name="rights">
        <Task id="work" output={outputs.work} agent={{ name: "own", generate }} allowTools={["read"]}>
          Work.
        </Task>
      </Workflow>
    ))
    await Effect.runPromise(workflow.execute({}).pipe(Effect.provide(Smithers.sqlite({ filename: ":memory:", tools: { root } }))))
    expect(results[0]).toBe("     1\ta")
    expect(results[1]).toContain('This step does not allow the tool "write": it allows read.')
    expect(results[2]).toContain("does not allow the tool")
    expect([existsSync(join(root, "new.txt")), deployed]).toEqual([false, []])
  })

  it.each<[title: string, rights: Rights, options: Smithers.ToolOptions, problem: string]>([
    [
      "a host",
      { allowNetwork: ["example.com"] },
      { network: ["api.github.com", "*.npmjs.org"] },
      'its "allowNetwork" lists example.com, and the runtime allows api.github.com, *.npmjs.org',
    ],
    [
      "a host of a runtime without network",
      { allowNetwork: ["example.com"] },
      { network: "none" },
      'its "allowNetwork" lists example.com, and the runtime allows none',
    ],
    [
      "all names below a host",
      { allowNetwork: ["*.github.com"] },
      { network: ["api.github.com"] },
      'its "allowNetwork" lists *.github.com',
    ],
    [
      "another port of a host",
      { allowNetwork: ["api.github.com:22"] },
      { network: ["api.github.com"] },
      'its "allowNetwork" lists api.github.com:22',
    ],
    ["a tool", { allowTools: ["bash"] }, { allowTools: ["read"] }, 'its "allowTools" lists bash, and the runtime allows read'],
    ["a root that is not there", { root: "packages/none" }, {}, 'its "root" does not exist: '],
    ["a root that is a file", { root: "a.txt" }, {}, 'its "root" is no directory: '],
    ["a root outside by a link", { root: "away" }, {}, 'its "root" is '],
    ["a root elsewhere", { root: "/etc" }, {}, 'its "root" is /etc, outside the root '],
  ])("beyond those of the runtime fail it before its agent is asked, and once: %s", async (_, rights, options, problem) => {
    const { result, offers } = await working(rights, options, [])
    if (result._tag === "Right") throw new Error("it ran")
    expect(String(result.left)).toContain(problem)
    expect(JSON.stringify(result.left)).toContain("ToolRightsExceeded")
    expect(offers).toEqual([])
  })

  it.each<[rights: Rights, options: Smithers.ToolOptions]>([
    [{ allowNetwork: ["registry.npmjs.org", "api.github.com:443"] }, { network: ["api.github.com", "*.npmjs.org"] }],
    [{ allowNetwork: ["example.com"] }, { network: "all" }],
    [{ allowNetwork: [] }, { network: "none" }],
    [{ allowTools: ["read"] }, { allowTools: ["read", "bash"] }],
    [{ root: "." }, {}],
  ])("within those of the runtime are as they are listed: %o", async (rights, options) => {
    const { result } = await working(rights, options, [])
    expect(result).toMatchObject({ _tag: "Right", right: { text: "done" } })
  })

  it("are refused for commands where no isolation holds them", async () => {
    const command = [{ tool: "bash", input: { command: "touch by-bash" } }]
    for (const rights of [{ readOnly: true }, { allowNetwork: ["example.com"] }, { root: "packages" }]) {
      const { results } = await working(rights, {}, command)
      expect(results[0]).toMatch(/Commands of this step [\s\S]*isolation "none" holds them to nothing: nothing was started/)
    }
    expect(existsSync(join(root, "by-bash")) || existsSync(join(root, "packages/by-bash"))).toBe(false)
  })

  it.skipIf(!hasBubblewrap || !existsSync("/usr/bin/curl"))(
    "open the network for the commands of one step, and of no other",
    { timeout: 60_000 },
    async () => {
      const server = createServer((_, response) => response.end("reached\n"))
      await new Promise<void>((done) => server.listen(0, "127.0.0.1", done))
      const { port } = server.address() as AddressInfo
      const command = [{ tool: "bash", input: { command: `curl -sS --noproxy '' --max-time 10 http://localhost:${port}/` } }]
      try {
        const open = await working({ allowNetwork: [`localhost:${port}`] }, { isolation: "bubblewrap" }, command)
        expect(open.results[0]).toBe("reached\n[exit code 0]")
        const other = await working({ allowNetwork: ["example.com"] }, { isolation: "bubblewrap" }, command)
        expect(other.results[0]).toContain(`does not allow localhost:${port}`)
        const none = await working({}, { isolation: "bubblewrap" }, command)
        expect(none.results[0]).not.toContain("reached")
      } finally {
        server.close()
      }
    },
  )
})

describe("a step of the builder with an agent", () => {
  const Note = Schema.Struct({ text: Schema.String })
  const run = (prompts: Array<string>, replies: ReadonlyArray<string>) => {
    let next = 0
    const agent = {
      name: "writer",
      generate: async ({ prompt }: { readonly prompt: string }) => {
        prompts.push(prompt)
        return { text: replies[next++] ?? "" }
      },
    }
    return Smithers.createWorkflow({ name: "built", input: Schema.Struct({ topic: Schema.String }) }).build(($) => {
      const first = $.step("first", { output: Note, run: ({ input }) => ({ text: input.topic.toUpperCase() }) })
      const second = $.step("second", {
        needs: { first },
        output: Note,
        agent,
        corrections: 1,
        prompt: ({ input, first }) => `Write about ${input.topic}, which is ${first.text}.`,
      })
      const third = $.step("third", { output: Note, agent: [agent], prompt: "Write.", retry: false })
      return $.sequence(first, second, third)
    })
  }

  it("gives it the prompt of its needs and its input, corrects a reply that does not match, and stores the output", async () => {
    const prompts: Array<string> = []
    const workflow = run(prompts, ["no json", '{"text":"second"}', '{"text":"third"}'])
    const output = await Effect.runPromise(workflow.execute({ topic: "sea" }).pipe(Effect.provide(Smithers.memory)))
    expect(output).toEqual({ text: "third" })
    expect(prompts.map((prompt) => prompt.split("\n")[0])).toEqual([
      "Write about sea, which is SEA.",
      "Your previous reply was not accepted:",
      "Write.",
    ])
  })

  it("has rights that hold as those of a Task do", async () => {
    const { model, results, offers } = calling([{ tool: "read", input: { path: "b.txt" } }])
    const agent = new ToolLoopAgent({ model, tools, maxRetries: 0, stopWhen: () => false })
    const workflow = Smithers.createWorkflow({ name: "built", input: Schema.Struct({}) }).build(($) =>
      $.step("work", { output: Note, agent, prompt: "Work.", allowTools: ["read"], root: "packages/core" }),
    )
    const runtime = Smithers.sqlite({ filename: ":memory:", tools: { root } })
    expect(await Effect.runPromise(workflow.execute({}).pipe(Effect.provide(runtime)))).toEqual({ text: "done" })
    expect([offers[0], results]).toEqual([["read"], ["     1\tb"]])
  })
})
