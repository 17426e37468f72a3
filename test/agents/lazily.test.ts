/** Importing the tools loads no SDK. */
import { expect, it } from "vitest"

it.each(["smithers-orchestrator", "smithers-orchestrator/tools"])(
  "the tools of %s are there without loading the AI SDK",
  async (from) => {
    const program = `
    const { read, write, edit, applyPatch, grep, bash, defineTool } = await import("${from}")
    const loaded = Object.keys(require.cache).filter((file) => /node_modules\\/(ai|@ai-sdk\\/[^/]+)\\/dist/.test(file))
    console.log(JSON.stringify({ tools: [read, write, edit, applyPatch, grep, bash].map((tool) => typeof tool.execute), defineTool: typeof defineTool, loaded }))
  `
    const child = Bun.spawn([process.execPath, "-e", program], { cwd: import.meta.dirname, stdout: "pipe", stderr: "pipe" })
    const [told, failed] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
    expect(failed).toBe("")
    expect(JSON.parse(told)).toEqual({ tools: Array(6).fill("function"), defineTool: "function", loaded: [] })
  },
)
