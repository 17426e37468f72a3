/**
 * Ten specifications in prose, each as a workflow. They run offline: agents are stand-ins, time is virtual, and the test answers for people.
 */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { TestRuntime } from "smithers-orchestrator/testing"
import { describe, expect, it } from "vitest"
import content from "../../examples/specs/content.tsx"
import dataCleanUp from "../../examples/specs/dataCleanUp.tsx"
import hiringLoop from "../../examples/specs/hiringLoop.tsx"
import incident from "../../examples/specs/incident.tsx"
import migration from "../../examples/specs/migration.tsx"
import onCall from "../../examples/specs/onCall.tsx"
import release, { live } from "../../examples/specs/release.tsx"
import researchReport from "../../examples/specs/researchReport.tsx"
import supportDesk from "../../examples/specs/supportDesk.tsx"
import triage from "../../examples/specs/triage.tsx"

describe("ten specifications", () => {
  it("are told in at most 60 lines each", () => {
    const folder = join(import.meta.dirname, "../../examples/specs")
    const files = readdirSync(folder).filter((file) => file.endsWith(".tsx"))
    expect(files).toHaveLength(10)
    const lines = files.map((file) => [file, readFileSync(join(folder, file), "utf8").trimEnd().split("\n").length] as const)
    expect(lines.filter(([, count]) => count > 60)).toEqual([])
  })

  it("triage: a person answers what is uncertain", async () => {
    await using runtime = TestRuntime.make()
    const reports = ["a crash", "how?", "hm"].map((text, index) => ({ id: `r${index}`, text }))
    const run = await runtime.start(triage, { reports }, { runId: "r" })
    await runtime.answer("r", "triage:handle:r2", { answer: "thank you" })
    expect(await run.output()).toBe("r0: routed\nr1: routed\nr2: otherwise")
  })

  it("release: goes as far as was selected, and is rolled back if it does not get healthy", async () => {
    await using runtime = TestRuntime.make()
    for (const [runId, healthyAfter, selected, said] of [
      ["a", 1, "canary", "released"],
      ["b", 9, "everyone", "rolled back"],
    ] as const) {
      live.length = 0
      const run = await runtime.start(release, { version: "2.0", healthyAfter }, { runId })
      const wait = await runtime.waitFor(runId, "extent")
      expect(wait.request).toMatchObject({ summary: "Adds patterns. Nothing is breaking." })
      await runtime.approve(runId, "extent", { choose: selected })
      expect(await run.output()).toBe(said)
      expect(live).toEqual(said === "released" ? ["2.0 for canary"] : [])
    }
  })

  it("migration: merges what was verified, and lists what is left", async () => {
    await using runtime = TestRuntime.make()
    expect(await runtime.execute(migration, { from: "get", to: "fetch" }, { runId: "r" })).toEqual({
      merged: ["cart", "login"],
      left: ["legacy"],
    })
    expect(await runtime.timeline("r")).toMatch(/merge cart: succeeded.*rebase login: started/s)
  })

  it("support desk: escalates, and asks before a high refund", async () => {
    await using runtime = TestRuntime.make()
    expect(await runtime.execute(supportDesk, { ticket: "It is slow" })).toBe("Turn it off and on. You get 0 back. (small)")
    expect(await runtime.execute(supportDesk, { ticket: "It is broken" })).toBe("We are sorry. You get 20 back. (large)")
    const refund = await runtime.start(supportDesk, { ticket: "broken, 500" }, { runId: "r" })
    await runtime.deny("r", "refund")
    expect(await refund.output()).toBe("We are sorry. You get 0 back. (large)")
    const odd = await runtime.start(supportDesk, { ticket: "odd" }, { runId: "s" })
    await runtime.answer("s", "answer:human", { text: "A mystery.", refund: 0, isSure: true })
    expect(await odd.output()).toBe("A mystery. You get 0 back. (human)")
  })

  it("incident: goes on without a source, and unasked after a quarter of an hour", async () => {
    await using runtime = TestRuntime.make()
    const run = await runtime.start(incident, { service: "shop" }, { runId: "r" })
    await runtime.waitFor("r", "go")
    await runtime.advance("15 minutes")
    expect(await run.output()).toBe("the deploy at noon. done: roll back, and repair the metrics, unasked.")
  })

  it("research report: debates what is disputed, and reviews until sources are cited", async () => {
    await using runtime = TestRuntime.make()
    expect(await runtime.execute(researchReport, { question: "Do cats purr?" })).toBe("It holds [1][2].")
  })

  it("data clean-up: repairs, and asks before it deletes", async () => {
    await using runtime = TestRuntime.make()
    const rows = [
      { id: "1", email: "a at b.c" },
      { id: "2", email: "d@e.f" },
    ]
    expect(await runtime.execute(dataCleanUp, { rows })).toBe("1 repaired, 0 deleted")
    const run = await runtime.start(dataCleanUp, { rows: [...rows, { id: "3", email: "?" }] }, { runId: "r" })
    const wait = await runtime.waitFor("r", "go")
    expect(wait.request).toMatchObject({ title: "Delete 3?" })
    await runtime.approve("r", "go")
    expect(await run.output()).toBe("1 repaired, 1 deleted")
  })

  it("on call: pages the second person when the first is late", async () => {
    await using runtime = TestRuntime.make()
    const input = { service: "shop", first: "ann", second: "bob", downAfter: 2 }
    const run = await runtime.start(onCall, input, { runId: "r" })
    await runtime.waitFor("r", "ack-second")
    await runtime.signal("r", "ack", { correlation: "bob", payload: { by: "bob" } })
    expect(await run.output()).toBe("restart it, bob")
    expect(await (await runtime.start(onCall, input, { runId: "s" })).output()).toBe("nobody has acknowledged")
  })

  it("hiring loop: interviews whom the panel wants, and the manager selects", async () => {
    await using runtime = TestRuntime.make()
    const candidates = [
      { name: "ann", cv: "types and docs" },
      { name: "bob", cv: "poems" },
      { name: "cy", cv: "docs and databases" },
    ]
    const run = await runtime.start(hiringLoop, { role: "engineer", candidates }, { runId: "r" })
    await runtime.answer("r", "interview ann", { notes: "good" })
    await runtime.answer("r", "interview cy", { notes: "better" })
    await runtime.approve("r", "choice", { choose: "cy" })
    expect(await run.output()).toBe("The role goes to cy")
    expect(await runtime.execute(hiringLoop, { role: "poet", candidates: [{ name: "bob", cv: "poems" }] })).toBe(
      "The role goes to nobody",
    )
  })

  it("content: publishes what gets through, with the best headline", async () => {
    await using runtime = TestRuntime.make()
    const run = await runtime.start(content, { ideas: ["cats", "secret"] }, { runId: "r" })
    await runtime.approve("r", "go")
    expect(await run.output()).toEqual({ published: ["Nine cats you must see"], blocked: ["secret in edit"] })
  })
})
