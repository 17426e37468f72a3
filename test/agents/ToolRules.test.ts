/** Rules of tools, as the wrapper of an agent's tools reads them. */
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { defineTool } from "@smithers/agents/defineTool"
import * as ToolRules from "@smithers/agents/ToolRules"
import * as ToolSession from "@smithers/agents/ToolSession"
import { bash, edit, grep, read, write } from "@smithers/agents/tools"
import { Effect, Schema } from "effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import * as z from "zod"

let root: string
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "smithers-rules-")))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const input = Schema.Struct({ n: Schema.NumberFromString })
const options = { description: "A tool.", input, execute: ({ n }: { readonly n: number }) => n }
const call = { tool: "own", toolCallId: "call-1", input: { n: "21" }, snapshot: undefined }
const recovered = (tool: object, of: ToolRules.InterruptedCall<unknown> = call) => Effect.runPromise(ToolRules.of(tool).recover(of))

describe("rules of a tool", () => {
  it("say of one that declares none that it may change anything, and that a call that was cut off is unknown", async () => {
    for (const tool of [{}, defineTool(options)]) {
      expect(ToolRules.of(tool)).toMatchObject({ isReadOnly: false, isPolling: false, afterCrash: "unknown" })
      expect([ToolRules.of(tool).needsApproval, ToolRules.of(tool).snapshot]).toEqual([undefined, undefined])
      expect(await recovered(tool)).toBe("unknown")
    }
  })

  it("make a call of a read-only tool again, unless the tool says otherwise", async () => {
    expect(await recovered(defineTool({ ...options, isReadOnly: true }))).toBe("rerun")
    expect(await recovered(defineTool({ ...options, isReadOnly: true, afterCrash: "unknown" }))).toBe("unknown")
    expect(ToolRules.of(defineTool({ ...options, isPolling: true })).isPolling).toBe(true)
  })

  it("stay with a tool that is copied with another description", () => {
    expect(ToolRules.of({ ...read, description: "Reads." })).toMatchObject({ isReadOnly: true, afterCrash: "rerun" })
  })

  it("ask a function with the decoded input, which answers with a value, a promise or an Effect; one that fails is unknown", async () => {
    const asking = (afterCrash: ToolRules.ToolRulesOptions<{ readonly n: number }, number>["afterCrash"]) => {
      const tool = defineTool({ ...options, ...(afterCrash === undefined ? {} : { afterCrash }) })
      expect(ToolRules.of(tool).afterCrash).toBe("probe")
      return recovered(tool)
    }
    expect(await asking(({ input: { n } }) => ({ output: n * 2 }))).toEqual({ output: 42 })
    expect(await asking(() => Promise.resolve("rerun" as const))).toBe("rerun")
    expect(await asking(() => Effect.succeed("rerun" as const))).toBe("rerun")
    expect(await asking(() => Effect.fail("no"))).toBe("unknown")
    expect(await asking(async () => Promise.reject(new Error("no")))).toBe("unknown")
    expect(
      await asking(() => {
        throw new Error("no")
      }),
    ).toBe("unknown")
  })

  it("refuse a rule that is none when the tool is made", () => {
    expect(() => defineTool({ ...options, afterCrash: "retry" as "rerun" })).toThrow(
      '"afterCrash" of a tool is "rerun", "unknown", "ask" or a function that finds out, and not a string.',
    )
  })

  it("tell which calls need approval, by the decoded input; a rule that fails needs it", async () => {
    const needed = (needsApproval: ToolRules.ToolRulesOptions<{ readonly n: number }, number>["needsApproval"], given: unknown) => {
      const rule = ToolRules.of(defineTool({ ...options, ...(needsApproval === undefined ? {} : { needsApproval }) })).needsApproval
      return rule === undefined ? undefined : Effect.runPromise(rule({ tool: "own", input: given }))
    }
    expect(await needed(({ input: { n } }) => n > 100, { n: "21" })).toBeUndefined()
    expect(await needed(({ input: { n } }) => n > 100, { n: "101" })).toEqual({})
    expect(await needed(({ tool, input: { n } }) => ({ title: `${tool} ${n}` }), { n: "7" })).toEqual({ title: "own 7" })
    expect(await needed(() => false, { n: "seven" })).toEqual({})
    expect(
      await needed(
        () => {
          throw new Error("no")
        },
        { n: "1" },
      ),
    ).toEqual({})
  })

  it("ask a schema of another library in the same way", async () => {
    const tool = defineTool({
      description: "A tool.",
      input: z.object({ n: z.coerce.number() }),
      execute: ({ n }) => n,
      afterCrash: ({ input: { n } }) => ({ output: n + 1 }),
    })
    expect(await recovered(tool)).toEqual({ output: 22 })
  })
})

describe("rules of the tools that come with the runtime", () => {
  const within = <A>(act: () => A) => {
    const session = ToolSession.make({ root })
    return ToolSession.within(() => session, act)
  }
  const put = (text: string) => writeFileSync(join(root, "a.txt"), text)
  const run = (tool: { readonly execute?: unknown }, given: unknown) =>
    typeof tool.execute === "function"
      ? Promise.resolve(tool.execute(given, { toolCallId: "1" }))
      : Promise.reject(new Error("none"))

  it("are: read and grep are made again, bash is unknown, write and edit are looked up in the file", () => {
    expect([read, grep, bash, write, edit].map((tool) => ToolRules.of(tool).afterCrash)).toEqual([
      "rerun",
      "rerun",
      "unknown",
      "probe",
      "probe",
    ])
    expect([read, grep, bash, write, edit].map((tool) => ToolRules.of(tool).isReadOnly)).toEqual([true, true, false, false, false])
  })

  it.each([
    ["write", write, { path: "a.txt", content: "new\n" }, "Wrote a.txt: 4 bytes."],
    ["edit", edit, { path: "a.txt", edits: [{ old: "old", new: "new" }] }, "Edited a.txt."],
  ] as const)(
    "%s is over where the file is as the call would have left it, made again where it is as before, and unknown otherwise",
    async (name, tool, given, output) => {
      const rules = ToolRules.of(tool)
      put("old\n")
      const snapshot = await within(async () => {
        await run(read, { path: "a.txt" })
        return Effect.runPromise(rules.snapshot?.({ tool: name, input: given }) ?? Effect.succeed(undefined))
      })
      expect(readFileSync(join(root, "a.txt"), "utf8")).toBe("old\n")
      const recover = () => within(() => recovered(tool, { tool: name, toolCallId: "1", input: given, snapshot }))
      expect(await recover()).toBe("rerun")
      put("new\n")
      expect(await recover()).toEqual({ output })
      put("of others\n")
      expect(await recover()).toBe("unknown")
      rmSync(join(root, "a.txt"))
      expect(await recover()).toBe("unknown")
      put("old\n")
      expect(await within(() => recovered(tool, { tool: name, toolCallId: "1", input: given, snapshot: undefined }))).toBe(
        "unknown",
      )
    },
  )

  it("write makes a file that was not there again, as long as it is not there", async () => {
    const given = { path: "b.txt", content: "b\n" }
    const rules = ToolRules.of(write)
    const snapshot = await within(() =>
      Effect.runPromise(rules.snapshot?.({ tool: "write", input: given }) ?? Effect.succeed(undefined)),
    )
    expect(await within(() => recovered(write, { ...call, input: given, snapshot }))).toBe("rerun")
  })

  it("count files as read that were read before a crash, as long as they are as they were", async () => {
    put("old\n")
    const first = ToolSession.make({ root })
    await ToolSession.within(
      () => first,
      () => run(read, { path: "a.txt" }),
    )
    const notes = first.seen.take()
    expect([Object.keys(notes ?? {}), first.seen.take()]).toEqual([["a.txt"], undefined])
    const given = { path: "a.txt", edits: [{ old: "old", new: "new" }] }
    const later = ToolSession.make({ root })
    await expect(
      ToolSession.within(
        () => later,
        () => run(edit, given),
      ),
    ).rejects.toThrow("was not read yet")
    later.seen.restore(JSON.parse(JSON.stringify(notes)))
    expect(
      await ToolSession.within(
        () => later,
        () => run(edit, given),
      ),
    ).toContain("+new")
    const changed = ToolSession.make({ root })
    changed.seen.restore(notes ?? {})
    await expect(
      ToolSession.within(
        () => changed,
        () => run(edit, given),
      ),
    ).rejects.toThrow("has changed since it was read")
  })
})
