/** The canary of servers of tools, whose variables, calls and results hold a secret. */
import { dirname, join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { createAgent } from "@smithers/agents/createAgent"
import { mcpServer } from "@smithers/agents/McpServer"
import { Storage } from "@smithers/core/Storage"
import { MockLanguageModelV4 } from "ai/test"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Smithers } from "smithers-orchestrator"
import { folder } from "../sqlite/Fixture.ts"
import * as Canary from "./Canary.ts"

const script = join(import.meta.dirname, "..", "agents", "fixtures", "mcpServer.ts")
const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
}

describe("a secret of a server of tools", () => {
  it.scopedLive(
    "is in no row, no file and no prompt, also where the server returns it, and is one from when the server is described",
    () =>
      Effect.gen(function* () {
        const [canary = { name: "", value: "" }] = Canary.make().filter(({ name }) => name.endsWith("URL"))
        const place = yield* folder
        const shown: Array<unknown> = []
        const calls = [
          { toolName: "echo", input: { text: canary.value } },
          { toolName: "echo", input: { text: Buffer.from(`u:${canary.value}`).toString("base64") } },
          { toolName: "write", input: { path: `/nowhere/${canary.value}/x` } },
        ]
        const model = new MockLanguageModelV4({
          doGenerate: async ({ prompt }) => {
            shown.push(prompt.filter(({ role }) => role === "tool"))
            const call = calls.shift()
            const content =
              call === undefined
                ? [{ type: "text" as const, text: "done" }]
                : [
                    {
                      ...{ type: "tool-call" as const, toolCallId: `c${calls.length}` },
                      ...{ toolName: call.toolName, input: JSON.stringify(call.input) },
                    },
                  ]
            const unified = call === undefined ? ("stop" as const) : ("tool-calls" as const)
            return { content, finishReason: { unified, raw: undefined }, usage, warnings: [] }
          },
        })
        const server = mcpServer({
          ...{ name: "first", command: process.execPath, args: [script] },
          env: { CANARY_TOKEN: canary.value, SERVER: `server of ${canary.value}` },
        })
        const agent = createAgent({ name: "a", model, mcp: [server] })
        const flow = Smithers.createWorkflow({ name: "tools", input: Schema.Struct({}) }).build(($) =>
          $.step("call", { output: Schema.String, agent, prompt: "Call the tools.", retry: false }),
        )
        const readable = [dirname(script), dirname(process.execPath), dirname(dirname(process.execPath))]
        const runtime = Smithers.sqlite({ filename: `${place}/smithers.db`, tools: { root: place, readable, isolation: "none" } })
        const text = yield* Effect.gen(function* () {
          expect(yield* flow.execute({}, { runId: "r" })).toBe("done")
          const storage = yield* Storage
          expect(Canary.leaksBelow([canary], place)).toEqual([])
          return JSON.stringify([yield* storage.conversations({ runId: "r" }), yield* storage.events("r"), shown])
        }).pipe(Effect.provide(runtime))
        expect(Canary.leaks([canary], text)).toEqual([])
        expect(text).toContain("server of [secret CANARY_TOKEN]: [secret CANARY_TOKEN]")
        expect(Canary.leaksBelow([canary], place)).toEqual([])
      }),
  )
})
