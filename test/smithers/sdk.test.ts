/** When the AI SDK is loaded, in a process of its own. */
import { join } from "node:path"
import { expect, it } from "vitest"

it("the AI SDK is loaded by the first agent that needs it, and by nothing before", async () => {
  const { SMITHERS_MODEL: _, ...env } = process.env
  const child = Bun.spawn(["bun", join(import.meta.dirname, "fixtures", "sdk.tsx")], { stdout: "pipe", stderr: "inherit", env })
  const said = await new Response(child.stdout).text()
  expect(JSON.parse(said)).toEqual([
    ["imported", false],
    ["no agent: finished", false],
    ["an agent that answers: finished", false],
    ["an agent that fails: failed", false],
    ["an agent of the SDK: failed", true],
  ])
}, 300_000)
