/** Results that are too long for a model: cut before they enter its messages, and stored whole. */
import { Database } from "bun:sqlite"
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Results from "@smithers/agents/Results"
import { generateText, ToolLoopAgent } from "ai"
import { MockLanguageModelV4 } from "ai/test"
import { Effect } from "effect"
import { bash, createAgent, createSmithers, defineTool, read, Smithers, Task, Workflow } from "smithers-orchestrator"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import * as z from "zod"

let root: string
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "smithers-results-")))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

describe("a result", () => {
  it("is cut to 40,000 bytes, at its end or in its middle, and never within a character", () => {
    expect(Results.cut("x".repeat(40_000))).toBe("x".repeat(40_000))
    expect(Results.cut("x".repeat(40_001))).toBe(`${"x".repeat(40_000)}\n… 1 more bytes`)
    const [head, ends] = [Results.cut("é€".repeat(20_000)), Results.cut(`a${"€".repeat(30_000)}z`, "ends")]
    expect(head).toMatch(/^(é€)+é?\n… 60000 more bytes$/)
    expect(ends).toMatch(/^a€+\n… 50002 bytes left out …\n€+z$/)
    for (const text of [head, ends]) expect(Buffer.byteLength(text)).toBeLessThan(40_100)
  })

  const usage = {
    inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
    outputTokens: { total: 1, text: 1, reasoning: 0 },
  }
  const calling = () => {
    const results: Array<string> = []
    const calls = [
      { toolName: "bash", input: { command: "seq 1 60000" } },
      { toolName: "read", input: { path: "long.txt", limit: 5000 } },
    ]
    const model = new MockLanguageModelV4({
      doGenerate: async ({ prompt }) => {
        const last = prompt.at(-1)
        if (last?.role === "tool")
          for (const part of last.content)
            if (part.type === "tool-result" && "value" in part.output) results.push(String(part.output.value))
        const call = calls.shift()
        const content =
          call === undefined
            ? [{ type: "text" as const, text: '{"text":"done"}' }]
            : [
                {
                  type: "tool-call" as const,
                  toolCallId: call.toolName,
                  toolName: call.toolName,
                  input: JSON.stringify(call.input),
                },
              ]
        return {
          content,
          finishReason: { unified: call === undefined ? ("stop" as const) : ("tool-calls" as const), raw: undefined },
          usage,
          warnings: [],
        }
      },
    })
    return { model, results }
  }
  const tools = { bash, read }

  it.each(["an agent of the SDK", "an agent of one's own"])(
    "of %s is as short in its messages; what is recorded is whole",
    async (kind) => {
      writeFileSync(
        join(root, "long.txt"),
        Array.from({ length: 4000 }, (_, index) => `line ${index + 1} ${"x".repeat(20)}\n`).join(""),
      )
      const { model, results } = calling()
      const isSdk = kind === "an agent of the SDK"
      const agent = isSdk
        ? new ToolLoopAgent({ model, tools, maxRetries: 0, stopWhen: () => false })
        : {
            name: "own",
            generate: async ({ prompt }: { readonly prompt: string }) => ({
              text: (await generateText({ model, prompt, tools, stopWhen: () => false })).text,
            }),
          }
      const { smithers, outputs } = createSmithers({ work: z.object({ text: z.string() }) })
      const workflow = smithers(() => (
        <Workflow name="results">
          <Task id="work" output={outputs.work} agent={agent} noRetry>
            Work.
          </Task>
        </Workflow>
      ))
      const filename = join(root, "runs.db")
      const runtime = Smithers.sqlite({ filename, tools: { root, isolation: "none" } })
      await Effect.runPromise(workflow.execute({}).pipe(Effect.provide(runtime)))
      expect(results.map((result) => Buffer.byteLength(result) < 41_000)).toEqual([true, true])
      expect(results[0]).toMatch(/^1\n2\n[\s\S]* bytes left out …\n[\s\S]*\n60000\n\[exit code 0\]$/)
      expect(results[1]).toMatch(/^ +1\tline 1 [\s\S]* more bytes$/)
      if (!isSdk) return
      const database = new Database(filename, { readonly: true })
      const stored =
        "SELECT content FROM smithers_texts WHERE hash IN (SELECT text_hash FROM smithers_transcript WHERE kind = 'tool-result')"
      const texts = JSON.stringify(database.query(stored).all())
      database.close()
      expect(texts).toContain("\\n30000\\n")
      expect(texts).toContain("line 3999 ")
    },
  )

  it("is as long as its tool allows, otherwise as its runtime does; so is the output of commands, which are killed beyond", async () => {
    const shown: Array<string> = []
    const calls = ["short", "usual", "whole", "bash"]
    const model = new MockLanguageModelV4({
      doGenerate: async ({ prompt }) => {
        for (const part of prompt.at(-1)?.role === "tool" ? (prompt.at(-1)?.content ?? []) : [])
          if (typeof part === "object" && part.type === "tool-result" && "value" in part.output)
            shown.push(String(part.output.value))
        const toolName = calls.shift()
        const input = toolName === "bash" ? JSON.stringify({ command: "yes" }) : "{}"
        return {
          content:
            toolName === undefined
              ? [{ type: "text" as const, text: '{"text":"done"}' }]
              : [{ type: "tool-call" as const, toolCallId: toolName, toolName, input }],
          finishReason: { unified: toolName === undefined ? ("stop" as const) : ("tool-calls" as const), raw: undefined },
          usage,
          warnings: [],
        }
      },
    })
    const long = (maxResultBytes?: number) =>
      defineTool({
        description: "Talks.",
        input: z.object({}),
        ...(maxResultBytes === undefined ? {} : { maxResultBytes }),
        execute: () => "x".repeat(100_000),
      })
    const agent = createAgent({
      name: "own",
      model,
      tools: { short: long(100), usual: long(), whole: long(Number.POSITIVE_INFINITY), bash },
    })
    const { smithers, outputs } = createSmithers({ work: z.object({ text: z.string() }) })
    const workflow = smithers(() => (
      <Workflow name="results">
        <Task id="work" output={outputs.work} agent={agent} noRetry>
          Work.
        </Task>
      </Workflow>
    ))
    const tools = { root, isolation: "none" as const, maxResultBytes: 300, maxOutputBytes: 100_000 }
    await Effect.runPromise(workflow.execute({}).pipe(Effect.provide(Smithers.sqlite({ filename: ":memory:", tools }))))
    expect(shown.slice(0, 3)).toEqual([
      `${"x".repeat(100)}\n… 99900 more bytes`,
      `${"x".repeat(300)}\n… 99700 more bytes`,
      "x".repeat(100_000),
    ])
    expect(shown[3]).toContain("it wrote more than 100000 bytes")
    expect(() => long(5)).toThrow('"maxResultBytes" of a tool is a number of at least 100, or Infinity, and not 5')
  })
})
