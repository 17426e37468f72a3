import { copyFileSync } from "node:fs"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import * as Fixture from "./Fixture.ts"

let folder: Fixture.Folder
beforeEach(() => {
  folder = Fixture.folder()
  copyFileSync(join(import.meta.dirname, "fixtures/chat.ts"), folder.file("chat.ts"))
})
afterEach(() => folder.remove())

/** Output without what differs from run to run. */
const plain = (text: string): string => text.replaceAll(/\d\d:\d\d:\d\d/g, "hh:mm:ss").replaceAll(/\b\d+(\.\d)?(ms|s)\b/g, "n s")

describe("a tool call that needs approval", () => {
  it("is asked for, shown, approved and made, and its conversation can be read", async () => {
    const waiting = await folder.run("up", "chat.ts", "--run-id", "r")
    expect(waiting.code).toBe(3)
    expect((await folder.run("why", "r")).stdout).toContain("Send a letter to ann@example.com?")
    expect((await folder.json("tools", "r")).value).toMatchObject({
      calls: [
        { tool: "look", status: "finished", agent: "clerk" },
        { tool: "send", status: "asked", input: '{"to":"ann@example.com"}' },
      ],
    })
    expect((await folder.run("approve", "r", "--node", "write", "--by", "bob")).code).toBe(0)
    const done = await folder.run("up", "chat.ts", "--run-id", "r", "--resume")
    expect(done.stderr + done.stdout).toContain("finished")
    expect(plain((await folder.run("chat", "r")).stdout)).toBe(`── write: clerk, attempt 1 ──
hh:mm:ss ▸ prompt
  Write to Ann.
  
  Your reply must end with one JSON value, with nothing after it. The value must match this JSON Schema:
  {
    "type": "object",
    "required": ["sent"],
    "properties": {"sent":{"type":"boolean"}},
    "additionalProperties": false
  }
hh:mm:ss ◂ reply (scripted-1, 7 + 7 tokens)
  I look first.
  → look({"what":"address"})
hh:mm:ss ← look
  the address is known
hh:mm:ss ◂ reply (scripted-1, 7 + 7 tokens)
  → send({"to":"ann@example.com"})
hh:mm:ss · continued by attempt 2
hh:mm:ss ← send
  sent to ann@example.com
hh:mm:ss ◂ reply (scripted-1, 7 + 7 tokens)
  {"sent":true}
`)
    expect(
      plain((await folder.run("tools", "r", "write")).stdout).replaceAll(/n s +/g, "n s  "),
    ).toBe(`STARTED   NODE   TOOL  STATUS          TIME  INPUT                     OUTPUT
hh:mm:ss  write  look  finished        n s  {"what":"address"}        the address is known
hh:mm:ss  write  send  finished (bob)  n s  {"to":"ann@example.com"}  sent to ann@example.com
2 calls. Whole texts: smithers chat r
`)
    const lines = (await folder.run("chat", "r", "--json")).stdout.trim().split("\n")
    expect(lines.map((line) => (JSON.parse(line) as { readonly kind: string }).kind)).toEqual([
      "prompt",
      "reply",
      "tool-result",
      "reply",
      "note",
      "tool-result",
      "reply",
    ])
    // A fork has inherited them.
    expect((await folder.run("fork", "r", "--run-id", "f")).code).toBe(0)
    const [inherited, original] = [await folder.run("chat", "f"), await folder.run("chat", "r")]
    expect(inherited.stdout).toBe(original.stdout.replace("attempt 1 ──", "attempt 1, of run r ──"))
    expect((await folder.json("tools", "f")).value).toMatchObject({
      runId: "f",
      calls: [
        { tool: "look", runId: "r" },
        { tool: "send", runId: "r" },
      ],
    })
  })

  it("is followed live until the run has ended", async () => {
    await folder.run("up", "chat.ts", "--run-id", "r")
    const following = folder.start(["chat", "r", "--follow"])
    while (!following.said().stdout.includes("send(")) await Bun.sleep(20)
    expect(following.said().stdout).not.toContain("sent to")
    await folder.run("approve", "r", "--node", "write")
    await folder.run("up", "chat.ts", "--run-id", "r", "--resume")
    const { code, stdout } = await following.result
    expect(code).toBe(0)
    expect(stdout).toContain("sent to ann@example.com")
  })
})

describe("a run without agents", () => {
  it("has no conversation, and no calls", async () => {
    await folder.run("up", "workflow.ts", "--run-id", "r", "--input", '{"spec":"x"}')
    const [chat, tools] = [await folder.run("chat", "r"), await folder.run("tools", "r")]
    expect([chat.stdout, tools.stdout]).toEqual([
      "Run r has no conversation of an agent.\n",
      "No agent of this run has called a tool.\n",
    ])
    const unknown = await folder.run("chat", "r", "nowhere")
    expect([unknown.code, unknown.stderr]).toEqual([4, expect.stringContaining('"nowhere"')])
  })
})
