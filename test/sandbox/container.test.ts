/**
 * The recipe of the guide for containers. What `docker run` gives with its options is made here by bubblewrap: no network, nothing to write but the work and `/tmp`, an
 * ordinary user without capabilities, and no namespaces for commands.
 */
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { hasBubblewrap } from "./fixtures/here.ts"

const project = join(import.meta.dirname, "..", "..")
const bin = join(project, "packages/smithers/src/bin.ts")

let work: string
beforeEach(() => {
  work = realpathSync(mkdtempSync(join(tmpdir(), "smithers-container-")))
  symlinkSync(join(project, "node_modules"), join(work, "node_modules"))
})
afterEach(() => rmSync(work, { recursive: true, force: true }))

const workflow = `
import { ToolLoopAgent } from "ai"
import { MockLanguageModelV4 } from "ai/test"
import { bash, createSmithers, Task, Workflow } from "smithers-orchestrator"
import { z } from "zod"

const commands = [
  "id -u; echo hello > made.txt; cat made.txt; echo x > /usr/made 2>&1; env | grep -c SECRET; sleep 98765 & exit 3",
  "exec 3<>/dev/tcp/127.0.0.1/9 && echo reached; sleep 60",
]
let next = 0
const usage = { inputTokens: { total: 1 }, outputTokens: { total: 1 } }
const model = new MockLanguageModelV4({
  doGenerate: async ({ prompt }) => {
    const command = commands[next++]
    const results = prompt.flatMap(({ role, content }) => (role === "tool" ? content.map(({ output }) => output.value) : []))
    return command === undefined
      ? { content: [{ type: "text", text: JSON.stringify({ results }) }], finishReason: { unified: "stop" }, usage, warnings: [] }
      : { content: [{ type: "tool-call", toolCallId: command, toolName: "bash", input: JSON.stringify({ command, timeoutSeconds: 1 }) }], finishReason: { unified: "tool-calls" }, usage, warnings: [] }
  },
})
const { smithers, outputs } = createSmithers({ work: z.object({ results: z.array(z.string()) }) })
export default smithers(() => (
  <Workflow name="work">
    <Task id="work" output={outputs.work} agent={new ToolLoopAgent({ model, tools: { bash } })} noRetry>Work.</Task>
  </Workflow>
))
`

/** Runs a command of smithers in the container, from the folder of the work. */
const inContainer = (isolation: string, ...args: ReadonlyArray<string>) => {
  const { exitCode, stdout, stderr } = Bun.spawnSync(
    [
      ...[
        "bwrap",
        "--unshare-user",
        "--unshare-all",
        "--cap-drop",
        "ALL",
        "--disable-userns",
        "--uid",
        "1000",
        "--gid",
        "1000",
        "--die-with-parent",
      ],
      ...["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--ro-bind", project, project],
      ...[
        "--bind",
        work,
        work,
        "--chdir",
        work,
        "--clearenv",
        "--setenv",
        "PATH",
        process.env.PATH ?? "",
        "--setenv",
        "HOME",
        "/tmp",
      ],
      ...["--setenv", "SMITHERS_ISOLATION", isolation, "--setenv", "SMITHERS_CONTAINER", "1", "--setenv", "SECRET", "x"],
      ...["--", process.execPath, bin, ...args],
    ],
    { cwd: work },
  )
  return { exitCode, output: stdout.toString() + stderr.toString() }
}

describe.skipIf(!hasBubblewrap)("in a container (needs the Debian package bubblewrap)", () => {
  it("commands of agents run as the container lets them, with a clear environment, within their bounds, and leave nothing", () => {
    writeFileSync(join(work, "workflow.tsx"), workflow)
    const { exitCode, output } = inContainer("container", "up", "workflow.tsx")
    expect(output).toContain('"results"')
    const results: ReadonlyArray<string> = JSON.parse(output.slice(output.indexOf("{"), output.lastIndexOf("}") + 1)).results
    expect(results[0]).toMatch(
      /^1000\nhello\n(?:.*Read-only file system\n)?0\n(?:\[stderr\]\n.*Read-only file system\n)?\[exit code 3\]$/,
    )
    expect(results[1]).toMatch(/Connection refused[\s\S]*ran longer than 1s/)
    expect(exitCode).toBe(0)
    expect(readFileSync(join(work, "made.txt"), "utf8")).toBe("hello\n")
    expect(existsSync("/usr/made")).toBe(false)
    expect(Bun.spawnSync(["pgrep", "-f", "sleep 98765"]).stdout.toString()).toBe("")
  })

  it("the isolation by namespaces is refused, and the container is named as a way out", () => {
    writeFileSync(join(work, "workflow.tsx"), workflow)
    expect(inContainer("bubblewrap", "up", "workflow.tsx").output).toContain(
      'where a container is the boundary: isolation \\"container\\"',
    )
    expect(existsSync(join(work, "made.txt"))).toBe(false)
  })
})
