/** A repository that an agent makes itself: its settings name programs, which git would run for whoever looks at it. The runtime looks at it between calls. */
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ToolLoopAgent } from "ai"
import { MockLanguageModelV4 } from "ai/test"
import { Effect } from "effect"
import { bash, createSmithers, read, Smithers, Task, Workflow } from "smithers-orchestrator"
import { afterEach, beforeEach, expect, it } from "vitest"
import * as z from "zod"
import { hasBubblewrap } from "../sandbox/fixtures/here.ts"

let base: string
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "smithers-workspace-")))
  mkdirSync(join(base, "root"))
  mkdirSync(join(base, "outside"))
  writeFileSync(join(base, "root", "a.txt"), "a\n")
})
afterEach(() => rmSync(base, { recursive: true, force: true }))

const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
}

const settings = [
  "filter.evil.clean",
  "filter.evil.process",
  "core.fsmonitor",
  "core.sshCommand",
  "core.gitProxy",
  "diff.evil.textconv",
  "diff.external",
  "core.editor",
]

it.skipIf(!hasBubblewrap)(
  "runs none of its programs outside of isolation (needs the Debian package bubblewrap)",
  { timeout: 120_000 },
  async () => {
    const pwned = join(base, "outside", "pwned")
    const commands = [
      // In one command: afterwards git's directory is read-only.
      `git init -q . && git config user.name a && git config user.email a@b && echo one > b && git add . && git commit -qm one; for s in ${settings.join(" ")}; do git config $s 'touch ${pwned}; cat'; done; echo '* filter=evil diff=evil' > .gitattributes; echo two > b; echo hidden > c; git config filter.evil.clean && echo git-made`,
      "echo two2 > a.txt; touch -d 2030-01-01 b a.txt",
    ]
    const results: Array<string> = []
    let next = 0
    const model = new MockLanguageModelV4({
      doGenerate: async ({ prompt }) => {
        const last = prompt.at(-1)
        if (last?.role === "tool")
          for (const part of last.content)
            if (part.type === "tool-result" && "value" in part.output) results.push(String(part.output.value))
        const command = commands[next++]
        const content =
          command === undefined
            ? [{ type: "text" as const, text: '{"text":"done"}' }]
            : [{ type: "tool-call" as const, toolCallId: `${next}`, toolName: "bash", input: JSON.stringify({ command }) }]
        return {
          content,
          finishReason: { unified: command === undefined ? ("stop" as const) : ("tool-calls" as const), raw: undefined },
          usage,
          warnings: [],
        }
      },
    })
    const agent = new ToolLoopAgent({ model, tools: { bash, read }, maxRetries: 0, stopWhen: () => false })
    const { smithers, outputs } = createSmithers({ work: z.object({ text: z.string() }) })
    const workflow = smithers(() => (
      <Workflow name="workspace">
        <Task id="work" output={outputs.work} agent={agent} noRetry>
          Work.
        </Task>
      </Workflow>
    ))
    const runtime = Smithers.sqlite({ filename: ":memory:", tools: { root: join(base, "root") } })
    expect(await Effect.runPromise(workflow.execute({}).pipe(Effect.provide(runtime)))).toEqual({ text: "done" })
    expect(results.join("\n")).toMatch(/touch [\s\S]*git-made/)
    expect(existsSync(pwned)).toBe(false)
  },
)
